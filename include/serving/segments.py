"""Append-only files that keep what was acknowledged: one line an entry, one file a process at a time.

A line is the CRC-32 of an entry in hexadecimal, a space, the entry as JSON and a newline, so that a line that a kill
has torn is no line, and one that the disk has changed is known. What was written stays when the process is killed; what
was synced stays when the machine is. The process holds a lock (``flock``) on the file it writes, which the system takes
back when it dies, so that a reader knows which files still grow.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import logging
import os
import threading
import time
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.files import naming, sync
from include.spec import Capturing

log = logging.getLogger(__name__)

SUFFIX = ".segment"
SYNC_SECONDS = 0.5
"""From a write to the start of the sync that brings it to the disk, unless each commit waits for its own."""
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class CaptureFull(RuntimeError):
    """The segments have reached their bound, or the disk is full; nothing of the refused write is kept."""


class SegmentWriter:
    """Appends entries to segments in ``folder``, from one event loop.

    ``sync_failures`` counts the syncs that the disk refused; each of them ended its segment.
    """

    def __init__(self, folder: Path, rules: Capturing) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._rules = folder, rules
        self._current: _Segment | None = None
        self._used, self._counted_at = _bytes_in(folder), time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.sync_failures = 0

    async def write(self, entries: Sequence[bytes]) -> None:
        """Append the entries (JSON, without a newline); all of them or, with an error, none.

        Returns when they are written, and synced if the rules say ``every_commit``: one sync then serves all writes
        that wait for it. Raises ``CaptureFull``, or the ``OSError`` of the disk, naming the file.
        """
        lines = b"".join(b"%08x %s\n" % (zlib.crc32(entry), entry) for entry in entries)
        self._require_room(len(lines))
        segment = self._writable()
        segment.append(lines)
        self._used += len(lines)
        if self._rules.sync == "every_commit":
            await self._durable(segment, segment.written)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SYNC_SECONDS, self._sync_now)

    def close(self) -> None:
        """Sync and close; the next write begins another segment."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        segment, self._current = self._current, None
        if segment is not None:
            segment.close()

    def _require_room(self, coming: int) -> None:
        limit = self._rules.maximum_bytes
        if self._used + coming <= limit:
            return
        # Somebody may have collected meanwhile; not looked at for every refused write.
        if time.monotonic() - self._counted_at > SYNC_SECONDS:
            self._count()
        if self._used + coming > limit:
            raise CaptureFull(
                f"{self._folder}: the segments hold {self._used:,} of at most {limit:,} bytes; run the monitor, which "
                "collects them, or raise capture.maximum_bytes in the spec"
            )

    def _count(self) -> None:
        self._used, self._counted_at = _bytes_in(self._folder), time.monotonic()

    def _writable(self) -> _Segment:
        segment = self._current
        if segment is not None and (segment.failure or segment.is_due(self._rules)):
            self._run(self._end(segment))
            segment = None
        if segment is None:
            segment = self._current = _Segment(self._folder)
        return segment

    def _sync_now(self) -> None:
        self._timer = None
        self._count()
        if self._current is not None:
            self._run(self._background_sync(self._current))

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # a task that nobody holds may be collected before it ends
        task.add_done_callback(self._tasks.discard)

    async def _background_sync(self, segment: _Segment) -> None:
        try:
            await self._durable(segment, segment.written)
        except OSError:
            log.exception("what was acknowledged in the last %.1f s may not survive a loss of power", SYNC_SECONDS)

    async def _end(self, segment: _Segment) -> None:
        await self._background_sync(segment)
        await asyncio.to_thread(segment.close)

    async def _durable(self, segment: _Segment, written: int) -> None:
        """Return when the first ``written`` bytes of the segment are on the disk."""
        async with segment.syncing:
            # A sync that failed once says nothing when it is asked again: the system has forgotten the pages.
            if segment.failure is None and segment.synced < written:
                until = segment.written
                try:
                    await asyncio.to_thread(segment.sync)
                    segment.synced = until
                except OSError as error:
                    segment.failure = error
                    self.sync_failures += 1
            if segment.synced < written:
                raise segment.failure or OSError(errno.EIO, "not synced", str(segment.path))


class _Segment:
    """One file that grows."""

    def __init__(self, folder: Path) -> None:
        self.syncing = asyncio.Lock()
        self.written = self.synced = 0
        self.failure: OSError | None = None
        self._since = time.monotonic()
        self._busy = threading.Lock()  # a close waits for the sync that another thread is at
        self._is_named = False
        self.path, self._handle = _create(folder)

    def is_due(self, rules: Capturing) -> bool:
        """Whether it is large or old enough to be the last one's successor's turn."""
        return self.written >= rules.segment_bytes or time.monotonic() - self._since >= rules.segment_seconds

    def append(self, lines: bytes) -> None:
        written = 0
        try:
            while written < len(lines):
                written += os.write(self._handle, lines[written:])
        except OSError as error:
            self._take_back()
            if error.errno in NO_SPACE:
                raise CaptureFull(f"{self.path}: {error.strerror}; make room on this disk") from error
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self.written += written

    def _take_back(self) -> None:
        """Take back a part of a line; where that fails, the segment ends, and readers pass over it."""
        try:
            os.ftruncate(self._handle, self.written)
        except OSError as error:
            self.failure = error

    def sync(self) -> None:
        with self._busy:
            if self._handle >= 0:
                self._sync()

    def close(self) -> None:
        with self._busy:
            if self._handle >= 0:
                try:
                    self._sync()
                finally:
                    os.close(self._handle)
                    self._handle = -1

    def _sync(self) -> None:
        with naming(self.path):
            os.fdatasync(self._handle)
            if not self._is_named:
                sync(self.path.parent)
                self._is_named = True


def _create(folder: Path) -> tuple[Path, int]:
    """A new segment, locked; names order by time, and none is used twice."""
    while True:
        path = folder / f"{time.time_ns():020}-{uuid.uuid4().hex[:8]}{SUFFIX}"
        with naming(path):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        # A collector that came in between has taken an empty file that nobody held for one of a dead process.
        if os.fstat(handle).st_nlink:
            return path, handle
        os.close(handle)


def _bytes_in(folder: Path) -> int:
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                total += entry.stat().st_size
            except FileNotFoundError:  # collected in this moment
                continue
    return total


@dataclass(frozen=True)
class Content:
    """What was read of a segment.

    ``end`` is the place after its last whole line, ``left`` how many bytes stand after it: the torn end of a write that
    was not acknowledged, or one that is under way. ``damaged`` counts lines before it whose checksum is wrong.
    """

    entries: list[dict[str, Any]]
    end: int
    left: int
    damaged: int


def segments(folder: Path) -> list[Path]:
    """Every segment, the oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_segment(path: Path, start: int = 0) -> Content:
    """The whole lines from the byte ``start`` on, also while the segment grows."""
    with open(path, "rb") as file:
        file.seek(start)
        content = file.read()
    whole, newline, rest = content.rpartition(b"\n")
    lines = whole.split(b"\n") if newline else []
    entries = [json.loads(line[9:]) for line in lines if _is_sound(line)]
    return Content(entries, start + len(content) - len(rest), len(rest), len(lines) - len(entries))


def _is_sound(line: bytes) -> bool:
    return line[:8] == b"%08x" % zlib.crc32(line[9:]) and line[8:9] == b" "


def remove_if_ended(path: Path, end: int) -> bool:
    """Remove a segment that nobody writes any more and that was read up to its last whole line, ``end``."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if read_segment(path, end).end > end:
            return False
        path.unlink()
        return True
