"""Slices divide the rows, each row once; their figures are those of their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.evaluation import slices
from include.evaluation.metrics import evaluate
from include.evaluation.slices import Grouping, Slice, groupings
from include.spec import Column, Metric, Rule, UseCase
from tests.unit.evaluation.conftest import SEED, Holdout

METRICS = Metric.__args__  # type: ignore[attr-defined]


def with_slices(spec: UseCase, **settings: Any) -> UseCase:
    """The spec with other ``gate.slices``, and a rule for every metric."""
    lower = ("brier", "log_loss", "calibration_error")
    rules = tuple(Rule(metric=one, floor=0.5, greater_is_better=one not in lower) for one in METRICS)
    found = spec.gate.slices.model_copy(update=settings)
    return spec.model_copy(update={"gate": spec.gate.model_copy(update={"slices": found, "rules": rules})})


def measured(holdout: Holdout, spec: UseCase) -> dict[str, Slice]:
    divisions = groupings(holdout.rows, spec)
    found = slices.measure(divisions, holdout.labels, holdout.scores, spec.gate, spec.decision, seed=SEED)
    return {one.name: one for one in found}


def test_sensitive_columns_and_their_intersection_are_slices(holdout: Holdout) -> None:
    rows = holdout.rows
    spec = with_slices(holdout.spec, by=())
    for division in groupings(rows, spec):
        counts = rows.groupby(list(division.by)).size()
        found = {tuple(v.values()): len(p) for v, p in zip(division.values, division.rows(), strict=True)}
        assert found == {key if isinstance(key, tuple) else (key,): n for key, n in counts.items()}
        assert sorted(np.concatenate(list(division.rows()))) == list(range(len(rows)))
    assert list(measured(holdout, spec)) == [
        "gender: Female",
        "gender: Male",
        "SeniorCitizen: 0",
        "SeniorCitizen: 1",
        "gender: Female, SeniorCitizen: 0",
        "gender: Female, SeniorCitizen: 1",
        "gender: Male, SeniorCitizen: 0",
        "gender: Male, SeniorCitizen: 1",
    ]


def test_figures_are_those_of_the_rows_of_the_slice(holdout: Holdout) -> None:
    spec = with_slices(holdout.spec, by=(("Contract",),))
    found = measured(holdout, spec)["Contract: One year"]
    mask = (holdout.rows["Contract"] == "One year").to_numpy()
    expected = {n: evaluate(holdout.labels[mask], s[mask], spec.decision) for n, s in holdout.scores.items()}
    assert (found.n, found.positives) == (mask.sum(), holdout.labels[mask].sum())
    assert {figure.metric for figure in found.figures} == set(METRICS)
    for figure in found.figures:
        assert figure.value == getattr(expected["challenger"], figure.metric)
        assert figure.baseline == getattr(expected["champion"], figure.metric)
        assert figure.interval
        assert figure.gain
        assert figure.interval.low <= figure.interval.high
        assert figure.gain.low <= figure.gain.high
        assert abs(figure.gain.value) == abs(figure.value - figure.baseline)
        assert figure.n == found.n


@pytest.mark.parametrize(
    ("bins", "nullable", "values", "names", "sizes"),
    [
        pytest.param((10.0,), False, [9, 10, 11], ["below 10", "10 or more"], [1, 2], id="an edge begins a bin"),
        pytest.param(
            (10.0, 20.0), False, [5, 10, 30], ["below 10", "10 to below 20", "20 or more"], [1, 1, 1], id="between"
        ),
        pytest.param((10.0,), True, [5, None], ["below 10", "10 or more", "missing"], [1, 0, 1], id="without a value"),
        pytest.param((10.0,), False, [5, None], ["below 10", "10 or more", "missing"], [1, 0, 1], id="unforeseen"),
    ],
)
def test_numbers_are_grouped_by_bins(
    churn: UseCase, bins: tuple[float, ...], nullable: bool, values: list[Any], names: list[str], sizes: list[int]
) -> None:
    column = Column(type="number", description="months", nullable=nullable, sensitive=True)
    spec = with_slices(churn, by=(), bins={"tenure": bins}).model_copy(update={"columns": {"tenure": column}})
    (division,) = groupings(pd.DataFrame({"tenure": np.array(values, float)}), spec)
    assert division.names == [f"tenure: {name}" for name in names]
    assert [len(rows) for rows in division.rows()] == sizes


@pytest.mark.parametrize("dtype", ["str", "category"])
def test_no_row_is_left_out_of_its_column(churn: UseCase, dtype: str) -> None:
    column = Column(type="category", values=("a", "b"), description="kind", sensitive=True)
    spec = with_slices(churn, by=()).model_copy(update={"columns": {"kind": column}})
    (division,) = groupings(pd.DataFrame({"kind": pd.Series(["b", None, "z", "b"], dtype=dtype)}), spec)
    assert division.names == ["kind: a", "kind: b", "kind: missing", "kind: other"]
    assert division.codes.tolist() == [1, 2, 3, 1]


@pytest.mark.parametrize(
    ("support", "classes", "insufficient"),
    [
        pytest.param(100, 30, set(), id="enough"),
        pytest.param(1000, 30, set(METRICS), id="rows"),
        pytest.param(
            100, 100, set(METRICS) - {"brier", "log_loss", "calibration_error", "expected_profit"}, id="class rows"
        ),
    ],
)
def test_a_figure_needs_rows_and_one_that_compares_classes_rows_of_each(
    holdout: Holdout, support: int, classes: int, insufficient: set[str]
) -> None:
    spec = with_slices(holdout.spec, minimum_support=support, minimum_class_support=classes)
    found = measured(holdout, spec)["gender: Female, SeniorCitizen: 1"]
    assert 100 <= found.n < 200
    assert 30 <= found.positives < 100
    assert set(found.insufficient) == insufficient
    assert {figure.metric for figure in found.figures} == set(METRICS) - insufficient


def test_a_group_without_a_row_is_there(churn: UseCase) -> None:
    empty = Grouping(("gender",), ({"gender": "Female"}, {"gender": "Male"}), np.ones(300, int))
    labels = np.arange(300) % 2
    found = slices.measure([empty], labels, {"challenger": labels * 0.5}, churn.gate, churn.decision, seed=1)
    assert [(one.n, bool(one.insufficient)) for one in found] == [(0, True), (300, False)]
