"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.failpoints import reach


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to; at the end of the block what it holds is on the disk and becomes ``path`` in one act.

    When that fails, ``path`` is what it was before, and the ``OSError`` names it, which those of libraries seldom do.
    """
    # The suffix stays last: libraries choose a format by it.
    temporary = path.with_name(f".part.{path.name}")
    try:
        yield temporary
        reach(f"write.{path.name}")
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write ``content`` as UTF-8, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
