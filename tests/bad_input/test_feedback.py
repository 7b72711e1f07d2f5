"""Labels that cannot be taken: nothing of the request is kept, and the reason names place, found and expected."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.serving.feedback import FeedbackRefused, check
from include.spec import UseCase

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GOOD = {"prediction_id": "a", "label": "Yes"}
BY_DAY = {"entity": "0042-A", "observed_at": "2026-11-24", "label": "Yes"}

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown class": ({**GOOD, "label": "maybe"}, "UNKNOWN_CLASS", "Churn is 'maybe'; expected 'Yes' or 'No'"),
    "no text": ({**GOOD, "label": True}, "UNKNOWN_CLASS", "Churn is 'True'; expected 'Yes' or 'No'"),
    "no class": ({"prediction_id": "a"}, "UNKNOWN_CLASS", "Churn is 'None'"),
    "no key": ({"label": "Yes"}, "NO_KEY", "neither is given"),
    "both keys": ({**BY_DAY, "prediction_id": "a"}, "NO_KEY", "both are given"),
    "no day": ({"entity": "0042-A", "label": "Yes"}, "NO_KEY", "entity needs observed_at"),
    "blank key": ({**GOOD, "prediction_id": " "}, "BAD_KEY", "prediction_id is ' '"),
    "long key": ({**GOOD, "prediction_id": "x" * 501}, "BAD_KEY", "1 to 500 characters"),
    "no time": ({**BY_DAY, "observed_at": "yesterday"}, "BAD_TIME", "observed_at is 'yesterday'"),
    "no offset": ({**GOOD, "known_at": "2026-11-24T10:00:00"}, "BAD_TIME", "expected a time with its offset"),
    "a number": ({**GOOD, "known_at": 20261124}, "BAD_TIME", "known_at is '20261124'"),
    "the end of time": ({**GOOD, "known_at": "9999-12-31T23:59:59-23:00"}, "BAD_TIME", "known_at is '9999"),
    "the future": ({**GOOD, "known_at": "2026-11-24T12:06:00Z"}, "FUTURE_TIME", "mend the sender's clock"),
    "unknown field": ({**GOOD, "lable": "Yes"}, "UNKNOWN_FIELD", "'lable'; there are: entity, known_at"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_b36_a_label_that_cannot_be_taken_is_refused_with_its_request(case: str, churn: UseCase):
    item, code, message = REFUSED[case]
    with pytest.raises(FeedbackRefused) as refusal:
        check([GOOD, item], churn, NOW)
    assert [(fault.place, fault.code) for fault in refusal.value.faults] == [(1, code)]
    assert message in str(refusal.value)


CONTRADICTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "by prediction id": (GOOD, {"label": "No"}),
    "by prediction id, once with its day": (GOOD, {"label": "No", "observed_at": "2026-11-24"}),
    "by prediction id, once with a blank": (GOOD, {"label": "No", "prediction_id": " a"}),
    "by customer and day": (BY_DAY, {"label": "No", "observed_at": "2026-11-24T11:00:00Z"}),
    "by customer and day, once with a blank": (BY_DAY, {"label": "No", "entity": "0042-A "}),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_b36_one_event_with_two_labels_in_a_request_is_refused(case: str, churn: UseCase):
    first, change = CONTRADICTIONS[case]
    with pytest.raises(FeedbackRefused, match="label 1: contradicts an earlier one"):
        check([first, {**first, **change}], churn, NOW)


def test_the_same_label_twice_is_one(churn: UseCase):
    (label,) = check([GOOD, GOOD], churn, NOW)
    assert (label.label, label.prediction_id, label.known_at) == (1.0, "a", NOW)


def test_times_are_utc_and_a_day_is_its_midnight(churn: UseCase):
    (label,) = check([{**BY_DAY, "known_at": "2026-11-24T12:00:00+02:00"}], churn, NOW)
    assert (label.observed_at, label.known_at) == (
        datetime(2026, 11, 24, tzinfo=UTC),
        datetime(2026, 11, 24, 10, tzinfo=UTC),
    )
