"""The training window judged before anything is fitted: volume, freshness, label coverage, shift."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from include.data.calendar import midnight
from include.monitoring.quality import shift_guard
from include.spec import UseCase


@dataclass(frozen=True)
class WindowVerdict:
    """``faults`` are (code, message); none means that the window may be learned from."""

    facts: dict[str, Any]
    faults: tuple[tuple[str, str], ...]


def judge_window(
    frame: pd.DataFrame,
    spec: UseCase,
    *,
    as_of: date,
    label_delay: timedelta,
    last_day: date,
    grows: bool,
    baseline: pd.DataFrame | None,
) -> WindowVerdict:
    """Judge ``frame`` (observations with ``label``, NaN where unknown) at ``as_of``.

    ``grows`` is False for a static file, which never gets fresher; ``baseline`` is what the champion was trained on.
    """
    limits = spec.limits
    mature = frame["observed_at"] + label_delay < midnight(as_of)
    labelled = frame["label"].notna()
    n, due = int(labelled.sum()), int(mature.sum())
    smaller = int(min(n - frame["label"].sum(), frame["label"].sum())) if n else 0
    coverage = float((labelled & mature).sum() / due) if due else 0.0
    age = (as_of - last_day).days
    facts = {"rows": len(frame), "labelled": n, "label_coverage": round(coverage, 4), "data_age_days": age}
    faults: list[tuple[str, str]] = []
    if n < limits.minimum_training_rows:
        faults.append(
            ("TOO_FEW_ROWS", f"{n} labelled rows in the window, at least {limits.minimum_training_rows} needed")
        )
    elif smaller == 0:
        faults.append(("ONE_CLASS", f"all {n} labels of '{spec.target.column}' are of one class"))
    elif smaller < limits.minimum_class_rows:
        faults.append(
            ("SMALL_CLASS", f"the smaller class has {smaller} rows, at least {limits.minimum_class_rows} needed")
        )
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
    if baseline is not None:
        faults += [("SHIFT_GUARD", violation.message) for violation in shift_guard(baseline, frame, spec)]
    return WindowVerdict(facts, tuple(faults))
