"""F35: the version that is champion is deleted from the registry while it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from include.registry import promotion, tracking
from include.state.database import connect
from include.state.runs import Run
from tests.serving_api import Api, Served, api, home_with, until


def test_f35_the_last_good_version_answers_until_one_is_put_back_from_the_ledger(
    telco_champion: Served, tmp_path: Path, rows: list[dict[str, Any]]
):
    served = home_with(telco_champion, tmp_path)
    first, second = served.champion, served.promote(served.package, "second")
    client = tracking.connect(served.settings.mlflow_uri)
    with api(served) as started:
        started.wait(second)
        client.delete_model_version(served.use_case, second)
        until(lambda: troubles(started) == ["NO_CHAMPION"])
        assert version_of(started, rows[0]) == second
    with api(served) as started:  # one that starts only now goes on with it, too
        assert version_of(started, rows[0]) == second
        monitor = Run(served.use_case, "monitor", "m1", "2026-11-25")
        engine, cache = connect(served.settings.state_url), served.settings.home / "models"
        assert promotion.sound_champion(engine, client, monitor, cache) == first
        started.wait(first)
        assert version_of(started, rows[0]) == first
        assert troubles(started) == []


def troubles(started: Api) -> list[str]:
    return [trouble["code"] for trouble in started.http.get("/ready").json()["troubles"]]


def version_of(started: Api, row: dict[str, Any]) -> str:
    """Which version answers."""
    (prediction,) = started.predict(row)
    return prediction["model_version"]
