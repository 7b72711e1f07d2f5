"""The challenger in the shadow of the champion: scored after the answer, many rows at once, and kept beside it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.serving.rows import Row

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.1
"""Rows gather for so long, since one row alone takes a tenth of what fifty take."""
MOST_ROWS, MOST_WAITING = 50, 20_000


@dataclass(frozen=True, slots=True)
class Answered:
    """A row that a caller is answered; ``are_inputs``: it is one of model inputs. For the times see ``Captured``."""

    prediction_id: str
    row: Row
    are_inputs: bool
    at: datetime
    observed_at: datetime | None = None


Score = Callable[[Sequence[Answered]], Awaitable[None]]
"""Scores rows of one kind and keeps the scores."""


class Shadow:
    """A bounded queue and a task that empties it; ``dropped`` counts the rows that found no room."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self._waiting: deque[Answered] = deque()
        self._task: asyncio.Task[None] | None = None
        self._told = ""
        self.dropped = 0

    def offer(self, answered: Sequence[Answered]) -> None:
        """Let the rows be scored soon, or drop them."""
        room = MOST_WAITING - len(self._waiting)
        self._waiting.extend(answered[:room])
        self.dropped += max(len(answered) - room, 0)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._empty())

    async def close(self, seconds: float) -> None:
        """Score what waits, for so long; the rest is dropped."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()
        self.dropped += len(self._waiting)

    async def _empty(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(MOST_ROWS, len(self._waiting)))]
            for kind in (False, True):
                if some := [one for one in batch if one.are_inputs is kind]:
                    await self._try(some)

    async def _try(self, answered: Sequence[Answered]) -> None:
        try:
            await self._score(answered)
            self._told = ""
        except Exception as error:  # noqa: BLE001 - whatever the challenger does, the callers have had their answers
            self.dropped += len(answered)
            if self._told != (told := f"{type(error).__name__}: {error}"):
                log.error("the challenger has no score for %d row(s): %s", len(answered), told)
                self._told = told
