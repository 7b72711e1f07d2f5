"""A client that MLflow made works with nothing but a key added."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pandas as pd
import pytest
import requests
from mlflow.deployments import PredictionsResponse
from mlflow.utils.proto_json_utils import dump_input_data
from mlflow.version import VERSION

from include.features.build import build
from include.spec import load
from tests.serving_api import Api, Served


def post(api: Api, body: Any, **headers: str) -> requests.Response:
    """As MLflow documents it, with the key."""
    content = body if isinstance(body, str) else json.dumps(body)
    kind = {"Content-Type": "application/json", "X-API-Key": api.key}
    with requests.Session() as session:
        session.trust_env = False
        return session.post(f"{api.url}/invocations", data=content, headers=kind | headers, timeout=30)


@pytest.fixture
def scores(churn_api: Api, rows) -> list[float]:
    return [one["score"] for one in churn_api.predict(*rows)]


def test_mlflow_s_own_client_finds_the_server_and_its_version(churn_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with warnings.catch_warnings(action="ignore"):  # its import warns of MLflow's own types
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient
    client = ScoringServerClient("127.0.0.1", churn_api.port)
    client.wait_server_ready(timeout=5)
    assert client.get_version() == VERSION


def test_a_frame_as_mlflow_s_client_writes_it(churn_api: Api, rows, scores) -> None:
    frame = pd.DataFrame(rows).astype({"TotalCharges": object})
    answer = post(churn_api, dump_input_data(frame.where(frame.notna(), None)))
    assert answer.status_code == 200, answer.text
    found = PredictionsResponse.from_json(answer.text)
    assert found["predictions"] == pytest.approx(scores, abs=1e-12)
    assert found.get_predictions("ndarray").shape == (len(rows),)


@pytest.mark.parametrize("way", ["dataframe_records", "dataframe_split", "instances", "inputs", "columns as inputs"])
def test_each_way_to_write_rows_gets_the_same_scores(way: str, churn_api: Api, rows, scores) -> None:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    body = {
        "dataframe_records": {"dataframe_records": rows},
        "dataframe_split": {
            "dataframe_split": {"columns": list(columns), "data": [list(row.values()) for row in rows], "index": [0]}
        },
        "instances": {"instances": rows, "params": None},
        "inputs": {"inputs": rows, "params": {}},
        "columns as inputs": {"inputs": columns},
    }[way]
    answer = post(churn_api, body, **{"Content-Type": "application/json; charset=utf-8"})
    assert answer.json()["predictions"] == pytest.approx(scores, abs=1e-12)
    kept = {one.prediction_id: one for one in churn_api.captured()}
    assert [kept[one].entity for one in answer.json()["prediction_ids"]] == [row["customerID"] for row in rows]


def test_the_inputs_that_the_signature_of_the_registered_model_names_are_taken_too(
    churn_api: Api, telco_champion: Served, rows, scores
) -> None:
    """What ``mlflow models serve`` would ask for: no column that the model does not see, and the derived ones."""
    described = json.loads((telco_champion.package / "MLmodel").read_text())
    names = [column["name"] for column in json.loads(described["signature"]["inputs"])]
    inputs = build(pd.DataFrame(rows).astype({"TotalCharges": float}), load(telco_champion.spec_path))[names]
    answer = post(churn_api, {"dataframe_split": json.loads(inputs.to_json(orient="split"))})
    assert answer.json()["predictions"] == pytest.approx(scores, abs=1e-9)
    kept = churn_api.captured()[-1]
    assert set(kept.inputs) == set(names)
    assert kept.entity is None


WRONG: dict[str, tuple[Any, int, str, str]] = {
    "nothing": ({}, 422, "BAD_FORMAT", "exactly one of dataframe_split"),
    "two ways": ({"inputs": [], "instances": []}, 422, "BAD_FORMAT", "found instances, inputs"),
    "a list": ([], 422, "BAD_VALUE", "found an array of 0"),
    "a further key": ({"instances": [{}], "signature_name": "x"}, 422, "UNKNOWN_FIELD", "no such field"),
    "params": ({"instances": [{}], "params": {"a": 1}}, 422, "UNKNOWN_FIELD", "takes no params"),
    "no rows": ({"instances": []}, 422, "NO_ROWS", "at least one row"),
    "no columns": ({"inputs": {}}, 422, "BAD_VALUE", "an array for each column"),
    "rows without names": ({"instances": [[1, 2]]}, 422, "NO_ROW", "knows its inputs by name"),
    "ragged split": (
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}},
        422,
        "BAD_VALUE",
        "array of 2 values",
    ),
    "a column twice": ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, 422, "BAD_VALUE", "named twice"),
    "ragged columns": ({"inputs": {"a": [1], "b": [1, 2]}}, 422, "BAD_VALUE", "not of one length"),
    "a value as column": ({"inputs": {"a": 1}}, 422, "BAD_VALUE", "expected an array of values"),
}


@pytest.mark.parametrize("case", WRONG)
def test_b40_what_is_no_request_of_the_protocol_is_refused_with_a_reason(case: str, churn_api: Api) -> None:
    body, status, code, reason = WRONG[case]
    answer = post(churn_api, body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert reason in answer.json()["detail"]


def test_b40_a_fault_is_named_where_it_stands_in_the_body(churn_api: Api, rows) -> None:
    names, broken = list(rows[0]), [rows[0], {**rows[1], "tenure": -1}]
    split = {"columns": names, "data": [[row[name] for name in names] for row in broken]}
    columns = {name: [row[name] for row in broken] for name in names}
    for body, pointer in (
        ({"dataframe_split": split}, f"/dataframe_split/data/1/{names.index('tenure')}"),
        ({"inputs": columns}, "/inputs/tenure/1"),
        ({"instances": broken}, "/instances/1/tenure"),
    ):
        (error,) = post(churn_api, body).json()["errors"]
        assert error["pointer"] == pointer
        assert error["detail"] == "expected a whole number from 0 to 120; found -1"
