"""B26, B28, B36, B40: what callers of the scoring API may send, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving_api import Api, Served, api, telco_rows

DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def churn_api(telco_champion: Served) -> Iterator[Api]:
    with api(telco_champion) as started:
        yield started


@pytest.fixture(scope="module")
def row(telco_csv) -> dict[str, Any]:
    return telco_rows(telco_csv, 1)[0]


def post(api: Api, path: str, content: bytes | str, kind: str | None = "application/json") -> Any:
    return api.http.post(path, content=content, headers={} if kind is None else {"Content-Type": kind})


def kept_labels(api: Api) -> int:
    return sum(path.stat().st_size for path in (api.home / "feedback" / api.use_case).iterdir())


def test_b26_an_unseen_category_is_scored_as_unknown_told_and_counted(churn_api: Api, row) -> None:
    before = churn_api.metric("modelops_unseen_categories_total", column="Contract")
    weekly, monthly = churn_api.predict({**row, "Contract": "Weekly"}, {**row, "Contract": "Lunar"})
    assert weekly["unknown"] == monthly["unknown"] == ["Contract"]
    assert weekly["score"] == monthly["score"]
    assert churn_api.metric("modelops_unseen_categories_total", column="Contract") == before + 2
    assert churn_api.captured()[-2].inputs["Contract"] == "Weekly"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("👩‍👩‍👧‍👦🏳️‍🌈", id="emoji"),
        pytest.param("שלום \u202e\u2067عليكم", id="right to left"),
        pytest.param("x" * 10_000, id="10 kB"),
        pytest.param("Z̸̡̢̛͔̥̈́a̶l̷g̶o̸", id="combining"),
        pytest.param("=cmd|' /C calc'!A0", id="a formula"),
        pytest.param("\u0001\u001b[31m\r\n\t|", id="control characters"),
        pytest.param("\ufeff\u200b|\ue000\U0010ffff", id="invisible"),
    ],
)
def test_b28_odd_text_is_kept_as_it_came(text: str, churn_api: Api, row) -> None:
    key = text[:500]
    (found,) = churn_api.predict({**row, "Contract": text, "customerID": key})
    assert found["unknown"] == ["Contract"]
    kept = churn_api.captured()[-1]
    assert (kept.inputs["Contract"], kept.entity) == (text, key)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("Contract", "x" * 10_001, id="longer than 10 kB"),
        pytest.param("customerID", "x" * 501, id="a longer id than a label may name"),
        pytest.param("Contract", "a\u0000b", id="NUL"),
        pytest.param("Contract", " \u00a0\t", id="blank"),
        pytest.param("Contract", "", id="nothing"),
    ],
)
def test_b28_other_text_is_refused_with_a_reason(name: str, text: str, churn_api: Api, row) -> None:
    answer = churn_api.http.post("/v1/predict", json={"rows": [{**row, name: text}]})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (f"/rows/0/{name}", "BAD_VALUE")
    assert len(error["detail"]) < 300


def test_b28_half_of_a_character_is_no_text(churn_api: Api, row) -> None:
    broken = json.dumps({"rows": [{**row, "Contract": "X"}]}).replace('"X"', '"\\ud800"')
    answer = post(churn_api, "/v1/predict", broken)
    assert (answer.status_code, answer.json()["code"]) == (400, "NOT_JSON")


def test_b18_whole_numbers_in_columns_of_text_keep_every_digit(churn_api: Api, row) -> None:
    for sent, kept in ((2**53 + 1, "9007199254740993"), ("0042", "0042"), (0, "0"), (7.0, "7")):
        churn_api.predict({**row, "customerID": sent, "SeniorCitizen": 0})
        found = churn_api.captured()[-1]
        assert (found.entity, found.inputs["SeniorCitizen"]) == (kept, "0")


def test_b36_contradicting_labels_are_refused_whole(churn_api: Api) -> None:
    before = kept_labels(churn_api)
    labels = [{"prediction_id": "a", "label": "Yes"}, {"prediction_id": "a", "label": "No"}]
    answer = churn_api.http.post("/v1/feedback", json={"labels": labels})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/labels/1", "CONFLICTING_LABELS")
    assert kept_labels(churn_api) == before


ROW = "{row}"
BODIES: dict[str, tuple[str, int, str]] = {
    "nothing": ("", 400, "NOT_JSON"),
    "half": ('{"rows": [', 400, "NOT_JSON"),
    "NaN": ('{"rows": [{"tenure": NaN}]}', 400, "NOT_JSON"),
    "Infinity": ('{"rows": [{"tenure": -Infinity}]}', 400, "NOT_JSON"),
    "two documents": ("{} {}", 400, "NOT_JSON"),
    "bad bytes": ('{"rows": "\udcff"}', 400, "NOT_JSON"),
    "deep nesting": (DEEP, 400, "NOT_JSON"),
    "deep nesting inside": ('{"rows": [{"tenure": ' + "[" * 150 + "]" * 150 + "}]}", 422, "INVALID"),
    "a number of 5,000 digits": ('{"rows": [{"tenure": ' + "9" * 5000 + "}]}", 400, "NOT_JSON"),
    "an array": ("[]", 422, "INVALID"),
    "null": ("null", 422, "INVALID"),
    "a text": ('"rows"', 422, "INVALID"),
    "no rows": ('{"rows": []}', 422, "INVALID"),
    "rows as object": ('{"rows": {}}', 422, "INVALID"),
    "a row as array": ('{"rows": [[]]}', 422, "INVALID"),
    "a row as null": ('{"rows": [null]}', 422, "INVALID"),
    "an empty row": ('{"rows": [{}]}', 422, "INVALID"),
    "a further field": ('{"rows": [ROW], "row": 1}', 422, "INVALID"),
    "reasons as text": ('{"rows": [ROW], "reasons": "yes"}', 422, "INVALID"),
    "more rows than may be": ('{"rows": [' + ", ".join(["{}"] * 1001) + "]}", 413, "TOO_MANY_ROWS"),
}


@pytest.mark.parametrize("path", ["/v1/predict", "/churn/v1/predict"])
@pytest.mark.parametrize("case", BODIES)
def test_b40_a_body_that_is_no_request_is_refused_with_a_reason(case: str, path: str, churn_api: Api, row) -> None:
    body, status, code = BODIES[case]
    content = body.replace("ROW", json.dumps(row)).encode("utf-8", "surrogateescape")
    answer = post(churn_api, path, content)
    document = answer.json()
    assert (answer.status_code, document["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert document["type"] == f"urn:modelops:{code}"
    assert document["status"] == status
    assert document["detail"]


def test_b40_a_million_rows_are_refused_before_they_are_read(churn_api: Api, row) -> None:
    body = b'{"rows": [' + b", ".join([json.dumps(row).encode()] * 1_000_000) + b"]}"
    answer = post(churn_api, "/v1/predict", body)
    assert (answer.status_code, answer.json()["code"]) == (413, "TOO_MANY_BYTES")


@pytest.mark.parametrize(
    "kind", [None, "", "text/plain", "text/csv", "application/json; charset=latin-1", "application/"]
)
def test_b40_another_content_type_is_refused(kind: str | None, churn_api: Api, row) -> None:
    for path in ("/v1/predict", "/invocations", "/v1/explain", "/v1/feedback"):
        answer = post(churn_api, path, json.dumps({"rows": [row]}), kind)
        assert (answer.status_code, answer.json()["code"]) == (415, "WRONG_TYPE")
        assert "expected Content-Type: application/json" in answer.json()["detail"]


VALUES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "missing": ({"tenure": ...}, "tenure", "MISSING_FIELD", "expected a whole number from 0 to 120"),
    "missing though nullable": ({"TotalCharges": ...}, "TotalCharges", "MISSING_FIELD", "never filled"),
    "unknown": ({"tenur": 1}, "tenur", "UNKNOWN_FIELD", "did you mean 'tenure'?"),
    "the label": ({"Churn": "Yes"}, "Churn", "UNKNOWN_FIELD", "take it out"),
    "null": ({"tenure": None}, "tenure", "BAD_VALUE", "found null"),
    "text for a number": ({"MonthlyCharges": "29.85"}, "MonthlyCharges", "BAD_VALUE", "found '29.85'"),
    "a decimal comma": ({"MonthlyCharges": "29,85"}, "MonthlyCharges", "BAD_VALUE", "found '29,85'"),
    "true for a number": ({"tenure": True}, "tenure", "BAD_VALUE", "found true"),
    "a fraction": ({"tenure": 1.5}, "tenure", "BAD_VALUE", "found 1.5"),
    "hardly a fraction": ({"tenure": 1e-40}, "tenure", "BAD_VALUE", "found 1e-40"),
    "out of range": ({"tenure": 121}, "tenure", "BAD_VALUE", "found 121"),
    "below": ({"MonthlyCharges": -0.01}, "MonthlyCharges", "BAD_VALUE", "from 0 to 500"),
    "a number above all floats": ({"TotalCharges": 10**400}, "TotalCharges", "BAD_VALUE", "or null; found 1000"),
    "a fraction for text": ({"Contract": 1.5}, "Contract", "BAD_VALUE", "found 1.5"),
    "true for text": ({"Partner": True}, "Partner", "BAD_VALUE", "found true"),
    "an object": ({"Contract": {"a": 1}}, "Contract", "BAD_VALUE", "found an object of 1"),
    "an array": ({"tenure": [1]}, "tenure", "BAD_VALUE", "found an array of 1"),
    "an id that is no text": ({"customerID": None}, "customerID", "BAD_VALUE", "found null"),
    "a whole number past 64 bits": ({"customerID": 2**63}, "customerID", "BAD_VALUE", "found 9223372036854775808"),
}


@pytest.mark.parametrize("case", VALUES)
def test_b40_a_value_that_does_not_fit_is_named_with_what_was_expected_and_found(
    case: str, churn_api: Api, row
) -> None:
    change, name, code, reason = VALUES[case]
    changed = {key: value for key, value in {**row, **change}.items() if value is not ...}
    answer = churn_api.http.post("/v1/predict", json={"rows": [row, changed]})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (f"/rows/1/{name}", code)
    assert reason in error["detail"]


def test_b40_of_many_faults_the_first_are_named_and_nothing_is_kept(churn_api: Api, row) -> None:
    before = len(churn_api.captured())
    answer = churn_api.http.post("/v1/predict", json={"rows": [row, *[{**row, "tenure": "x"}] * 999]})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 20
    assert len(answer.content) < 10_000
    assert len(churn_api.captured()) == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_b40_another_method_is_a_problem_that_names_the_right_one(method: str, churn_api: Api) -> None:
    answer = churn_api.http.request(method, "/v1/predict")
    assert (answer.status_code, answer.json()["code"], answer.headers["Allow"]) == (405, "WRONG_METHOD", "POST")
