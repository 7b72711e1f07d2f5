"""What was known at an ``as_of``: corrections and late labels change the present and leave the past as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from include.data import tables
from include.data.window import Lake, window_start
from include.spec import UseCase
from include.state.publications import Publication

START, END = date(2026, 1, 1), date(2026, 3, 1)


@dataclass
class Publisher:
    """Publishes small tables of (id, day, value) for the columns ``tenure`` and ``label``."""

    lake: str
    spec: UseCase
    versions: dict[str, int] = field(default_factory=dict)

    def publish(self, table: str, as_of: str, *rows: tuple[str, str, float], run: str = "i", known: str = "") -> Lake:
        name = "tenure" if table == "customers" else "label"
        frame = pd.DataFrame(rows, columns=[self.spec.id, "observed_at", name]).assign(as_of=as_of, run_id=run)
        frame["observed_at"] = pd.to_datetime(frame["observed_at"], utc=True, format="ISO8601").dt.as_unit("us")
        if table == "labels":
            frame["known_at"] = pd.to_datetime(known or frame["observed_at"], utc=True).as_unit("us")
        uri = tables.table_uri(self.lake, self.spec.name, table)
        self.versions[table] = tables.append(uri, frame, run, after=self.versions.get(table))
        return self.now()

    def now(self) -> Lake:
        days = {"first_day": str(START), "last_day": str(END), "as_of": str(END), "run_id": "i"}
        rows = {"rows_in": 0, "rows_published": 0, "rows_quarantined": 0, "simulated": False}
        made = Publication(use_case=self.spec.name, dataset="data", versions=dict(self.versions), **days, **rows)
        return Lake(self.lake, self.spec, made)


@pytest.fixture
def publisher(tmp_path: Path, churn: UseCase) -> Publisher:
    return Publisher(str(tmp_path / "lake"), churn)


def tenures(lake: Lake, first: date = START, end: date = END, known_at: str | None = None) -> dict[str, float]:
    found = lake.observations(first, end, known_at)
    return dict(zip(found["customerID"], found["tenure"], strict=True))


def labels(lake: Lake, as_of: date) -> dict[str, float]:
    found = lake.labels(as_of)
    return dict(zip(found["customerID"], found["label"], strict=True))


def test_the_window_takes_its_first_day_and_not_its_last(publisher: Publisher) -> None:
    days = ("2026-01-09", "2026-01-10", "2026-01-19T23:59:59.999999", "2026-01-20")
    lake = publisher.publish("customers", "2026-01-21", *((f"c{n}", day, n) for n, day in enumerate(days)))
    assert list(tenures(lake, date(2026, 1, 10), date(2026, 1, 20), "2026-01-21")) == ["c1", "c2"]
    assert window_start(date(2026, 1, 20), 10) == date(2026, 1, 10)


def test_rows_come_in_the_order_of_time_and_id_whatever_they_came_in(publisher: Publisher) -> None:
    publisher.publish("customers", "2026-01-05", ("b", "2026-01-02", 1), ("a", "2026-01-02", 2), ("z", "2026-01-01", 3))
    lake = publisher.publish("customers", "2026-01-06", ("m", "2026-01-01", 4))
    assert list(tenures(lake)) == ["m", "z", "a", "b"]


@pytest.mark.parametrize(
    ("known_at", "tenure"),
    [
        pytest.param("2026-01-09", {}, id="before anything"),
        pytest.param("2026-01-10", {"a": 1, "b": 2}, id="as first published"),
        pytest.param("2026-01-19", {"a": 1, "b": 2}, id="the day before the correction"),
        pytest.param("2026-01-20", {"a": 9, "b": 2}, id="from the correction's as_of on"),
        pytest.param("2026-02-10", {"a": 8, "b": 2}, id="the correction corrected"),
    ],
)
def test_a_corrected_row_counts_from_its_own_as_of_on(publisher: Publisher, known_at: str, tenure: dict) -> None:
    publisher.publish("customers", "2026-01-10", ("a", "2026-01-02", 1), ("b", "2026-01-02", 2))
    publisher.publish("customers", "2026-01-20", ("a", "2026-01-02", 9))
    lake = publisher.publish("customers", "2026-02-10", ("a", "2026-01-02", 8))
    assert tenures(lake, known_at=known_at) == tenure


def test_of_two_corrections_with_one_as_of_always_the_same_counts(publisher: Publisher) -> None:
    for run in ("i3", "i1", "i2"):
        lake = publisher.publish("customers", "2026-01-10", ("a", "2026-01-02", int(run[1])), run=run)
    assert tenures(lake) == {"a": 3}


def test_a_reader_of_an_old_version_sees_nothing_newer(publisher: Publisher) -> None:
    old = publisher.publish("customers", "2026-01-10", ("a", "2026-01-02", 1))
    new = publisher.publish("customers", "2026-01-10", ("b", "2026-01-03", 2), run="i2")
    assert (tenures(old), tenures(new)) == ({"a": 1}, {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("as_of", "found"),
    [
        pytest.param(date(2026, 1, 16), {}, id="not known before its own day"),
        pytest.param(date(2026, 1, 17), {}, id="known, but not yet published"),
        pytest.param(date(2026, 1, 20), {"a": 1.0}, id="known and published"),
        pytest.param(date(2026, 2, 20), {"a": 0.0}, id="corrected"),
    ],
)
def test_a_label_counts_when_it_is_known_and_published(publisher: Publisher, as_of: date, found: dict) -> None:
    publisher.publish("customers", "2026-01-10", ("a", "2026-01-02", 1))
    publisher.publish("labels", "2026-01-20", ("a", "2026-01-02", 1.0), known="2026-01-16")
    lake = publisher.publish("labels", "2026-02-20", ("a", "2026-01-02", 0.0), known="2026-01-16")
    assert labels(lake, as_of) == found
    joined = lake.labelled(START, as_of)
    assert dict(joined.dropna(subset=["label"])[["customerID", "label"]].to_numpy()) == found


def test_a_label_that_arrives_after_its_correction_does_not_replace_it(publisher: Publisher) -> None:
    publisher.publish("labels", "2026-01-21", ("a", "2026-01-02", 1.0), known="2026-01-20")
    lake = publisher.publish("labels", "2026-01-26", ("a", "2026-01-02", 0.0), known="2026-01-15")
    assert labels(lake, date(2026, 1, 27)) == {"a": 1.0}


def test_every_label_that_became_known_is_told_also_one_that_was_corrected(publisher: Publisher) -> None:
    publisher.publish("labels", "2026-01-20", ("a", "2026-01-02", 1.0), known="2026-01-16")
    publisher.publish("labels", "2026-01-20", ("b", "2026-01-02", 1.0), known="2026-01-15T23:59")
    lake = publisher.publish("labels", "2026-02-20", ("a", "2026-01-02", 0.0), known="2026-01-17")
    found = lake.every_label(date(2026, 1, 16)).sort_values("known_at")
    assert found[["customerID", "label"]].to_numpy().tolist() == [["a", 1.0], ["a", 0.0]]
    assert list(found.columns) == ["customerID", "observed_at", "label", "known_at"]


def test_without_any_label_every_row_is_unlabelled(publisher: Publisher) -> None:
    joined = publisher.publish("customers", "2026-01-10", ("a", "2026-01-02", 1)).labelled(START, END)
    assert (len(joined), joined["label"].isna().all()) == (1, True)
    assert labels(publisher.now(), END) == {}
    assert publisher.now().every_label(START).empty
