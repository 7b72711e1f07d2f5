"""Does a package answer in a fresh process what it answered where it was trained?"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from include.settings import PROJECT
from include.training.package import PackageRefused, load

SECONDS = 120.0
# The libraries are the same, but a sum may be taken in another order.
TOLERANCE = 1e-9


class FreshProcess:
    """A Python that knows nothing of the training; it imports its libraries while its caller still packs the model.

    A new interpreter and not a fork: a fork has its parent's modules, which in a task are those that the scheduler
    loaded when it started, and those on the disk, with which the model will be served, may be others by now. Its 1.5 s
    of importing pass beside the packing and the upload.
    """

    def __enter__(self) -> Self:
        self._process: subprocess.Popen[bytes] | None = _start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def scores(self, package: Path, rows: pd.DataFrame) -> np.ndarray:
        """The answers of the model in ``package``, of shape (rows,). Raises ``PackageRefused`` if it cannot answer."""
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
        return np.array(json.loads(answer), dtype=np.float64)


def require_same(expected: np.ndarray, found: np.ndarray) -> None:
    """Raise ``PackageRefused`` naming the first row that a fresh process answers otherwise."""
    if expected.shape != found.shape:
        raise PackageRefused(f"a fresh process gives {len(found)} answers to {len(expected)} rows")
    differs = ~np.isclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    if differs.any():
        first = int(np.flatnonzero(differs)[0])
        raise PackageRefused(
            f"{differs.sum()} of {len(expected)} sample rows are answered otherwise by a fresh process, "
            f"the first is row {first}: {found[first]} instead of {expected[first]}"
        )


def _start() -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", __name__]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, "PYTHONPATH": path})


def _answer() -> None:
    """In the fresh process: a line with the package's folder, then the rows as Parquet; out go the scores as JSON."""
    folder = Path(sys.stdin.buffer.readline().decode().rstrip("\n"))
    rows = pd.read_parquet(io.BytesIO(sys.stdin.buffer.read()))
    print(json.dumps(load(folder).score(rows).tolist()))


if __name__ == "__main__":
    _answer()
