"""The training window judged before anything is fitted: volume, freshness, label coverage, shift."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from include.data.calendar import midnight
from include.data.window import AS_OF, LABEL, OBSERVED
from include.monitoring.quality import Known, shift_guard
from include.spec import UseCase


@dataclass(frozen=True)
class WindowVerdict:
    """``faults`` are (code, message); none means that the window may be learned from."""

    facts: dict[str, Any]
    faults: tuple[tuple[str, str], ...]


def mature(frame: pd.DataFrame, as_of: date, label_delay: timedelta) -> pd.Series:
    """Which rows of ``frame`` have a label that is due before ``as_of``, whether it came or not."""
    return frame[OBSERVED] + label_delay < midnight(as_of)


def learnable(frame: pd.DataFrame, as_of: date, label_delay: timedelta) -> pd.DataFrame:
    """The rows that a training as of ``as_of`` learns from and is judged on: those whose label is due and known.

    Labels that come before they are due are of customers who leave early: among the newest days, which are held out,
    there would be no others.
    """
    return frame[frame[LABEL].notna() & mature(frame, as_of, label_delay)]


def judge_window(
    frame: pd.DataFrame,
    spec: UseCase,
    *,
    as_of: date,
    label_delay: timedelta,
    last_day: date,
    grows: bool,
    known: Known | None,
) -> WindowVerdict:
    """Judge ``frame`` (observations with ``label``, NaN where unknown) at ``as_of``.

    ``grows`` is False for a static file, which never gets fresher; ``known`` is what the champion's data was like.
    """
    limits = spec.limits
    learned = learnable(frame, as_of, label_delay)
    n, due = len(learned), int(mature(frame, as_of, label_delay).sum())
    coverage = n / due if due else 0.0
    age = (as_of - last_day).days
    facts = {"rows": len(frame), "labelled": n, "label_coverage": round(coverage, 4), "data_age_days": age}
    faults: list[tuple[str, str]] = []
    if n < limits.minimum_training_rows:
        message = f"{n} rows of the window have a mature label, at least {limits.minimum_training_rows} needed"
        faults.append(("TOO_FEW_ROWS", message))
    elif (class_fault := _class_fault(learned[LABEL], spec)) is not None:
        faults.append(class_fault)
    if due and coverage < limits.minimum_label_coverage:
        message = (
            f"{coverage:.1%} of the {due} mature rows have a label, at least {limits.minimum_label_coverage:.0%} needed"
        )
        faults.append(("LOW_LABEL_COVERAGE", message))
    if grows and age > limits.maximum_data_age_days:
        message = (
            f"the newest day is {last_day}, {age} days before {as_of}; at most {limits.maximum_data_age_days} allowed"
        )
        faults.append(("STALE_DATA", f"{message}. Run {spec.name}_ingest"))
    faults += too_many_categories(frame, spec)
    if known is not None:
        faults += [("SHIFT_GUARD", message) for message in _shifts(known, frame, spec)]
    return WindowVerdict(facts, tuple(faults))


def too_many_categories(frame: pd.DataFrame, spec: UseCase) -> list[tuple[str, str]]:
    """A fault for each category of ``frame`` with more values than a model is given inputs for."""
    limit, faults = spec.limits.maximum_categories, []
    kinds = {name: column.type for name, column in spec.columns.items()} | spec.feature_types
    for name in (name for name in frame.columns if kinds.get(name) == "category"):
        if (found := frame[name].nunique()) > limit:
            message = f"column '{name}' has {found} categories, at most {limit} (limits.maximum_categories)"
            faults.append(("TOO_MANY_CATEGORIES", f"{message}; group them in a derived feature, or make it text"))
    return faults


def _class_fault(labels: pd.Series, spec: UseCase) -> tuple[str, str] | None:
    """Whether a class is missing or too small to be in every fold and in the hold-out."""
    counts = {spec.target.positive: int((labels == 1).sum()), spec.target.negative: int((labels == 0).sum())}
    smaller, larger = sorted(counts, key=counts.__getitem__)
    needed = max(spec.limits.minimum_class_rows, spec.training.split.folds + 1)
    column = spec.target.column
    if not counts[smaller]:
        message = f"all {counts[larger]} labels of '{column}' are of one class, {larger!r}; none is {smaller!r}"
        return "ONE_CLASS", f"{message}; widen the window or look at the labels"
    if counts[smaller] < needed:
        message = f"class {smaller!r} of '{column}' has {counts[smaller]} rows, at least {needed} needed"
        return "SMALL_CLASS", f"{message}; widen the window or lower limits.minimum_class_rows and training.split.folds"
    return None


def _shifts(known: Known, frame: pd.DataFrame, spec: UseCase) -> list[str]:
    """What is implausible of the window, or of one publication in it: the others must not hide a change of unit."""
    if whole := shift_guard(known, frame, spec):
        return [violation.message for violation in whole]
    found = []
    for published, batch in frame.groupby(AS_OF) if AS_OF in frame else ():
        if len(batch) >= spec.monitoring.minimum_rows:
            found += [f"published as of {published}: {v.message}" for v in shift_guard(known, batch, spec)]
    return found
