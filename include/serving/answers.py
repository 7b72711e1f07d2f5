"""What the API answers, as types: what is sent and what the OpenAPI document says of it have one definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from include.explanation.reasons import Reason
from include.explanation.single import ExplainedScore


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """One input's part in a score: ``effect`` is positive where it raises the score."""

    input: str
    description: str
    value: str
    effect: float
    text: str


@dataclass(frozen=True, slots=True)
class Reasons:
    """The strongest reasons in each direction, the strongest first.

    All effects together lead from ``base``, the model's output on average, to ``output``, both in ``unit``. Those of
    the method *sampled* have an error, the others are exact.
    """

    base: float
    output: float
    unit: str
    method: Literal["linear", "tree", "sampled"]
    raising: list[ReasonCode]
    lowering: list[ReasonCode]

    @classmethod
    def of(cls, found: ExplainedScore) -> Reasons:
        raising, lowering = ([_code(one) for one in side] for side in (found.reasons.raising, found.reasons.lowering))
        return cls(found.base, found.output, found.unit, found.method, raising, lowering)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of one row: the probability of the positive class, and whether that is enough to act on.

    ``prediction_id`` names it when its label comes back. ``unknown`` are the categories whose value the model did not
    learn. ``reasons`` are null unless they were asked for.
    """

    prediction_id: str
    model_version: str
    score: float
    decision: bool
    unknown: list[str]
    reasons: Reasons | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """One prediction a row, in the order of the rows."""

    predictions: list[Prediction]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """``observed_at`` is when the row was observed that was looked up: the newest one of its id."""

    prediction: Prediction
    observed_at: str


@dataclass(frozen=True, slots=True)
class Invocations:
    """One score a row, as MLflow's protocol has it, and the ids by which labels come back."""

    predictions: list[float]
    prediction_ids: list[str]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a row would get the score that it would get; no prediction is made, so none is kept."""

    model_version: str
    score: float
    reasons: Reasons


@dataclass(frozen=True, slots=True)
class Taken:
    """How many labels were taken: those of one event are one."""

    accepted: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why what answers is not, or may not be, what the registry says; ``code`` is stable and short."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Model:
    """The version that answers.

    Its last training row is from the day before ``trained_until``. ``metrics`` are those of the hold-out that it was
    promoted with. From ``threshold`` on a score is acted on, unless ``thresholds`` has one for the row's group.
    ``troubles`` say why it is not, or may not be, the registry's champion.
    """

    use_case: str
    version: str
    is_current: bool
    candidate: str
    kind: str
    model_sha256: str
    fingerprint: str
    feature_version: str
    trained_from: str
    trained_until: str
    scoring: Literal["compiled", "scikit-learn"]
    threshold: float
    thresholds: dict[str, float] | None
    inputs: dict[str, Literal["number", "category"]]
    metrics: dict[str, float | int | None]
    troubles: list[Trouble]


@dataclass(frozen=True, slots=True)
class Alive:
    status: Literal["alive"] = "alive"


@dataclass(frozen=True, slots=True)
class Ready:
    """``is_current``: whether the registry's champion answers, as far as is known; ``troubles`` say why not."""

    model_version: str
    is_current: bool
    troubles: list[Trouble]
    status: Literal["ready"] = "ready"


def _code(reason: Reason) -> ReasonCode:
    return ReasonCode(reason.input, reason.description, reason.value, reason.effect, reason.text)
