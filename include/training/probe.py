"""How does a package answer in a fresh process: what it answered where it was trained, how fast, in how much memory?"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from include.settings import PROJECT
from include.training.package import PackageRefused, load

SECONDS = 120.0
TIMES = 9
"""The rows are answered so often, and the time of one answer is the median."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the process answered, of shape (rows,), and what that took; see ``LoadAndPredict``."""

    scores: np.ndarray
    load_seconds: float
    predict_milliseconds: float
    memory_megabytes: float


class FreshProcess:
    """A Python that knows nothing of the training; it imports its libraries while its caller does something else.

    A new interpreter and not a fork: a fork has its parent's modules, which in a task are those that the scheduler
    loaded when it started, and those on the disk, with which the model will be served, may be others by now.
    """

    def __enter__(self) -> Self:
        self._process: subprocess.Popen[bytes] | None = _start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def answers(self, package: Path, rows: pd.DataFrame) -> Answers:
        """Those of the model in ``package`` to ``rows``, its inputs. Raises ``PackageRefused`` if it cannot answer."""
        process, self._process = self._process or _start(), None
        with process:
            request = io.BytesIO()
            rows.to_parquet(request)
            try:
                answer, complaint = process.communicate(f"{package}\n".encode() + request.getvalue(), SECONDS)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise PackageRefused(f"{package}: no answer from a fresh process within {SECONDS:.0f} s") from error
        if process.returncode:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:]
            raise PackageRefused(f"{package}: a fresh process cannot use it: {''.join(last)}")
        found = json.loads(answer)
        return Answers(np.array(found.pop("scores"), dtype=np.float64), **found)


def _start() -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", __name__]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, "PYTHONPATH": path})


def _answer() -> None:
    """In the fresh process: a line with the package's folder, then the rows as Parquet; out go the answers as JSON."""
    folder = Path(sys.stdin.buffer.readline().decode().rstrip("\n"))
    rows = pd.read_parquet(io.BytesIO(sys.stdin.buffer.read()))
    began = time.perf_counter()
    model = load(folder)
    load_seconds = time.perf_counter() - began
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        scores = model.score(rows)
        seconds.append(time.perf_counter() - began)
    found = {
        "scores": scores.tolist(),
        "load_seconds": load_seconds,
        "predict_milliseconds": 1000 * statistics.median(seconds),
        "memory_megabytes": _peak_megabytes(),
    }
    print(json.dumps(found))


def _peak_megabytes() -> float:
    """The most memory that this process held."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts into ru_maxrss what the parent held when it started this process.
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(kilobytes) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000_000  # bytes, on macOS


if __name__ == "__main__":
    _answer()
