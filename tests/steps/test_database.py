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
from include.settings import Settings
from tests.bad_input.loans import ROWS, SPEC, Loop, loans
from tests.steps.loop import ingest

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
