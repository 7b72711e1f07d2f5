"""The month is lived through: what the customers' change costs is seen in late labels, and a retrain makes it good."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.cli.status import status, use_case_state
from include.settings import Settings
from include.state import promotions, runs
from include.state.database import connect
from tests.month.play import Day, Month, mean_auc
from tests.month.stack import started
from tests.month.world import DAYS, DRIFT_DAY, LABEL_DELAY_DAYS, USE_CASE, World

pytestmark = [pytest.mark.month, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("month")
    world = World.make(folder / "world", datetime.now(UTC).date())
    with started(folder / "home", world) as settings, Month.of(settings, world, print) as month:
        yield settings, month.play()


def test_a_drop_that_only_labels_show_leads_to_a_retrain_that_raises_performance_again(
    lived: tuple[Settings, list[Day]], capsys: pytest.CaptureFixture[str]
):
    settings, days = lived
    assert len(days) == DAYS
    before = mean_auc(days, 0, DRIFT_DAY)
    dropped = mean_auc(days, DRIFT_DAY, DRIFT_DAY + LABEL_DELAY_DAYS)
    after = mean_auc(days, DAYS - 5, DAYS)
    assert dropped < before - 0.06, "the world did not change"
    assert after > dropped + 0.04, "performance was not raised again"

    asked = [day for day in days if day.monitor == "REQUESTED"]
    assert asked, "no monitor asked for a retrain"
    assert asked[0].number >= DRIFT_DAY + LABEL_DELAY_DAYS, "an alarm before any label of a changed day was known"
    assert any("PERFORMANCE" in reason for reason in asked[0].reasons)
    assert "PROMOTED" in [day.retrain for day in asked]

    engine = connect(settings.state_url)
    history = promotions.history(engine, USE_CASE)
    row = runs.get(engine, USE_CASE, "retrain", history[0].run_id)
    assert row is not None
    assert "performance" in row.reason.lower()
    assert days[-1].version == history[0].version != days[0].version

    performance = use_case_state(settings, USE_CASE)["last_monitor"]["performance"]
    assert performance
    assert status(settings, as_json=False) == 0
    shown = capsys.readouterr().out
    assert "performance" in shown.lower()
