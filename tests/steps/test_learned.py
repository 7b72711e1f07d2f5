"""After an edit of the features the champion is scored only where its inputs are what it learned."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from include.data import tables
from include.data.window import AS_OF, Lake
from include.state import database as db
from include.state import publications
from include.state.database import connect
from include.steps import learned, production
from include.steps.ledger import work_of
from tests.steps.company import Company, EditSpec, day
from tests.steps.loop import open_run

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

CHANGE = "return np.divide(monthly, average, out=np.ones(len(monthly)), where=average > 0)"
MORE = '\n\ndef add_on_share(columns):\n    """Share of the add-ons taken."""\n    return add_ons(columns) / 6\n'


def nothing(spec: dict[str, Any]) -> None:
    """Leave the spec as it is."""


def one_more(spec: dict[str, Any]) -> None:
    spec["features"]["derived"]["add_on_share"] = {"type": "number", "description": "share of the add-ons"}


def rewrite(folder: Path, text: str, by: str) -> None:
    source = folder / "use_cases" / "churn" / "features.py"
    found = source.read_text(encoding="utf-8")
    assert text in found
    source.write_text(found.replace(text, by), encoding="utf-8")


def found(as_of: str = day(0)) -> str | None:
    work = work_of(open_run("retrain", "r2", {"as_of": as_of})["run"])
    return learned.difference(work, production.champion(work, "1").manifest)


@pytest.mark.parametrize(
    ("edit", "by", "changed"),
    [
        pytest.param(nothing, CHANGE, None, id="nothing"),
        pytest.param(nothing, f"{CHANGE}  # as a share", None, id="a comment"),
        pytest.param(nothing, CHANGE.replace("np.divide(", "0.1 * 3 / 0.3 * np.divide("), None, id="rounding"),
        pytest.param(one_more, f"{CHANGE}{MORE}", None, id="one more feature"),
        pytest.param(nothing, CHANGE.replace("np.divide(", "100 * np.divide("), "charge_change", id="another unit"),
        pytest.param(
            nothing, f"{CHANGE.replace('np.divide(', 'np.minimum(1.2, np.divide(')})", "charge_change", id="few rows"
        ),
    ],
)
def test_the_inputs_of_the_champion_are_what_it_learned_or_are_named(
    company: Company, edit_churn: EditSpec, tmp_path: Path, edit: Any, by: str, changed: str | None
) -> None:
    edit_churn(edit)
    rewrite(tmp_path, CHANGE, by)
    why = found()
    assert (why is None) == (changed is None)
    assert changed is None or f"it learned other values of {changed} than are made now" in str(why)


def test_rows_that_were_corrected_since_are_not_compared(
    company: Company, edit_churn: EditSpec, tmp_path: Path
) -> None:
    edit_churn(nothing)
    rewrite(tmp_path, CHANGE, f"{CHANGE}  # as a share")
    correct(company, rows=50)
    assert found(day(1)) is None
    correct(company, rows=None)
    assert "no row of features_" in str(found(day(1)))


def correct(company: Company, rows: int | None) -> None:
    """Publish the first ``rows`` of the history (None: all) once more, a day later and at another price."""
    engine, settings = connect(company.settings.state_url), company.settings
    last = publications.latest(engine, "churn", "data")
    assert last is not None
    work = work_of(open_run("retrain", "r2", {"as_of": day(1)})["run"])
    history = Lake(settings.lake_uri, work.spec, last).observations(date.fromisoformat(last.first_day), date.max)
    run_id = f"corrected {rows}"
    again = history.head(rows or len(history)).assign(**{"MonthlyCharges": 1.0, AS_OF: day(1), "run_id": run_id})
    uri = tables.table_uri(settings.lake_uri, "churn", "customers")
    version = tables.append(uri, again, run_id, after=last.versions["customers"])
    versions = {**last.versions, "customers": version}
    publications.publish(engine, replace(last, run_id=run_id, as_of=day(1), versions=versions))


def test_without_the_rows_that_it_learned_from_nothing_is_taken_for_the_same(
    company: Company, edit_churn: EditSpec, tmp_path: Path
) -> None:
    edit_churn(nothing)
    rewrite(tmp_path, CHANGE, f"{CHANGE}  # as a share")
    with connect(company.settings.state_url).begin() as connection:
        connection.execute(delete(db.publications).where(db.publications.c.dataset.startswith("features_")))
    assert "the lake has no row of features_" in str(found())
