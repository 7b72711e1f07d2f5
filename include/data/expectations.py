"""Great Expectations: a suite compiled from the spec, run on a typed batch, its verdict row by row.

Each call has an ephemeral context of its own, because parallel tasks corrupt a shared one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
from great_expectations import expectations as gxe

from include.data.contract import RowFault
from include.spec import UseCase

SAMPLE = 5
FEW_VALUES = 1000


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

    Exact repeats of a row are dropped and counted; rows with one key and different content all go to quarantine. A row
    with a fault is the repeat of none and none is its repeat: what stood in it is not in ``frame``.
    """
    repeats = _repeats(frame, _among(faults, len(frame)), spec)
    batch = frame[~repeats].reset_index(drop=True) if repeats.any() else frame
    position = np.cumsum(~repeats) - 1
    broken = np.full(len(batch), "", dtype=object)
    unread = {fault.column: np.zeros(len(batch), dtype=bool) for fault in faults}
    rules = []
    for fault in faults:
        rows = position[fault.rows]
        rules.append(RuleResult(fault.rule, fault.column, len(rows), fault.sample))
        unread[fault.column][rows] = True
        _mark(broken, rows, fault.rule)
    for result, rows in _run(batch, spec):
        rule, rows = _rule(result, rows, batch, unread)
        rules.append(rule)
        _mark(broken, rows, rule.rule)
    quarantined = int((broken != "").sum())
    refusals = tuple(_refusals(batch, quarantined, rules, spec))
    everywhere = np.full(len(frame), "duplicate row", dtype=object)
    everywhere[~repeats] = broken
    per_row = pd.Series(everywhere, dtype="str")
    return Validation(len(frame), int(repeats.sum()), quarantined, tuple(rules), refusals, per_row)


def _repeats(frame: pd.DataFrame, faulty: np.ndarray, spec: UseCase) -> np.ndarray:
    """A mask of the sound rows that are the same as an earlier sound one; only rows that share a key can be."""
    shared = frame.duplicated([spec.id, "observed_at"], keep=False).to_numpy() & ~faulty
    repeats = np.zeros(len(frame), dtype=bool)
    repeats[shared] = frame[shared].duplicated(keep="first").to_numpy()
    return repeats


def _among(faults: Sequence[RowFault], rows: int) -> np.ndarray:
    """A mask of the rows with a fault. What could not be read is null by now, so such rows only look like others."""
    mask = np.zeros(rows, dtype=bool)
    for fault in faults:
        mask[fault.rows] = True
    return mask


