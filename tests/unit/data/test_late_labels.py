"""Which labels of a day are news to a lake that has some of that day and of later ones."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from include.data.contract import RawTable
from include.data.late_labels import are_news
from include.errors import DataRejected
from include.spec import UseCase

DAY, SEEN = date(2026, 1, 10), "2026-01-02T09:00:00Z"


def known(spec: UseCase, *rows: tuple[str, float, str]) -> pd.DataFrame:
    """Labels of the lake, each as (id, label, when it became known), all of the observation ``SEEN``."""
    ids, labels, times = zip(*rows, strict=True) if rows else ((), (), ())
    frame = pd.DataFrame(
        {spec.id: pd.Series(ids, dtype="str"), "observed_at": SEEN, "label": pd.Series(labels, dtype="float64")}
    )
    frame["known_at"] = pd.Series(times, dtype="str")
    for name in ("observed_at", "known_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601").dt.as_unit("us")
    return frame


def raw(spec: UseCase, *row: str) -> RawTable:
    return RawTable(
        pd.DataFrame([row], columns=[spec.id, "observed_at", spec.target.column], dtype="str"), (), "labels"
    )


@pytest.mark.parametrize(
    ("row", "news"),
    [
        pytest.param(("a", SEEN, "Yes"), False, id="the same"),
        pytest.param((" a\t", "2026-01-02T18:00:00+09:00", " Yes "), False, id="the same, written another way"),
        pytest.param(("a", SEEN, "No"), True, id="the same day corrects itself"),
        pytest.param(("a", "2026-01-02", "Yes"), True, id="another observation"),
        pytest.param(("b", SEEN, "Yes"), True, id="another id"),
        pytest.param(("of a row", SEEN, "Yes"), False, id="stood in the row, which has the time of its own"),
        pytest.param(("corrected", SEEN, "Yes"), False, id="a later day has said otherwise"),
        pytest.param(("before", SEEN, "Yes"), True, id="an earlier day has said otherwise"),
        pytest.param(("b", SEEN, " "), False, id="blank"),
        pytest.param(("b", SEEN, "Maybe"), True, id="neither value, to be refused by name"),
        pytest.param(("", SEEN, "Yes"), True, id="no id, to be refused by name"),
        pytest.param(("a", "", "Yes"), True, id="no observation, to be refused by name"),
    ],
)  # fmt: skip
def test_what_the_lake_has_no_answer_to_is_news(churn: UseCase, row: tuple[str, str, str], news: bool) -> None:
    lake = known(
        churn,
        ("a", 1.0, "2026-01-10"),
        ("of a row", 1.0, "2026-01-10T09:00:00Z"),
        ("corrected", 0.0, "2026-01-11"),
        ("before", 0.0, "2026-01-09"),
    )
    assert are_news(raw(churn, *row), DAY, lake, churn).tolist() == [news]


def test_every_label_is_news_to_an_empty_lake(churn: UseCase) -> None:
    assert are_news(raw(churn, "a", SEEN, "Yes"), DAY, known(churn), churn).tolist() == [True]


def test_a_time_that_is_not_one_moment_is_named(churn: UseCase) -> None:
    with pytest.raises(DataRejected, match=r"labels: column 'observed_at': 1 of 1 values .*found '2026-01-02 09:00'"):
        are_news(raw(churn, "a", "2026-01-02 09:00", "Yes"), DAY, known(churn), churn)
