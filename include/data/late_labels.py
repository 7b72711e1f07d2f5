"""Which labels of a day have come after the run that took the others of that day."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from include.data import contract
from include.data.calendar import midnight
from include.spec import UseCase


def are_news(raw: contract.RawTable, day: date, known: pd.DataFrame, spec: UseCase) -> np.ndarray:
    """A mask of the labels in ``raw``, which became known on ``day``, that no label of the lake answers.

    ``known`` are those of the lake since then: id, observed_at, label, known_at. A label is answered by the same one of
    the same day, and by any of a later day, which has corrected it. A blank is no label.
    Raises ``DataRejected`` (``BAD_TIME``) for an ``observed_at`` that is not clearly one moment.
    """
    keys, text = [spec.id, "observed_at"], raw.frame[spec.target.column]
    ids, times = contract.strip(raw.frame[spec.id]), contract.read_times(raw, "observed_at", days=True)
    labels = pd.DataFrame({spec.id: ids, "observed_at": times, "label": contract.map_labels(text, spec)[0]})
    days = known["known_at"].dt.floor("D")
    same = _within(labels, known[days == midnight(day)], [*keys, "label"])
    corrected = _within(labels, known[days > midnight(day)], keys)
    return contract.strip(text).notna().to_numpy() & ~same & ~corrected


def _within(frame: pd.DataFrame, other: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """A mask of the rows of ``frame`` whose ``columns`` some row of ``other`` has as well."""
    return pd.MultiIndex.from_frame(frame[columns]).isin(pd.MultiIndex.from_frame(other[columns]))
