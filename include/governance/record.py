"""The record of a verdict: what was decided, on which checks, who asked for it and why, on what data.

These classes are the schema of ``verdict.json``; what does not fit them is refused. A number that is not there is null.
Days are ISO 8601, and ends of windows are exclusive.
"""

from __future__ import annotations

from typing import Literal

from include.spec import Freshness, Frozen, Many, Scalar


class Interval(Frozen):
    """Of 95 %."""

    low: float | None
    high: float | None


class Gain(Interval):
    """By how much the challenger is better; ``bound`` is what that exceeds with the gate's confidence, one-sided."""

    value: float | None
    bound: float | None
    p_value: float | None


class Check(Frozen):
    name: str
    metric: str
    value: float | None
    limit: float | None
    baseline: float | None
    n: int
    interval: Interval | None
    gain: Gain | None
    greater_is_better: bool
    result: Literal["passed", "failed", "waived", "insufficient"]
    code: str
    message: str
    slice: str | None = None
    """The part of the rows that it is about, or the columns whose groups it compares; null for all rows."""


class Reason(Frozen):
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Figure(Frozen):
    """One metric of the challenger on a part of the rows; ``baseline`` is the champion's."""

    metric: str
    value: float | None
    n: int
    interval: Interval | None
    baseline: float | None
    gain: Gain | None


class Slice(Frozen):
    """The rows with these values, by column; ``insufficient`` are the metrics for which there are too few of them."""

    name: str
    values: dict[str, str]
    n: int
    positives: int
    figures: Many[Figure]
    insufficient: Many[str]


class Group(Frozen):
    """One group that is compared with others; a rate is null where there are too few rows to divide by."""

    name: str
    n: int
    positives: int
    selected: int
    rates: dict[str, float | None]


class Disparity(Frozen):
    """How far groups differ in one metric of fairness: between the one with the highest ``rate`` and the lowest."""

    metric: str
    by: Many[str]
    value: float | None
    interval: Interval
    p_value: float | None
    rate: str
    highest: str
    lowest: str
    n: int
    compared: Many[str]
    insufficient: Many[str]
    champion: float | None


class Fairness(Frozen):
    """The groups by one sensitive column, or by two together; limits and results are in the checks."""

    by: Many[str]
    groups: Many[Group]
    disparities: Many[Disparity]


class Thresholds(Frozen):
    """From which score on a row is acted on, by its group; ``rows`` of the training they were chosen on."""

    constraint: str
    by: Many[str]
    groups: dict[str, float]
    otherwise: float
    rows: int


class Mitigation(Frozen):
    """What thresholds by group do on the hold-out: how far the groups differ, and what a row is worth."""

    thresholds: Thresholds
    before: float | None
    after: float | None
    profit_before: float
    profit_after: float


class Verdict(Frozen):
    """What the gate says, as ``include.evaluation.verdict`` writes it."""

    outcome: Literal["PASS", "FAIL", "NOT_EVALUATED"]
    summary: str
    cold_start: bool
    reasons: Many[Reason]
    checks: Many[Check]
    slices: Many[Slice] = ()
    fairness: Many[Fairness] = ()
    mitigation: Mitigation | None = None


class Request(Frozen):
    """A retrain request that the run answers."""

    requested_by: str
    as_of: str
    reason: str
    columns: Many[str]


class Asked(Frozen):
    """The run: its type as Airflow names it, who started it (null: nobody in person), and why."""

    run_id: str
    run_type: str
    run_mode: str
    as_of: str
    started_by: str | None
    reason: str
    requests: Many[Request]

    @property
    def who(self) -> str:
        """Who or what asked for the run, in words."""
        monitors = ", ".join(sorted({request.requested_by for request in self.requests}))
        asked = {"scheduled": "the schedule", "asset_triggered": "a retrain request", "backfill": "a backfill"}
        by = asked.get(self.run_type) or (f"{self.started_by}, by hand" if self.started_by else "a start by hand")
        return f"{by} (monitor run {monitors})" if monitors else by


class Data(Frozen):
    """What was learned from and what was judged on."""

    data_version: str
    simulated: bool
    label_coverage: float
    trained_from: str
    trained_until: str
    training_rows: int
    holdout_from: str
    holdout_until: str
    holdout_rows: int
    holdout_positives: int
    feature_version: str
    fingerprint: str


class Candidate(Frozen):
    """A model that was trained; the hold-out's figure of one that was not chosen is computed after the verdict."""

    name: str
    kind: str
    params: dict[str, Scalar]
    fold_score: float
    chosen: bool
    holdout_roc_auc: float | None


class Selection(Frozen):
    """How the challenger was chosen: by the mean of ``metric`` in time-ordered folds of the training rows."""

    metric: str
    folds: int
    candidates: Many[Candidate]
    failed: Many[str]


class GateSettings(Frozen):
    """What the gate asked for beside its rules; ``no_gain_needed`` says why freshness was enough, if it was."""

    confidence: float
    minimum_rows: int
    minimum_class_rows: int
    freshness: Freshness
    no_gain_needed: str


class Override(Frozen):
    """The person who let the challenger be judged without the champion."""

    id: int
    champion: str
    obstacle: str
    because: str
    by: str
    until: str
    given_at: str


class Record(Verdict):
    """What ``verdict.json`` holds. What was not reached, since an error came before it, is null."""

    format_version: Literal[1] = 1
    use_case: str
    title: str
    owner: str
    predicts: str
    run: Asked
    champion: str | None
    challenger: str | None
    override: Override | None
    gate: GateSettings
    data: Data | None
    metrics: dict[str, dict[str, float | int | None]]
    selection: Selection | None
    mlflow_run: str | None
    mlflow_page: str | None
