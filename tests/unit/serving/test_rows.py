"""What a row of a request has to be, and the columns that it becomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.features.build import load_functions
from include.serving.problems import Problem
from include.serving.rows import Contract, alone, shown, within
from include.spec import UseCase

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GOOD: dict[str, Any] = {"n": 1.5, "whole": 2, "c": "x", "free": "some text"}


def use_case(folder: Path, **changes: Any) -> UseCase:
    (folder / "features.py").write_text("def double(columns):\n    return columns['n'] * 2\n", encoding="utf-8")
    content = {
        "name": "tiny",
        "title": "Tiny",
        "description": "tiny",
        "owner": "nobody",
        "id": "the key",
        "observed_at": "seen",
        "target": {"column": "y", "positive": "1", "negative": "0", "description": "the target"},
        "columns": {
            "the key": {"type": "text", "description": "the key"},
            "seen": {"type": "text", "description": "when"},
            "n": {"type": "number", "description": "a number", "nullable": True},
            "whole": {"type": "integer", "description": "a count", "min": 0},
            "c": {"type": "category", "description": "a category", "values": ["x", "y"], "nullable": True},
            "free": {"type": "text", "description": "a text"},
            "paid": {"type": "number", "description": "what came later", "after_event": True},
        },
        "features": {"columns": ["n", "c"], "derived": {"double": {"description": "twice"}}},
        "training": {"candidates": {"a": {"kind": "decision_tree"}}},
        "gate": {},
        "folder": folder,
    }
    return UseCase.model_validate(content | changes)


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return Contract(use_case(tmp_path))


def faults(contract: Contract, *rows: Any) -> list[tuple[str, str]]:
    with pytest.raises(Problem) as refused:
        contract.rows(rows, within("rows"), NOW)
    assert refused.value.code == "INVALID"
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


def test_what_a_model_may_see_has_to_be_there_and_the_rest_may_be(contract: Contract) -> None:
    (row,) = contract.rows([GOOD], within("rows"), NOW)
    assert row == {**GOOD, "seen": NOW.isoformat()}
    whole = {**GOOD, "the key": "0042", "seen": "2026-11-24T09:00:00+02:00", "paid": None}
    assert contract.rows([whole], within("rows"), NOW) == [whole]
    assert faults(contract, {}) == [(f"/rows/0/{name}", "MISSING_FIELD") for name in ("n", "whole", "c", "free")]


def test_a_row_becomes_read_only_columns_and_features(contract: Contract, tmp_path: Path) -> None:
    rows = contract.rows([GOOD, {**GOOD, "n": None, "c": None}], within("rows"), NOW)
    made = contract.features(rows, load_functions(contract.spec))
    assert list(made) == ["n", "c", "double"]
    np.testing.assert_array_equal(made["n"], [1.5, np.nan])
    np.testing.assert_array_equal(made["double"], [3.0, np.nan])
    assert made["c"].tolist() == ["x", "missing"]
    assert not made["n"].flags.writeable


def test_text_is_stripped_as_in_a_batch_and_numbers_become_it(contract: Contract) -> None:
    (row,) = contract.rows([{**GOOD, "c": " y ", "free": -7, "the key": 2**60}], within("rows"), NOW)
    assert (row["c"], row["free"], row["the key"]) == ("y", "-7", "1152921504606846976")


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2.0**60, -0.0])
def test_a_whole_number_is_a_text_with_every_digit(value: float, contract: Contract) -> None:
    (row,) = contract.rows([{**GOOD, "the key": value}], within("rows"), NOW)
    assert row["the key"] == str(int(value))


@pytest.mark.parametrize("value", [2**63, 2.0**63, 1.5, 1e300])
def test_another_number_is_no_text(value: float, contract: Contract) -> None:
    assert faults(contract, {**GOOD, "the key": value}) == [("/rows/0/the key", "BAD_VALUE")]


@pytest.mark.parametrize("value", ["", " ", "\x1c", "\x85", "\ufeff", "\u2003\n", "a\x00"])
def test_blanks_are_no_text_in_whatever_alphabet(value: str, contract: Contract) -> None:
    assert faults(contract, {**GOOD, "free": value}) == [("/rows/0/free", "BAD_VALUE")]


@pytest.mark.parametrize("value", [2, 2.0, 2**53 - 1])
def test_a_whole_number_may_have_a_point(value: float, contract: Contract) -> None:
    (row,) = contract.rows([{**GOOD, "whole": value}], within("rows"), NOW)
    assert row["whole"] == value


@pytest.mark.parametrize("value", [2.5, -1, True, "2", None, 2**53, float("nan"), float("inf"), [], {}])
def test_another_value_is_none(value: Any, contract: Contract) -> None:
    assert faults(contract, GOOD, {**GOOD, "whole": value}) == [("/rows/1/whole", "BAD_VALUE")]


def test_one_fault_a_field_whatever_types_it_may_be_of(contract: Contract) -> None:
    broken = {**GOOD, "c": [1], "n": "1", "free": 1.5, "extra~/": 1}
    assert sorted(faults(contract, broken)) == [
        ("/rows/0/c", "BAD_VALUE"),
        ("/rows/0/extra~0~1", "UNKNOWN_FIELD"),
        ("/rows/0/free", "BAD_VALUE"),
        ("/rows/0/n", "BAD_VALUE"),
    ]


@pytest.mark.parametrize("row", [None, 1, "x", [], [GOOD]])
def test_what_is_no_object_is_no_row(row: Any, contract: Contract) -> None:
    assert faults(contract, row) == [("/rows/0", "NO_ROW")]


@pytest.mark.parametrize(
    "seen",
    [
        "2026-11-24T09:00:00",
        "2026-11-24",
        "yesterday",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T00:00:00Z",
        (NOW + timedelta(minutes=6)).isoformat(),
    ],
)
def test_b38_a_time_that_is_not_clearly_one_moment_of_the_past_is_refused(seen: str, contract: Contract) -> None:
    assert faults(contract, {**GOOD, "seen": seen}) == [("/rows/0/seen", "BAD_TIME")]


def test_clocks_may_differ_by_minutes(contract: Contract) -> None:
    assert contract.rows([{**GOOD, "seen": (NOW + timedelta(minutes=4)).isoformat()}], within("rows"), NOW)


def test_rows_of_model_inputs_are_told_by_their_names(contract: Contract) -> None:
    inputs = {"n": 1.0, "c": "x", "double": 2.0}
    assert contract.are_inputs(list(inputs))
    assert contract.are_inputs([*inputs, "the key"])
    assert not contract.are_inputs([*GOOD, "double"][:-1])
    assert not contract.are_inputs(["n"])
    (row,) = contract.inputs([{**inputs, "the key": 7, "c": None, "double": None}], within("rows"))
    made = contract.given_features([row])
    assert row["the key"] == "7"
    assert made["c"].tolist() == ["missing"]
    assert np.isnan(made["double"]).all()
    with pytest.raises(Problem, match="/row/free: there is no such field"):
        contract.inputs([{**inputs, "free": "x"}], alone("row"))


def test_a_use_case_of_columns_alone_takes_its_inputs_as_rows(tmp_path: Path) -> None:
    spec = use_case(tmp_path, features={"columns": ["n", "c"]})
    contract = Contract(spec)
    assert contract.are_inputs(["n", "c"])
    assert not contract.are_inputs(["n", "c", "whole", "free"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        ({"a": 1}, "an object of 1"),
        ([1, 2], "an array of 2"),
        ("x" * 90, "'" + "x" * 80 + "'… (90 characters)"),
        (10**300, "1" + "0" * 79),
    ],
)
def test_a_value_is_quoted_in_short(value: Any, words: str) -> None:
    assert shown(value) == words
