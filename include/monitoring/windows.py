"""The windows that the retrain policy counts: days of data, newest first, and what was found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import pandas as pd

from include.data.calendar import midnight
from include.monitoring.drift import DriftReport

Verdict = Literal["DRIFT", "OK", "INSUFFICIENT", "TRAINED_ON", "DATA_QUALITY"]


@dataclass(frozen=True)
class Days:
    """The rows that were observed from ``first`` on and before ``end``."""

    first: date
    end: date
    rows: pd.DataFrame


@dataclass(frozen=True)
class Window:
    """A window as the policy sees it: its days as ISO text, the verdict and what it rests on."""

    first: str
    end: str
    verdict: Verdict
    note: str


def cut(rows: pd.DataFrame, end: date, days: int, count: int) -> list[Days]:
    """``rows`` (with ``observed_at``) as ``count`` windows of ``days`` each, newest first, the newest up to ``end``."""
    edges = [end - timedelta(days=days * n) for n in range(count + 1)]
    windows = []
    for first, after in zip(edges[1:], edges, strict=False):
        inside = (rows["observed_at"] >= midnight(first)) & (rows["observed_at"] < midnight(after))
        windows.append(Days(first, after, rows[inside].reset_index(drop=True)))
    return windows


def judge(days: Days, report: DriftReport, faults: Sequence[str], trained_until: str, minimum_rows: int) -> Window:
    """What ``days`` say about drift: nothing when their data is bad, when the champion knows them, when they are few.

    ``trained_until`` is the day after the last one that the champion was trained or judged on.
    """
    first, end = days.first.isoformat(), days.end.isoformat()
    if faults:
        return Window(first, end, "DATA_QUALITY", "; ".join(faults))
    if first < trained_until:
        return Window(first, end, "TRAINED_ON", f"the champion was trained or judged on days before {trained_until}")
    if report.outcome == "INSUFFICIENT":
        return Window(first, end, "INSUFFICIENT", f"{len(days.rows)} rows, at least {minimum_rows} needed")
    return Window(first, end, report.outcome, ", ".join(report.drifted) or "no column drifted")
