"""``python -m include check``: tries a use case's spec and features on real rows, without Airflow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from include import spec as specs
from include.cli.console import console, error, heading, line
from include.data import contract, expectations, sources
from include.data.calendar import midnight
from include.data.contract import Conformed
from include.data.expectations import Validation
from include.data.sources import Seen
from include.errors import DataRejected
from include.features.build import FeatureError, build, load_functions
from include.settings import Settings
from include.spec import UseCase
from include.training import candidates

ROWS_ALONE = 20
SIMULATED_DAY = date(2026, 1, 1)
# Sums over arrays of other lengths may differ in the last digits of a float.
RELATIVE, ABSOLUTE = 1e-9, 1e-12


@dataclass(frozen=True)
class FeatureReport:
    """One model input as it came out."""

    name: str
    type: str
    null_share: float
    values: str


def check(settings: Settings, name: str, data: str | None = None) -> int:
    """Report on spec, data and features of ``name``. Returns 0 when nothing stands against using it, else 1."""
    spec = specs.find(name, settings.use_case_folders)
    load_functions(spec)
    origin, conformed = _rows(spec, data)
    heading(f"{name}: {len(conformed.frame)} rows of {origin}")
    judged = _judge(conformed, spec)
    _show_broken(judged, conformed)
    faults = [*_setting_faults(spec), *_data_faults(conformed), *_refusals(judged)]
    try:
        features = build(conformed.frame, spec)
    except (FeatureError, DataRejected) as problem:
        faults.append(_hint(str(problem)))
    else:
        _show(reports(features, spec))
        faults += impurities(conformed.frame, features, spec)
    for fault in faults:
        error(fault)
    _remind(spec)
    line(f"{name}: {f'{len(faults)} fault(s), named above' if faults else 'spec, data and features fit'}")
    return 1 if faults else 0


def reports(features: pd.DataFrame, spec: UseCase) -> list[FeatureReport]:
    """What each column of ``features`` (as ``build`` returns them) holds."""
    return [_report(features[name], name, kind) for name, kind in spec.feature_types.items()]


def impurities(frame: pd.DataFrame, features: pd.DataFrame, spec: UseCase) -> list[str]:
    """Features that are no function of their row: another value when built again, or when the row stands alone.

    ``features`` is what ``build`` made of ``frame``. A write to the input needs no test here: ``build`` hands out
    read-only arrays, so it fails there.
    """
    picked = np.unique(np.linspace(0, len(frame) - 1, ROWS_ALONE).astype(int))
    try:
        again = build(frame, spec)
        alone = pd.concat([build(frame.iloc[[row]], spec) for row in picked])
    except FeatureError as problem:
        return [f"{problem} (not at first, but when built a second time or for a row alone)"]
    unstable = _different(features, again)
    mixing = [name for name in _different(features.iloc[picked], alone) if name not in unstable]
    return [
        *(f"{name}: another value when built a second time; let it depend on its argument alone" for name in unstable),
        *(f"{name}: another value for a row alone than among others; use no mean or order of rows" for name in mixing),
    ]


def _different(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    return [name for name in one.columns if not _same(one[name].to_numpy(), other[name].to_numpy())]


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype == np.float64:
        return bool(np.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))
    return bool((one == other).all())


def _rows(spec: UseCase, data: str | None) -> tuple[str, Conformed]:
    """Typed rows to try the features on, and where they come from."""
    uri = data or spec.source_uri
    if data is not None or ("://" not in uri and sources.kind_of(uri) == "replay"):
        return uri, contract.conform(contract.read(Path(uri).expanduser(), spec), spec)
    day = sources.newest_day(uri, spec) or SIMULATED_DAY
    before = None if sources.kind_of(uri) == "replay" else day - timedelta(days=1)
    with tempfile.TemporaryDirectory() as folder:
        landed = sources.land(uri, spec, Seen(before), as_of=day + timedelta(days=1), folder=Path(folder))
        if not landed:
            raise DataRejected("NO_ROWS", f"{uri} has no row of {day}; name a file with --data")
        conformed = contract.conform(contract.read(Path(landed[0].path), spec), spec)
    return (uri if before is None else f"{uri}, {day}"), conformed


def _setting_faults(spec: UseCase) -> Iterator[str]:
    for name, candidate in spec.training.candidates.items():
        for refusal in candidates.refusals(candidate):
            yield f"training.candidates.{name}.{refusal}"


def _data_faults(conformed: Conformed) -> Iterator[str]:
    for fault in conformed.faults:
        yield f"{fault.rule} in {len(fault.rows)} row(s), such as {', '.join(map(repr, fault.sample))}"


def _judge(conformed: Conformed, spec: UseCase) -> Validation:
    """What an ingest would say of the rows."""
    frame = conformed.frame
    if "observed_at" not in frame:
        # An ingest gives rows with one id one day, so that the same keys repeat as when all rows have one.
        frame = frame.assign(observed_at=midnight(SIMULATED_DAY))
    return expectations.validate(frame, conformed.faults, spec)


def _show_broken(judged: Validation, conformed: Conformed) -> None:
    """Name the rules that typed values break. Such rows go to quarantine and do not stop the others."""
    unread = {fault.rule for fault in conformed.faults}
    for rule in judged.rules:
        if rule.broken and rule.rule not in unread:
            sample = ", ".join(map(repr, dict.fromkeys(rule.sample)))
            line(f"{rule.rule}: {rule.broken} row(s) go to quarantine, such as {sample}")


def _refusals(judged: Validation) -> Iterator[str]:
    for code, message in judged.refusals:
        yield f"{code}: {message}"


def _hint(problem: str) -> str:
    return f"{problem}: it writes into its input; work on a copy" if "read-only" in problem else problem


def _report(column: pd.Series, name: str, kind: str) -> FeatureReport:
    if kind == "category":
        known = column[column != "missing"]
        return FeatureReport(name, kind, 1 - len(known) / len(column), f"{known.nunique()} categories")
    known = column.dropna()
    values = f"{known.min():g} to {known.max():g}" if len(known) else "no value"
    return FeatureReport(name, kind, float(column.isna().mean()), values)


def _show(found: list[FeatureReport]) -> None:
    """A table on a terminal; elsewhere lines that do not depend on a width."""
    if not console.is_terminal:
        for feature in found:
            line(f"{feature.name:<28} {feature.type:<9} {feature.null_share:6.1%} null  {feature.values}")
        return
    table = Table("feature", "type", "null", "values", box=None, pad_edge=False, padding=(0, 2))
    for feature in found:
        table.add_row(Text(feature.name), feature.type, f"{feature.null_share:.1%}", feature.values)
    console.print(table)


def _remind(spec: UseCase) -> None:
    """Say how much of a draft nobody has described yet; it works all the same."""
    texts = [spec.description, spec.owner, spec.target.description, *(c.description for c in spec.columns.values())]
    left = sum(text.startswith("DESCRIBE") for text in texts)
    if left:
        line(f"{left} description(s) in {spec.folder / 'spec.yaml'} still say DESCRIBE")
