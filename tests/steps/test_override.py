"""A champion that cannot be judged: nothing is promoted over it until a person answers for that, once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from include.__main__ import main
from include.cli.source import register_source
from include.cli.status import use_case_state
from include.governance.record import Record
from include.registry import tracking, versions
from include.settings import Settings
from include.state import decisions, overrides, promotions, runs
from include.state.database import connect
from tests.conftest import MlflowServer
from tests.steps.loop import FIRST, ingest, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

Edit = Callable[[Callable[[dict[str, Any]], None]], None]
BECAUSE = "the floors are enough until the next full window"


def quick(spec: dict[str, Any]) -> None:
    spec["training"]["candidates"] = {"line": {"kind": "logistic_regression", "params": {"C": 0.3}}}


def more_held_out(spec: dict[str, Any]) -> None:
    spec["training"]["split"]["holdout_fraction"] = 0.5


def fewer_features(spec: dict[str, Any]) -> None:
    spec["features"]["derived"].pop("add_ons")


def out_of_reach(spec: dict[str, Any]) -> None:
    more_held_out(spec)
    spec["gate"]["rules"][0]["floor"] = 0.99


@pytest.fixture
def champion(settings: Settings, edit_churn: Edit) -> Settings:
    edit_churn(quick)
    register_source(settings, "simulator:?rows_per_day=60")
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1") == "PROMOTED"
    return settings


def give(obstacle: str, *, champion: str = "1", **changes: str) -> int:
    options = {"champion": champion, "obstacle": obstacle, "because": BECAUSE, "by": "Ada Lovelace"}
    given = options | {"until": "9999-12-31"} | changes
    return main(["override", "churn", *(part for name, text in given.items() for part in (f"--{name}", text))])


def reasons(settings: Settings, run_id: str) -> list[str]:
    row = runs.get(connect(settings.state_url), "churn", "retrain", run_id)
    assert row is not None
    return [reason.partition(":")[0] for reason in row.reasons]


def kept(settings: Settings, run_id: str) -> Record:
    folder = settings.run_folder("churn", f"retrain-{run_id}")
    return Record.model_validate_json((folder / "verdict.json").read_bytes())


def edit_features(settings: Settings, edit: Callable[[str], str]) -> None:
    source = settings.home / "use_cases" / "churn" / "features.py"
    before = source.read_text(encoding="utf-8")
    source.write_text(edit(before), encoding="utf-8")
    assert source.read_text(encoding="utf-8") != before


def break_it(obstacle: str, settings: Settings, edit_churn: Edit, server: MlflowServer) -> None:
    if obstacle == "CHAMPION_DAMAGED":
        (version,) = versions.registered(tracking.connect(settings.mlflow_uri), "churn")
        (server.package(version) / "spec.yaml").unlink()
        shutil.rmtree(settings.home / "models", ignore_errors=True)
        edit_churn(lambda spec: spec["training"].update(seed=7))
    elif obstacle == "CHAMPION_FEATURES_DIFFER":
        edit_features(settings, lambda source: source.replace("return np.divide(", "return 100 * np.divide("))
    else:
        edit_churn({"CHAMPION_SAW_HOLDOUT": more_held_out, "CHAMPION_CANNOT_SCORE": fewer_features}[obstacle])


@pytest.mark.parametrize("obstacle", overrides.OBSTACLES)
def test_nothing_replaces_a_champion_that_cannot_be_judged_until_a_person_says_so(
    champion: Settings, edit_churn: Edit, mlflow_server: MlflowServer, obstacle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    break_it(obstacle, champion, edit_churn, mlflow_server)
    assert retrain("r2") == "NOT_EVALUATED"
    assert reasons(champion, "r2") == [obstacle]
    assert (kept(champion, "r2").cold_start, kept(champion, "r2").champion) == (False, "1")
    assert retrain("r3") == "UNCHANGED"

    assert give(obstacle) == 0
    assert "override 1 by Ada Lovelace, until 9999-12-31" in capsys.readouterr().out
    assert retrain("r4") == "PROMOTED"
    engine, record = connect(champion.state_url), kept(champion, "r4")
    assert record.override is not None
    assert (record.override.by, record.override.because, record.cold_start) == ("Ada Lovelace", BECAUSE, False)
    assert [check for check in record.checks if check.gain] == []
    assert {reason.code for reason in record.reasons} >= {"ALL_CHECKS_PASSED", "CHAMPION_OVERRIDDEN"}
    assert decisions.of_kind(engine, "churn", "gate")[0].evidence["override"] == 1
    promotion = promotions.champion(engine, "churn")
    assert promotion is not None
    assert (promotion.version, promotion.previous_version) == ("2", "1")
    assert any("CHAMPION_OVERRIDDEN: override 1 by Ada Lovelace" in reason for reason in promotion.reasons)
    page = (champion.run_folder("churn", "retrain-r4") / "verdict.html").read_text(encoding="utf-8")
    assert "as Ada Lovelace allowed" in page
    assert use_case_state(champion, "churn")["overrides"][0]["used_by"] == "r4"
    main(["status"])
    assert "by Ada Lovelace, used by r4: the floors are enough" in " ".join(capsys.readouterr().out.split())


def test_a_new_feature_does_not_stop_the_comparison(champion: Settings, edit_churn: Edit) -> None:
    def one_more(spec: dict[str, Any]) -> None:
        spec["features"]["derived"]["add_on_share"] = {"type": "number", "description": "share of the add-ons"}

    edit_churn(one_more)
    body = "def add_on_share(columns):\n    return add_ons(columns) / 6\n"
    edit_features(champion, lambda source: f"{source}\n\n{body}")
    retrain("r2")
    assert not set(reasons(champion, "r2")) & set(overrides.OBSTACLES)
    assert [check for check in kept(champion, "r2").checks if check.gain]


def test_an_override_serves_one_run_and_does_not_outlive_its_day(champion: Settings, edit_churn: Edit) -> None:
    engine, saw = connect(champion.state_url), "CHAMPION_SAW_HOLDOUT"
    edit_churn(more_held_out)
    expired = {"champion": "1", "obstacle": saw, "because": BECAUSE, "by": "Ada", "until": "2026-11-23"}
    overrides.give(engine, "churn", **expired)
    overrides.give(engine, "churn", **(expired | {"champion": "7", "until": "9999-12-31"}))
    overrides.give(engine, "churn", **(expired | {"obstacle": "CHAMPION_DAMAGED", "until": "9999-12-31"}))
    assert retrain("r2") == "NOT_EVALUATED"
    assert reasons(champion, "r2") == [saw, "OVERRIDE_EXPIRED"]
    assert retrain("r3") == "UNCHANGED"
    assert reasons(champion, "r3")[1:] == [saw, "OVERRIDE_EXPIRED", "OVERRIDE_EXPIRED"]

    edit_churn(out_of_reach)
    assert give(saw) == 0
    assert retrain("r4", run_mode="dry_run") == "REFUSED"  # which is told what would be, and uses nothing up
    assert overrides.every(engine, "churn")[-1].used_by is None
    edit_churn(lambda spec: spec["training"].update(seed=8))
    assert retrain("r5") == "REFUSED"
    assert "CHAMPION_OVERRIDDEN" in reasons(champion, "r5")
    assert retrain("r5") == "REFUSED"  # the same run again
    edit_churn(lambda spec: spec["training"].update(seed=9))
    assert retrain("r6") == "NOT_EVALUATED"
    assert reasons(champion, "r6") == [saw, "OVERRIDE_EXPIRED", "OVERRIDE_USED"]
    assert [one.used_by for one in overrides.every(engine, "churn")] == [None, None, None, "r5"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"champion": "9"}, "--champion 9: churn's champion is none", id="another champion"),
        pytest.param({"obstacle": "TOO_FEW_ROWS"}, "nothing else can be overridden", id="another obstacle"),
    ],
)
def test_what_helps_nobody_is_refused(
    settings: Settings, capsys: pytest.CaptureFixture[str], changes: dict[str, str], complaint: str
) -> None:
    assert give(changes.pop("obstacle", "CHAMPION_DAMAGED"), **changes) == 1
    assert complaint in capsys.readouterr().err
    assert overrides.every(connect(settings.state_url), "churn") == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"because": "  so   "}, "--because is 'so'", id="no reason"),
        pytest.param({"because": "turned \u202e round about"}, "that can be read", id="a reason that cannot be read"),
        pytest.param({"by": " "}, "--by is ''", id="nobody"),
        pytest.param({"until": "soon"}, "--until is 'soon'", id="no day"),
        pytest.param({"until": "2020-01-01"}, "--until 2020-01-01 is over", id="a day that is over"),
    ],
)
def test_an_override_needs_a_person_a_reason_and_a_day(
    settings: Settings, capsys: pytest.CaptureFixture[str], changes: dict[str, str], complaint: str
) -> None:
    values = {"previous_version": None, "model_sha256": "m", "fingerprint": "f", "data_version": "d", "as_of": FIRST}
    engine = connect(settings.state_url)
    intent = promotions.intend(
        engine, use_case="churn", run_id="r", version="1", metrics={}, reasons=[], fence=1, **values
    )
    promotions.finish(engine, intent)
    assert give("CHAMPION_DAMAGED", **changes) == 1
    assert complaint in capsys.readouterr().err
    assert overrides.every(engine, "churn") == []
