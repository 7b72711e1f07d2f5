"""Figures of fairness are fairlearn's own; their intervals and p-values are what chance does."""

from __future__ import annotations

from typing import Any

import fairlearn.metrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score

from include.evaluation import fairness
from include.evaluation.fairness import Decided, Disparity
from include.evaluation.slices import Grouping, groupings
from include.spec import Slices
from tests.unit.evaluation.conftest import SEED, Holdout

ALL = Slices(minimum_support=1, minimum_class_support=1)
FAIRLEARN = {
    "equal_opportunity": fairlearn.metrics.equal_opportunity_difference,
    "equalized_odds": fairlearn.metrics.equalized_odds_difference,
    "demographic_parity": fairlearn.metrics.demographic_parity_difference,
    "selection_rate_ratio": fairlearn.metrics.demographic_parity_ratio,
}


def expected(labels: np.ndarray, model: Decided, groups: np.ndarray) -> dict[str, float]:
    """Every metric as fairlearn has it, on the rows themselves."""
    shared: dict[str, Any] = {"y_true": labels, "y_pred": model.chosen.astype(int), "sensitive_features": groups}
    precision = fairlearn.metrics.MetricFrame(metrics=precision_score, **shared).difference()
    gaps = [(model.scores - labels)[groups == group].mean() for group in np.unique(groups)]
    rates = {name: float(metric(**shared)) for name, metric in FAIRLEARN.items()}
    return {**rates, "predictive_parity": float(precision), "calibration": max(gaps) - min(gaps)}


def found_on(
    division: Grouping, labels: np.ndarray, model: Decided, support: Slices = ALL, seed: int = SEED
) -> dict[str, Disparity]:
    (found,) = fairness.measure([division], labels, {"challenger": model}, support, seed=seed)
    return {one.metric: one for one in found.disparities}


def test_on_telco_figures_are_those_of_fairlearn(holdout: Holdout) -> None:
    challenger, champion = holdout.decided(holdout.scores).values()
    for division in groupings(holdout.rows, holdout.spec)[:3]:
        models = {"challenger": challenger, "champion": champion}
        (found,) = fairness.measure([division], holdout.labels, models, ALL, seed=SEED)
        for model, values in (
            (challenger, {one.metric: one.value for one in found.disparities}),
            (champion, {one.metric: one.champion for one in found.disparities}),
        ):
            assert values == pytest.approx(expected(holdout.labels, model, division.codes), abs=1e-12)
        frame = holdout.rows.assign(chosen=challenger.chosen, churned=holdout.labels)
        counts = frame.groupby(list(division.by)).agg({"churned": ["size", "sum"], "chosen": "sum"})
        assert [[one.n, one.positives, one.selected] for one in found.groups] == counts.to_numpy().tolist()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), groups=st.integers(2, 5), rate=st.floats(0.1, 0.9))
def test_on_any_rows_figures_are_those_of_fairlearn(seed: int, groups: int, rate: float) -> None:
    random = np.random.default_rng(seed)
    codes, scores = np.arange(400) % groups, np.round(random.random(400), 2)
    labels, model = (random.random(400) < rate).astype(int), Decided(scores, scores >= 0.4)
    division = Grouping(("group",), tuple({"group": str(code)} for code in range(groups)), codes)
    values = {name: one.value for name, one in found_on(division, labels, model).items()}
    assert values == pytest.approx(expected(labels, model, codes), abs=1e-12)


def test_the_interval_is_that_of_the_bootstrap_of_the_rows(holdout: Holdout) -> None:
    """The rows drawn one by one, which takes long, give the same intervals."""
    labels, model = holdout.labels, holdout.decided(holdout.scores)["challenger"]
    division = groupings(holdout.rows, holdout.spec)[1]
    found, names, random = found_on(division, labels, model), division.names, np.random.default_rng(3)
    rows = {
        "equal_opportunity": (model.chosen, labels),
        "demographic_parity": (model.chosen, np.ones_like(labels)),
        "calibration": (model.scores - labels, np.ones_like(labels)),
    }
    copies = random.poisson(1, (1500, len(labels)))
    for metric, (values, counted) in rows.items():
        weights = [
            copies * counted * (division.codes == names.index(name))
            for name in (found[metric].highest, found[metric].lowest)
        ]
        high, low = (one @ values / one.sum(axis=1) for one in weights)
        ours, theirs = found[metric].interval, np.quantile(high - low, [0.025, 0.975])
        assert ours.low < found[metric].value < ours.high
        np.testing.assert_allclose([ours.low, ours.high], theirs, atol=0.12 * (theirs[1] - theirs[0]))


