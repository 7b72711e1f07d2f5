"""Which rows of the window a training learns from, and when the window is refused."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from include.data.calendar import midnight
from include.spec import UseCase
from include.training.window import judge_window, learnable

AS_OF, DELAY = date(2026, 3, 1), timedelta(days=14)


@pytest.mark.parametrize(
    ("observed_at", "delay", "is_learned"),
    [
        pytest.param("2026-02-14T23:59:59Z", 14, True, id="due"),
        pytest.param("2026-02-15T00:00:00Z", 14, False, id="due on the day itself"),
        pytest.param("2026-02-28T23:59:59Z", 0, True, id="stands in the row"),
    ],
)
def test_a_label_counts_once_it_is_due(observed_at: str, delay: int, is_learned: bool) -> None:
    frame = pd.DataFrame({"observed_at": [pd.Timestamp(observed_at)] * 2, "label": [1.0, np.nan]})
    assert list(learnable(frame, AS_OF, timedelta(days=delay)).index) == [0] * is_learned


def test_early_labels_do_not_count_towards_what_a_window_needs(training, churn: UseCase) -> None:
    """Sixty days, of the last fourteen of which the leavers are known, and nobody else."""
    is_due = training.rows["observed_at"] + DELAY < midnight(AS_OF)
    labels = pd.Series(training.labels, dtype="float").where(is_due | (training.labels == 1))
    frame = training.rows.assign(label=labels)
    limits = churn.limits.model_copy(update={"minimum_training_rows": int(is_due.sum()) + 1})
    spec = churn.model_copy(update={"limits": limits})
    about = {"as_of": AS_OF, "label_delay": DELAY, "last_day": AS_OF - timedelta(days=1), "grows": True, "known": None}
    verdict = judge_window(frame, spec, **about)
    assert (verdict.facts["labelled"], verdict.facts["label_coverage"]) == (is_due.sum(), 1.0)
    message = f"{is_due.sum()} rows of the window have a mature label, at least {is_due.sum() + 1} needed"
    assert verdict.faults == (("TOO_FEW_ROWS", message),)
