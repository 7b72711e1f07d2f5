"""One use case being served: from checked rows to answers that are kept."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from include.serving import capture, feedback
from include.serving.background import Repeated
from include.serving.capture import Capture, Captured, CaptureFull, Role
from include.serving.feedback import FeedbackLog
from include.serving.follower import POLL_SECONDS, Follower
from include.serving.keys import Keys
from include.serving.metrics import Metrics
from include.serving.problems import Problem
from include.serving.rows import Row
from include.serving.scorer import Scored, Scorer
from include.settings import Settings
from include.spec import UseCase

FEW_ROWS = 50
"""So many rows are scored at once; more of them in another thread, so that others need not wait."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a caller is told of one row; ``unknown`` are the categories whose value the model did not learn."""

    prediction_id: str
    model_version: str
    score: float
    decision: bool
    unknown: list[str]


class Service:
    """Made before the event loop runs, started and stopped in it."""

    def __init__(self, settings: Settings, spec: UseCase, keys: Keys, metrics: Metrics) -> None:
        self.name, self.keys, self.metrics = spec.name, keys, metrics
        self._first_spec = spec
        self.follower = Follower(settings, spec)
        self.capture = Capture(capture.folder_of(settings, spec.name), spec.capture)
        self.feedback = FeedbackLog(feedback.folder_of(settings, spec.name), spec.capture)
        self._background = [Repeated(self.follower.follow, POLL_SECONDS, f"{spec.name}: follow the registry")]
        self._kept = self._not_kept = 0
        metrics.watch(self)

    @property
    def champion(self) -> Scorer | None:
        return self.follower.champion

    @property
    def challenger(self) -> Scorer | None:
        return self.follower.challenger

    @property
    def spec(self) -> UseCase:
        """As the version that answers was loaded with; as it was at the start while there is none."""
        return self.champion.spec if self.champion else self._first_spec

    def scorer(self) -> Scorer:
        """What answers now; raises ``Problem`` (``NO_MODEL``). A request asks once, so that it sees one version."""
        if (found := self.follower.champion) is None:
            why = "; ".join(trouble.detail for trouble in self.follower.troubles) or "it is being loaded"
            raise Problem("NO_MODEL", why, headers={"Retry-After": "5"})
        return found

    async def start(self) -> None:
        await asyncio.to_thread(self.follower.resume)
        for work in self._background:
            work.start()

    async def stop(self) -> None:
        """Requests have ended: what was acknowledged goes to the disk."""
        for work in self._background:
            await asyncio.to_thread(work.stop)
        self.capture.close()
        self.feedback.close()

    async def predict(
        self, scorer: Scorer, rows: Sequence[Row], began: float, *, inputs: bool = False
    ) -> list[Prediction]:
        """Score checked rows and keep the answers; ``inputs`` says that they are model inputs. Raises ``Problem``."""
        at, ids = datetime.now(UTC), [uuid.uuid4().hex for _ in rows]
        if len(rows) <= FEW_ROWS and scorer.is_quick:
            scored = _score(scorer, rows, inputs)
        else:
            scored = await asyncio.to_thread(_score, scorer, rows, inputs)
        latency = (time.perf_counter() - began) * 1000
        await self._keep(_records(scorer, "champion", rows, ids, at, scored, latency))
        self._count(scored)
        of_rows = zip(ids, scored.scores, scored.decisions, scored.unseen, strict=True)
        return [Prediction(id_, scorer.version, score, act, unseen) for id_, score, act, unseen in of_rows]

    async def _keep(self, records: list[Captured]) -> None:
        try:
            await self.capture.write(records)
        except (CaptureFull, OSError) as problem:
            self._not_kept += len(records)
            raise Problem("NOT_KEPT", str(problem), headers={"Retry-After": "30"}) from problem
        self._kept += len(records)

    def _count(self, scored: Scored) -> None:
        self.metrics.rows.labels(self.name, "champion").inc(len(scored.scores))
        for names in filter(None, scored.unseen):
            for name in names:
                self.metrics.unseen.labels(self.name, name).inc()

    def count(self, route: str, status: int, seconds: float) -> None:
        """A request that has ended."""
        self.metrics.requests.labels(self.name, route, str(status)).inc()
        self.metrics.seconds.labels(self.name, route).observe(seconds)

    def refused(self, problem: Problem) -> None:
        self.metrics.refusals.labels(self.name, problem.code).inc()

    def counted(self) -> Iterator[tuple[str, str, float]]:
        """Further counts: name, what it is, value."""
        left_out = self.capture.not_captured
        yield "captured_rows", "Answers that were kept", self._kept - left_out
        yield "not_captured_rows", "Answers that the sampling left out", left_out
        yield "refused_rows", "Answers that could not be kept, and so were not given", self._not_kept
        yield "capture_sync_failures", "Syncs that the disk refused", self.capture.sync_failures


def _score(scorer: Scorer, rows: Sequence[Row], inputs: bool) -> Scored:
    features = scorer.contract.given_features(rows) if inputs else scorer.features(rows)
    return scorer.score(features, rows)


def _records(
    scorer: Scorer, role: Role, rows: Sequence[Row], ids: Sequence[str], at: datetime, scored: Scored, latency: float
) -> list[Captured]:
    key = scorer.spec.id
    return [
        Captured(id_, at, scorer.version, role, row.get(key), row, score, decision, latency)
        for id_, row, score, decision in zip(ids, rows, scored.scores, scored.decisions, strict=True)
    ]


def as_json(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    return [{name: getattr(one, name) for name in Prediction.__slots__} for one in predictions]
