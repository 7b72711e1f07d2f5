"""The gate's answer: the outcome, its reasons, and every check that it rests on."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from include.evaluation.fairness import Fairness
from include.evaluation.mitigation import Mitigation
from include.evaluation.resampling import Gain, Interval
from include.evaluation.slices import Slice
from include.spec import Frozen


class Outcome(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    NOT_EVALUATED = "NOT_EVALUATED"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the verdict is what it is: a stable code and a sentence for a person."""

    code: str
    message: str


class Result(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of the challenger's ``value`` on ``n`` rows with ``limit``, which may rest on a ``baseline``.

    For a check against the champion, ``gain`` is what is held against ``limit``. ``slice`` names the part of the rows
    that it is about, or the columns whose groups it compares; None for all rows. A check that is INSUFFICIENT has no
    value: there are too few rows.
    """

    name: str
    metric: str
    value: float
    limit: float
    n: int
    result: Result
    code: str
    message: str
    interval: Interval | None = None
    baseline: float | None = None
    gain: Gain | None = None
    greater_is_better: bool = True
    slice: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the challenger holds, or need not."""
        return self.result in (Result.PASSED, Result.WAIVED)

    @property
    def failed(self) -> bool:
        """Whether the challenger does not hold."""
        return self.result is Result.FAILED


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer with everything it rests on: also what was measured of parts of the rows and not judged."""

    outcome: Outcome
    checks: tuple[Check, ...]
    reasons: tuple[Reason, ...]
    cold_start: bool
    slices: tuple[Slice, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    mitigation: Mitigation | None = None

    @property
    def promotes(self) -> bool:
        """True for PASS only."""
        return self.outcome is Outcome.PASS

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        passed = sum(check.passed for check in self.checks)
        judged = passed + sum(check.failed for check in self.checks)
        why = "; ".join(f"{reason.code}: {reason.message}" for reason in self.reasons)
        return f"{self.outcome}, {passed} of {judged} checks passed. {why}"

    @property
    def markdown(self) -> str:
        """The verdict with its reasons and checks for a page that shows Markdown."""
        marks = {Result.FAILED: "**failed**"}
        checks = [f"- {marks.get(check.result, check.result)}: {check.message}" for check in self.checks]
        reasons = [f"- {reason.code}: {reason.message}" for reason in self.reasons]
        return "\n".join([f"Gate: **{self.outcome}**", "", *reasons, "", "Checks on the hold-out:", "", *checks])

    def to_json(self) -> str:
        """Everything as JSON; numbers that are not finite become null."""
        return json.dumps(_finite({**asdict(self), "summary": self.summary}), sort_keys=True, allow_nan=False)


def _finite(value: Any) -> Any:
    """``value`` as JSON can hold it."""
    match value:
        case dict():
            return {key: _finite(one) for key, one in value.items()}
        case list() | tuple():
            return [_finite(one) for one in value]
        case Frozen():
            return value.model_dump()
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
