"""``python -m include explain``: why the champion scores one row as it does, in words."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from include import spec as specs
from include.cli.console import heading, line
from include.cli.registered import fetch
from include.data import contract
from include.data.contract import RawTable
from include.data.window import Lake, window_start
from include.errors import DataRejected
from include.explanation.reasons import Reasons
from include.explanation.single import ExplainedScore, background_of, explain_locally, explain_score
from include.features.build import build, feature_version
from include.registry import versions
from include.settings import Settings
from include.spec import SpecError, UseCase
from include.stack import StackError
from include.state import publications
from include.state.database import connect


def explain(settings: Settings, name: str, row: str, *, local: bool = False) -> int:
    """Explain the champion's score of ``row``: the path of a JSON file with one row, or an id in the published data.

    With ``local`` LIME is asked as well. Returns 0.
    """
    spec = specs.find(name, settings.use_case_folders)
    version, model = fetch(settings, name)
    if model.manifest.feature_version != feature_version(spec):
        raise SpecError(f"the features of {name} are not those that version {version} was trained with; put them back")
    package = versions.folder(settings.home / "models", name, version)
    try:
        background = background_of(package, model)
    except FileNotFoundError as problem:
        raise StackError(f"{name} version {version} was registered without an explanation; retrain once") from problem
    inputs = build(_row(settings, spec, row), spec)
    found = explain_score(model, inputs, background, spec)
    heading(f"{name} version {version}, {model.manifest.candidate}: {row}")
    line(_score(found, spec))
    _list(found.reasons)
    if local:
        near = explain_locally(model, inputs, background, spec)
        heading(f"The same by LIME, whose simple model fits with an R² of {near.fidelity:.2f}")
        _list(near.reasons)
    return 0


def _row(settings: Settings, spec: UseCase, row: str) -> pd.DataFrame:
    return _from_file(Path(row), spec) if row.endswith(".json") else _published(settings, spec, row)


def _from_file(path: Path, spec: UseCase) -> pd.DataFrame:
    """The one row of a JSON file, typed by the contract of the use case; its id may be left out."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DataRejected("UNREADABLE", f"{path}: not readable as JSON: {problem}") from problem
    if not isinstance(content, dict):
        raise DataRejected("UNREADABLE", f"{path}: expected one row as an object, found a {type(content).__name__}")
    optional = {spec.id: "?", spec.observed_at or spec.id: "1970-01-01T00:00:00Z"}
    given = {**optional, **content}
    contract.refuse_missing(path.name, list(spec.columns), list(given))
    texts = pd.DataFrame({name: [_as_text(given[name])] for name in spec.columns}, dtype="str")
    conformed = contract.conform(RawTable(texts, (), path.name), spec)
    faults = [f"{fault.rule}, found {fault.sample[0]!r}" for fault in conformed.faults]
    faults += [
        f"{name}: expected one of {', '.join(column.values)}; found {texts[name].iloc[0]!r}"
        for name, column in spec.columns.items()
        if column.values and texts[name].iloc[0].strip() not in {*column.values, ""}
    ]
    if faults:
        raise DataRejected("BROKEN_VALUES", f"{path}: {'; '.join(faults)}")
    return conformed.frame


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)


def _published(settings: Settings, spec: UseCase, key: str) -> pd.DataFrame:
    """The newest observation of the id ``key`` among the published days of a training window."""
    publication = publications.latest(connect(settings.state_url), spec.name, "data")
    if publication is None:
        raise DataRejected("NO_DATA", f"nothing of {spec.name} is published; give the row as a .json file")
    as_of = date.fromisoformat(publication.as_of)
    rows = Lake(settings.lake_uri, spec, publication).observations(
        window_start(as_of, spec.training.split.window_days), as_of
    )
    found = rows[rows[spec.id] == key].tail(1)
    if found.empty:
        raise DataRejected(
            "NO_SUCH_ROW", f"no row of {spec.name} with {spec.id} {key!r} among the {len(rows)} published ones"
        )
    return found


def _score(found: ExplainedScore, spec: UseCase) -> str:
    how = "sampled" if found.method == "sampled" else "exact"
    return (
        f"score {found.score:.3f} for {spec.target.column}: {spec.target.positive}; "
        f"{found.output:.3g} {found.unit}, {found.base:.3g} on average ({how})"
    )


def _list(why: Reasons) -> None:
    for reason in (*why.raising, *why.lowering):
        line(reason.text)
