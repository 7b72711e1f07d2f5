"""The steps of the loop called in one warm process, with a task's environment: what Airflow is compared with.

The candidates are trained side by side, in as many further warm processes as Airflow trains at a time: what they
take from each other on the cores that there are is not of Airflow's making. For each line on its input the process runs
ingest and retrain once, in the home of its environment, and answers with one line: the seconds of each step as JSON.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self

from include.settings import PROJECT, Settings
from include.stack.environment import process_environment


class WarmProcess:
    """The process, for a ``with`` statement; it is a member of the stack of ``settings`` and uses its MLflow server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __enter__(self) -> Self:
        self._log = open(self.settings.home / "logs" / "warm.log", "w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=process_environment(self.settings),
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def loop(self) -> dict[str, list[float]]:
        """The seconds that each step took, by name; ``train`` is that of all candidates side by side."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("loop\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the steps failed:\n{Path(self._log.name).read_text()[-3000:]}")
        return json.loads(answer)


def critical_path(times: dict[str, list[float]]) -> float:
    """Seconds of the longest way through the two DAGs."""
    return sum(map(sum, times.values()))


def path_length(times: dict[str, list[float]]) -> int:
    """How many tasks are on that way."""
    return sum(map(len, times.values()))


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # MLflow prints
    times = _timed_steps()
    from tests.steps import loop

    at_a_time = Settings.from_environment().training_slots
    with ProcessPoolExecutor(at_a_time, get_context("spawn"), _import_training) as others:

        def train(compared: dict, candidates: Sequence[str]) -> list[dict]:
            return list(others.map(functools.partial(_train, compared), candidates))

        loop.train_all = _timed(train, times)
        for number, _ in enumerate(sys.stdin):
            times.clear()
            outcomes = loop.ingest(f"warm{number}", loop.FIRST), loop.retrain(f"warm{number}")
            if outcomes != ("PUBLISHED", "PROMOTED"):
                raise RuntimeError(f"the loop ended {outcomes}")
            print(json.dumps(times), file=answers, flush=True)


def _import_training() -> None:
    """Make a process warm."""
    importlib.import_module("include.steps.retrain.training")


def _train(compared: dict, candidate: str) -> dict:
    from include.steps.retrain import training

    return training.train(compared, candidate)


def _timed_steps() -> dict[str, list[float]]:
    """Let every step of this process note its seconds in the mapping that is returned."""
    from include.steps import ingest, ledger
    from include.steps.retrain import evaluation, explanation, judgement, release, training, window

    times: dict[str, list[float]] = {}
    for module in (ingest, window, training, evaluation, explanation, judgement, release):
        for name, found in vars(module).items():
            if (
                callable(found)
                and getattr(found, "__module__", "") == module.__name__
                and hasattr(found, "__wrapped__")
            ):
                setattr(module, name, _timed(found, times))
    for name in ("open_run", "close_run"):
        setattr(ledger, name, _timed(getattr(ledger, name), times))
    return times


def _timed(step: Callable[..., Any], times: dict[str, list[float]]) -> Callable[..., Any]:
    @functools.wraps(step)
    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        result = step(*arguments, **options)
        times.setdefault(step.__name__, []).append(time.perf_counter() - began)
        return result

    return timed


if __name__ == "__main__":
    _serve()
