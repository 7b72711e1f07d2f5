"""Great Expectations: a suite compiled from the spec, run on a typed batch, its verdict row by row.

Each call has an ephemeral context of its own, because parallel tasks corrupt a shared one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
from great_expectations import expectations as gxe

from include.data.contract import RowFault
from include.spec import UseCase

SAMPLE = 5


@dataclass(frozen=True)
class RuleResult:
    """One rule of the batch: how many rows break it, and a few of the values found."""

    rule: str
    column: str
    broken: int
    sample: tuple[str, ...]


@dataclass(frozen=True)
class Validation:
    """The verdict on a batch. ``broken_rules`` holds, per row of the batch, the rules that it breaks ('' for none)."""

    rows_in: int
    duplicates: int
    quarantined: int
    rules: tuple[RuleResult, ...]
    refusals: tuple[tuple[str, str], ...]
    broken_rules: pd.Series

    @property
    def published(self) -> int:
        return self.rows_in - self.duplicates - self.quarantined

    def to_json(self) -> dict[str, Any]:
        return {
            "rows_in": self.rows_in,
            "rows_published": self.published,
            "rows_quarantined": self.quarantined,
            "duplicate_rows": self.duplicates,
            "refusals": [{"code": code, "message": message} for code, message in self.refusals],
            "rules": [asdict(rule) for rule in self.rules],
        }


def compile_suite(spec: UseCase) -> gx.ExpectationSuite:
    """The suite that ``spec`` states: nulls, value sets, ranges, labels, unique keys, at least one row."""
    suite = gx.ExpectationSuite(name=spec.name)
    for name, column in spec.columns.items():
        if not column.nullable:
            suite.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column=name))
        if column.values is not None:
            suite.add_expectation(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(column.values)))
        if column.min is not None or column.max is not None:
            suite.add_expectation(
                gxe.ExpectColumnValuesToBeBetween(column=name, min_value=column.min, max_value=column.max)
            )
    suite.add_expectation(gxe.ExpectColumnValuesToBeInSet(column="label", value_set=[0.0, 1.0]))
    suite.add_expectation(gxe.ExpectCompoundColumnsToBeUnique(column_list=[spec.id, "observed_at"]))
    suite.add_expectation(gxe.ExpectTableRowCountToBeBetween(min_value=spec.limits.minimum_batch_rows))
    return suite


def validate(frame: pd.DataFrame, faults: Sequence[RowFault], spec: UseCase) -> Validation:
    """Judge ``frame`` (typed, with ``observed_at``; row positions as in ``faults``) against the spec's suite.

    Exact repeats of a row are dropped and counted; rows with one key and different content all go to quarantine.
    """
    repeats = frame.duplicated(keep="first").to_numpy()
    batch = frame[~repeats].reset_index(drop=True)
    position = np.cumsum(~repeats) - 1
    broken: list[list[str]] = [[] for _ in range(len(batch))]
    rules = []
    for fault in faults:
        rows = sorted({int(position[row]) for row in fault.rows})
        rules.append(RuleResult(fault.rule, fault.column, len(rows), fault.sample))
        _mark(broken, rows, fault.rule)
    for result in _run(batch, spec):
        rule = _rule(result, batch, already=broken)
        if rule is not None:
            rules.append(rule[0])
            _mark(broken, rule[1], rule[0].rule)
    per_row = pd.Series(["; ".join(names) for names in broken], index=np.flatnonzero(~repeats), dtype="str")
    quarantined = int((per_row != "").sum())
    refusals = tuple(_refusals(batch, quarantined, rules, spec))
    everywhere = per_row.reindex(range(len(frame)), fill_value="duplicate row")
    return Validation(len(frame), int(repeats.sum()), quarantined, tuple(rules), refusals, everywhere)


def _run(batch: pd.DataFrame, spec: UseCase) -> list[Any]:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("batch").add_dataframe_asset("rows")
    definition = asset.add_batch_definition_whole_dataframe("whole")
    wanted = {"result_format": "COMPLETE", "include_unexpected_rows": False}
    checked = definition.get_batch({"dataframe": batch}).validate(compile_suite(spec), result_format=wanted)
    return list(checked.results)


def _rule(result: Any, batch: pd.DataFrame, already: list[list[str]]) -> tuple[RuleResult, list[int]] | None:
    """The rule behind one expectation's result with the rows that break it; None for a rule about the table."""
    kind, kwargs = result.expectation_config.type, result.expectation_config.kwargs
    if (result.exception_info or {}).get("raised_exception"):
        raise RuntimeError(f"{kind} on {kwargs.get('column')}: {result.exception_info['exception_message']}")
    if kind == "expect_table_row_count_to_be_between":
        return None
    rows = [int(row) for row in result.result.get("unexpected_index_list") or []]
    column = kwargs.get("column") or "+".join(kwargs["column_list"])
    if kind == "expect_column_values_to_not_be_null":
        # A value that could not be read is null by now and has been named for what it was.
        rows = [row for row in rows if not any(name.startswith(f"{column}: ") for name in already[row])]
    values = (
        batch[column].iloc[rows[:SAMPLE]] if column in batch else batch[kwargs["column_list"][0]].iloc[rows[:SAMPLE]]
    )
    return RuleResult(f"{column}: {_words(kind, kwargs)}", column, len(rows), tuple(str(v)[:80] for v in values)), rows


def _words(kind: str, kwargs: dict[str, Any]) -> str:
    match kind:
        case "expect_column_values_to_not_be_null":
            return "must not be blank"
        case "expect_column_values_to_be_in_set":
            shown = ", ".join(map(str, kwargs["value_set"][:8]))
            return f"must be one of {shown}{', …' if len(kwargs['value_set']) > 8 else ''}"
        case "expect_column_values_to_be_between":
            return _range(kwargs.get("min_value"), kwargs.get("max_value"))
        case _:
            return "must be unique"


def _range(low: float | None, high: float | None) -> str:
    match low, high:
        case None, _:
            return f"must be at most {high:.15g}"
        case _, None:
            return f"must be at least {low:.15g}"
        case _:
            return f"must be between {low:.15g} and {high:.15g}"


def _mark(broken: list[list[str]], rows: Sequence[int], rule: str) -> None:
    for row in rows:
        broken[row].append(rule)


def _refusals(batch: pd.DataFrame, quarantined: int, rules: list[RuleResult], spec: UseCase) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    rows, limits = len(batch), spec.limits
    if rows < limits.minimum_batch_rows:
        found.append(("TOO_FEW_ROWS", f"{rows} rows, at least {limits.minimum_batch_rows} expected in a batch"))
    for name, column in spec.columns.items():
        if rows and not column.nullable and batch[name].isna().all():
            found.append(("COLUMN_ALL_NULL", f"column '{name}' has no readable value in any of {rows} rows"))
    if rows and quarantined / rows > limits.quarantine_rate:
        worst = sorted((rule for rule in rules if rule.broken), key=lambda rule: -rule.broken)[:3]
        named = "; ".join(f"{r.rule} ({r.broken} rows, such as {', '.join(map(repr, r.sample[:2]))})" for r in worst)
        rate = quarantined / rows
        message = f"{quarantined} of {rows} rows ({rate:.1%}) break a rule, at most {limits.quarantine_rate:.1%}"
        found.append(("QUARANTINE_RATE", f"{message} may: {named}. Mend the file and start the run again"))
    return found
