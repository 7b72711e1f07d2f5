"""A challenger in the shadow of the champion, or as a canary."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.registry import versions
from include.serving import shadow
from include.serving.shadow import Answered, Shadow
from include.stack.scoring_api import published_route
from tests.serving.test_follower import other_model
from tests.serving_api import Change, Served, api, home_with, publish, until


def with_challenger(champion: Served, folder: Path, *changes: Change, **serving: object) -> Served:
    home = home_with(champion, folder, lambda content: content.update(serving=serving), *changes)
    home.set_alias(versions.CHALLENGER, home.register(other_model(champion, folder / "package"), "second"))
    return home


def test_the_shadow_scores_every_row_after_its_answer_and_is_kept_beside_it(
    telco_champion: Served, tmp_path: Path, rows
) -> None:
    home = with_challenger(telco_champion, tmp_path, challenger="shadow")
    with api(home) as running:
        until(lambda: running.metric("modelops_model_info", role="challenger", version="2") == 1)
        answers = running.predict(*rows)
        assert {one["model_version"] for one in answers} == {"1"}
        until(lambda: running.metric("modelops_rows_total", role="shadow") == len(rows))
    kept = {(one.prediction_id, one.role): one for one in running.captured()}
    assert len(kept) == 2 * len(rows)
    for answer in answers:
        champion, shadowed = (kept[answer["prediction_id"], role] for role in ("champion", "shadow"))
        assert (champion.version, shadowed.version) == ("1", "2")
        assert champion.inputs == shadowed.inputs
        assert champion.score != shadowed.score
        assert (champion.at, champion.observed_at) == (shadowed.at, shadowed.observed_at)


def test_a_row_that_is_looked_up_was_observed_at_one_time_for_both(
    telco_champion: Served, tmp_path: Path, rows
) -> None:
    home = with_challenger(telco_champion, tmp_path, challenger="shadow")
    publish(home, telco_champion)
    route = published_route(rows[0]["customerID"])
    with api(home) as running:
        until(lambda: running.metric("modelops_model_info", role="challenger", version="2") == 1)
        until(lambda: running.http.post(route).status_code == 200)
        observed = datetime.fromisoformat(running.http.post(route).json()["observed_at"])
    kept = running.captured()
    assert {one.role for one in kept} == {"champion", "shadow"}
    assert {one.observed_at for one in kept} == {observed}


def test_what_waits_for_the_shadow_is_scored_before_the_end(telco_champion: Served, tmp_path: Path, rows) -> None:
    home = with_challenger(telco_champion, tmp_path, challenger="shadow")
    with api(home) as running:
        until(lambda: running.metric("modelops_model_info", role="challenger", version="2") == 1)
        running.predict(*rows)
    assert sum(one.role == "shadow" for one in running.captured()) == len(rows)


def test_a_canary_answers_for_its_share_always_the_same_customers(telco_champion: Served, tmp_path: Path, rows) -> None:
    home = with_challenger(telco_champion, tmp_path, challenger="canary", share=0.3)
    many = [{**rows[0], "customerID": f"{number:05}"} for number in range(1000)]
    with api(home) as running:
        until(lambda: running.metric("modelops_model_info", role="challenger", version="2") == 1)
        first, again = running.predict(*many), running.predict(*reversed(many))[::-1]
        assert [one["model_version"] for one in first] == [one["model_version"] for one in again]
        share = sum(one["model_version"] == "2" for one in first) / len(first)
        assert 0.25 < share < 0.35
        assert len({(one["model_version"], one["score"]) for one in first}) == 2
        alone = [running.predict(row)[0]["model_version"] for row in many[:20]]
        assert alone == [one["model_version"] for one in first[:20]]
    kept = {one.prediction_id: one for one in running.captured()}
    for one in first:
        role = {"1": "champion", "2": "challenger"}[one["model_version"]]
        assert (kept[one["prediction_id"]].role, kept[one["prediction_id"]].version) == (role, one["model_version"])


def test_the_sampling_of_the_capture_keeps_the_same_share_of_both_versions_answers(
    telco_champion: Served, tmp_path: Path, rows
) -> None:
    def half(content: dict[str, Any]) -> None:
        content["capture"] = {"sampling": 0.5}

    home = with_challenger(telco_champion, tmp_path, half, challenger="canary", share=0.5)
    nameless = {name: value for name, value in rows[0].items() if name != "customerID"}
    with api(home) as running:
        until(lambda: running.metric("modelops_model_info", role="challenger", version="2") == 1)
        answers = Counter(one["model_version"] for one in running.predict(*[nameless] * 1000))
        counted = [running.metric(f"modelops_{name}_rows_total") for name in ("kept", "not_captured")]
    kept = Counter(one.version for one in running.captured())
    for version in ("1", "2"):
        assert 0.4 < kept[version] / answers[version] < 0.6
    assert counted == [kept.total(), 1000 - kept.total()]


def test_a_challenger_is_left_alone_unless_the_spec_asks_for_it(telco_champion: Served, tmp_path: Path, rows) -> None:
    home = with_challenger(telco_champion, tmp_path, challenger="off")
    with api(home) as running:
        running.predict(*rows)
        home.change(lambda content: content["serving"].update(challenger="canary", share=1.0))
        until(lambda: running.predict(rows[0])[0]["model_version"] == "2")
        home.change(lambda content: content["serving"].update(challenger="off"))
        until(lambda: running.predict(rows[0])[0]["model_version"] == "1")


def answered(count: int) -> list[Answered]:
    return [Answered(str(number), {}, False, datetime.now(UTC)) for number in range(count)]


def test_the_shadow_s_queue_is_bounded_and_what_is_dropped_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MOST_WAITING", 100)
    scored: list[int] = []

    async def score(batch: Sequence[Answered]) -> None:
        scored.append(len(batch))

    async def offer() -> Shadow:
        queue = Shadow(score)
        for _ in range(3):
            queue.offer(answered(60))
        await queue.close(5)
        return queue

    assert asyncio.run(offer()).dropped == 80
    assert sum(scored) == 100
    assert max(scored) <= shadow.MOST_ROWS


def test_a_challenger_that_fails_costs_its_own_scores_alone(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    async def score(batch: Sequence[Answered]) -> None:
        calls.append(len(batch))
        if len(calls) == 1:
            raise ValueError("broken")

    async def offer() -> Shadow:
        queue = Shadow(score)
        queue.offer(answered(80))
        await queue.close(5)
        return queue

    assert asyncio.run(offer()).dropped == 50
    assert calls == [50, 30]
    assert "the challenger has no score for 50 row(s): ValueError: broken" in caplog.text
