"""One use case being served: from checked rows to answers that are kept."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from include.features.build import Columns
from include.serving import capture, feedback
from include.serving.answers import Explanation, Prediction, Reasons
from include.serving.background import Repeated
from include.serving.capture import Capture, Captured, CaptureFull, Role
from include.serving.customers import REFRESH_SECONDS, Customers
from include.serving.explainer import Explainer
from include.serving.feedback import Feedback, FeedbackLog
from include.serving.follower import POLL_SECONDS, Follower
from include.serving.keys import Keys
from include.serving.metrics import Metrics
from include.serving.problems import Problem
from include.serving.rows import Row
from include.serving.scorer import Scored, Scorer
from include.serving.shadow import Answered, Shadow
from include.settings import Settings
from include.spec import UseCase

FEW_ROWS = 50
"""So many rows are scored at once; more of them in another thread, so that others need not wait."""
SHADOW_SECONDS = 2.0
"""What the shadow has left when the process is asked to end."""
CHAMPION: Role = "champion"
CHALLENGER: Role = "challenger"
SHADOW: Role = "shadow"


class Service:
    """Made before the event loop runs, started and stopped in it."""

    def __init__(self, settings: Settings, spec: UseCase, keys: Keys, metrics: Metrics) -> None:
        self.name, self.keys, self.metrics = spec.name, keys, metrics
        self._first_spec = spec
        self.follower = Follower(settings, spec)
        self.customers = Customers(settings, spec)
        self.capture = Capture(capture.folder_of(settings, spec.name), spec.capture)
        self._feedback = FeedbackLog(feedback.folder_of(settings, spec.name), spec.capture)
        self._explainer, self._shadow = Explainer(), Shadow(self._score_in_the_shadow)
        self._background = [
            Repeated(self.follower.follow, POLL_SECONDS, f"{spec.name}: follow the registry"),
            Repeated(self.customers.refresh, REFRESH_SECONDS, f"{spec.name}: read what is published"),
        ]
        self._kept = self._not_kept = 0
        metrics.watch(self)

    @property
    def spec(self) -> UseCase:
        """As the version that answers was loaded with; as it was at the start while there is none."""
        return self.follower.champion.spec if self.follower.champion else self._first_spec

    def scorer(self) -> Scorer:
        """What answers now; raises ``Problem`` (``NO_MODEL``). A request asks once, so that it sees one version."""
        if (found := self.follower.champion) is None:
            why = "; ".join(f"{one.code}: {one.detail}" for one in self.follower.troubles) or "it is being loaded"
            raise Problem("NO_MODEL", why, headers={"Retry-After": "5"})
        return found

    async def start(self) -> None:
        await asyncio.to_thread(self.follower.resume)
        for work in self._background:
            work.start()

    async def stop(self) -> None:
        """Requests have ended: what was acknowledged goes to the disk."""
        await self._shadow.close(SHADOW_SECONDS)
        self._explainer.close()
        await asyncio.gather(*(asyncio.to_thread(work.stop) for work in self._background))
        self.customers.close()
        self.capture.close()
        self._feedback.close()

    async def predict(
        self,
        champion: Scorer,
        rows: Sequence[Row],
        began: float,
        *,
        are_inputs: bool = False,
        with_reasons: bool = False,
        observed: datetime | None = None,
    ) -> list[Prediction]:
        """Score rows that ``champion`` has checked, keep the answers, and only then give them. Raises ``Problem``.

        ``are_inputs``: they are rows of model inputs. ``observed`` is when they were observed, if they do not say so.
        """
        at = datetime.now(UTC)
        answered = [Answered(uuid.uuid4().hex, row, are_inputs, at, observed) for row in rows]
        found: dict[int, Prediction] = {}
        records: list[Captured] = []
        for role, scorer, places in self._parts(champion, answered, are_inputs):
            own = [answered[place] for place in places]
            features, scored = await _beside([one.row for one in own], scorer, are_inputs)
            reasons = await self._explainer.reasons(scorer, features) if with_reasons else [None] * len(own)
            latency = (time.perf_counter() - began) * 1000
            records += _records(scorer, role, own, scored, latency)
            found |= zip(places, _predictions(scorer, own, scored, reasons), strict=True)
            self._count(role, scored)
        await self._keep(records)
        if champion.spec.serving.challenger == SHADOW and self.follower.challenger is not None:
            self._shadow.offer(answered)
        return [found[place] for place in range(len(rows))]

    async def explain(self, scorer: Scorer, row: Row) -> Explanation:
        """Why the row would get its score. Raises ``Problem``."""
        features, scored = await _beside([row], scorer, False)
        (reasons,) = await self._explainer.reasons(scorer, features)
        return Explanation(scorer.version, scored.scores[0], reasons)

    async def take(self, labels: Sequence[Feedback]) -> None:
        """Keep labels. Raises ``Problem``."""
        try:
            await self._feedback.write(labels)
        except (CaptureFull, OSError) as problem:
            raise Problem("NOT_KEPT", str(problem), headers={"Retry-After": "30"}) from problem
        self.metrics.labels.labels(self.name).inc(len(labels))

    def _parts(
        self, champion: Scorer, answered: Sequence[Answered], are_inputs: bool
    ) -> list[tuple[Role, Scorer, Sequence[int]]]:
        """Who answers which rows, by their places: a canary always the same customers, whatever process asks."""
        challenger, rules = self.follower.challenger, champion.spec.serving
        if rules.challenger != "canary" or challenger is None or not challenger.takes(champion, inputs=are_inputs):
            return [(CHAMPION, champion, range(len(answered)))]
        known_by = champion.spec.id
        drawn = [_is_drawn(one.row.get(known_by) or one.prediction_id, rules.share) for one in answered]
        parts: list[tuple[Role, Scorer, Sequence[int]]] = [
            (CHAMPION, champion, [place for place, one in enumerate(drawn) if not one]),
            (CHALLENGER, challenger, [place for place, one in enumerate(drawn) if one]),
        ]
        return [part for part in parts if part[2]]

    async def _score_in_the_shadow(self, answered: Sequence[Answered]) -> None:
        champion, challenger = self.follower.champion, self.follower.challenger
        are_inputs = answered[0].are_inputs
        if champion is None or challenger is None or not challenger.takes(champion, inputs=are_inputs):
            return  # it has gone, or become champion, since the rows were answered
        began = time.perf_counter()
        _, scored = await asyncio.to_thread(_score, challenger, [one.row for one in answered], are_inputs)
        latency = (time.perf_counter() - began) * 1000 / len(answered)
        await self.capture.write(_records(challenger, SHADOW, answered, scored, latency))
        self._count(SHADOW, scored)

    async def _keep(self, records: list[Captured]) -> None:
        try:
            kept = await self.capture.write(records)
        except (CaptureFull, OSError) as problem:
            self._not_kept += len(records)
            raise Problem("NOT_KEPT", str(problem), headers={"Retry-After": "30"}) from problem
        self._kept += kept  # not in one line with the wait, in which other requests count theirs

    def _count(self, role: Role, scored: Scored) -> None:
        self.metrics.rows.labels(self.name, role).inc(len(scored.scores))
        if role == SHADOW:
            return
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
        yield "kept_rows", "Answers that went to the capture", self._kept
        yield "not_captured_rows", "Rows that the sampling of the capture left out", left_out
        yield "refused_rows", "Answers that could not be kept, and so were not given", self._not_kept
        yield "capture_sync_failures", "Syncs that the disk refused", self.capture.sync_failures
        yield "shadow_dropped_rows", "Rows that the challenger did not score in the shadow", self._shadow.dropped


async def _beside(rows: Sequence[Row], scorer: Scorer, are_inputs: bool) -> tuple[Columns, Scored]:
    """Score a few rows here, and many in another thread."""
    if len(rows) <= FEW_ROWS and scorer.is_quick:
        return _score(scorer, rows, are_inputs)
    return await asyncio.to_thread(_score, scorer, rows, are_inputs)


def _score(scorer: Scorer, rows: Sequence[Row], are_inputs: bool) -> tuple[Columns, Scored]:
    features = scorer.contract.given_features(rows) if are_inputs else scorer.features(rows)
    return features, scorer.score(features, rows)


def _records(
    scorer: Scorer, role: Role, answered: Sequence[Answered], scored: Scored, latency: float
) -> list[Captured]:
    return [
        Captured(
            prediction_id=one.prediction_id,
            at=one.at,
            version=scorer.version,
            role=role,
            entity=one.row.get(scorer.spec.id),
            inputs=one.row,
            score=score,
            decision=decision,
            latency_ms=latency,
            observed_at=one.observed_at,
        )
        for one, score, decision in zip(answered, scored.scores, scored.decisions, strict=True)
    ]


def _predictions(
    scorer: Scorer, answered: Sequence[Answered], scored: Scored, reasons: Sequence[Reasons | None]
) -> list[Prediction]:
    of_rows = zip(answered, scored.scores, scored.decisions, scored.unseen, reasons, strict=True)
    return [
        Prediction(one.prediction_id, scorer.version, score, act, unseen, why)
        for one, score, act, unseen, why in of_rows
    ]


def _is_drawn(key: str, share: float) -> bool:
    """By another hash than the sampling of the capture, which would else keep the answers of one version alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) < share * 2**32
