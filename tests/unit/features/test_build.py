"""Model inputs: order, types, nulls, and what a use case's functions may return."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.errors import DataRejected
from include.features.build import FeatureError, as_columns, build, derive, feature_version, load_functions
from include.spec import SpecError, UseCase


@pytest.fixture
def telco(telco_csv: Path) -> pd.DataFrame:
    frame = pd.read_csv(telco_csv, dtype={"SeniorCitizen": str})
    return frame.assign(TotalCharges=pd.to_numeric(frame["TotalCharges"], errors="coerce"))


def use_case(folder: Path, source: str, kind: str = "number") -> UseCase:
    (folder / "features.py").write_text(source, encoding="utf-8")
    return UseCase.model_validate(
        {
            "name": "tiny",
            "title": "Tiny",
            "description": "tiny",
            "owner": "nobody",
            "id": "key",
            "target": {"column": "y", "positive": "1", "negative": "0", "description": "the target"},
            "columns": {
                "key": {"type": "text", "description": "the key"},
                "n": {"type": "number", "description": "a number", "nullable": True},
                "c": {"type": "category", "description": "a category", "nullable": True},
            },
            "features": {"columns": ["n", "c"], "derived": {"f": {"type": kind, "description": "made"}}},
            "training": {"candidates": {"a": {"kind": "decision_tree"}}},
            "gate": {},
            "folder": folder,
        }
    )


ROWS = pd.DataFrame({"c": ["x", None, "y"], "n": [1, None, 3], "key": ["a", "b", "c"]}, index=[7, 8, 9])


def test_telco_has_every_input_in_order(telco: pd.DataFrame, churn: UseCase) -> None:
    built = build(telco, churn)
    assert list(built) == list(churn.feature_types)
    assert len(built) == len(telco)
    for name, kind in churn.feature_types.items():
        assert built[name].dtype == (np.float64 if kind == "number" else object)


def test_one_row_gives_the_same_as_a_batch(telco: pd.DataFrame, churn: UseCase) -> None:
    batch = build(telco, churn)
    for position in (0, 488, 7042):  # 488 is a new customer, without total charges
        pd.testing.assert_frame_equal(build(telco.iloc[[position]], churn), batch.iloc[[position]])


def test_nulls_and_index(tmp_path: Path) -> None:
    built = build(ROWS, use_case(tmp_path, "def f(columns):\n    return columns['n'] * 2\n"))
    assert built["c"].tolist() == ["x", "missing", "y"]
    assert built["f"].tolist()[::2] == [2.0, 6.0]
    assert math.isnan(built["n"].loc[8])
    assert built.index.tolist() == [7, 8, 9]


@pytest.mark.parametrize("values", [pd.Categorical(["x", None, "y"]), pd.array(["x", None, "y"], dtype="str")])
def test_storage_of_text_does_not_matter(values: object, tmp_path: Path) -> None:
    spec = use_case(tmp_path, "def f(columns):\n    return columns['n']\n")
    pd.testing.assert_frame_equal(build(ROWS.assign(c=values), spec), build(ROWS, spec))


def test_a_category_may_be_derived(tmp_path: Path) -> None:
    source = "import numpy as np\ndef f(columns):\n    return np.where(columns['n'] > 1, 'high', 'low')\n"
    assert build(ROWS, use_case(tmp_path, source, "category"))["f"].tolist() == ["low", "low", "high"]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        pytest.param("columns['n'][:2]", "number", "shape", id="shape"),
        pytest.param("columns['n'].reshape(-1, 1)", "number", "shape", id="column vector"),
        pytest.param("columns['c']", "number", "expected numbers", id="text for a number"),
        pytest.param("columns['n']", "category", "expected text", id="number for text"),
        pytest.param("np.array([1.0, np.inf, 2.0])", "number", "infinite", id="inf"),
        pytest.param("np.array([1.0, -np.inf, 2.0])", "number", "infinite", id="-inf"),
        pytest.param("columns['key']", "number", "KeyError", id="the id is not to be learned"),
        pytest.param("columns['y']", "number", "KeyError", id="nor is the target"),
        pytest.param("columns['n'].fill(0)", "number", "read-only", id="inputs are read-only"),
    ],
)
def test_a_bad_function_is_named(body: str, kind: str, message: str, tmp_path: Path) -> None:
    spec = use_case(tmp_path, f"import numpy as np\ndef f(columns):\n    return {body}\n", kind)
    with pytest.raises(FeatureError, match=rf"features\.py: f: .*{message}"):
        build(ROWS.assign(y="1"), spec)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("def g(columns): ...", "derived feature.* f$", id="missing function"),
        pytest.param("f = 3", "derived feature.* f$", id="not a function"),
        pytest.param("def f(:", "SyntaxError", id="syntax"),
        pytest.param("raise RuntimeError('no')", "RuntimeError: no", id="raises"),
    ],
)
def test_a_bad_file_is_a_spec_error(source: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=message):
        load_functions(use_case(tmp_path, source))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(ROWS.drop(columns="n"), "MISSING_COLUMNS", id="missing"),
        pytest.param(ROWS.assign(n=["1", "?", "3"]), "NOT_A_NUMBER", id="text"),
        pytest.param(ROWS.assign(n=[1.0, np.inf, 3.0]), "NOT_A_NUMBER", id="infinite"),
    ],
)
def test_a_bad_frame_is_refused(frame: pd.DataFrame, code: str, tmp_path: Path) -> None:
    with pytest.raises(DataRejected) as refused:
        build(frame, use_case(tmp_path, "def f(columns):\n    return columns['n']\n"))
    assert refused.value.code == code


def test_two_use_cases_do_not_share_functions(tmp_path: Path) -> None:
    made = []
    for name, factor in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        made.append(use_case(tmp_path / name, f"def f(columns):\n    return columns['n'] * {factor}\n"))
    assert [build(ROWS, spec)["f"].iloc[0] for spec in made] == [2.0, 3.0]


def test_feature_version_follows_the_source(tmp_path: Path) -> None:
    spec = use_case(tmp_path, "def f(columns):\n    return columns['n']\n")
    before = feature_version(spec)
    assert len(before) == 16
    assert before == feature_version(spec)
    assert before != feature_version(use_case(tmp_path, "def f(columns):\n    return -columns['n']\n"))
    assert before != feature_version(use_case(tmp_path, "def f(columns):\n    return columns['n']\n", "category"))


def test_columns_give_what_a_frame_gives(telco: pd.DataFrame, churn: UseCase) -> None:
    """One definition: a process that serves has columns and no frame."""
    rows, functions = telco.iloc[480:490], load_functions(churn)
    made = derive(as_columns(rows, churn), churn, functions)
    pd.testing.assert_frame_equal(pd.DataFrame(made, index=rows.index, dtype=object), build(rows, churn).astype(object))


def test_a_derived_category_has_text_for_null_online_too(tmp_path: Path) -> None:
    source = "import numpy as np\ndef f(columns):\n    return np.array([None, 3, 'low'], dtype=object)\n"
    spec = use_case(tmp_path, source, "category")
    assert derive(as_columns(ROWS, spec), spec, load_functions(spec))["f"].tolist() == ["missing", "3", "low"]
