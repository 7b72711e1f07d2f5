"""A real PostgreSQL server for tests: a cluster in a folder of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.ports import free_port

PASSWORD = "canary-5f1c"  # not a word that stands in any message by chance


def binaries() -> Path:
    """Where the server's programs are; skips the test where they are not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    if not found[-1].is_file():
        pytest.skip("needs PostgreSQL's server: apt-get install postgresql")
    return found[-1].parent


@contextmanager
def server() -> Iterator[str]:
    """Run a server; yield the URL of its database ``postgres``, whose user needs the password in it."""
    programs = binaries()
    # The server refuses to run as root, and root's temporary folders are closed to others.
    user = "nobody" if os.geteuid() == 0 else None
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if user:
            _give(folder, user)
        made = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "app", "--pwfile", str(folder / "password")]
        subprocess.run([*made, "-A", "scram-sha-256", "--no-sync"], check=True, capture_output=True, user=user)
        options = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-F", "-c", "max_connections=50"]
        with open(folder / "log", "w") as log:
            command = [str(programs / "postgres"), "-D", str(folder / "data"), *options]
            process = subprocess.Popen(command, stdout=log, stderr=log, user=user)
        try:
            url = f"postgresql://app:{PASSWORD}@127.0.0.1:{port}/postgres"
            _wait(url, process, folder / "log")
            yield url.replace("postgresql:", "postgresql+psycopg:")
        finally:
            process.send_signal(signal.SIGINT)  # a fast shutdown, which ends every session
            process.wait(30)


@contextmanager
def database(url: str, name: str) -> Iterator[str]:
    """An empty database on the server behind ``url``; yields its URL."""
    server_url = url.replace("+psycopg", "")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{url.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _give(folder: Path, user: str) -> None:
    owner = pwd.getpwnam(user)
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    raise AssertionError(log.read_text())
