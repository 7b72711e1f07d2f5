"""Champion and challenger on live traffic: paired in the shadow, two groups in a canary, INSUFFICIENT if few."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.evaluation.metrics import single
from include.monitoring.comparison import METRICS, of_canary, of_shadow
from include.spec import UseCase

VERSIONS = ("3", "4")


@pytest.fixture(scope="module")
def pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Telco's rows with a score, and with one that knows less."""
    noise = np.random.default_rng(0).normal(0, 0.15, len(rows))
    return rows.assign(shadow=(rows["score"] + noise).clip(0, 1)).head(2000)


def test_the_shadow_is_compared_on_the_same_rows(pairs: pd.DataFrame, churn: UseCase):
    found = of_shadow(pairs, VERSIONS, churn)
    assert (found.outcome, found.how, set(found.figures)) == ("COMPARED", "shadow", set(METRICS))
    labels = pairs["label"].to_numpy()
    auc = found.figures["roc_auc"]
    assert auc.champion.value == single("roc_auc", labels, pairs["score"].to_numpy())
    assert auc.challenger.value == single("roc_auc", labels, pairs["shadow"].to_numpy())
    assert auc.difference.value == pytest.approx(auc.challenger.value - auc.champion.value)
    assert auc.difference.high < 0
    assert auc.difference.high - auc.difference.low < 0.7 * (auc.champion.high - auc.champion.low), "paired"


def test_a_canary_compares_two_groups(pairs: pd.DataFrame, churn: UseCase):
    champion, challenger = pairs.iloc[:1500], pairs.iloc[1500:].assign(score=lambda frame: frame["shadow"])
    found = of_canary(champion, challenger, VERSIONS, churn)
    assert (found.outcome, found.how) == ("COMPARED", "canary")
    assert (found.champion.rows, found.challenger.rows) == (1500, 500)
    auc = found.figures["roc_auc"]
    assert auc.difference.low < auc.difference.value < auc.difference.high
    assert auc.difference.high - auc.difference.low > auc.challenger.high - auc.challenger.low


def test_coverage_is_that_of_each_side(pairs: pd.DataFrame, churn: UseCase):
    some = pairs.assign(label=pairs["label"].where(np.arange(len(pairs)) % 4 > 0))
    found = of_canary(some.iloc[:1000], pairs.iloc[1000:], VERSIONS, churn)
    assert (found.champion.coverage, found.challenger.coverage) == (0.75, 1.0)


def test_few_labels_are_insufficient(pairs: pd.DataFrame, churn: UseCase):
    few = pairs.assign(label=pairs["label"].where(np.arange(len(pairs)) < 199))
    for found in (of_shadow(few, VERSIONS, churn), of_canary(pairs, few, VERSIONS, churn)):
        assert (found.outcome, found.figures) == ("INSUFFICIENT", {})
        assert "199 labelled rows, at least 200 needed" in found.note


def test_labels_of_one_class_are_insufficient(pairs: pd.DataFrame, churn: UseCase):
    found = of_shadow(pairs.assign(label=0.0), VERSIONS, churn)
    assert (found.outcome, found.note) == ("INSUFFICIENT", "fewer than 10 labels of a class")