def test_chance_seldom_gives_a_low_p_value(holdout: Holdout) -> None:
    """Groups by a coin do not differ: of their p-values one in twenty is below 0.05, for four groups as for two."""
    labels, model = holdout.labels, holdout.decided(holdout.scores)["challenger"]
    division, random = groupings(holdout.rows, holdout.spec)[2], np.random.default_rng(5)
    low: dict[str, int] = dict.fromkeys(fairness.RATES, 0)
    for seed in range(80):
        shuffled = Grouping(division.by, division.values, random.permutation(division.codes))
        for metric, found in found_on(shuffled, labels, model, seed=seed).items():
            low[metric] += found.p_value <= 0.05
    # 4 are expected of each, and more than 10 once in 500 times.
    assert all(count <= 10 for count in low.values()), low
    assert sum(low.values()) >= 8, low


def test_chance_seldom_gives_a_low_p_value_to_a_small_group_of_which_nearly_all_are_found() -> None:
    """Of 36 positives all are found in one sample of six, so that resamples of the group itself never differ."""
    division = Grouping(("group",), ({"group": "a"}, {"group": "b"}), np.repeat([0, 1], [120, 3000]))
    low = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        labels = (random.random(3120) < 0.3).astype(int)
        chosen = random.random(3120) < np.where(labels, 0.95, 0.3)
        model = Decided(np.where(chosen, 0.9, 0.1), chosen)
        low += found_on(division, labels, model, seed=seed)["equal_opportunity"].p_value <= 0.01
    assert low <= 6  # 1.5 are expected


def test_groups_that_differ_have_a_low_p_value(holdout: Holdout) -> None:
    """A score that is cut by a quarter for women is found out by all that looks at who is selected."""
    scores, women = holdout.scores["challenger"], (holdout.rows["gender"] == "Female").to_numpy()
    (biased,) = holdout.decided({"challenger": np.where(women, 0.6 * scores, scores)}).values()
    found = found_on(groupings(holdout.rows, holdout.spec)[0], holdout.labels, biased, holdout.spec.gate.slices)
    for metric in ("equal_opportunity", "equalized_odds", "demographic_parity", "selection_rate_ratio", "calibration"):
        assert found[metric].p_value < 0.01
        assert (found[metric].highest, found[metric].lowest) == ("gender: Male", "gender: Female")


@pytest.mark.parametrize(
    ("support", "classes", "compared"),
    [
        pytest.param(100, 30, 4, id="all"),
        pytest.param(200, 30, 2, id="the larger ones"),
        pytest.param(3000, 30, 0, id="none"),
    ],
)
def test_groups_with_few_rows_are_left_out_and_named(
    holdout: Holdout, support: int, classes: int, compared: int
) -> None:
    division = groupings(holdout.rows, holdout.spec)[2]
    rule = Slices(minimum_support=support, minimum_class_support=classes)
    model = holdout.decided(holdout.scores)["challenger"]
    for found in found_on(division, holdout.labels, model, rule).values():
        assert len(found.compared) == compared
        assert sorted((*found.compared, *found.insufficient)) == sorted(division.names)
        assert np.isnan(found.value) == (compared < 2)
        sizes = dict(zip(division.names, map(len, division.rows()), strict=True))
        assert found.n == sum(sizes[name] for name in found.compared)
        assert all(sizes[name] < support for name in found.insufficient)


def test_a_rate_needs_the_rows_that_it_divides_by() -> None:
    """Of the second group hardly a row is selected, so that its precision is left out, and its other rates are not."""
    codes, labels = np.repeat([0, 1], 500), np.arange(1000) % 2
    scores = np.where((codes == 0) | (np.arange(1000) % 50 == 0), 0.9, 0.1)
    division = Grouping(("group",), ({"group": "a"}, {"group": "b"}), codes)
    found = found_on(division, labels, Decided(scores, scores >= 0.5), Slices())
    assert found["predictive_parity"].insufficient == ("group: b",)
    assert all(not one.insufficient for metric, one in found.items() if metric != "predictive_parity")


def test_when_nobody_is_selected_there_is_no_ratio() -> None:
    codes, labels = np.repeat([0, 1], 500), np.arange(1000) % 2
    division = Grouping(("group",), ({"group": "a"}, {"group": "b"}), codes)
    found = found_on(division, labels, Decided(np.full(1000, 0.1), np.zeros(1000, bool)), Slices())
    assert np.isnan(found["selection_rate_ratio"].value)
    assert len(found["selection_rate_ratio"].compared) == 2
    assert found["demographic_parity"].value == 0
