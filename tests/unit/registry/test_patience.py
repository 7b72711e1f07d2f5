"""What is repeated and what is not, against ports that really do not answer."""

from __future__ import annotations

import time

import pytest
from mlflow.exceptions import MlflowException, RestException

from include.registry import patience, tracking
from include.registry.patience import patient


def test_a_server_that_is_away_is_waited_for_within_bounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 1.0)
    client, calls = tracking.connect("http://127.0.0.1:1"), []

    @patient
    def ask() -> None:
        calls.append(time.monotonic())
        client.get_experiment_by_name("churn")

    with pytest.raises(MlflowException, match=r"127\.0\.0\.1:1/.*Connection refused"):
        ask()
    assert 3 <= len(calls) <= 4
    assert calls[-1] - calls[0] < 1.0


@pytest.mark.parametrize(
    "refusal",
    [
        RestException({"error_code": "INTERNAL_ERROR", "message": "from the server"}),
        RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such model"}),
        MlflowException("a parameter", error_code=1000),
        ValueError("ours"),
    ],
    ids=["answered", "not found", "invalid parameter", "another error"],
)
def test_a_refusal_is_not_repeated(refusal: Exception):
    calls = []

    @patient
    def ask() -> None:
        calls.append(1)
        raise refusal

    with pytest.raises(type(refusal)):
        ask()
    assert calls == [1]


def test_an_operation_goes_on_when_the_server_is_back():
    answers = [MlflowException("no answer"), MlflowException("no answer"), "version 1"]

    @patient
    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, MlflowException):
            raise answer
        return answer

    assert ask() == "version 1"
