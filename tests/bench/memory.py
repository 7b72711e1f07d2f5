"""The peak memory of the tasks of a stack, watched from outside (Linux: from /proc)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

INTERVAL_SECONDS = 0.5
"""Looking takes processor from what is watched: ten times as often, some hundredths of a core."""


class PeakMemory:
    """For the length of a ``with`` statement: the greatest resident memory of one task with all that it starts.

    A task is a child of a worker, which is a child of the scheduler. The kernel keeps each process's own high-water
    mark, which counts what is shared with the scheduler, too; only its last half second may be missed.
    """

    def __init__(self, scheduler: psutil.Process) -> None:
        self._workers = [worker.pid for worker in scheduler.children()]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def gigabytes(self) -> float:
        if not self.bytes:
            raise RuntimeError("no task was seen")
        return self.bytes / 1e9

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            for worker in self._workers:
                for task in _children(worker):
                    self.bytes = max(self.bytes, sum(map(_peak, (task, *_descendants(task)))))


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread or process that has just ended
            found += map(int, thread.read_text().split())
    return found


def _peak(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
