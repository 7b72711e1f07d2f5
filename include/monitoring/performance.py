"""How good the champion is: *actual* where its labels are known, *estimated* where they are not, never both at once.

A label is mature once the label delay has passed since its row was observed. Only mature labels count: those that come
earlier are of customers who leave early. A window is actual when all of its labels are mature and enough of them came,
see ``Performance`` of the spec; else it is estimated from the scores alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd

from include.data.calendar import midnight
from include.data.window import LABEL, OBSERVED
from include.evaluation.metrics import single
from include.evaluation.resampling import resample
from include.monitoring.baseline import SCORE
from include.monitoring.concept import Drop, drop
from include.monitoring.expectation import Calibrator, Estimate, estimate
from include.spec import Performance, UseCase

Basis = Literal["actual", "estimated", "none"]

MOST_ROWS = 20_000
"""Rows that figures are measured on: a pinned sample of more, which makes intervals no wider than they are told."""
FEWEST_OF_A_CLASS = 10
CHAMPION = "champion"
NO_REFERENCE = "the package keeps no judged rows to expect from"


@dataclass(frozen=True)
class Window:
    """The champion in the days from ``first`` on and before ``end`` (ISO text).

    ``rows`` it scored; of those the labels of ``mature`` are due, and ``labelled`` of these have one. ``basis`` says
    what ``figures`` are, ``note`` why they are no actual ones. ``expected`` is what the scores of an actual window
    promise, ``drop`` what its labels say of a drop of the ROC AUC; both are None where there is nothing to expect from.
    """

    first: str
    end: str
    basis: Basis
    note: str
    rows: int
    mature: int
    labelled: int
    figures: dict[str, Estimate]
    expected: dict[str, Estimate] | None = None
    drop: Drop | None = None
    alarm: bool = False

    @property
    def coverage(self) -> float | None:
        """The share of the mature rows that have a label."""
        return self.labelled / self.mature if self.mature else None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "coverage": self.coverage, "said": str(self)}

    def __str__(self) -> str:
        days = f"from {self.first} to before {self.end}"
        if self.basis == "none":
            return f"{self.note} {days}"
        found = f"ROC AUC {self.figures['roc_auc']}, {self.basis}"
        if self.basis == "estimated":
            return f"{found} for {self.rows} rows {days}: {self.note}"
        of = f"on {self.labelled} labelled rows of {self.rows} {days}"
        promised = f"; their scores promise {self.expected['roc_auc']}" if self.expected else ""
        doubt = f"; chance alone makes such labels with p = {self.drop.p_value:.2g}" if self.drop and self.alarm else ""
        return f"{found} {of}{promised}{doubt}"


@dataclass(frozen=True)
class Reference:
    """What the labels of the champion are held against; ``auc`` is that of the rows that the calibrator knows."""

    calibrator: Calibrator
    auc: float

    @classmethod
    def of(cls, judged: pd.DataFrame) -> Reference | None:
        """Of rows with ``score`` and ``label`` that the champion was not fitted on; None if they are too few."""
        labels, scores = judged[LABEL].to_numpy(), judged[SCORE].to_numpy()
        if not _both_classes(labels):
            return None
        auc = single("roc_auc", labels, scores)
        return cls(Calibrator.fit(scores, labels), auc) if auc > 0.5 else None


def metrics_of(spec: UseCase) -> tuple[str, ...]:
    """What is followed: the ROC AUC, the gate's first metric, and how right scores and decisions are."""
    main = [rule.metric for rule in spec.gate.rules[:1]]
    return tuple(dict.fromkeys(["roc_auc", *main, "brier", "calibration_error", "expected_profit"]))


def measure(
    rows: pd.DataFrame, reference: Reference | None, spec: UseCase, *, since: date, end: date, mature: date
) -> tuple[Window, ...]:
    """The last windows up to ``end``, newest first, of ``rows`` (``observed_at``, ``score``, ``label`` or NaN).

    Of those whose labels are due, and of those whose are not, there are as many as the spec says: however late labels
    come, they are looked at.

    Labels of rows that were observed before ``mature`` are due; there, at that midnight, a window ends, too. What the
    champion scored before ``since`` is no evidence: it knows those days.
    """
    rules = spec.monitoring.performance
    windows = []
    for first, after in _days(since, mature, end, rules):
        inside = (rows[OBSERVED] >= midnight(first)) & (rows[OBSERVED] < midnight(after))
        windows.append(_window(rows[inside], reference, spec, first, after, is_due=after <= mature))
    return tuple(windows)


