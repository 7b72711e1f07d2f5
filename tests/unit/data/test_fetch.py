"""A file lands whole or not at all: slow writers, swaps and edits under the reader, and files that never come."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from include.data import fetch as fetching
from include.data.fetch import FileUnsteady, digest_of, fetch
from include.errors import DataRejected

MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(fetching, "POLL_SECONDS", 0.02)


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def bring(uri: str | Path, target: Path, wait: float = 0, maximum: int = 100 * MEGABYTE) -> str:
    return fetch(str(uri), target, maximum_bytes=maximum, wait_seconds=wait)


def old(path: Path) -> Path:
    """As if written an hour ago."""
    os.utime(path, (time.time() - 3600,) * 2)
    return path


@pytest.mark.parametrize("scheme", ["", "file://", "memory:/"])
def test_a_file_lands_with_its_hash(tmp_path: Path, scheme: str) -> None:
    content = os.urandom(3 * MEGABYTE)
    uri = f"{scheme}{tmp_path / 'source.bin'}"
    with fsspec.open(uri, "wb") as file:
        file.write(content)
    digest = bring(uri, tmp_path / "landed.bin")
    assert digest == hashlib.sha256(content).hexdigest() == digest_of(uri)
    assert (tmp_path / "landed.bin").read_bytes() == content
    assert not list(tmp_path.glob(".*"))


def test_f26_a_half_written_file_is_not_taken_before_it_is_whole(tmp_path: Path) -> None:
    source, written = tmp_path / "rows.csv", threading.Event()

    def slowly() -> None:
        with source.open("wb", buffering=0) as file:
            for n in range(10):
                file.write(b"%d,\n" % n * 1000)
                time.sleep(0.1)
        written.set()

    with meanwhile(slowly):
        digest = bring(source, tmp_path / "landed", wait=20)
        assert written.is_set()
    assert digest == hashlib.sha256(source.read_bytes()).hexdigest()


def test_f26_a_file_that_never_becomes_whole_is_refused(tmp_path: Path) -> None:
    source, stop = tmp_path / "rows.csv", threading.Event()
    source.touch()

    def for_ever() -> None:
        with source.open("ab", buffering=0) as file:
            while not stop.wait(0.05):
                file.write(b"1,2\n")

    with meanwhile(for_ever):
        try:
            with pytest.raises(
                FileUnsteady, match=r"rows\.csv: changed while it was read; write it under another name"
            ):
                bring(source, tmp_path / "landed", wait=1)
        finally:
            stop.set()
    assert not (tmp_path / "landed").exists()


@pytest.mark.parametrize("way", ["renamed over", "rewritten in place"])
def test_f27_a_file_swapped_while_it_is_read_is_never_a_mixture(tmp_path: Path, way: str) -> None:
    source, stop, swaps = old(_filled(tmp_path / "rows.csv", b"0")), threading.Event(), [0]

    def swap() -> None:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            letter = b"%d" % (swaps[0] % 10)
            if way == "renamed over":
                old(_filled(tmp_path / "next", letter)).rename(source)
            else:
                with source.open("r+b", buffering=0) as file:
                    file.write(letter * 8 * MEGABYTE)
                old(source)  # the time of the last write alone would not show it
            swaps[0] += 1
        stop.set()

    with meanwhile(swap):
        while not stop.is_set():
            try:
                digest = bring(source, tmp_path / "landed")
            except FileUnsteady:
                continue
            landed = (tmp_path / "landed").read_bytes()
            assert len(set(landed)) == 1
            assert len(landed) == 8 * MEGABYTE
            assert hashlib.sha256(landed).hexdigest() == digest
    assert swaps[0] > 10
    assert bring(source, tmp_path / "landed") == digest_of(str(source))


def _filled(path: Path, letter: bytes) -> Path:
    path.write_bytes(letter * 8 * MEGABYTE)
    return path


def test_b1_a_missing_file_is_waited_for(tmp_path: Path) -> None:
    source = tmp_path / "late.csv"

    def later() -> None:
        time.sleep(0.3)
        source.write_text("a\n1\n")

    with meanwhile(later):
        bring(source, tmp_path / "landed", wait=20)
    assert (tmp_path / "landed").read_text() == "a\n1\n"


@pytest.mark.parametrize("scheme", ["", "file://", "memory:/"])
def test_b1_a_file_that_does_not_come_is_named(tmp_path: Path, scheme: str) -> None:
    uri = f"{scheme}{tmp_path / 'never.csv'}"
    started = time.monotonic()
    with pytest.raises(DataRejected, match=rf"{uri}: there is no such file after 0.4 s") as refusal:
        bring(uri, tmp_path / "landed", wait=0.4)
    assert refusal.value.code == "MISSING_FILE"
    assert 0.4 <= time.monotonic() - started < 5
    assert digest_of(uri) is None


def test_b7_a_file_above_the_limit_is_not_copied_to_its_end(tmp_path: Path) -> None:
    source = old(_filled(tmp_path / "rows.csv", b"1"))
    with pytest.raises(DataRejected, match=r"more than 1048576 bytes; raise limits\.maximum_bytes") as refusal:
        bring(source, tmp_path / "landed", maximum=MEGABYTE)
    assert refusal.value.code == "TOO_LARGE"
    assert not (tmp_path / "landed").exists()
    assert sum(path.stat().st_size for path in tmp_path.glob(".landed*")) <= 2 * MEGABYTE


@pytest.mark.parametrize(("make", "what"), [(Path.mkdir, "directory"), (os.mkfifo, "other")], ids=["folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None], what: str) -> None:
    make(tmp_path / "rows")
    with pytest.raises(DataRejected, match=f"rows: is a {what}; name one file") as refusal:
        bring(tmp_path / "rows", tmp_path / "landed", wait=5)
    assert refusal.value.code == "NOT_A_FILE"
