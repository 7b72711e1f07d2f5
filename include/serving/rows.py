"""Rows of a request: checked against the spec, and made the columns that features are derived from.

A value that the contract of a batch would quarantine is refused here, with one exception: a category that the spec does
not list is scored as unknown and counted, since whoever asks needs an answer now.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from include.features.build import MISSING, Columns, Function, derive
from include.serving import schema
from include.serving.problems import MOST_FAULTS, Fault, Problem, invalid, pointer
from include.spec import UseCase

Row = dict[str, Any]
Where = Callable[..., str]
"""The JSON pointer to a row by its place, and to a field of it by place and name."""
CLOCKS_DIFFER = timedelta(minutes=5)
SHOWN = 80


class Contract:
    """What a row of one use case has to be, made once from the spec."""

    def __init__(self, spec: UseCase) -> None:
        self.spec = spec
        self._rows = _Kind(schema.row_type(spec), {n: schema.expected(c) for n, c in spec.columns.items()})
        inputs = {name: spec.columns[name] for name in spec.features.columns}
        known = {name: schema.expected(column) for name, column in inputs.items()} | {spec.id: "a text"}
        known |= {n: f"a {d.type}, or null" for n, d in spec.features.derived.items()}
        self._inputs = _Kind(schema.inputs_type(spec), known)
        wanted = {name: c for name, c in spec.columns.items() if name != spec.id and not c.after_event}
        self._numbers = [name for name, column in wanted.items() if column.is_numeric]
        self._texts = [name for name, column in wanted.items() if not column.is_numeric]
        self._all_texts = [name for name, column in spec.columns.items() if not column.is_numeric]

    def rows(self, given: Sequence[Any], where: Where, at: datetime) -> list[Row]:
        """Rows in the spec's columns, as the model may see them; raises ``Problem`` (``INVALID``).

        A row that does not say when it was observed was observed ``at`` (UTC).
        """
        rows = self._rows.checked(given, where)
        for row in rows:
            self._clean(row)
        if self.spec.observed_at:
            self._date(rows, self.spec.observed_at, where, at)
        return rows

    def inputs(self, given: Sequence[Any], where: Where) -> list[Row]:
        """The same for rows of model inputs."""
        rows = self._inputs.checked(given, where)
        for row in rows:
            self._clean(row)
        return rows

    def are_inputs(self, names: Sequence[str]) -> bool:
        """Whether a row with these names is one of model inputs, not one in the spec's columns."""
        given, derived = set(names), set(self.spec.features.derived)
        return self._inputs.required <= given and bool(derived & given or not self._rows.required <= given)

    def features(self, rows: Sequence[Row], functions: Mapping[str, Function]) -> dict[str, np.ndarray]:
        """Model inputs of checked ``rows``, see ``derive``."""
        made = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in self._numbers}
        made |= {name: _text_column(rows, name) for name in self._texts}
        for array in made.values():
            array.setflags(write=False)
        return derive(MappingProxyType(made), self.spec, functions)

    def given_features(self, rows: Sequence[Row]) -> Columns:
        """The same for rows of model inputs, in which they stand."""
        return {
            name: np.array([row[name] for row in rows], dtype=np.float64)
            if kind == "number"
            else _text_column(rows, name)
            for name, kind in self.spec.feature_types.items()
        }

    def _clean(self, row: Row) -> None:
        """Whole numbers in columns of text become their text, with every digit."""
        for name in self._all_texts:
            if isinstance(row.get(name), int):
                row[name] = str(row[name])

    def _date(self, rows: Sequence[Row], name: str, where: Where, at: datetime) -> None:
        faults: list[Fault] = []
        for place, row in enumerate(rows):
            given = row.setdefault(name, at.isoformat())
            if fault := _time_fault(given, at):
                faults.append(Fault(where(place, name), "BAD_TIME", fault))
        if faults:
            raise invalid(faults)


class _Kind:
    """One way to write a row: its fields, and what each of them expects."""

    def __init__(self, row_type: Any, expected: Mapping[str, str]) -> None:
        self._validate = TypeAdapter(row_type).validator.validate_python
        self._expected = expected
        self.required = frozenset(row_type.__required_keys__)

    def checked(self, given: Sequence[Any], where: Where) -> list[Row]:
        rows: list[Row] = []
        faults: list[Fault] = []
        for place, row in enumerate(given):
            try:
                rows.append(self._validate(row))
            except ValidationError as error:
                faults += self._faults(error, row, functools.partial(where, place))
                if len(faults) > MOST_FAULTS:
                    break
        if faults:
            raise invalid(faults)
        return rows

    def _faults(self, error: ValidationError, row: Any, where: Callable[..., str]) -> Iterator[Fault]:
        """One for each field, though a field that may be one of several types has an error for each."""
        seen = set()
        for found in error.errors(include_url=False, include_context=False):
            if not found["loc"]:
                yield Fault(where(), "NO_ROW", f"expected an object, found {shown(row)}")
                continue
            name = str(found["loc"][0])
            if name not in seen:
                seen.add(name)
                yield Fault(where(name), *self._words(found["type"], name, row))

    def _words(self, kind: str, name: str, row: Mapping[str, Any]) -> tuple[str, str]:
        match kind:
            case "missing":
                return "MISSING_FIELD", f"is missing; expected {self._expected[name]}. What is missing is never filled"
            case "extra_forbidden":
                near = difflib.get_close_matches(name, self._expected, n=1)
                hint = f"did you mean '{near[0]}'?" if near else "take it out"
                return "UNKNOWN_FIELD", f"there is no such field; {hint}"
            case _:
                return "BAD_VALUE", f"expected {self._expected[name]}; found {shown(row[name])}"


def require_few(rows: Sized, most: int, what: str = "") -> None:
    """Raise ``Problem`` for more rows than a request may have; ``what`` says which rules them."""
    if len(rows) > most:
        detail = f"{len(rows):,} rows, at most {most:,} {what}at a time; send several requests"
        raise Problem("TOO_MANY_ROWS", detail)


def within(*parts: str) -> Where:
    """Rows that stand in an array."""
    return lambda place, *name: pointer(*parts, place, *name)


def alone(*parts: str) -> Where:
    """A row that stands in no array."""
    return lambda _, *name: pointer(*parts, *name)


def shown(value: Any) -> str:
    """A value as a problem quotes it: short, whatever it is."""
    if isinstance(value, dict | list):
        return f"an {'object' if isinstance(value, dict) else 'array'} of {len(value)}"
    if isinstance(value, str):
        return repr(value[:SHOWN]) + (f"… ({len(value)} characters)" if len(value) > SHOWN else "")
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)[:SHOWN]


def _text_column(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([MISSING if row[name] is None else row[name] for row in rows], dtype=object)


def _time_fault(text: str, at: datetime) -> str | None:
    """Why ``text`` is no moment at which a row was observed."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError("no offset")
        late = found.astimezone(UTC) > at + CLOCKS_DIFFER
    except (ValueError, OverflowError):
        return f"expected a moment with its offset, such as 2026-01-31T12:00:00Z; found {shown(text)}"
    return f"{text} is in the future; mend the sender's clock" if late else None
