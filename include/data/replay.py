"""A static file as a history: each row gets a day by a hash of its id, the newest day the last before ``as_of``."""

from __future__ import annotations

import zlib
from datetime import date, timedelta

import numpy as np
import pandas as pd

from include.data.calendar import midnight


def spread(ids: pd.Series, days: int, first_as_of: date) -> pd.Series:
    """Observation times (UTC midnights) of ``ids``, shape (rows,), over the ``days`` days before ``first_as_of``."""
    slots = np.fromiter((zlib.crc32(str(i).encode()) % days for i in ids), dtype="int64", count=len(ids))
    start = midnight(first_as_of - timedelta(days=days))
    return pd.Series(start + pd.to_timedelta(slots, unit="D"), index=ids.index).dt.as_unit("us")
