"""The features of churn have a value for every row that the spec allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.features.build import derive, load_functions
from include.settings import PROJECT
from include.spec import load

SPEC = load(PROJECT / "include" / "use_cases" / "churn" / "spec.yaml")
FUNCTIONS = load_functions(SPEC)


def column(name: str) -> st.SearchStrategy[float | str]:
    about = SPEC.columns[name]
    if not about.is_numeric:
        return st.sampled_from([*(about.values or ()), "missing", "another"])
    inside = (
        st.integers(int(about.min), int(about.max))
        if about.type == "integer"
        else st.floats(about.min, about.max, allow_subnormal=True)
    )
    return st.one_of(inside, st.just(float("nan"))) if about.nullable else inside


@given(st.fixed_dictionaries({name: column(name) for name in SPEC.columns if name != SPEC.id}))
def test_every_derived_feature_is_a_number(row: dict[str, float | str]) -> None:
    columns = {
        name: np.array([value], np.float64 if SPEC.columns[name].is_numeric else object) for name, value in row.items()
    }
    made = derive(columns, SPEC, FUNCTIONS)
    assert list(made) == list(SPEC.feature_types)
    assert all(np.isfinite(made[name]).all() for name in SPEC.features.derived)


@pytest.mark.parametrize(
    ("monthly", "total", "tenure", "expected"),
    [(30.0, 30.0, 1, 1.0), (60.0, 300.0, 10, 2.0), (30.0, float("nan"), 0, 1.0), (30.0, 1e-310, 5, 1.0)],
)
def test_the_change_of_the_charge(monthly: float, total: float, tenure: int, expected: float) -> None:
    columns = {"MonthlyCharges": np.array([monthly]), "TotalCharges": np.array([total]), "tenure": np.array([tenure])}
    assert FUNCTIONS["charge_change"](columns).tolist() == [expected]
