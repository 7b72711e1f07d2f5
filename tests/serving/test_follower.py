"""What answers is what the registry says: aliases, edits of the use case, versions that cannot be served."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.evaluation.parts import acted_on
from include.evaluation.thresholds import Thresholds
from include.features.build import feature_version
from include.registry import tracking, versions
from include.serving.follower import POLL_SECONDS
from include.spec import load
from include.training import package
from include.training.package import Provenance
from tests.serving_api import FOLLOW_SECONDS, Served, api, home_with, until


def repackaged(champion: Served, folder: Path, **changes: Any) -> Path:
    """The champion's model in another package, without explanation and verdict, its provenance changed."""
    model = package.load(champion.package)
    about = Provenance(**{**model.provenance.model_dump(), **changes})
    package.save(folder, model.pipeline, about)
    return folder


def other_model(champion: Served, folder: Path) -> Path:
    """Another model of the same features, in its package: what the champion learned, halved."""
    model = package.load(champion.package)
    for (tree,) in model.pipeline["estimator"]._predictors:
        tree.nodes["value"] /= 2
    package.save(folder, model.pipeline, model.provenance)
    return folder


def test_the_alias_is_followed_within_ten_seconds_and_no_request_is_dropped(
    telco_champion: Served, tmp_path: Path, rows
) -> None:
    home = home_with(telco_champion, tmp_path)
    answers: list[tuple[int, str]] = []
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            answer = running.http.post("/v1/predict", json={"rows": rows[:1]})
            version = answer.json()["predictions"][0]["model_version"] if answer.status_code == 200 else answer.text
            answers.append((answer.status_code, version))

    with api(home, poll_seconds=POLL_SECONDS) as running:
        callers = [threading.Thread(target=call) for _ in range(2)]
        for caller in callers:
            caller.start()
        before = running.predict(rows[0])[0]["score"]
        second = home.promote(other_model(telco_champion, tmp_path / "package"), "second")
        running.wait(second, FOLLOW_SECONDS)
        assert running.predict(rows[0])[0]["score"] != before
        home.set_alias(versions.CHAMPION, "1")
        running.wait("1", FOLLOW_SECONDS)
        assert running.predict(rows[0])[0]["score"] == before
        over.set()
        for caller in callers:
            caller.join()
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {"1", second}
    # Each caller saw one version, then the other, then the first again.
    assert len(running.captured()) == len(answers) + 3


def test_a_version_of_other_features_does_not_answer_until_the_features_are_its_own(
    telco_champion: Served, tmp_path: Path, rows
) -> None:
    home = home_with(telco_champion, tmp_path)
    features = home.spec_path.with_name("features.py")
    spec = load(home.spec_path)
    before = features.read_text()
    features.write_text(before + "\n# another source\n")
    newer = feature_version(spec)
    features.write_text(before)
    with api(home) as running:
        running.wait("1")
        second = home.promote(repackaged(telco_champion, tmp_path / "package", feature_version=newer), "second")
        until(lambda: "FEATURES_DIFFER" in [one["code"] for one in running.http.get("/ready").json()["troubles"]])
        ready = running.http.get("/ready").json()
        assert (ready["model_version"], ready["is_current"]) == ("1", False)
        assert running.metric("modelops_model_is_current") == 0
        assert running.metric("modelops_trouble", code="FEATURES_DIFFER") == 1
        assert running.predict(rows[0])[0]["model_version"] == "1"
        features.write_text(before + "\n# another source\n")
        running.wait(second)
        assert running.http.get("/ready").json()["troubles"] == []
        assert running.metric("modelops_trouble", code="FEATURES_DIFFER") == 0


def test_an_edit_of_the_spec_is_followed(telco_champion: Served, tmp_path: Path, rows) -> None:
    home = home_with(telco_champion, tmp_path)
    with api(home) as running:
        (before,) = running.predict(rows[0])
        assert before["decision"] is True
        home.change(lambda content: content["decision"].update(false_positive=-10_000))
        until(lambda: running.predict(rows[0])[0]["decision"] is False)
        home.spec_path.write_text(home.spec_path.read_text() + "unknown: 1\n")
        until(lambda: running.http.get("/ready").json()["troubles"] != [])
        (trouble,) = running.http.get("/ready").json()["troubles"]
        assert trouble["code"] == "VERSION_REFUSED"
        assert str(tmp_path) not in trouble["detail"]
        assert running.predict(rows[0])[0]["decision"] is False


