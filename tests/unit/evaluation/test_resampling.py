"""Figures on resamples are scikit-learn's on the rows repeated; their spread is that of theory; pairs stay pairs."""

from __future__ import annotations

import numpy as np
import pytest

from include.evaluation import resampling
from include.evaluation.metrics import delong_interval, evaluate
from include.evaluation.resampling import resample
from include.spec import Decision, Metric

METRICS = Metric.__args__  # type: ignore[attr-defined]
DECISION = Decision(true_positive=3.0, false_positive=-1.0)


def rows(n: int, seed: int = 0, decimals: int = 9) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.3).astype(int)
    return labels, np.round(np.clip(random.beta(2, 3, n) * 0.8 + labels * 0.15, 0, 1), decimals)


@pytest.mark.parametrize("decimals", [9, 2, 1], ids=["no ties", "some ties", "many ties"])
def test_a_resample_is_the_rows_repeated(decimals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, scores = rows(600, decimals=decimals)
    weights: list[np.ndarray] = []
    figures = resampling._Weighted.figures

    def kept(self: object, metrics: object, positives: np.ndarray, negatives: np.ndarray) -> list[np.ndarray]:
        drawn = np.empty((len(positives), len(labels)))
        drawn[:, labels == 1], drawn[:, labels == 0] = positives, negatives
        weights.append(drawn)
        return figures(self, metrics, positives, negatives)  # type: ignore[arg-type]

    monkeypatch.setattr(resampling._Weighted, "figures", kept)
    found = resample(labels, {"challenger": scores}, METRICS, DECISION, seed=1, resamples=8).draws["challenger"]
    (drawn,) = weights
    assert drawn.shape == (8, 600)
    assert drawn.mean() == pytest.approx(1, abs=0.05)
    for number, copies in enumerate(drawn.astype(int)):
        expected = evaluate(np.repeat(labels, copies), np.repeat(scores, copies), DECISION).as_dict()
        for metric in METRICS:
            assert found[metric][number] == pytest.approx(expected[metric], abs=2e-6), metric


def test_the_interval_of_the_roc_auc_is_delongs() -> None:
    labels, scores = rows(3000)
    drawn = resample(labels, {"challenger": scores}, ["roc_auc"], DECISION, seed=2)
    found = drawn.interval("challenger", "roc_auc", evaluate(labels, scores).roc_auc)
    assert (found.low, found.high) == pytest.approx(delong_interval(labels, scores), abs=0.002)


@pytest.mark.parametrize("off", [0.0, 0.03, 0.08])
def test_the_interval_of_the_calibration_error_holds_the_figure_and_the_truth(off: float) -> None:
    """Resamples as they are hold the truth of scores that are not off in none of the samples.

    Zero is at the end of what can be, so that it counts from 0.01 on.
    """
    metric, held, n, samples = "calibration_error", 0, 700, 60
    for seed in range(samples):
        random = np.random.default_rng(seed)
        scores = random.beta(0.8, 2.2, n)
        labels = (random.random(n) < np.clip(scores + off, 0, 1)).astype(int)
        drawn = resample(labels, {"challenger": scores}, [metric], DECISION, seed=seed, resamples=300)
        value = evaluate(labels, scores).calibration_error
        found = drawn.interval("challenger", metric, value)
        assert found.low <= value <= found.high
        held += max(0, found.low - 0.01) <= off <= found.high
    assert held >= 0.8 * samples


def test_the_interval_of_the_calibration_error_holds_a_figure_that_is_better_than_chance_lets_it_be() -> None:
    scores = np.repeat(np.arange(0.05, 1, 0.1), 100)
    labels = np.concatenate([np.arange(100) < round(100 * score) for score in scores[::100]]).astype(int)
    labels[:10] = 1  # ten too many
    drawn = resample(labels, {"challenger": scores}, ["calibration_error"], DECISION, seed=0, resamples=300)
    value = evaluate(labels, scores).calibration_error
    found = drawn.interval("challenger", "calibration_error", value)
    assert found.low <= value <= found.high
    assert found.high < drawn.draws["challenger"]["calibration_error"].mean()


def test_the_same_seed_gives_the_same_figures_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, scores = rows(5000)
    draws = []
    for threads, seed in ((1, 3), (4, 3), (4, 4)):
        monkeypatch.setattr(resampling.os, "cpu_count", lambda threads=threads: threads)
        found = resample(labels, {"challenger": scores}, ["roc_auc", "brier"], DECISION, seed=seed, resamples=200)
        draws.append(found.draws["challenger"]["roc_auc"])
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


def test_models_are_compared_on_the_same_resamples() -> None:
    """Paired: the difference of two nearly equal models is known far better than either of them."""
    labels, scores = rows(3000)
    other = np.clip(scores + np.random.default_rng(5).normal(0, 0.01, 3000), 0, 1)
    found = resample(labels, {"challenger": scores, "champion": other}, METRICS, DECISION, seed=6)
    for metric in ("roc_auc", "brier", "log_loss", "expected_profit"):
        ours, theirs = (evaluate(labels, one, DECISION).as_dict()[metric] for one in (scores, other))
        gain, alone = found.gain(metric, ours, theirs, 0.99), found.interval("challenger", metric, ours)
        assert gain.high - gain.low < (alone.high - alone.low) / 2, metric
        assert gain.low <= gain.value <= gain.high, metric


def test_lower_is_better_where_it_is() -> None:
    labels, scores = rows(3000)
    found = resample(labels, {"challenger": scores, "champion": scores * 0.2}, ["brier"], DECISION, seed=7)
    gain = found.gain("brier", evaluate(labels, scores).brier, evaluate(labels, scores * 0.2).brier, 0.99)
    assert 0 < gain.bound < gain.value
    assert gain.p_value < 0.001


def test_the_same_scores_are_no_gain() -> None:
    labels, scores = rows(500)
    found = resample(labels, {"challenger": scores, "champion": scores}, ["roc_auc"], DECISION, seed=8)
    gain = found.gain("roc_auc", 0.8, 0.8, 0.99)
    assert (gain.value, gain.low, gain.high, gain.bound, gain.p_value) == (0, 0, 0, 0, 1)


def test_rows_of_one_class_have_no_roc_auc() -> None:
    found = resample(np.ones(50), {"challenger": np.linspace(0, 1, 50)}, ["roc_auc", "brier"], DECISION, seed=9)
    assert np.isnan(found.draws["challenger"]["roc_auc"]).all()
    assert np.isnan(found.interval("challenger", "roc_auc", np.nan).low)
    assert np.isfinite(found.interval("challenger", "brier", 0.3).low)
