"""What is wrong with a spec whose parts are each well formed: names and groups that do not fit together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from include.spec.data import URI_ADVICE, Column, holds_password, is_database
from include.spec.gate import AT_THE_THRESHOLD

if TYPE_CHECKING:
    from include.spec.use_case import UseCase

MOST_GROUPS = 100
RESERVED_COLUMNS = frozenset(
    {
        *("observed_at", "known_at", "as_of", "run_id", "label", "score", "rule", "feature_version"),
        *("prediction_id", "predicted_at", "model_version", "model_role", "acted_on", "latency_ms", "is_whole"),
        *("columns_left_out", "columns_added", "data_version"),
    }
)


def faults_of(spec: UseCase) -> list[str]:
    """Every fault, with its path in the file."""
    return [
        *_column_faults(spec),
        *_feature_faults(spec),
        *_source_faults(spec),
        *_group_faults(spec),
        *_distance_faults(spec),
    ]


def alike(names: Iterable[str]) -> dict[str, str]:
    """Those of ``names`` that a table cannot hold beside one before them, with that one: Delta ignores case."""
    first: dict[str, str] = {}
    return {name: taken for name in names if (taken := first.setdefault(name.lower(), name)) != name}


def _column_faults(spec: UseCase) -> Iterator[str]:
    known = set(spec.columns)
    yield from _not_among("id", [spec.id], known)
    yield from _not_among("observed_at", [spec.observed_at] if spec.observed_at else [], known)
    yield from _not_among("monitoring.columns", spec.monitoring.columns, known)
    for name in sorted(known):
        if name.lower() in RESERVED_COLUMNS:
            yield f"columns.{name}: the name is used by the project itself, as '{name.lower()}'; rename it in the data"
    for name, taken in alike(spec.columns).items():
        yield f"columns.{name}: differs from '{taken}' only by case, which tables ignore; rename one in the data"
    if spec.target.column in known:
        yield f"columns.{spec.target.column}: the target is described under 'target', not here"
    if spec.target.positive == spec.target.negative:
        yield f"target: positive and negative are both {spec.target.positive!r}"
    if spec.id == spec.observed_at:
        yield f"observed_at: '{spec.id}' is the id; a row is known by its id and its time"
    for where, key in (("id", spec.id), ("observed_at", spec.observed_at)):
        column = spec.columns.get(key or "")
        if column and (column.type != "text" or column.nullable):
            yield f"columns.{key}: {where} needs type text, not nullable; digits of an id are kept as they are"


def _feature_faults(spec: UseCase) -> Iterator[str]:
    known, derived = spec.columns, spec.features.derived
    yield from _not_among("features.columns", spec.features.columns, set(known))
    if not spec.features.columns and not derived:
        yield "features: at least one column or derived feature is needed"
    for name, count in Counter(spec.features.columns).items():
        if count > 1:
            yield f"features.columns: '{name}' is listed twice"
        if name in (spec.id, spec.observed_at):
            yield f"features.columns: '{name}' identifies or dates a row; a model must not learn it"
        elif name in known and known[name].after_event:
            yield f"features.columns: '{name}' is written after the event (after_event); a model must not learn it"
        elif name in known and known[name].type == "text":
            yield f"features.columns: '{name}' is of type text; make it a category with its values, or derive a feature"
    columns = {name.lower(): name for name in (*known, *RESERVED_COLUMNS)} | {spec.target.column: spec.target.column}
    for name in derived:
        if taken := columns.get(name.lower()):
            yield f"features.derived.{name}: the name is taken by column '{taken}', case ignored; choose another one"


def _source_faults(spec: UseCase) -> Iterator[str]:
    source = spec.source
    for where, uri in (("uri", source.uri), ("labels_uri", source.labels_uri)):
        if unknown := [name for name in re.findall(r"\{[^{}]*\}", uri or "") if name != "{day}"]:
            yield f"source.{where}: unknown placeholder {', '.join(unknown)}; only {{day}} is replaced"
        if holds_password(uri or ""):
            yield f"source.{where}: {URI_ADVICE}"
    if source.labels_uri and "{day}" not in source.labels_uri:
        yield "source.labels_uri: needs {day}, one file a day"
    if source.labels_uri and "{day}" not in source.uri:
        yield "source.labels_uri: is read beside daily files; source.uri needs {day}"
    if source.table and source.query:
        yield "source: table and query are both given; one of them says what to read"
    if is_database(source.uri):
        if not source.table and not source.query:
            yield "source: a database needs a table or a query"
        if spec.observed_at is None:
            yield "observed_at: a database is read by time; name the column that says when a row was observed"
    elif source.table or source.query or source.labels_query:
        yield "source: table, query and labels_query are for databases; source.uri names none"


def _group_faults(spec: UseCase) -> Iterator[str]:
    slices, known = spec.gate.slices, set(spec.columns)
    yield from _not_among("gate.slices.bins", slices.bins, known)
    for name, edges in slices.bins.items():
        if name in known and not spec.columns[name].is_numeric:
            yield f"gate.slices.bins.{name}: only numbers have bins, '{name}' is of type {spec.columns[name].type}"
        if any(high <= low for low, high in pairwise(edges)):
            yield f"gate.slices.bins.{name}: each edge has to be above the one before it"
    for number, by in enumerate(slices.by):
        yield from _not_among(f"gate.slices.by.{number}", by, known)
        if len(set(by)) < len(by):
            yield f"gate.slices.by.{number}: a column is listed twice"
    grouped = [by for by in spec.groupings if known.issuperset(by)]
    for name in dict.fromkeys(name for by in grouped for name in by):
        if not spec.groups_of(name):
            yield f"columns.{name}: {_no_groups(spec.columns[name])}"
    for by in grouped:
        if (count := prod(len(spec.groups_of(name)) for name in by)) > MOST_GROUPS:
            yield f"gate.slices: {' and '.join(by)} make {count} groups; at most {MOST_GROUPS} can be judged"
    yield from _slice_rule_faults(spec)
    yield from _fairness_faults(spec)
    yield from _mitigation_faults(spec)


def _no_groups(column: Column) -> str:
    why = "it is sensitive" if column.sensitive else "it stands in gate.slices.by"
    if column.is_numeric:
        return f"{why}, so it needs groups; give the edges of its bins in gate.slices.bins, such as [30, 50]"
    how = "list its 'values'" if column.type == "category" else "make it a category with its 'values'"
    return f"{why}, so it needs groups; {how}"


def _slice_rule_faults(spec: UseCase) -> Iterator[str]:
    for number, rule in enumerate(spec.gate.rules):
        seen = set()
        for place, asked in enumerate(rule.slices):
            path, where = f"gate.rules.{number}.slices.{place}", asked.where or {}
            yield from _not_among(path, sorted(asked.columns), set(spec.columns))
            yield from _no_grouping(path, asked.columns, spec)
            for name in spec.columns.keys() & where.keys():
                if where[name] not in (groups := spec.groups_of(name)):
                    yield f"{path}.where.{name}: no group {where[name]!r}; there are: {', '.join(groups) or 'none'}"
            key = (asked.columns, tuple(sorted(where.items())))
            if key in seen:
                yield f"{path}: the same slices are named a second time"
            seen.add(key)


def _fairness_faults(spec: UseCase) -> Iterator[str]:
    sensitive, seen = set(spec.sensitive_columns), set()
    for number, limit in enumerate(spec.gate.fairness.limits):
        path, by = f"gate.fairness.limits.{number}", frozenset(limit.by or ())
        if not sensitive:
            yield f"{path}: no column is marked sensitive, so there are no groups to compare"
        elif strangers := sorted(by - sensitive):
            yield f"{path}.by: not marked sensitive under 'columns': {', '.join(strangers)}"
        elif by:
            yield from _no_grouping(f"{path}.by", by, spec)
        if (limit.metric, by) in seen:
            yield f"{path}: a second limit of {limit.metric} for the same groups"
        seen.add((limit.metric, by))


def _mitigation_faults(spec: UseCase) -> Iterator[str]:
    mitigation, path = spec.gate.fairness.mitigation, "gate.fairness.mitigation"
    if mitigation is None:
        return
    if strangers := sorted(set(mitigation.by) - set(spec.sensitive_columns)):
        yield f"{path}.by: not marked sensitive under 'columns': {', '.join(strangers)}"
    else:
        yield from _no_grouping(f"{path}.by", frozenset(mitigation.by), spec)
    for number, rule in enumerate(spec.gate.rules):
        if rule.metric in AT_THE_THRESHOLD:
            yield f"gate.rules.{number}: {rule.metric} is measured at one threshold for all, and {path} has several"


def _distance_faults(spec: UseCase) -> Iterator[str]:
    categories = {"monitoring.category": spec.monitoring.category}
    for name in sorted(spec.monitoring.columns.keys() & spec.columns.keys()):
        path, column = f"monitoring.columns.{name}", spec.columns[name]
        if column.type == "text":
            yield f"{path}: text is not watched; make it a category, or leave it out"
        elif not column.is_numeric:
            categories[path] = spec.monitoring.columns[name]
    for path, distance in categories.items():
        if distance.method == "wasserstein":
            yield f"{path}.method: wasserstein is between numbers; a category has jensenshannon or psi"


def _no_grouping(path: str, columns: frozenset[str], spec: UseCase) -> Iterator[str]:
    if columns <= set(spec.columns) and columns not in map(frozenset, spec.groupings):
        yield f"{path}: {' and '.join(sorted(columns))} make no slices; add them to gate.slices.by"


def _not_among(where: str, names: Iterable[str], known: set[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{where}: '{name}' is not described under 'columns'"
