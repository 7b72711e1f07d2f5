"""Whether the inputs that a use case makes now are those that its champion learned, though the features were edited.

The lake keeps the inputs of every feature version, so the rows that the champion's were made of are made anew and both
are compared. No code of a package is run for that.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from include.data import tables
from include.data.window import AS_OF, OBSERVED, Lake
from include.features.build import build, feature_version
from include.state import publications
from include.steps import production
from include.steps.ledger import Work
from include.training.package import Manifest

COMPARED_ROWS = 10_000
"""The newest ones, and all others since the oldest of them: enough to tell two formulas apart."""
ROUNDING = 1e-9
"""A share of the value: a formula may round otherwise when it is written otherwise or given more rows at once."""


def difference(work: Work, champion: Manifest) -> str | None:
    """Why the champion cannot be scored on the inputs that are made now; None where they are those that it learned.

    Features that the champion does not use may be another or new, and its own may be written otherwise.
    """
    if champion.feature_version == feature_version(work.spec):
        return None
    table = f"features_{champion.feature_version}"
    learned = _newest(work, table)
    rows = learned if learned.empty else _rows(work, learned)
    if rows.empty:
        return f"the features are others now, and the lake has no row of {table} to compare them by; put them back"
    learned, made = learned.loc[rows.index], build(rows, work.spec)
    changed = [
        name
        for name, kind in champion.feature_types.items()
        if work.spec.feature_types.get(name) != kind or not _same(learned[name], made[name], kind)
    ]
    if not changed:
        return None
    names = ", ".join(changed)
    return f"it learned other values of {names} than are made now; put the old back and give the new another name"


def _newest(work: Work, table: str) -> pd.DataFrame:
    """The newest rows that are kept of a feature version, by id and time; none where it was never published."""
    keys = [work.spec.id, OBSERVED]
    published = publications.latest(work.engine, work.run.use_case, table)
    if published is None:
        return pd.DataFrame(columns=keys).set_index(keys)
    uri, version = tables.table_uri(work.settings.lake_uri, work.run.use_case, table), published.versions[table]
    times = tables.read(uri, version, columns=[OBSERVED])[OBSERVED]
    since = times.nlargest(COMPARED_ROWS).min()
    return tables.read(uri, version, filters=[(OBSERVED, ">=", since)]).set_index(keys)


def _rows(work: Work, learned: pd.DataFrame) -> pd.DataFrame:
    """The published rows that ``learned`` was made of, by id and time, without those that were corrected since."""
    keys, times = [work.spec.id, OBSERVED], learned.index.get_level_values(OBSERVED)
    lake = Lake(work.settings.lake_uri, work.spec, production.newest_data(work))
    end = times.max().date() + timedelta(days=1)
    rows = lake.observations(times.min().date(), end, known_at=work.run.as_of).set_index(keys, drop=False)
    rows = rows.loc[rows.index.intersection(learned.index)]
    return rows[(rows[AS_OF] <= learned.loc[rows.index, AS_OF]).to_numpy()]


def _same(learned: pd.Series, made: pd.Series, kind: str) -> bool:
    if kind == "category":
        return bool((learned.to_numpy(dtype=object) == made.to_numpy(dtype=object)).all())
    return np.allclose(learned.to_numpy(), made.to_numpy(), rtol=ROUNDING, atol=0, equal_nan=True)
