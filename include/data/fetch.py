"""One file brought in whole: waited for, read while nothing changed it, hashed on the way; or refused."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec

from include.errors import DataRejected
from include.files import whole

CHUNK = 1 << 20
POLL_SECONDS = 0.2
QUIET_SECONDS = 1.0
"""A file that was written to so recently may have more to come."""


class FileUnsteady(RuntimeError):
    """The file changed whenever it was read; a retry is due, since it may be whole by then."""


def fetch(uri: str, target: Path, *, maximum_bytes: int, wait_seconds: float) -> str:
    """Copy ``uri`` to ``target`` as a whole or not at all and return its SHA-256.

    A file that is missing, still being written or swapped while it is read gets ``wait_seconds`` to become whole. Then
    raises ``DataRejected`` (``MISSING_FILE``) or ``FileUnsteady``; ``DataRejected`` (``TOO_LARGE``, ``NOT_A_FILE``) at
    once.
    """
    filesystem, path = store_of(uri)
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return _copy(filesystem, path, uri, target, maximum_bytes)
        except FileNotFoundError as error:
            if time.monotonic() >= deadline:
                message = f"{uri}: there is no such file after {wait_seconds:g} s; put it there and start the run again"
                raise DataRejected("MISSING_FILE", message) from error
        except FileUnsteady:
            if time.monotonic() >= deadline:
                raise
        filesystem.invalidate_cache()
        time.sleep(POLL_SECONDS)


def store_of(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The store that ``uri`` names, and the path in it; ``DataRejected`` (``BAD_SOURCE``) when nothing can read it."""
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:  # the package of the store is not installed, or there is none
        raise DataRejected("BAD_SOURCE", f"{uri}: {error}") from error
    return filesystem, str(path)


def digest_of(uri: str) -> str | None:
    """SHA-256 of ``uri`` as it is now, None where there is no such file."""
    filesystem, path = store_of(uri)
    try:
        with filesystem.open(path, "rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _copy(filesystem: fsspec.AbstractFileSystem, path: str, uri: str, target: Path, maximum: int) -> str:
    found = filesystem.info(path)
    if found["type"] != "file":
        raise DataRejected("NOT_A_FILE", f"{uri}: is a {found['type']}; name one file, or one a day with {{day}}")
    before = filesystem.ukey(path)
    if _written_just_now(found):
        time.sleep(QUIET_SECONDS)
    digest, size = hashlib.sha256(), 0
    with filesystem.open(path, "rb") as source, whole(target) as temporary:
        with open(temporary, "wb") as sink:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > maximum:
                    message = f"{uri}: more than {maximum} bytes; raise limits.maximum_bytes or split it"
                    raise DataRejected("TOO_LARGE", message)
                digest.update(chunk)
                sink.write(chunk)
        filesystem.invalidate_cache()
        if filesystem.ukey(path) != before or found.get("size") not in (None, size):
            message = f"{uri}: changed while it was read; write it under another name and rename it when it is whole"
            raise FileUnsteady(message)
    return digest.hexdigest()


def _written_just_now(found: dict[str, Any]) -> bool:
    """Only files that grow in place have the time of their last write; an object store shows an upload when it ends."""
    written = found.get("mtime", 0.0)
    seconds = written.timestamp() if isinstance(written, datetime) else written
    return bool(time.time() - seconds < QUIET_SECONDS)
