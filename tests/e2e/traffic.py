"""Light traffic on the scoring API: a few callers that ask all the time and keep what they are told."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Sequence
from typing import Self

import httpx

from include.settings import Settings
from include.stack.secrets import local_key

CALLERS = 3
PAUSE_SECONDS = 0.02


class Traffic:
    """For a ``with`` statement. ``rows`` are bodies of ``/v1/predict`` with one row each.

    ``versions`` has the version of every answer in their order, by ``ids`` they are known; ``failures`` says what came
    instead of an answer.
    """

    def __init__(self, settings: Settings, use_case: str, rows: Sequence[str]) -> None:
        self._url = f"{settings.api_url}/{use_case}/v1/predict"
        self._headers = {"Authorization": f"Bearer {local_key(settings)}", "Content-Type": "application/json"}
        self._rows = rows
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[start]) for start in range(CALLERS)]
        self.versions: list[str] = []
        self.ids: list[str] = []
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait_for_answers(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def wait_for_answers(self, more: int, by: str | None = None, seconds: float = 30) -> float:
        """Wait for so many more answers, by that version if one is named; returns how many seconds that took."""
        began, seen = time.monotonic(), len(self.versions)
        while len([one for one in self.versions[seen:] if by in (None, one)]) < more:
            waited = time.monotonic() - began
            assert waited < seconds, f"no {more} answers by {by or 'any version'}: {self.failures[-3:]}"
            time.sleep(0.05)
        return time.monotonic() - began

    def _ask(self, start: int) -> None:
        with httpx.Client(headers=self._headers, trust_env=False, timeout=20) as client:
            for row in itertools.islice(itertools.cycle(self._rows), start, None, CALLERS):
                if self._ended.wait(PAUSE_SECONDS):
                    return
                try:
                    answer = client.post(self._url, content=row)
                except httpx.HTTPError as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
                    continue
                if not answer.is_success:
                    self.failures.append(answer.text)
                    continue
                (prediction,) = json.loads(answer.text)["predictions"]
                self.ids.append(prediction["prediction_id"])
                self.versions.append(prediction["model_version"])
