"""F16, F19, F22, F23, F36 and kills, as they concern the scoring API: it goes on, says what is wrong, loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.registry import tracking, versions
from include.serving.segments import read_segment, segments
from include.training.package import MODEL, PackageRefused
from tests.faults.proxy import Call, Fault, Proxy
from tests.serving.test_follower import other_model
from tests.serving_api import Api, Served, api_process, home_with, telco_rows, until


@pytest.fixture(scope="module")
def rows(telco_csv: Path) -> list[dict[str, Any]]:
    return telco_rows(telco_csv, 20)


@pytest.fixture
def proxy(telco_champion: Served) -> Iterator[Proxy]:
    with Proxy(telco_champion.mlflow.port) as started:
        yield started


def troubles(api: Api) -> set[str]:
    """The codes that ``/ready`` tells."""
    answer = api.http.get("/ready").json()
    return (
        {one["code"] for one in answer["troubles"]} if "troubles" in answer else set(answer["detail"].split(": ")[:1])
    )


def test_f16_f19_f22_without_mlflow_the_api_starts_and_serves_from_its_cache(
    telco_champion: Served, tmp_path: Path, proxy: Proxy, rows
) -> None:
    """MLflow away at the start, hanging, and its artifacts forbidden: one API after the other on the same home."""
    home = home_with(telco_champion, tmp_path, mlflow_port=proxy.port)
    with api_process(home) as running:
        (before,) = running.predict(rows[0])
    proxy.plan = lambda call: Fault("refuse", 503)
    with api_process(home) as running:
        assert running.predict(rows[0])[0]["score"] == before["score"]
        assert troubles(running) == {"MLFLOW_AWAY"}
        proxy.plan = lambda call: Fault("hang", seconds=120)
        slowest = max(_seconds(running, rows[0]) for _ in range(100))
        assert slowest < 2
        assert running.metric("modelops_trouble", code="MLFLOW_AWAY") == 1
        second = home.promote(other_model(telco_champion, tmp_path / "package"), "second")
        proxy.plan = _forbid_artifacts
        # The call that hangs is given up first.
        until(lambda: troubles(running) == {"VERSION_UNAVAILABLE"}, 60)
        ready = running.http.get("/ready").json()
        assert (ready["model_version"], ready["is_current"]) == ("1", False)
        assert running.predict(rows[0])[0]["score"] == before["score"]
        proxy.plan = lambda call: None
        running.wait(second, 20)
        assert troubles(running) == set()


def _forbid_artifacts(call: Call) -> Fault | None:
    return Fault("refuse", 403) if "/mlflow-artifacts/" in call.path else None


def _seconds(api: Api, row: dict[str, Any]) -> float:
    began = time.monotonic()
    api.predict(row)
    return time.monotonic() - began


def test_f36_a_damaged_champion_is_refused_and_the_last_good_one_serves(
    telco_champion: Served, tmp_path: Path, rows
) -> None:
    home = home_with(telco_champion, tmp_path)
    client = tracking.connect(home.settings.mlflow_uri)
    with api_process(home) as running:
        (before,) = running.predict(rows[0])
        package = other_model(telco_champion, tmp_path / "package")
        # Damaged in the store from its registration on, as by a disk: the alias points to it all the same.
        second = home.register(package, "second")
        stored = home.mlflow.package(client.get_model_version(home.use_case, second)) / MODEL
        flip(stored)
        home.set_alias(versions.CHAMPION, second)
        until(lambda: troubles(running) == {"VERSION_REFUSED"})
        assert running.predict(rows[0])[0]["score"] == before["score"]
        assert running.metric("modelops_model_is_current") == 0
        flip(stored)
        home.set_alias(versions.CHAMPION, "1")
        until(lambda: troubles(running) == set())


def test_f36_without_a_good_champion_a_start_falls_back_to_the_one_before_it(
    telco_champion: Served, tmp_path: Path, rows
) -> None:
    home = home_with(telco_champion, tmp_path)
    second = home.promote(other_model(telco_champion, tmp_path / "package"), "second")
    with api_process(home) as running:
        running.wait(second)
        (damaged,) = running.predict(rows[0])
    client = tracking.connect(home.settings.mlflow_uri)
    flip(home.mlflow.package(client.get_model_version(home.use_case, second)) / MODEL)
    flip(home.settings.home / "models" / home.use_case / second / MODEL)
    with pytest.raises(PackageRefused):
        versions.fetch(client, home.use_case, second, tmp_path / "elsewhere")
    with api_process(home) as running:
        (found,) = running.predict(rows[0])
        assert found["model_version"] == "1"
        assert found["score"] != damaged["score"]
        ready = running.http.get("/ready").json()
        assert ready["is_current"] is False
        assert troubles(running) == {"VERSION_REFUSED"}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_kill_under_load_loses_no_answer_that_a_caller_got(telco_champion: Served, tmp_path: Path, rows) -> None:
    home = home_with(telco_champion, tmp_path)
    given: list[str] = []
    with api_process(home) as running:
        callers = [threading.Thread(target=_call_until_it_ends, args=(running, rows, given)) for _ in range(8)]
        for caller in callers:
            caller.start()
        until(lambda: len(given) > 500, 30)
        running.process.send_signal(signal.SIGKILL)
        for caller in callers:
            caller.join()
    kept = {one.prediction_id for one in running.captured()}
    assert set(given) <= kept
    assert len(kept) - len(given) <= 8 * 3  # those whose answers the kill met on their way


def test_an_end_that_is_asked_for_answers_what_is_under_way_and_closes_the_segments(
    telco_champion: Served, tmp_path: Path, rows
) -> None:
    home = home_with(telco_champion, tmp_path)
    given: list[str] = []
    with api_process(home) as running:
        callers = [threading.Thread(target=_call_until_it_ends, args=(running, rows, given)) for _ in range(4)]
        for caller in callers:
            caller.start()
        until(lambda: len(given) > 100, 30)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(9) == -signal.SIGTERM
        for caller in callers:
            caller.join()
    assert {one.prediction_id for one in running.captured()} == set(given)
    for path in segments(home.settings.home / "capture" / home.use_case):
        content = read_segment(path)
        assert (content.left, content.damaged) == (0, 0)
    log = next(home.settings.home.glob("api-*.log")).read_text()
    assert "Finished server process" in log
    assert "Traceback" not in log


def _call_until_it_ends(api: Api, rows: list[dict[str, Any]], given: list[str]) -> None:
    """Ask for three rows at a time until there is no answer; ``given`` are the ids of all answers."""
    while True:
        try:
            answer = api.http.post("/v1/predict", json={"rows": rows[:3]})
        except httpx.TransportError:
            return
        assert answer.status_code == 200, answer.text
        given += [one["prediction_id"] for one in answer.json()["predictions"]]


def test_f23_an_answer_that_cannot_be_kept_is_not_given(telco_champion: Served, tmp_path: Path, rows) -> None:
    home = home_with(telco_champion, tmp_path, lambda content: content.update(capture={"maximum_bytes": 20_000}))
    with api_process(home) as running:
        given = []
        while (answer := running.http.post("/v1/predict", json={"rows": rows[:1]})).status_code == 200:
            given.append(answer.json()["predictions"][0]["prediction_id"])
        assert (answer.status_code, answer.json()["code"]) == (503, "NOT_KEPT")
        assert "run the monitor" in answer.json()["detail"]
        assert answer.headers["Retry-After"]
        assert running.metric("modelops_refused_rows_total") == 1
        assert [one.prediction_id for one in running.captured()] == given
        # A collection makes room, and the same process answers again.
        folder = home.settings.home / "capture" / home.use_case
        for path in segments(folder):
            os.truncate(path, 0)
        until(lambda: running.http.post("/v1/predict", json={"rows": rows[:1]}).status_code == 200)


def test_f24_a_disk_that_refuses_is_a_problem_that_says_so(telco_champion: Served, tmp_path: Path, rows) -> None:
    home = home_with(telco_champion, tmp_path, lambda content: content.update(capture={"segment_bytes": 1}))
    with api_process(home) as running:
        assert running.predict(rows[0])
        folder = home.settings.home / "capture" / home.use_case
        folder.rename(folder.with_name("gone"))
        answer = running.http.post("/v1/predict", json={"rows": rows[:1]})
        assert (answer.status_code, answer.json()["code"]) == (503, "NOT_KEPT")
        assert "No such file or directory" in answer.json()["detail"]
        folder.with_name("gone").rename(folder)
        assert running.predict(rows[0])
