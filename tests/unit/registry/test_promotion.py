"""Promotion against a real registry: compare-and-set, and every gap between intent, alias and done."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from sqlalchemy import Engine

from include.registry import promotion, versions
from include.registry.promotion import Candidacy, ChampionChanged
from include.settings import Settings
from include.state import lock, promotions
from include.state.database import connect
from include.state.lock import LockLost
from include.training.package import load
from tests.unit.registry.conftest import RUN, Trained


@pytest.fixture
def registered(settings: Settings, client: MlflowClient, trained: Trained) -> list[str]:
    """Three versions that may be promoted."""
    engine = connect(settings.state_url)
    return [versions.register(engine, client, trained.submission(client, f), lambda _: None) for f in "abc"]


def candidacy(version: str, compared_with: str | None) -> Candidacy:
    return Candidacy(version, compared_with, "r1", "2026-11-24", f"m{version}", f"f{version}", "customers@1", {}, [])


def test_the_champion_is_replaced_only_if_it_is_the_one_compared_with(
    settings: Settings, client: MlflowClient, registered: list[str]
):
    engine, (first, second, third) = connect(settings.state_url), registered
    assert promotion.promote(engine, client, "churn", candidacy(first, None)) is None
    assert promotion.promote(engine, client, "churn", candidacy(second, first)) == first
    with pytest.raises(ChampionChanged, match=f"compared with champion {first}, but the champion is now {second}"):
        promotion.promote(engine, client, "churn", candidacy(third, first))
    with pytest.raises(ChampionChanged, match="compared with champion None"):
        promotion.promote(engine, client, "churn", candidacy(third, None))
    assert versions.alias(client, "churn") == second
    assert [p.version for p in promotions.history(engine, "churn")] == [second, first]


def test_the_same_promotion_again_changes_nothing(settings: Settings, client: MlflowClient, registered: list[str]):
    engine = connect(settings.state_url)
    for _ in range(2):
        assert promotion.promote(engine, client, "churn", candidacy(registered[0], None)) is None
    assert [p.version for p in promotions.history(engine, "churn")] == registered[:1]


def test_of_promotions_at_once_one_wins(settings: Settings, client: MlflowClient, registered: list[str]):
    engine, barrier, ends = connect(settings.state_url), threading.Barrier(3), {}

    def promote(version: str) -> None:
        barrier.wait()
        try:
            ends[version] = promotion.promote(engine, client, "churn", candidacy(version, None))
        except ChampionChanged as change:
            ends[version] = change

    threads = [threading.Thread(target=promote, args=[version]) for version in registered]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [version for version, end in ends.items() if end is None]
    assert versions.alias(client, "churn") == winner
    assert [p.version for p in promotions.history(engine, "churn")] == [winner]


@pytest.mark.parametrize(
    ("alias_moved", "state"), [(False, "abandoned"), (True, "done")], ids=["before the alias", "after the alias"]
)
@pytest.mark.parametrize("who", ["the next promoter", "a monitor", "the same run again"])
def test_an_intent_whose_promoter_died_is_reconciled(
    who: str, alias_moved: bool, state: str, settings: Settings, client: MlflowClient, registered: list[str]
):
    engine, (first, second, third) = connect(settings.state_url), registered
    promotion.promote(engine, client, "churn", candidacy(first, None))
    died = vars(candidacy(second, first)) | {"previous_version": first}
    promotions.intend(engine, use_case="churn", fence=2, **{k: v for k, v in died.items() if k != "compared_with"})
    if alias_moved:
        versions.set_alias(client, "churn", versions.CHAMPION, second)

    serving = second if alias_moved else first
    if who == "a monitor":
        assert promotion.sound_champion(engine, client, RUN, settings.home / "models") == serving
    elif who == "the next promoter":
        promotion.promote(engine, client, "churn", candidacy(third, serving))
        serving = third
    else:
        promotion.promote(engine, client, "churn", candidacy(second, first))
        serving = second
    assert promotions.open_intents(engine, "churn") == []
    assert versions.alias(client, "churn") == serving
    assert promotions.champion(engine, "churn").version == serving
    in_order = [p.version for p in promotions.history(engine, "churn")]
    assert len(in_order) == len(set(in_order))
    assert (second in in_order) == (state == "done" or serving == second)


def test_a_promoter_that_has_lost_its_lock_moves_nothing(
    settings: Settings, client: MlflowClient, registered: list[str], monkeypatch: pytest.MonkeyPatch
):
    """As when PostgreSQL ends the session of a promoter that is at work: the next one closes its intent."""
    engine, (first, second, third) = connect(settings.state_url), registered
    promotion.promote(engine, client, "churn", candidacy(first, None))
    intend = promotions.intend

    def overtaken(engine: Engine, **values: object) -> int:
        intent = intend(engine, **values)
        monkeypatch.setattr(promotions, "intend", intend)
        monkeypatch.setattr(lock, "_hold_file", lambda *_: nullcontext())
        promotion.promote(engine, client, "churn", candidacy(third, first))
        return intent

    monkeypatch.setattr(promotions, "intend", overtaken)
    with pytest.raises(LockLost, match="'promote churn' was taken by somebody else"):
        promotion.promote(engine, client, "churn", candidacy(second, first))
    assert versions.alias(client, "churn") == third
    assert [p.version for p in promotions.history(engine, "churn")] == [third, first]


def test_a_number_that_was_given_again_is_not_what_served(settings: Settings, client: MlflowClient, trained: Trained):
    """After the registered model was deleted in MLflow its numbers begin anew, with models that nobody promoted."""
    engine, cache = connect(settings.state_url), settings.home / "models"
    hashed = load(trained.folder).manifest.model_sha256

    def register(fingerprint: str) -> str:
        made = trained.submission(client, fingerprint)
        return versions.register(engine, client, replace(made, tags={**made.tags, "model_sha256": hashed}), load)

    version = register("a")
    promotion.promote(engine, client, "churn", replace(candidacy(version, None), model_sha256="of another model"))
    client.delete_registered_model("churn")
    assert register("b") == version
    assert promotion.sound_champion(engine, client, RUN, cache) is None
    assert versions.alias(client, "churn") is None
