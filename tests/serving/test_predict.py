"""Callers get scores, decisions and reasons; what they got is kept, and their labels come back to it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from include.cli.status import use_case_state
from include.features.build import build
from include.serving.app import make_app
from include.serving.segments import read_segment, segments
from include.settings import PROJECT, Settings, SettingsError
from include.spec import load
from include.stack.scoring_api import ScoringApi
from include.training import package
from tests.conftest import copy_of_churn
from tests.serving_api import Api, Served, api, telco_rows, until


def test_a_row_gets_score_decision_and_version_and_is_kept_as_it_was_scored(
    churn_api: Api, telco_champion: Served, rows
) -> None:
    (found,) = churn_api.predict(rows[0])
    spec = load(telco_champion.spec_path)
    expected = package.load(telco_champion.package).score(build(pd.DataFrame(rows[:1]), spec))[0]
    assert found["score"] == pytest.approx(expected, abs=1e-12)
    assert found["decision"] is (found["score"] >= spec.decision.threshold)
    assert (found["model_version"], found["unknown"], found["reasons"]) == ("1", [], None)
    kept = churn_api.captured()[-1]
    assert (kept.prediction_id, kept.version, kept.role) == (found["prediction_id"], "1", "champion")
    assert (kept.score, kept.decision, kept.entity) == (found["score"], found["decision"], rows[0]["customerID"])
    assert kept.inputs == rows[0]
    assert 0 < kept.latency_ms < 1000
    assert abs((datetime.now(UTC) - kept.at).total_seconds()) < 30


def test_online_scores_of_every_telco_row_are_those_of_the_batch(
    churn_api: Api, telco_champion: Served, telco_csv
) -> None:
    """One definition of each feature: by JSON and columns as by the frame, alone as among others, within 1e-6."""
    every, spec = telco_rows(telco_csv), load(telco_champion.spec_path)
    frame = pd.DataFrame(every).assign(TotalCharges=[row["TotalCharges"] for row in every])
    batch = package.load(telco_champion.package).score(build(frame, spec))
    online = [
        one["score"] for start in range(0, len(every), 1000) for one in churn_api.predict(*every[start : start + 1000])
    ]
    np.testing.assert_allclose(online, batch, rtol=0, atol=1e-6)
    alone = [churn_api.predict(every[place])[0]["score"] for place in range(0, len(every), 70)]
    np.testing.assert_allclose(alone, batch[::70], rtol=0, atol=1e-6)


def test_many_rows_are_answered_in_their_order_each_with_an_id_of_its_own(churn_api: Api, rows) -> None:
    together, alone = churn_api.predict(*rows), [churn_api.predict(row)[0] for row in rows]
    assert [one["score"] for one in together] == pytest.approx([one["score"] for one in alone], abs=1e-12)
    ids = {one["prediction_id"] for one in [*together, *alone]}
    assert len(ids) == 2 * len(rows)
    assert ids <= {kept.prediction_id for kept in churn_api.captured()}


def test_a_request_that_comes_twice_is_two_predictions(churn_api: Api, rows) -> None:
    """The id is the API's own, so a repeat has another one, and no id stands for two answers."""
    first, second = churn_api.predict(rows[0])[0], churn_api.predict(rows[0])[0]
    assert first["prediction_id"] != second["prediction_id"]
    answer = churn_api.http.post("/v1/predict", json={"rows": rows[:1], "prediction_ids": ["mine"]})
    assert answer.json()["errors"][0]["code"] == "UNKNOWN_FIELD"


def test_reasons_add_up_and_are_the_same_wherever_they_are_asked_for(churn_api: Api, rows) -> None:
    (with_reasons,) = churn_api.predict(rows[0], reasons=True)
    explained = churn_api.http.post("/v1/explain", json={"row": rows[0]}).json()
    assert explained["reasons"] == with_reasons["reasons"]
    assert explained["score"] == with_reasons["score"]
    reasons = with_reasons["reasons"]
    assert 1 / (1 + np.exp(-reasons["output"])) == pytest.approx(with_reasons["score"], abs=1e-9)
    assert len(reasons["raising"]) <= 4
    strongest = reasons["raising"][0]
    assert strongest["effect"] > 0
    assert strongest["text"].startswith(f"{strongest['input']} is {strongest['value']}")


def test_an_explanation_is_no_prediction(churn_api: Api, rows) -> None:
    before = len(churn_api.captured())
    assert churn_api.http.post("/v1/explain", json={"row": rows[0]}).status_code == 200
    assert len(churn_api.captured()) == before


def test_more_rows_with_reasons_than_can_be_explained_in_time_are_refused(churn_api: Api, rows) -> None:
    answer = churn_api.http.post("/v1/predict", json={"rows": rows[:11], "reasons": True})
    assert (answer.status_code, answer.json()["code"]) == (413, "TOO_MANY_ROWS")
    assert "at most 10 with reasons" in answer.json()["detail"]


def test_the_newest_published_row_of_a_customer_is_looked_up(churn_api: Api, telco_csv) -> None:
    row = next(row for row in telco_rows(telco_csv, 50) if row["customerID"] == "7590-VHVEG")
    until(lambda: churn_api.http.post("/v1/customers/7590-VHVEG/predict", json={}).status_code == 200, 30)
    assert churn_api.http.post("/v1/customers/7590-VHVEG/predict").status_code == 200
    answer = churn_api.http.post("/v1/customers/7590-VHVEG/predict", json={"reasons": True}).json()
    assert answer["prediction"]["score"] == pytest.approx(churn_api.predict(row)[0]["score"], abs=1e-12)
    assert answer["prediction"]["reasons"]["raising"]
    kept = next(one for one in churn_api.captured() if one.prediction_id == answer["prediction"]["prediction_id"])
    assert kept.entity == "7590-VHVEG"
    assert kept.observed_at == datetime.fromisoformat(answer["observed_at"])


