"""Days and ``as_of`` dates: ISO text outside, UTC inside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pandas as pd


def today() -> date:
    """The UTC date of the clock; for the edge of the system only, never for the ``as_of`` of a step."""
    return datetime.now(UTC).date()


def days_between(first: date, end: date) -> Iterator[date]:
    """Every day from ``first`` on and before ``end``."""
    return (first + timedelta(n) for n in range((end - first).days))


def midnight(day: date | str) -> pd.Timestamp:
    """00:00 UTC of ``day``."""
    return pd.Timestamp(day, tz="UTC")
