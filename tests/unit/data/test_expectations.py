"""Great Expectations on typed rows: each rule of the spec, row by row, and when a batch is refused whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import great_expectations as gx
import numpy as np
import pandas as pd
import pytest

from include.data import contract, expectations
from include.data.calendar import midnight
from include.data.expectations import Validation
from include.spec import UseCase

ROWS = 1000


@pytest.fixture(scope="module")
def batch(telco_csv: Path, churn: UseCase) -> pd.DataFrame:
    """Typed real rows, all observed on one day."""
    frame = contract.conform(contract.read(telco_csv, churn), churn).frame.head(ROWS)
    return frame.assign(observed_at=pd.Series(midnight("2026-11-23"), index=frame.index).dt.as_unit("us"))


def changed(frame: pd.DataFrame, column: str, values: list[object]) -> pd.DataFrame:
    """``frame`` with the first rows of ``column`` replaced."""
    found = frame.copy()
    found.loc[found.index[: len(values)], column] = values
    return found


def broken(result: Validation) -> dict[str, int]:
    return {rule.rule: rule.broken for rule in result.rules if rule.broken}


def test_good_rows_pass_every_rule(batch: pd.DataFrame, churn: UseCase):
    result = expectations.validate(batch, (), churn)
    assert (result.rows_in, result.published, result.quarantined, result.duplicates) == (ROWS, ROWS, 0, 0)
    assert result.refusals == ()
    assert broken(result) == {}


def test_the_suite_has_a_rule_for_all_that_the_spec_says(churn: UseCase):
    kinds = {(e.expectation_type, getattr(e, "column", None)) for e in expectations.compile_suite(churn).expectations}
    for name, column in churn.columns.items():
        assert (("expect_column_values_to_not_be_null", name) in kinds) == (not column.nullable)
        assert (("expect_column_values_to_be_in_set", name) in kinds) == (column.values is not None)
        bounded = column.min is not None or column.max is not None
        assert (("expect_column_values_to_be_between", name) in kinds) == bounded
    assert ("expect_column_values_to_be_in_set", "label") in kinds
    assert ("expect_compound_columns_to_be_unique", None) in kinds
    assert ("expect_table_row_count_to_be_between", None) in kinds


RULES: dict[str, tuple[str, list[object], str]] = {
    "B19-blank": ("Partner", [None, None, None], "Partner: must not be blank"),
    "B24-above": ("tenure", [121.0, 500.0], "tenure: must be between 0 and 120"),
    "B24-below": ("tenure", [-1.0], "tenure: must be between 0 and 120"),
    "unknown-value": ("Contract", ["Weekly"], "Contract: must be one of Month-to-month, One year, Two year"),
}


@pytest.mark.parametrize("case", RULES)
def test_rows_that_break_a_rule_are_quarantined_with_its_name(case: str, batch: pd.DataFrame, churn: UseCase):
    column, values, rule = RULES[case]
    result = expectations.validate(changed(batch, column, values), (), churn)
    assert broken(result) == {rule: len(values)}
    assert (result.quarantined, result.published) == (len(values), ROWS - len(values))
    assert list(result.broken_rules[: len(values)]) == [rule] * len(values)
    assert set(result.broken_rules[len(values) :]) == {""}
    assert result.refusals == ()


def test_a_row_that_breaks_two_rules_names_both_and_counts_once(batch: pd.DataFrame, churn: UseCase):
    frame = changed(changed(batch, "tenure", [999.0]), "Contract", ["Weekly"])
    result = expectations.validate(frame, (), churn)
    assert result.quarantined == 1
    first = result.broken_rules.iloc[0]
    assert "tenure: must be between" in first
    assert "Contract: must be one of" in first


def test_a_value_that_could_not_be_read_is_named_for_what_it_was(batch: pd.DataFrame, churn: UseCase):
    raw = contract.RawTable(batch.drop(columns=["label", "observed_at"]).astype("str").assign(Churn="No"), ())
    raw.frame.loc[raw.frame.index[0], "tenure"] = "12abc"
    conformed = contract.conform(raw, churn)
    frame = conformed.frame.assign(observed_at=batch["observed_at"])
    result = expectations.validate(frame, conformed.faults, churn)
    assert broken(result) == {"tenure: not a number": 1}
    assert result.rules[0].sample == ("12abc",)


def test_exact_repeats_are_dropped_and_counted(batch: pd.DataFrame, churn: UseCase):
    result = expectations.validate(pd.concat([batch, batch.head(7)], ignore_index=True), (), churn)
    assert (result.rows_in, result.duplicates, result.quarantined, result.published) == (ROWS + 7, 7, 0, ROWS)
    assert result.refusals == ()


def test_b36_one_key_with_different_content_goes_to_quarantine_whole(batch: pd.DataFrame, churn: UseCase):
    other = batch.head(2).assign(MonthlyCharges=1.0)
    result = expectations.validate(pd.concat([batch, other], ignore_index=True), (), churn)
    assert broken(result) == {"customerID+observed_at: must be unique": 4}
    assert (result.quarantined, result.published) == (4, ROWS - 2)


def spoiled(share: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: changed(frame, "Contract", ["Weekly"] * int(share * ROWS))


REFUSALS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, tuple[str, ...]]] = {
    "B4": (lambda frame: frame.head(9), "TOO_FEW_ROWS", ("9 rows", "at least 10")),
    "B22": (
        lambda frame: frame.assign(TotalCharges=float("nan"), Partner=None),
        "COLUMN_ALL_NULL",
        ("'Partner'", f"{ROWS} rows"),
    ),
    "rate": (spoiled(0.02), "QUARANTINE_RATE", ("20 of 1000 rows", "2.0%", "at most 1.0%", "Contract", "'Weekly'")),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_batch_past_a_limit_is_refused_with_both_numbers(case: str, batch: pd.DataFrame, churn: UseCase):
    spoil, code, named = REFUSALS[case]
    refusals = dict(expectations.validate(spoil(batch), (), churn).refusals)
    assert code in refusals
    for part in named:
        assert part in refusals[code]


def test_a_batch_at_the_limit_passes(batch: pd.DataFrame, churn: UseCase):
    result = expectations.validate(spoiled(0.01)(batch), (), churn)
    assert result.refusals == ()
    assert result.quarantined == 10


def test_the_json_adds_up(batch: pd.DataFrame, churn: UseCase):
    content = expectations.validate(spoiled(0.01)(batch), (), churn).to_json()
    assert content["rows_in"] == content["rows_published"] + content["rows_quarantined"] + content["duplicate_rows"]
    assert {rule["rule"] for rule in content["rules"] if rule["broken"]} == {RULES["unknown-value"][2]}


def test_no_progress_bar_goes_into_the_log_of_a_task(
    batch: pd.DataFrame, churn: UseCase, capfd: pytest.CaptureFixture[str]
):
    expectations.validate(batch, (), churn)
    shown = capfd.readouterr()
    assert "Calculating Metrics" not in shown.out + shown.err


def plain(frame: pd.DataFrame, spec: UseCase) -> dict[str, list[int]]:
    """Great Expectations alone on every row of the frame: the rows that break each rule."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("batch").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    checked = batch.validate(expectations.compile_suite(spec), result_format={"result_format": "COMPLETE"})
    found = {}
    for result in checked.results:
        kind, about = result.expectation_config.type, result.expectation_config.kwargs
        if kind != "expect_table_row_count_to_be_between":
            column = about.get("column") or "+".join(about["column_list"])
            found[f"{column}: {expectations._words(kind, about)}"] = sorted(result.result["unexpected_index_list"])
    return found