def newest_actual(windows: Sequence[Window]) -> Window | None:
    return next((window for window in windows if window.basis == "actual"), None)


def _days(since: date, mature: date, end: date, rules: Performance) -> list[tuple[date, date]]:
    """The windows, newest first, cut at ``mature``; the newest and the oldest may be shorter."""
    step, early = timedelta(days=rules.window_days), []
    first = max(since, mature)
    while first < end:
        early.append((first, min(first + step, end)))
        first += step
    after = mature
    due = []
    while after > since:
        due.append((max(after - step, since), after))
        after -= step
    return [*early[::-1][: rules.windows], *due[: rules.windows]]


def _window(
    rows: pd.DataFrame, reference: Reference | None, spec: UseCase, first: date, end: date, *, is_due: bool
) -> Window:
    enough = spec.monitoring.minimum_rows
    labelled = rows[rows[LABEL].notna()] if is_due else rows.head(0)
    mature = len(rows) if is_due else 0
    blank = Window(first.isoformat(), end.isoformat(), "none", "", len(rows), mature, len(labelled), {})
    if not (missing := _why_not_actual(rows, labelled, spec, is_due)):
        return _actual(_sample(labelled, spec), reference, spec, blank)
    if len(rows) < enough:
        return replace(blank, note=f"INSUFFICIENT: {len(rows)} rows, at least {enough} needed")
    if reference is None:
        return replace(blank, note=f"INSUFFICIENT: {missing}, and {NO_REFERENCE}")
    scores = _sample(rows, spec)[SCORE].to_numpy()
    figures = estimate(scores, reference.calibrator, _estimable(spec), spec.decision, spec.training.seed)
    return replace(blank, basis="estimated", note=missing, figures=figures)


def _why_not_actual(rows: pd.DataFrame, labelled: pd.DataFrame, spec: UseCase, is_due: bool) -> str:
    needed, enough = spec.monitoring.performance.minimum_coverage, spec.monitoring.minimum_rows
    if not is_due:
        return "labels are not mature"
    if len(labelled) < needed * len(rows):
        return f"LOW_LABEL_COVERAGE: {len(labelled)} of {len(rows)} rows have a label, at least {needed:.0%} needed"
    if len(labelled) < enough:
        return f"{len(labelled)} labelled rows, at least {enough} needed"
    return "" if _both_classes(labelled[LABEL].to_numpy()) else f"fewer than {FEWEST_OF_A_CLASS} labels of a class"


def _actual(rows: pd.DataFrame, reference: Reference | None, spec: UseCase, blank: Window) -> Window:
    labels, scores = rows[LABEL].to_numpy(), rows[SCORE].to_numpy()
    metrics, rules, seed = metrics_of(spec), spec.monitoring.performance, spec.training.seed
    draws = resample(labels, {CHAMPION: scores}, metrics, spec.decision, seed=seed)
    values = {metric: single(metric, labels, scores, spec.decision) for metric in metrics}
    figures = {metric: Estimate.of(value, draws.interval(CHAMPION, metric, value)) for metric, value in values.items()}
    if reference is None:
        return replace(blank, basis="actual", note=NO_REFERENCE, figures=figures)
    expected = estimate(scores, reference.calibrator, _estimable(spec), spec.decision, seed)
    found = drop(labels, scores, reference.calibrator, reference.auc, rules.maximum_drop)
    alarm = found.alarms(rules.false_alarm_rate)
    return replace(blank, basis="actual", figures=figures, expected=expected, drop=found, alarm=alarm)


def _estimable(spec: UseCase) -> tuple[str, ...]:
    """Calibrated scores have no calibration error to be expected."""
    return tuple(metric for metric in metrics_of(spec) if metric != "calibration_error")


def _sample(rows: pd.DataFrame, spec: UseCase) -> pd.DataFrame:
    return rows if len(rows) <= MOST_ROWS else rows.sample(MOST_ROWS, random_state=spec.training.seed)


def _both_classes(labels: np.ndarray) -> bool:
    positives = int((labels == 1).sum())
    return min(positives, len(labels) - positives) >= FEWEST_OF_A_CLASS
