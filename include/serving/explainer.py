"""Reason codes for callers: computed beside the event loop, one request after the other."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from include.explanation.shapley import AdditivityError
from include.explanation.single import explain_score
from include.features.build import Columns
from include.serving.answers import Reasons
from include.serving.problems import Problem
from include.serving.scorer import Scorer

MOST_WAITING = 16
"""Requests that wait for reasons; more of them would wait longer than a caller does."""


class Explainer:
    """Has one thread, so that explanations leave the processor to scores."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="explain")
        self._waiting = 0

    async def reasons(self, scorer: Scorer, features: Columns) -> list[Reasons]:
        """Of each row of model inputs. Raises ``Problem``."""
        if scorer.background is None:
            raise Problem("NO_EXPLANATION", f"version {scorer.version} has none in its package; retrain once")
        if self._waiting >= MOST_WAITING:
            busy = f"{self._waiting} requests wait for reasons; try again soon"
            raise Problem("BUSY", busy, headers={"Retry-After": "1"})
        self._waiting += 1
        work = asyncio.get_running_loop().run_in_executor(self._pool, _explain, scorer, scorer.background, features)
        work.add_done_callback(self._done)
        try:
            return await asyncio.shield(work)
        except AdditivityError as error:
            raise Problem("NO_EXPLANATION", f"version {scorer.version}: {error}") from error

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, work: asyncio.Future[list[Reasons]]) -> None:
        self._waiting -= 1
        if not work.cancelled():
            work.exception()  # whoever waited may have gone, and then nobody else would look at it


def _explain(scorer: Scorer, background: pd.DataFrame, features: Columns) -> list[Reasons]:
    frame = pd.DataFrame(dict(features))
    rows = (frame.iloc[[place]] for place in range(len(frame)))
    return [Reasons.of(explain_score(scorer.model, row, background, scorer.spec)) for row in rows]