def test_thresholds_by_group_decide_where_the_model_has_them(telco_champion: Served, tmp_path: Path, rows) -> None:
    groups = {"SeniorCitizen: 0": 1.0, "SeniorCitizen: 1": 0.0}
    own = Thresholds(constraint="equal_opportunity", by=("SeniorCitizen",), groups=groups, otherwise=0.0, rows=9)
    home = home_with(telco_champion, tmp_path)
    home.promote(repackaged(telco_champion, tmp_path / "package", thresholds=own.model_dump()), "second")
    with api(home) as running:
        running.wait("2")
        asked = [{**rows[0], "SeniorCitizen": value} for value in ("0", "1", "2")]
        assert [one["decision"] for one in running.predict(*asked)] == [False, True, True]
        assert running.http.get("/v1/model").json()["thresholds"] == groups
        answer = running.http.post("/v1/explain", json={"row": rows[0]})
        assert (answer.status_code, answer.json()["code"]) == (503, "NO_EXPLANATION")


def sensitive_tenure(content: dict[str, Any]) -> None:
    content["columns"]["tenure"]["sensitive"] = True
    content["gate"]["slices"]["bins"] = {"tenure": [12]}


def ordinary(content: dict[str, Any]) -> None:
    """Neither tenure nor gender makes groups; the other threshold shows when the edit is followed."""
    for name in ("tenure", "gender"):
        content["columns"][name].pop("sensitive")
    content["gate"]["slices"].pop("bins")
    content["gate"].pop("fairness")
    content["decision"]["false_positive"] -= 10


@pytest.mark.parametrize(
    ("column", "never", "always"), [("tenure", "below 12", "12 or more"), ("gender", "Female", "Male")]
)
def test_thresholds_of_groups_that_the_spec_has_no_more_decide_nothing(
    column: str, never: str, always: str, telco_champion: Served, tmp_path: Path, rows
) -> None:
    groups = {f"{column}: {never}": 1.0, f"{column}: {always}": 0.0}
    own = Thresholds(constraint="equal_opportunity", by=(column,), groups=groups, otherwise=0.0, rows=9)
    home = home_with(telco_champion, tmp_path, sensitive_tenure)
    home.promote(repackaged(telco_champion, tmp_path / "package", thresholds=own.model_dump()), "second")

    def batch(answers: list[dict[str, Any]]) -> list[bool]:
        scores = np.array([one["score"] for one in answers])
        return acted_on(pd.DataFrame(rows), scores, own, load(home.spec_path)).tolist()

    with api(home) as running:
        running.wait("2")
        answers = running.predict(*rows)
        assert [one["decision"] for one in answers] == batch(answers)
        home.change(ordinary)
        threshold = load(home.spec_path).decision.threshold
        until(lambda: running.http.get("/v1/model").json()["threshold"] == threshold)
        answers = running.predict(*rows)
        assert [one["decision"] for one in answers] == batch(answers) == [one["score"] >= threshold for one in answers]
        assert running.http.get("/v1/model").json()["thresholds"] is None


def test_a_home_without_a_model_says_so_until_there_is_one(telco_champion: Served, tmp_path: Path, rows) -> None:
    home = home_with(telco_champion, tmp_path)
    client = tracking.connect(home.settings.mlflow_uri)
    versions.drop_alias(client, home.use_case, versions.CHAMPION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("include.state.promotions.history", lambda *_: [])  # nothing was ever promoted
        with api(home, path="/health") as running:
            for path in ("/ready", "/ping"):
                answer = running.http.get(path)
                assert (answer.status_code, answer.json()["code"]) == (503, "NO_MODEL")
            until(lambda: "NO_CHAMPION" in running.http.get("/ready").json()["detail"])
            answer = running.http.post("/v1/predict", json={"rows": rows[:1]})
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            home.set_alias(versions.CHAMPION, "1")
            running.wait("1")


def test_f35_the_deleted_champion_serves_on(telco_champion: Served, tmp_path: Path, rows) -> None:
    home = home_with(telco_champion, tmp_path)
    with api(home) as running:
        running.wait("1")
        tracking.connect(home.settings.mlflow_uri).delete_model_version(home.use_case, "1")
        until(lambda: running.http.get("/ready").json()["troubles"] != [])
        ready = running.http.get("/ready").json()
        assert (ready["model_version"], ready["is_current"]) == ("1", False)
        assert {one["code"] for one in ready["troubles"]} <= {"NO_CHAMPION", "VERSION_REFUSED"}
        time.sleep(4)
        assert running.predict(rows[0])[0]["model_version"] == "1"
    with api(home) as again:
        assert again.predict(rows[0])[0]["model_version"] == "1"


def test_f39_a_copy_of_another_model_of_the_same_number_is_not_served(
    telco_champion: Served, tmp_path: Path, rows
) -> None:
    """As after the registry was restored: the number is known here, and stands for another model now."""
    home = home_with(telco_champion, tmp_path)
    stale = home.settings.home / "models" / home.use_case / "1"
    other_model(telco_champion, stale)
    with api(home) as running:
        running.wait("1")
        expected = package.load(telco_champion.package).manifest.model_sha256
        assert running.http.get("/v1/model").json()["model_sha256"] == expected
