"""A database as a source, from the command that chooses it to what is published."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.__main__ import main
from include.data import sources
from include.data.window import Lake
from include.errors import BadRequest
from include.settings import Settings
from include.spec import find
from include.steps.ingest import land
from tests.bad_input.loans import ROWS, SPEC, Loop, loans
from tests.steps.loop import close, ingest, open_run

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

DAY = date(2024, 3, 1)


class Bank(Loop):
    """The loans in a file of SQLite: a table of them, and one of labels that come later."""

    def execute(self, statement: str, rows: Sequence[Sequence[Any]] = ((),)) -> None:
        with sqlite3.connect(self.folder / "bank.db") as connection:
            connection.executemany(statement, rows)
        connection.close()

    def grant(self, day: date, **values: Any) -> None:
        """The loans of one more day, the first of them with other ``values``."""
        frame = loans(day).drop(columns="failed").astype(object)
        frame.loc[0, list(values)] = list(values.values())
        self.execute("INSERT INTO loans VALUES (?, ?, ?, ?, ?, ?)", frame.to_numpy())

    def label(self, number: int, failed: str | None, known_at: str) -> None:
        """The label of a loan of the first day."""
        loan = loans(DAY).iloc[number]
        self.execute("INSERT INTO labels VALUES (?, ?, ?, ?)", [(loan["loan"], loan["granted"], failed, known_at)])

    def known(self, as_of: str) -> dict[int, float]:
        """The labels that a training of this ``as_of`` learns from, by the number of their loan."""
        assert self.latest is not None
        spec = find(self.name, self.settings.use_case_folders)
        found = Lake(self.settings.lake_uri, spec, self.latest).labels(date.fromisoformat(as_of))
        return {int(name.split("-")[1]): label for name, label in zip(found["loan"], found["label"], strict=True)}

    def bring(self, as_of: str) -> str:
        """The outcome of an ingest."""
        self.runs.append(f"ingest/i{len(self.runs)}")
        return ingest(self.runs[-1].split("/")[1], as_of, self.name)


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bank:
    folder = tmp_path / "use_cases" / "loans"
    folder.mkdir(parents=True)
    source = {"table": "loans", "labels_query": "SELECT loan, observed_at, failed, known_at FROM labels"}
    spec = {"name": "loans", **SPEC, "source": {"uri": f"sqlite:///{tmp_path}/bank.db", **source}}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    (folder / "features.py").write_text('"""No derived features."""\n', encoding="utf-8")
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODELOPS_USE_CASES", str(tmp_path / "use_cases"))
    bank = Bank("loans", Settings.from_environment(), tmp_path)
    bank.execute("CREATE TABLE loans (loan, granted, amount, age, purpose, region)")
    bank.execute("CREATE TABLE labels (loan, observed_at, failed, known_at)")
    return bank


def test_a_database_is_chosen_and_ingested(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    bank.grant(DAY)
    uri = f"sqlite:///{bank.folder}/bank.db"
    assert main(["source", uri, "--use-case", "loans"]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out == f"loans reads from {uri}.\n"
    assert bank.bring("2024-03-02") == "PUBLISHED", bank.reason
    assert (len(bank.table("customers")), bank.adds_up()) == (ROWS, True)
    assert main(["source", uri, "--use-case", "loans"]) == 0


@pytest.mark.parametrize("loan", [None, "", "  "])
def test_a_row_without_an_id_is_quarantined_once(bank: Bank, loan: str | None) -> None:
    bank.grant(DAY, loan=loan)
    assert bank.bring("2024-03-02") == "PUBLISHED", bank.reason
    assert (bank.adds_up(), len(bank.table("quarantine"))) == (True, 1)
    assert bank.bring("2024-03-03") == "NO_NEW_DATA", bank.reason
    bank.grant(date(2024, 3, 3))
    assert bank.bring("2024-03-04") == "PUBLISHED"
    assert (bank.adds_up(), len(bank.table("customers"))) == (True, ROWS)
    assert bank.latest is not None
    assert bank.latest.rows_quarantined == 0


def days(bank: Bank, *days: int) -> list[str]:
    """The outcomes of an ingest after each of these days of March, which has new loans."""
    outcomes = []
    for day in days:
        bank.grant(date(2024, 3, day))
        outcomes.append(bank.bring(f"2024-03-{day + 1:02}"))
    return outcomes


def test_a_label_that_comes_after_its_day_counts_from_the_run_that_brings_it(bank: Bank) -> None:
    bank.label(5, "yes", "2024-03-01T20:00:00Z")
    assert days(bank, 1) == ["PUBLISHED"]
    bank.label(6, "yes", "2024-03-01T23:00:00Z")
    assert bank.bring("2024-03-02") == "NO_NEW_DATA"
    bank.label(7, "no", "2024-03-02T23:00:00Z")
    assert days(bank, 2) == ["PUBLISHED"]
    assert bank.reason.endswith("; 1 label(s) late")
    assert bank.evidence["labels"] == {"rows": 2, "blank": 0, "repeated": 0, "late": 1}
    assert (bank.known("2024-03-02"), bank.known("2024-03-03")) == ({5: 1.0}, {5: 1.0, 6: 1.0, 7: 0.0})
    assert (days(bank, 3), bank.adds_up()) == (["PUBLISHED"], True)
    assert "late" not in bank.reason
    assert bank.evidence["labels"] == {}


def test_late_labels_neither_undo_a_correction_nor_come_twice(bank: Bank) -> None:
    bank.label(5, "yes", "2024-03-01T20:00:00Z")
    bank.label(5, "no", "2024-03-02T20:00:00Z")  # comes with the label that it corrects
    bank.label(6, "yes", "2024-03-02T20:00:00Z")
    bank.grant(date(2024, 3, 1))
    assert days(bank, 2) == ["PUBLISHED"]
    bank.label(6, "no", "2024-03-01T20:00:00Z")  # comes after the one that corrects it
    bank.label(7, None, "2024-03-01T20:00:00Z")
    bank.label(8, "yes", "2024-03-01T20:00:00Z")
    assert days(bank, 3) == ["PUBLISHED"]
    bank.label(8, "no", "2024-03-01T21:00:00Z")  # corrects a late one
    assert days(bank, 4, 5) == ["PUBLISHED", "PUBLISHED"]
    assert [bank.known(f"2024-03-{day:02}") for day in (2, 3, 4, 5, 6)] == [
        {},
        {5: 0.0, 6: 1.0},
        {5: 0.0, 6: 1.0, 8: 1.0},
        {5: 0.0, 6: 1.0, 8: 0.0},
        {5: 0.0, 6: 1.0, 8: 0.0},
    ]
    assert bank.evidence["labels"] == {}


def test_a_label_waits_for_new_rows(bank: Bank) -> None:
    assert days(bank, 1) == ["PUBLISHED"]
    bank.label(5, "yes", "2024-03-01T20:00:00Z")
    assert bank.bring("2024-03-03") == "NO_NEW_DATA"
    assert bank.reason == "1 file(s) of labels without new rows; they come with the next rows"
    assert days(bank, 4) == ["PUBLISHED"]
    assert bank.known("2024-03-05") == {5: 1.0}


def test_an_as_of_to_come_keeps_no_day_from_being_read(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "today", lambda: date(2024, 3, 3))
    assert days(bank, 1) == ["PUBLISHED"]
    bank.grant(date(2024, 3, 2))
    with pytest.raises(BadRequest):
        land(open_run("ingest", "typed", {"as_of": "2042-03-03"}, use_case="loans"))
    assert close("ingest", "typed", "loans", failed=["land"]) == "BAD_REQUEST"
    bank.runs.append("ingest/typed")
    assert bank.reason.startswith("as_of is 2042-03-03, and sqlite://")
    assert bank.bring("2024-03-03") == "PUBLISHED"
