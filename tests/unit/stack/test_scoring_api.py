"""The client where nothing answers; with the real API it is used in tests/e2e."""

from __future__ import annotations

import pytest

from include.settings import Settings
from include.stack import StackError, scoring_api
from include.stack.scoring_api import ScoringApi, published_route


def test_that_nothing_answers_is_said_with_the_address(settings: Settings) -> None:
    with ScoringApi(settings.api_url, "churn") as api:
        answering = api.answering()
        assert not api.is_unknown(), "nobody has said so"
    assert (answering.version, answering.is_current) == (None, False)
    assert answering.why[0].startswith(f"nothing answers at http://127.0.0.1:{settings.api_port}/churn")


def test_no_prediction_is_an_error_with_the_reason(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_api, "FOLLOW_SECONDS", 0.3)
    no_prediction = pytest.raises(StackError, match=r"has no prediction by version 3 after 0 s: nothing answers at")
    with ScoringApi.of(settings, "churn") as api, no_prediction:
        api.predict_published("7590-VHVEG", "3")


def test_an_id_stays_one_part_of_the_address() -> None:
    assert published_route("a/../b?c d") == "/v1/customers/a%2F..%2Fb%3Fc%20d/predict"