def test_the_model_says_what_it_is(churn_api: Api, telco_champion: Served) -> None:
    found, manifest = churn_api.http.get("/v1/model").json(), package.load(telco_champion.package).manifest
    assert found["version"] == "1"
    assert (found["model_sha256"], found["fingerprint"]) == (manifest.model_sha256, manifest.fingerprint)
    assert (found["trained_until"], found["scoring"], found["is_current"]) == (manifest.trained_until, "compiled", True)
    verdict = json.loads((telco_champion.package / "verdict.json").read_text())
    assert found["metrics"] == verdict["metrics"]["challenger"]
    assert found["metrics"]["roc_auc"] > 0.8


def test_use_cases_live_side_by_side_each_with_a_document_of_its_own(telco_champion: Served, rows) -> None:
    folders = (*telco_champion.settings.use_case_folders, PROJECT / "tests" / "use_cases")
    both = replace(telco_champion, settings=replace(telco_champion.settings, use_case_folders=folders))
    with api(both) as running:
        assert running.http.post("/churn/v1/predict", json={"rows": rows[:1]}).status_code == 200
        answer = running.http.get("/diagnosis/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "NO_MODEL")
        document = running.http.get("/diagnosis/openapi.json").json()
        assert document["servers"] == [{"url": "/diagnosis"}]
        assert document["components"]["schemas"]["Row"]["properties"]["worst area"]["type"] == "number"
        families = list(text_string_to_metric_families(running.http.get("/metrics").text))
        assert len(families) == len({family.name for family in families})
        for name in ("modelops_model_is_current", "modelops_kept_rows"):
            (family,) = (family for family in families if family.name == name)
            assert [sample.labels["use_case"] for sample in family.samples] == ["churn", "diagnosis"]


@pytest.mark.parametrize("name", ["v1", "ready"])
def test_a_use_case_must_not_hide_a_route(name: str, tmp_path: Path) -> None:
    copy_of_churn(tmp_path, lambda content: content.update(name=name))
    (tmp_path / "churn").rename(tmp_path / name)
    environ = {"MODELOPS_HOME": str(tmp_path / "home"), "MODELOPS_USE_CASES": str(tmp_path)}
    with pytest.raises(SettingsError, match=f"{name} is the name of a route"):
        make_app(Settings.from_environment(environ))


def test_a_spec_that_cannot_be_used_is_told_and_keeps_no_other_from_its_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy_of_churn(tmp_path / "use_cases")
    broken = tmp_path / "use_cases" / "other" / "spec.yaml"
    broken.parent.mkdir()
    broken.write_text("name: [")
    environ = {"MODELOPS_HOME": str(tmp_path / "home"), "MODELOPS_USE_CASES": str(tmp_path / "use_cases")}
    assert make_app(Settings.from_environment(environ))
    (told,) = (one.getMessage() for one in caplog.records if one.levelname == "ERROR")
    assert told.startswith(f"a use case is not served: {broken}: not readable as YAML")


def test_every_use_case_is_below_its_name(churn_api: Api, rows) -> None:
    answer = churn_api.http.post("/churn/v1/predict", json={"rows": rows[:1]})
    assert answer.json()["predictions"][0]["score"] == churn_api.predict(rows[0])[0]["score"]
    missing = churn_api.http.post("/loans/v1/predict", json={"rows": rows[:1]})
    assert (missing.status_code, missing.json()["code"]) == (404, "NO_SUCH_PLACE")


def test_status_says_how_a_use_case_that_is_newer_than_the_api_gets_there(
    churn_api: Api, telco_champion: Served
) -> None:
    settings = replace(telco_champion.settings, api_url=churn_api.url)
    found = use_case_state(settings, "loans")["api"]
    assert (found["version"], found["is_current"]) == (None, False)
    assert found["why"] == (
        "the API knows the use cases that were there when it started, and loans is none of them; "
        "start it anew, as make run USE_CASE=loans does once a version is promoted",
    )
    for key in (None, churn_api.key):
        with ScoringApi(churn_api.url, "loans", key) as newer, ScoringApi(churn_api.url, "churn", key) as known:
            assert (newer.answering().why, newer.is_unknown()) == (found["why"], True)
            assert (known.answering().version, known.is_unknown()) == ("1", False)


def test_labels_are_kept_before_they_are_acknowledged(churn_api: Api, telco_champion: Served, rows) -> None:
    (found,) = churn_api.predict(rows[0])
    labels = [
        {"prediction_id": found["prediction_id"], "label": "Yes"},
        {"entity": "7590-VHVEG", "observed_at": "2026-11-14", "label": "No", "known_at": "2026-11-20T00:00:00Z"},
    ]
    answer = churn_api.http.post("/v1/feedback", json={"labels": labels})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 2})
    (path,) = segments(telco_champion.settings.home / "feedback" / "churn")
    kept = read_segment(path).entries[-2:]
    assert [(one["prediction_id"], one["entity"], one["label"]) for one in kept] == [
        (found["prediction_id"], None, 1.0),
        (None, "7590-VHVEG", 0.0),
    ]


def test_what_is_asked_is_counted_and_measured(churn_api: Api, rows) -> None:
    before = churn_api.metric("modelops_rows_total", role="champion")
    churn_api.predict(*rows[:3])
    assert churn_api.metric("modelops_rows_total", role="champion") == before + 3
    assert churn_api.metric("modelops_requests_total", route="/v1/predict", status="200") >= 1
    assert churn_api.metric("modelops_request_seconds_count", route="/v1/predict") >= 1
    assert churn_api.metric("modelops_model_is_current") == 1
    assert churn_api.metric("modelops_model_info", role="champion", version="1") == 1
