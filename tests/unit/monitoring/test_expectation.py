"""What scores lead to expect: calibrated first, and right when labels follow the scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from include.evaluation.metrics import single
from include.monitoring.expectation import Calibrator, _figures, estimate
from include.spec import Decision

METRICS = ("roc_auc", "brier", "expected_profit")


def test_a_score_that_exaggerates_is_brought_back_and_how_well_is_known():
    rng = np.random.default_rng(0)
    chances = expit(rng.normal(-1, 1.5, 5_000))
    scores = expit(2 * logit(chances) + 1)
    found = [Calibrator.fit(scores, (rng.random(5_000) < chances).astype(int)) for _ in range(60)]
    assert found[0].chances(scores) == pytest.approx(chances, abs=0.05)
    both = np.array([(one.intercept, one.slope) for one in found])
    assert both.mean(axis=0) == pytest.approx([-0.5, 0.5], abs=0.01)
    np.testing.assert_allclose(both.std(axis=0), np.sqrt(np.diag(found[0].covariance)), rtol=0.3)


def test_an_estimate_is_what_the_labels_then_show(rows: pd.DataFrame):
    """Of real rows: the calibrator knows one half of them, the labels of the other half come afterwards."""
    decision, inside = Decision(), []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(rows))
        known, later = rows.iloc[order[:4000]], rows.iloc[order[4000:]]
        calibrator = Calibrator.fit(known["score"].to_numpy(), known["label"].to_numpy())
        found = estimate(later["score"].to_numpy(), calibrator, METRICS, decision, seed)
        for metric, one in found.items():
            actual = single(metric, later["label"].to_numpy(), later["score"].to_numpy(), decision)
            inside.append(one.low <= actual <= one.high)
            assert one.value == pytest.approx(actual, abs=0.04)
    assert np.mean(inside) >= 0.8


def test_covariate_shift_moves_the_estimate_with_the_truth(rows: pd.DataFrame):
    """Rows that are harder to tell apart: the estimate falls, without a label of theirs."""
    known = rows.iloc[::2]
    calibrator = Calibrator.fit(known["score"].to_numpy(), known["label"].to_numpy())
    hard = rows.iloc[1::2][lambda frame: frame["Contract"] == "Month-to-month"]
    all_rows, hard_ones = (
        estimate(part["score"].to_numpy(), calibrator, ["roc_auc"], Decision(), 0)["roc_auc"]
        for part in (rows.iloc[1::2], hard)
    )
    actual = single("roc_auc", hard["label"].to_numpy(), hard["score"].to_numpy())
    assert hard_ones.value < all_rows.value - 0.05
    assert hard_ones.value == pytest.approx(actual, abs=0.04)


def test_the_estimate_is_the_same_twice(rows: pd.DataFrame):
    calibrator = Calibrator.fit(rows["score"].to_numpy(), rows["label"].to_numpy())
    one, same = (estimate(rows["score"].to_numpy()[:500], calibrator, METRICS, Decision(), 3) for _ in range(2))
    assert one == same


@pytest.mark.parametrize("metric", ["roc_auc", "brier", "expected_profit"])
def test_the_fast_way_to_a_figure_is_the_same_figure(metric: str, rows: pd.DataFrame):
    scores, decision = rows["score"].to_numpy()[:300].round(1), Decision(true_positive=52, false_positive=-15)
    labels = np.random.default_rng(0).integers(0, 2, (5, 300))
    expected = [single(metric, one, scores, decision) for one in labels]
    assert _figures(metric, labels, scores, decision) == pytest.approx(expected)