def spoil_at_random(frame: pd.DataFrame, spec: UseCase, seed: int) -> pd.DataFrame:
    """Blanks, foreign categories, numbers out of range and keys that stand twice, each in a few rows."""
    random = np.random.default_rng(seed)
    spoiled = frame.copy()
    for name, column in spec.columns.items():
        rows = random.choice(len(frame), 40, replace=False)
        spoiled.loc[rows[:20], name] = None
        if column.type == "category":
            spoiled.loc[rows[20:], name] = random.choice(["Weekly", "yes", "\u0645"], 20)
        if column.is_numeric:
            spoiled.loc[rows[20:], name] = random.choice([-1.0, -1e300, 1e300, 0.0], 20)
    spoiled.loc[random.choice(len(frame), 20, replace=False), "label"] = random.choice([2.0, -1.0, np.nan], 20)
    return pd.concat([spoiled, spoiled.head(30).assign(tenure=5.0)], ignore_index=True)


@pytest.mark.parametrize("seed", range(3))
def test_verdicts_are_those_of_great_expectations_on_every_row(seed: int, batch: pd.DataFrame, churn: UseCase):
    frame = spoil_at_random(batch, churn, seed)
    assert not frame.duplicated().any()
    expected = plain(frame, churn)
    result = expectations.validate(frame, (), churn)
    rules = result.broken_rules.str.split("; ")
    assert {rule.rule: rule.broken for rule in result.rules} == {rule: len(rows) for rule, rows in expected.items()}
    assert all(expected.values())
    for rule, rows in expected.items():
        assert list(np.flatnonzero(rules.map(lambda names, rule=rule: rule in names))) == rows


def test_rows_that_could_not_be_read_are_never_taken_for_repeats(batch: pd.DataFrame, churn: UseCase):
    unread = batch.head(1).assign(tenure=float("nan"))
    frame = pd.concat([unread, batch.iloc[1:], unread], ignore_index=True)
    fault = contract.RowFault("tenure: not a number", "tenure", np.array([0, ROWS]), ("12abc", "13abc"))
    result = expectations.validate(frame, [fault], churn)
    assert (result.duplicates, result.quarantined, result.published) == (0, 2, ROWS - 1)
    assert list(np.flatnonzero(result.broken_rules != "")) == [0, ROWS]


@pytest.mark.parametrize("unread", [0, ROWS], ids=["unread first", "blank first"])
def test_a_blank_row_is_no_repeat_of_one_that_could_not_be_read(unread: int, batch: pd.DataFrame, churn: UseCase):
    blank = batch.head(1).assign(TotalCharges=float("nan"))
    frame = pd.concat([blank, batch.iloc[1:], blank, batch.tail(1)], ignore_index=True)
    fault = contract.RowFault("TotalCharges: not a number", "TotalCharges", np.array([unread]), ("12abc",))
    result = expectations.validate(frame, [fault], churn)
    assert (result.duplicates, result.quarantined, result.published) == (1, 2, ROWS - 1)
    assert list(result.broken_rules[[0, ROWS]].str.contains("must be unique")) == [True, True]


def test_sound_rows_that_repeat_each_other_are_counted_beside_one_that_could_not_be_read(
    batch: pd.DataFrame, churn: UseCase
):
    frame = pd.concat([batch, batch.head(1), batch.head(1).assign(tenure=float("nan"))], ignore_index=True)
    fault = contract.RowFault("tenure: not a number", "tenure", np.array([ROWS + 1]), ("12abc",))
    result = expectations.validate(frame, [fault], churn)
    assert (result.duplicates, result.quarantined, result.published) == (1, 2, ROWS - 1)