def _run(batch: pd.DataFrame, spec: UseCase) -> Iterator[tuple[Any, np.ndarray]]:
    """Each expectation on columns with the rows of ``batch`` that break it.

    Great Expectations judges each distinct value of a column once and the verdict goes to all rows that have it, so
    that its work grows with the distinct values; keys and the count of rows it sees whole.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    suite = compile_suite(spec).expectations
    by_column = [expectation for expectation in suite if hasattr(expectation, "column")]
    distinct = {name: _distinct(batch[name], by_column) for name in dict.fromkeys(e.column for e in by_column)}
    for group in _of_like_size(distinct):
        length = max(len(distinct[name].values) for name in group)
        values = pd.DataFrame({name: distinct[name].padded(length) for name in group})
        for result in _judge(context, values, [e for e in by_column if e.column in group]):
            found = distinct[result.expectation_config.kwargs["column"]]
            yield result, found.rows(result.result.get("unexpected_index_list") or [])
    keys = batch[[spec.id, "observed_at"]]
    for result in _judge(context, keys, [e for e in suite if not hasattr(e, "column")]):
        if result.expectation_config.type != "expect_table_row_count_to_be_between":
            yield result, np.array(result.result.get("unexpected_index_list") or [], dtype=int)


@dataclass(frozen=True)
class _Distinct:
    """The ``values`` of a column that differ, and for each row which of them it has (``codes``, shape (rows,))."""

    values: pd.Series
    codes: np.ndarray

    def padded(self, length: int) -> pd.Series:
        """``length`` values: columns of one frame are of one length, so the last value is repeated."""
        if not len(self.values):
            return self.values
        return self.values.take(np.minimum(np.arange(length), len(self.values) - 1)).reset_index(drop=True)

    def rows(self, places: Sequence[int]) -> np.ndarray:
        """The rows that have one of the values at ``places``."""
        chosen = np.zeros(len(self.values), dtype=bool)
        chosen[[place for place in places if place < len(chosen)]] = True
        return np.flatnonzero(chosen[self.codes])


def _distinct(column: pd.Series, suite: Sequence[Any]) -> _Distinct:
    asked = {expectation.expectation_type for expectation in suite if expectation.column == column.name}
    # Where nothing but null matters, a null and a value stand for all.
    seen = column.isna() if asked == {"expect_column_values_to_not_be_null"} else column
    codes, values = pd.factorize(seen, use_na_sentinel=False)
    first = np.zeros(len(values), dtype=int)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return _Distinct(column.take(first), codes)


def _of_like_size(distinct: dict[str, _Distinct]) -> list[list[str]]:
    """Columns in two groups, so that a few with very many values do not lengthen the frame of all the others."""
    few = [name for name, found in distinct.items() if len(found.values) <= FEW_VALUES]
    return [group for group in (few, [name for name in distinct if name not in few]) if group]


def _judge(context: Any, frame: pd.DataFrame, expectations: Sequence[Any]) -> list[Any]:
    asset = context.data_sources.add_or_update_pandas("batch").add_dataframe_asset("rows")
    definition = asset.add_batch_definition_whole_dataframe("whole")
    suite = gx.ExpectationSuite(name="suite", expectations=list(expectations))
    wanted = {"result_format": "COMPLETE", "include_unexpected_rows": False}
    return list(definition.get_batch({"dataframe": frame}).validate(suite, result_format=wanted).results)


def _rule(
    result: Any, rows: np.ndarray, batch: pd.DataFrame, unread: Mapping[str, np.ndarray]
) -> tuple[RuleResult, np.ndarray]:
    """The rule behind one expectation's result, with those of ``rows`` that break it and no rule before it."""
    kind, kwargs = result.expectation_config.type, result.expectation_config.kwargs
    if (result.exception_info or {}).get("raised_exception"):
        raise RuntimeError(f"{kind} on {kwargs.get('column')}: {result.exception_info['exception_message']}")
    column = kwargs.get("column") or "+".join(kwargs["column_list"])
    if kind == "expect_column_values_to_not_be_null" and column in unread:
        # A value that could not be read is null by now and has been named for what it was.
        rows = rows[~unread[column][rows]]
    values = batch[kwargs.get("column") or kwargs["column_list"][0]].iloc[rows[:SAMPLE]]
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


def _mark(broken: np.ndarray, rows: np.ndarray, rule: str) -> None:
    """Add ``rule`` to what the rows break (text, shape (rows,))."""
    broken[rows] = [f"{before}; {rule}" if before else rule for before in broken[rows]]


def _refusals(batch: pd.DataFrame, quarantined: int, rules: list[RuleResult], spec: UseCase) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    rows, limits = len(batch), spec.limits
    if rows < limits.minimum_batch_rows:
        found.append(
            (
                "TOO_FEW_ROWS",
                f"{rows} rows, at least {limits.minimum_batch_rows} expected in a batch; is the file whole?",
            )
        )
    for name, column in spec.columns.items():
        if rows and not column.nullable and batch[name].isna().all():
            found.append(
                ("COLUMN_ALL_NULL", f"column '{name}' has no readable value in any of {rows} rows; export it again")
            )
    if rows and quarantined / rows > limits.quarantine_rate:
        worst = sorted((rule for rule in rules if rule.broken), key=lambda rule: -rule.broken)[:3]
        named = "; ".join(f"{r.rule} ({r.broken} rows, such as {', '.join(map(repr, r.sample[:2]))})" for r in worst)
        rate = quarantined / rows
        message = f"{quarantined} of {rows} rows ({rate:.1%}) break a rule, at most {limits.quarantine_rate:.1%}"
        found.append(("QUARANTINE_RATE", f"{message} may: {named}. Mend the file and start the run again"))
    return found
