"""Files that are there whole or not at all, and what says so when one is not."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import ArrowException

from include.failpoints import reach


class FileDamaged(RuntimeError):
    """A file of a run is not what was written; the message names it and says how to mend it."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to; at the end of the block what it holds is on the disk and becomes ``path`` in one act.

    When that fails, ``path`` is what it was before, and the ``OSError`` names it.
    """
    # The suffix stays last: libraries choose a format by it.
    temporary = path.with_name(f".part.{path.name}")
    try:
        with naming(path):
            yield temporary
            reach(f"write.{path.name}")
            sync(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an ``OSError`` of the block say that it is about ``path``, which those of libraries seldom do."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk; without it a crash may leave a file without its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, content: str) -> None:
    """Write ``content`` as UTF-8, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_parquet(path: Path, frame: pd.DataFrame, **options: Any) -> None:
    """Write ``frame`` without its index, whole or not at all, with checksums."""
    with whole(path) as temporary:
        frame.to_parquet(temporary, index=False, write_page_checksum=True, **options)


def read_parquet(path: Path, **selection: Any) -> pd.DataFrame:
    """What ``write_parquet`` wrote, or the ``columns`` and ``filters`` of it, checked. Raises ``FileDamaged``."""
    try:
        return pd.read_parquet(path, page_checksum_verification=True, **selection)
    except (ArrowException, OSError) as error:
        raise FileDamaged(_complaint(path, error)) from error


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ``FileDamaged``."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FileDamaged(_complaint(path, error)) from error


def sha256_of(path: Path) -> str:
    """Of the content of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_hash(path: Path, sha256: str) -> None:
    """Raise ``FileDamaged`` unless ``path`` has this SHA-256 (hexadecimal)."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise FileDamaged(_complaint(path, error)) from error
    if found != sha256:
        raise FileDamaged(_complaint(path, f"its SHA-256 is {found[:12]}…, expected {sha256[:12]}…"))


def _complaint(path: Path, error: object) -> str:
    return f"{path}: damaged or gone ({error}); clear the task that writes it, and those after it"
