"""What was known at an ``as_of``: the observations of a stretch of days and the labels known before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.data import contract, tables
from include.data.calendar import midnight
from include.spec import UseCase
from include.state.publications import Publication

OBSERVED, KNOWN, AS_OF, LABEL = "observed_at", "known_at", "as_of", "label"


@dataclass(frozen=True)
class Lake:
    """The published tables of one use case, at the versions that ``publication`` names."""

    uri: str
    spec: UseCase
    publication: Publication

    def observations(self, first_day: date, end: date, known_at: str | None = None) -> pd.DataFrame:
        """Rows observed from ``first_day`` on and before ``end``, ordered by time and id.

        They are as known at ``known_at`` (an ``as_of``), or at ``end`` without one.
        """
        rows = self._read(
            "customers",
            known_at or end.isoformat(),
            [(OBSERVED, ">=", midnight(first_day)), (OBSERVED, "<", midnight(end))],
        )
        return self._newest(rows, [self.spec.id, OBSERVED])

    def keys(self, day: date) -> set[tuple[str, datetime]]:
        """Id and time of every row that has come of ``day``, and of some other days; quarantined ones as well."""
        of_day = [(OBSERVED, ">=", midnight(day)), (OBSERVED, "<", midnight(day + timedelta(days=1)))]
        rows = self._columns("customers", of_day, [self.spec.id, OBSERVED])
        good = zip(rows[self.spec.id], rows[OBSERVED].dt.to_pydatetime(), strict=True)
        quarantined = self._columns("quarantine", [(AS_OF, ">", day.isoformat())], ["row"])["row"].map(json.loads)
        texts = ((row[self.spec.id], row[self.spec.observed_at]) for row in quarantined)
        bad = ((contract.stripped(id_), datetime.fromisoformat(time)) for id_, time in texts)
        return {*good, *bad}

    def labels(self, as_of: date) -> pd.DataFrame:
        """Labels known before ``as_of``: id, observed_at, label (1.0 or 0.0), known_at."""
        if "labels" not in self.publication.versions:
            return self._no_labels()
        rows = self._read("labels", as_of.isoformat(), [(KNOWN, "<", midnight(as_of))])
        return self._newest(rows, [self.spec.id, OBSERVED], KNOWN)

    def every_label(self, first_day: date) -> pd.DataFrame:
        """Labels that became known from ``first_day`` on, with those that were corrected since.

        The columns are those that ``labels`` names, whatever run brought the rows.
        """
        if "labels" not in self.publication.versions:
            return self._no_labels()
        known = [(KNOWN, ">=", midnight(first_day))]
        return self._columns("labels", known, [self.spec.id, OBSERVED, LABEL, KNOWN])

    def labelled(self, first_day: date, as_of: date) -> pd.DataFrame:
        """Observations joined with their labels; ``label`` is NaN where none is known yet."""
        keys = [self.spec.id, OBSERVED]
        labels = self.labels(as_of)[[*keys, LABEL]]
        return self.observations(first_day, as_of).merge(labels, on=keys, how="left")

    def _read(self, table: str, as_of: str, filters: list[tuple[str, str, object]]) -> pd.DataFrame:
        uri = tables.table_uri(self.uri, self.spec.name, table)
        known = (AS_OF, "<=", as_of)
        return tables.read(uri, self.publication.versions[table], filters=[*filters, known])

    def _columns(self, table: str, filters: Sequence[tuple[str, str, Any]], columns: list[str]) -> pd.DataFrame:
        """Some columns of a table whatever the ``as_of`` of the rows; no row where the table is not there yet."""
        if table not in self.publication.versions:
            return pd.DataFrame({name: pd.Series(dtype="datetime64[us, UTC]") for name in columns})
        uri = tables.table_uri(self.uri, self.spec.name, table)
        return tables.read(uri, self.publication.versions[table], filters=list(filters), columns=columns)

    def _no_labels(self) -> pd.DataFrame:
        time = pd.Series(dtype="datetime64[us, UTC]")
        return pd.DataFrame({self.spec.id: pd.Series(dtype="str"), OBSERVED: time, LABEL: 0.0, KNOWN: time})

    def _newest(self, rows: pd.DataFrame, keys: list[str], *first: str) -> pd.DataFrame:
        """A corrected row replaces the one it corrects, from the correction's ``as_of`` on.

        What is newer is told by the column ``first``, if any: an older label may come to us after its correction.
        """
        # By the run too: a table returns its files in no fixed order, and two runs may share an ``as_of``.
        order = [OBSERVED, self.spec.id, *first, AS_OF, "run_id"]
        # Arrow sorts text four times as fast as pandas, and in the same order.
        table = pa.Table.from_pandas(rows[order], preserve_index=False)
        places = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in order])
        return rows.take(places.to_numpy()).drop_duplicates(keys, keep="last").reset_index(drop=True)


def window_start(as_of: date, days: int) -> date:
    return as_of - timedelta(days=days)
