"""How many acknowledged predictions a process loses that is killed while it captures them under load.

Called with a folder, a seed and how to sync, it captures from 16 tasks at once until it is killed, and writes the id of
each prediction to ``acknowledged`` in that folder after its capture.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from include.serving.capture import Capture, Captured, read
from include.settings import PROJECT
from include.spec import Capturing

ROUNDS = 20
TASKS = 16
MOST_ROWS = 5
"""Of a request."""
SEGMENT_BYTES = 200_000
"""Small, so that some kills meet a change of segments."""
SECONDS = 0.6
"""The longest time from the first acknowledgement to the kill."""


def lost_after_kill(folder: Path, say: Callable[[str], None]) -> dict[str, list[float]]:
    """For each round, with a moment of its own for the kill, how many acknowledged predictions are gone."""
    found = []
    for number in range(ROUNDS):
        sync = "every_commit" if number % 2 else "every_second"
        acknowledged, lost = killed_under_load(folder / str(number), number, sync)
        say(f"round {number + 1}, {sync}: {acknowledged:,} acknowledged, {lost} lost")
        found.append(float(lost))
    return {"capture.lost_after_kill": found}


def killed_under_load(folder: Path, seed: int, sync: str) -> tuple[int, int]:
    """How many predictions were acknowledged before the kill, and how many of them cannot be read after it."""
    folder.mkdir(parents=True)
    written = folder / "acknowledged"
    written.touch()
    command = [sys.executable, "-m", "tests.bench.capture", str(folder), str(seed), sync]
    process = subprocess.Popen(command, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)})
    try:
        deadline = time.monotonic() + 60
        while not written.stat().st_size and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.Random(seed).uniform(0, SECONDS))
    finally:
        process.kill()
        process.wait()
    # The last line may be torn; what is torn is not acknowledged.
    acknowledged = set(written.read_text(encoding="utf-8").split("\n")[:-1])
    if not acknowledged:
        raise RuntimeError(f"nothing was acknowledged; the process ended with {process.returncode}")
    kept = {record.prediction_id for record in read(folder / "segments")}
    return len(acknowledged), len(acknowledged - kept)


async def _serve(folder: Path, seed: int, rules: Capturing) -> None:
    capture = Capture(folder / "segments", rules)
    log = os.open(folder / "acknowledged", os.O_WRONLY | os.O_APPEND)
    numbers = itertools.count()
    draw = random.Random(seed)

    async def client() -> None:
        while True:
            records = [prediction(f"{seed}-{next(numbers)}") for _ in range(draw.randint(1, MOST_ROWS))]
            await capture.write(records)
            os.write(log, "".join(f"{record.prediction_id}\n" for record in records).encode())
            await asyncio.sleep(0)

    await asyncio.gather(*(client() for _ in range(TASKS)))


def prediction(prediction_id: str) -> Captured:
    """An answer of the size of churn's."""
    inputs = {"customerID": "7590-VHVEG", "tenure": 1, "MonthlyCharges": 29.85, "TotalCharges": None}
    inputs |= {f"category_{number}": "No internet service" for number in range(16)}
    now = datetime.now(UTC)
    return Captured(prediction_id, now, "3", "champion", "7590-VHVEG", inputs, 0.25, False, 1.5)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), Capturing(sync=sys.argv[3], segment_bytes=SEGMENT_BYTES)))
