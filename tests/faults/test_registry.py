"""F16-F18, F20, F21, F32, F35, F36: MLflow is away, answers badly, loses answers, files, versions, wherever it may."""

from __future__ import annotations

import math
import random
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from include.cli.status import use_case_state
from include.registry import patience, promotion, tracking, versions
from include.registry.promotion import ChampionChanged
from include.settings import Settings
from include.state import promotions, runs
from include.state.database import connect
from include.training.package import MODEL, PackageRefused
from tests.conftest import MlflowServer
from tests.faults.home import TRIES, DagRun, Home
from tests.faults.invariants import check
from tests.faults.marks import named, thorough
from tests.faults.proxy import Call, Fault, Plan, Proxy, on_call
from tests.faults.registering import Retrain, left_in_mlflow
from tests.unit.registry.conftest import Trained

ONE_OF_EACH = {"runs": 2, "models": 1, "versions": 1}


@pytest.fixture
def proxy(mlflow_server: MlflowServer):
    with Proxy(mlflow_server.port) as started:
        yield started


def uri(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def settings_of(folder: Path, mlflow_server: MlflowServer) -> Settings:
    environ = {"MODELOPS_HOME": str(folder), "MODELOPS_MLFLOW_PORT": str(mlflow_server.port)}
    return Settings.from_environment(environ)


@pytest.fixture
def calls(trained: Trained, proxy: Proxy, mlflow_server: MlflowServer, tmp_path: Path) -> list[Call]:
    """The calls of one retrain without any fault."""
    Retrain("counted", trained.folder).whole(settings_of(tmp_path / "counted", mlflow_server), uri(proxy.port))
    tracking.connect(uri(mlflow_server.port)).delete_registered_model("counted")
    return proxy.calls.copy()


BUSY, BROKEN, LOST, CUT = Fault("refuse", 429), Fault("refuse", 500), Fault("lose"), Fault("cut", at=200)
AWAY = Fault("refuse", 503)


@pytest.mark.parametrize(
    ("fault", "share"),
    [
        (AWAY, 0.05),
        (LOST, 0.05),
        *thorough((BUSY, 0.1), (BROKEN, 0.1), (CUT, 0.2), (AWAY, 1.0), (LOST, 1.0)),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else f"{value:.0%}",
)
def test_f17_f18_f20_a_call_that_fails_makes_nothing_twice(
    fault: Fault, share: float, calls: list[Call], trained, proxy: Proxy, mlflow_server, tmp_path, chance: random.Random
):
    """A retrain for each call, or for a share of them, which alone fails in it: no try is lost, and nothing is left."""
    for number in chance.sample(range(len(calls)), math.ceil(share * len(calls))):
        use_case, settings = f"{tmp_path.name}_{number}", settings_of(tmp_path / str(number), mlflow_server)
        proxy.calls.clear()
        proxy.plan = on_call(number, fault)
        Retrain(use_case, trained.folder).whole(settings, uri(proxy.port))
        check(settings, use_case)
        assert left_in_mlflow(tracking.connect(settings.mlflow_uri), use_case) == ONE_OF_EACH, str(calls[number])


def test_f17_f18_calls_that_fail_at_random_make_nothing_twice(trained, proxy, mlflow_server, tmp_path, chance):
    """More of them than one try may have the patience for: it is made again, as Airflow does."""
    proxy.plan, done = at_random(chance, 0.15)
    settings, retrain = settings_of(tmp_path / "home", mlflow_server), Retrain(tmp_path.name, trained.folder)
    for _ in range(TRIES):
        with suppress(MlflowException):
            retrain.whole(settings, uri(proxy.port))
            break
    assert done
    check(settings, tmp_path.name)
    shown = left_in_mlflow(tracking.connect(settings.mlflow_uri), tmp_path.name)
    assert shown == ONE_OF_EACH, "\n".join(done)


def at_random(chance: random.Random, share: float) -> tuple[Plan, list[str]]:
    """A plan in which this share of the calls fails in some way, and the list that says which did."""
    done: list[str] = []

    def plan(call: Call) -> Fault | None:
        if chance.random() >= share:
            return None
        fault = chance.choice([AWAY, BUSY, LOST, Fault("cut", at=chance.randrange(2000))])
        done.append(f"{call}: {fault}")
        return fault

    return plan, done


def test_f16_mlflow_away_is_a_bounded_failure_and_the_next_run_is_whole(home: Home, monkeypatch):
    assert DagRun(home, "ingest", "i1").finish() == "PUBLISHED"
    away = Home(home.settings, home.use_case, {**home.environ, "MODELOPS_MLFLOW_PORT": "1"}, home.zygote)
    run = DagRun(away, "retrain", "r1")
    run.must(run.open())
    began = time.monotonic()
    ended = run.step("validate_window", patch={"include.registry.patience:PATIENCE_SECONDS": 1.0})
    assert ended.raised == "MlflowException"
    assert "127.0.0.1:1/" in ended.message
    assert time.monotonic() - began < 15
    closed = away.run(
        "include.steps.ledger:close_run",
        home.use_case,
        "retrain",
        "r1",
        ["validate_window"],
        patch={"include.registry.patience:PATIENCE_SECONDS": 1.0},
    )
    assert closed.raised == "MlflowException"  # the teardown is retried until MLflow is told; the ledger knows already
    row = runs.get(connect(home.settings.state_url), home.use_case, "retrain", "r1")
    assert row is not None
    assert (row.outcome, row.ended_at is not None) == ("FAILED", True)
    assert row.reasons[0].startswith("validate_window: MlflowException: API request")
    assert DagRun(home, "retrain", "r2").finish() == "PROMOTED"
    check(home.settings, home.use_case)


@pytest.mark.thorough
def test_f17_f18_a_whole_retrain_through_a_bad_line(home: Home, proxy: Proxy, chance: random.Random):
    assert DagRun(home, "ingest", "i1").finish() == "PUBLISHED"
    proxy.plan, done = at_random(chance, 0.05)
    bad = Home(home.settings, home.use_case, {**home.environ, "MODELOPS_MLFLOW_PORT": str(proxy.port)}, home.zygote)
    assert DagRun(bad, "retrain", "r1").finish() == "PROMOTED", "\n".join(done)
    assert done
    check(home.settings, home.use_case)


@pytest.mark.parametrize("how", ["cut", "shorten"])
def test_f20_an_upload_that_never_arrives_whole_is_never_registered(
    how,
    trained,
    proxy,
    mlflow_server,
    tmp_path,
    chance,
    monkeypatch,
):
    """``shorten`` is the worse one: part of the file arrives, and the server says that all is well."""
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.5)
    size = (trained.folder / MODEL).stat().st_size
    at = chance.randrange(1, size)
    proxy.plan = lambda call: Fault(how, at=at) if call.uploads and call.path.endswith(MODEL) else None
    settings, retrain = settings_of(tmp_path / "home", mlflow_server), Retrain(tmp_path.name, trained.folder)
    with pytest.raises((MlflowException, PackageRefused)):
        retrain.register(settings, uri(proxy.port))
    client = tracking.connect(settings.mlflow_uri)
    assert versions.registered(client, tmp_path.name) == []
    proxy.plan = lambda _: None
    retrain.whole(settings, uri(proxy.port))
    check(settings, tmp_path.name)
    assert left_in_mlflow(client, tmp_path.name) == {"runs": 2, "models": 1, "versions": 1}


GAPS = [
    "versions.uploaded",
    "promotion.moved",
    *thorough(
        "versions.created",
        "versions.ready",
        "versions.registered",
        "versions.aliased",
        "promotion.intended",
        "promotion.done",
    ),
]


@pytest.mark.parametrize("who", ["the next run", *thorough("the retry")])
@pytest.mark.parametrize("gap", GAPS)
def test_f21_a_kill_in_a_gap_is_finished_or_undone(gap: str, who: str, home: Home, trained):
    whole = "tests.faults.registering:whole"
    home.settings.home.mkdir(parents=True, exist_ok=True)
    package = str(trained.folder)
    assert home.run(whole, home.use_case, package, "r1", "a" * 64).raised is None
    killed = home.run(whole, home.use_case, package, "r2", "b" * 64, failpoints=f"{gap}=kill")
    assert killed.killed, killed.log
    check(home.settings, home.use_case, over=False)
    run_id = "r2" if who == "the retry" else "r3"
    if who == "the next run":  # as its first step does
        Retrain(home.use_case, trained.folder, "r2").close(home.settings, home.settings.mlflow_uri)
    again = home.run(whole, home.use_case, package, run_id, "b" * 64)
    assert again.raised is None, again.log
    check(home.settings, home.use_case)
    client, engine = tracking.connect(home.settings.mlflow_uri), connect(home.settings.state_url)
    assert versions.alias(client, home.use_case) == "2"
    assert [p.version for p in promotions.history(engine, home.use_case)] == ["2", "1"]
    assert left_in_mlflow(client, home.use_case)["versions"] == 2


def test_f32_of_two_promotions_at_once_one_wins_and_the_other_was_compared_in_vain(trained, mlflow_server, tmp_path):
    settings, name = settings_of(tmp_path / "home", mlflow_server), tmp_path.name
    both = [Retrain(name, trained.folder, f"r{letter}", letter * 64) for letter in "ab"]
    for retrain in both:
        retrain.register(settings, settings.mlflow_uri)
    with ThreadPoolExecutor(len(both)) as threads:
        errors = [threads.submit(retrain.promote, settings, settings.mlflow_uri) for retrain in both]
        refused = [found for promotion in errors if (found := promotion.exception())]
    assert [type(found) for found in refused] == [ChampionChanged]
    for retrain in both:
        retrain.close(settings, settings.mlflow_uri)
    assert len(promotions.history(connect(settings.state_url), name)) == 1
    check(settings, name)


def delete_version(server: MlflowServer, name: str, version: str) -> None:
    tracking.connect(uri(server.port)).delete_model_version(name, version)


def delete_version_and_leave_its_alias(server: MlflowServer, name: str, version: str) -> None:
    """As servers do that have no mlflow#24825."""
    delete_version(server, name, version)
    with sqlite3.connect(server.artifacts.parent / "mlflow.db", timeout=30) as database:
        (workspace,) = database.execute("SELECT workspace FROM registered_models WHERE name = ?", [name]).fetchone()
        row = {"workspace": workspace, "name": name, "alias": versions.CHAMPION, "version": int(version)}
        database.execute(f"INSERT INTO registered_model_aliases ({', '.join(row)}) VALUES (:{', :'.join(row)})", row)
    database.close()
    assert tracking.connect(uri(server.port)).get_registered_model(name).aliases == {versions.CHAMPION: version}


def delete_alias(server: MlflowServer, name: str, version: str) -> None:
    tracking.connect(uri(server.port)).delete_registered_model_alias(name, versions.CHAMPION)


DELETIONS = {
    "version": (delete_version, "2"),
    "version-not-alias": (delete_version_and_leave_its_alias, "2"),
    "alias": (delete_alias, "3"),
}


@pytest.mark.parametrize(("delete", "back"), named(DELETIONS, quick=["version", "version-not-alias"]))
def test_f35_a_deleted_champion_is_put_back_from_the_ledger(delete, back, trained, mlflow_server, tmp_path):
    """Also where its package is still on this machine: what the registry has not is served by nobody else."""
    settings, client = settings_of(tmp_path / "home", mlflow_server), tracking.connect(uri(mlflow_server.port))
    engine, name, cache = connect(settings.state_url), tmp_path.name, tmp_path / "home" / "models"
    for number, letter in enumerate("abc", start=1):
        Retrain(name, trained.folder, f"r{number}", letter * 64).whole(settings, uri(mlflow_server.port))
        versions.fetch(client, name, str(number), cache)
    delete(mlflow_server, name, "3")
    assert versions.alias(client, name) is None

    dry = replace(Retrain(name, trained.folder, "d1").run, run_mode="dry_run")
    assert promotion.sound_champion(engine, client, dry, cache) is None
    assert len(promotions.history(engine, name)) == 3, "a dry run moves nothing"
    judge = Retrain(name, trained.folder, "m1").run
    assert promotion.sound_champion(engine, client, judge, cache) == back
    assert promotion.sound_champion(engine, client, judge, cache) == back
    serving = promotions.champion(engine, name)
    assert serving is not None
    assert (serving.version, serving.previous_version, serving.run_id) == (back, "3", "m1")
    assert serving.reasons[0].startswith("CHAMPION_GONE: version 3 is champion no more")
    assert use_case_state(settings, name)["champion"]["put_back"] == serving.reasons[0]
    check(settings, name)
    Retrain(name, trained.folder, "r4", "d" * 64).whole(settings, uri(mlflow_server.port))
    assert versions.alias(client, name) == "4"
    check(settings, name)


def test_f35_after_the_only_champion_the_next_challenger_is_judged_as_a_first_one(trained, mlflow_server, tmp_path):
    settings, client = settings_of(tmp_path / "home", mlflow_server), tracking.connect(uri(mlflow_server.port))
    engine, name = connect(settings.state_url), tmp_path.name
    Retrain(name, trained.folder).whole(settings, uri(mlflow_server.port))
    versions.fetch(client, name, "1", settings.home / "models")
    delete_version(mlflow_server, name, "1")
    judge = Retrain(name, trained.folder, "m1").run
    assert promotion.sound_champion(engine, client, judge, settings.home / "models") is None
    # The same training again: its version is gone, so it makes a new one.
    Retrain(name, trained.folder, "r2").whole(settings, uri(mlflow_server.port))
    assert versions.alias(client, name) == "2"
    assert promotions.champion(engine, name).previous_version == "1"
    check(settings, name)


def flip_a_bit(package: Path) -> None:
    content = bytearray((package / MODEL).read_bytes())
    content[len(content) // 2] ^= 1
    (package / MODEL).write_bytes(content)


def remove(package: Path) -> None:
    for path in package.iterdir():
        path.unlink()
    package.rmdir()


@pytest.mark.parametrize("damage", [flip_a_bit, remove, lambda p: (p / MODEL).unlink()], ids=["flip", "rm", "rm-file"])
def test_f36_a_damaged_champion_gives_way_to_the_last_sound_one(damage, trained, mlflow_server, tmp_path):
    settings, client = settings_of(tmp_path / "home", mlflow_server), tracking.connect(uri(mlflow_server.port))
    engine, name = connect(settings.state_url), tmp_path.name
    for number, letter in enumerate("abc", start=1):
        Retrain(name, trained.folder, f"r{number}", letter * 64).whole(settings, uri(mlflow_server.port))
    for version in ("2", "3"):
        damage(mlflow_server.package(client.get_model_version(name, version)))
    judge = Retrain(name, trained.folder, "m1").run
    cache = tmp_path / "another machine"
    with pytest.raises(PackageRefused):
        versions.fetch(client, name, "3", cache)
    assert promotion.sound_champion(engine, client, judge, cache) == "1"
    assert promotion.sound_champion(engine, client, judge, cache) == "1"
    serving = promotions.champion(engine, name)
    assert serving is not None
    assert (serving.version, serving.previous_version, serving.run_id) == ("1", "3", "m1")
    assert serving.reasons[0].startswith("CHAMPION_DAMAGED: version 3 gives way:")
    check(settings, name)
    # The training of the damaged one, done again, makes it whole; no second version comes of it.
    Retrain(name, trained.folder, "r4", "c" * 64).whole(settings, uri(mlflow_server.port))
    assert versions.alias(client, name) == "3"
    check(settings, name)


def test_f36_without_a_sound_one_the_damaged_champion_stays_and_is_refused(trained, mlflow_server, tmp_path):
    settings, client = settings_of(tmp_path / "home", mlflow_server), tracking.connect(uri(mlflow_server.port))
    name = tmp_path.name
    Retrain(name, trained.folder).whole(settings, uri(mlflow_server.port))
    flip_a_bit(mlflow_server.package(client.get_model_version(name, "1")))
    run = Retrain(name, trained.folder, "m1").run
    assert promotion.sound_champion(connect(settings.state_url), client, run, tmp_path / "other") == "1"
    with pytest.raises(PackageRefused, match="its content does not match"):
        versions.fetch(client, name, "1", tmp_path / "other")
    assert len(promotions.history(connect(settings.state_url), name)) == 1


def test_f36_a_dry_run_moves_nothing(trained, mlflow_server, tmp_path):
    settings, client = settings_of(tmp_path / "home", mlflow_server), tracking.connect(uri(mlflow_server.port))
    name, engine = tmp_path.name, connect(settings.state_url)
    for number, letter in enumerate("ab", start=1):
        Retrain(name, trained.folder, f"r{number}", letter * 64).whole(settings, uri(mlflow_server.port))
    flip_a_bit(mlflow_server.package(client.get_model_version(name, "2")))
    dry = replace(Retrain(name, trained.folder, "d1").run, run_mode="dry_run")
    assert promotion.sound_champion(engine, client, dry, tmp_path / "other") == "2"
    assert promotions.champion(engine, name).version == "2"
