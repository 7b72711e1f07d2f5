"""What was served, and the labels that came back for it, as the tables ``predictions`` and ``feedback`` hold them.

A row of ``predictions`` is one answer: ``prediction_id`` and ``model_role`` (together its key), ``predicted_at``,
``model_version``, ``score``, ``acted_on`` (the decision), ``latency_ms``, the columns of the spec, ``is_whole``
(whether all of them were sent), ``columns_left_out`` and ``columns_added`` (names as a JSON list, null for none) and
``observed_at``: when the row was observed that was looked up, or the time that the row itself names, else that of the
answer. A row of ``feedback`` is one label, see ``include.serving.feedback``. Both carry the ``as_of`` of the run that
collected them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from include.data import tables
from include.data.calendar import midnight
from include.data.window import AS_OF, KNOWN, LABEL, OBSERVED
from include.spec import UseCase
from include.state.publications import Publication

PREDICTION, PREDICTED, VERSION, ROLE = "prediction_id", "predicted_at", "model_version", "model_role"
ACTED_ON, LATENCY, WHOLE, ENTITY, RECEIVED = "acted_on", "latency_ms", "is_whole", "entity", "received_at"
LEFT_OUT, ADDED = "columns_left_out", "columns_added"
KEY = [PREDICTION, ROLE]
PREDICTIONS, FEEDBACK = "predictions", "feedback"
DATASET = "served"
SHADOW = "shadow"


@dataclass(frozen=True)
class Served:
    """The tables of one use case at the versions that ``publication`` (of the data set ``served``) names."""

    uri: str
    spec: UseCase
    publication: Publication

    def answers(self, first: date, end: date, known_at: str) -> pd.DataFrame:
        """What callers were answered for rows observed from ``first`` on and before ``end``, one row a prediction.

        As collected up to ``known_at`` (an ``as_of``), the oldest first; the answers of the shadow are not among them.
        """
        rows = self._read(PREDICTIONS, [*_observed(first, end, known_at), (ROLE, "!=", SHADOW)])
        return rows.sort_values([OBSERVED, PREDICTION]).drop_duplicates(PREDICTION).reset_index(drop=True)

    def shadows(self, first: date, end: date, known_at: str) -> pd.DataFrame:
        """The answers of the shadow to the same rows, which nobody was given."""
        rows = self._read(PREDICTIONS, [*_observed(first, end, known_at), (ROLE, "==", SHADOW)])
        return rows.sort_values([OBSERVED, PREDICTION]).drop_duplicates(PREDICTION).reset_index(drop=True)

    def labels(self, as_of: str) -> pd.DataFrame:
        """The labels that came back and were known before ``as_of``."""
        return self._read(FEEDBACK, [(AS_OF, "<=", as_of), (KNOWN, "<", midnight(as_of))])

    def _read(self, table: str, filters: list[tuple[str, str, object]]) -> pd.DataFrame:
        version = self.publication.versions.get(table)
        if version is None:
            return empty(table, self.spec)
        return tables.read(tables.table_uri(self.uri, self.spec.name, table), version, filters=filters)


def _observed(first: date, end: date, known_at: str) -> list[tuple[str, str, object]]:
    return [(AS_OF, "<=", known_at), (OBSERVED, ">=", midnight(first)), (OBSERVED, "<", midnight(end))]


def empty(table: str, spec: UseCase) -> pd.DataFrame:
    """The table without a row."""
    return typed({}, types(table, spec))


def types(table: str, spec: UseCase) -> dict[str, str]:
    """The columns of a table as it is written, each with its pandas type."""
    time = "datetime64[us, UTC]"
    if table == FEEDBACK:
        return {PREDICTION: "str", ENTITY: "str", OBSERVED: time, LABEL: "float64", KNOWN: time, RECEIVED: time}
    own = {PREDICTION: "str", PREDICTED: time, OBSERVED: time, VERSION: "str", ROLE: "str", "score": "float64"}
    own |= {ACTED_ON: "bool", LATENCY: "float64", WHOLE: "bool", LEFT_OUT: "str", ADDED: "str"}
    return own | {name: "float64" if column.is_numeric else "str" for name, column in spec.columns.items()}


def typed(columns: dict[str, list[object]], kinds: dict[str, str]) -> pd.DataFrame:
    """A frame of ``kinds``, with the values of ``columns``."""
    return pd.DataFrame({name: pd.Series(columns.get(name, []), dtype=kind) for name, kind in kinds.items()})


def join_labels(answers: pd.DataFrame, labels: pd.DataFrame, feedback: pd.DataFrame, spec: UseCase) -> pd.DataFrame:
    """``answers`` with ``label`` and ``known_at``, null where no label is known.

    ``labels`` (id, ``observed_at``, ``label``, ``known_at``) are those of the labels feed. A label of either source
    finds its predictions by the prediction id, or by the id of the row and the UTC day of the observation; of several
    the one that was known last counts, and of those the one that was sent back.
    """
    id_ = spec.id
    fed = labels.rename(columns={id_: ENTITY}).assign(**{PREDICTION: None, RECEIVED: labels[KNOWN]})
    every = pd.concat([fed.assign(rank=0), feedback.assign(rank=1)], ignore_index=True)
    every = every.assign(day=every[OBSERVED].dt.floor("D"))
    own = pd.DataFrame({PREDICTION: answers[PREDICTION], ENTITY: answers[id_], "day": answers[OBSERVED].dt.floor("D")})
    found = [LABEL, KNOWN, "rank", RECEIVED]
    by_id = every.loc[every[PREDICTION].notna(), [PREDICTION, *found]]
    by_day = every.loc[every[PREDICTION].isna(), [ENTITY, "day", *found]]
    matches = pd.concat(
        [
            own[[PREDICTION]].merge(by_id, on=PREDICTION),
            own.dropna(subset=[ENTITY]).merge(by_day, on=[ENTITY, "day"])[[PREDICTION, *found]],
        ]
    )
    last = matches.sort_values([KNOWN, "rank", RECEIVED]).drop_duplicates(PREDICTION, keep="last")
    return answers.merge(last[[PREDICTION, LABEL, KNOWN]], on=PREDICTION, how="left")
