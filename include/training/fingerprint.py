"""What makes two trainings, and two models, the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from include.features.build import source_path
from include.spec import Frozen, UseCase

LIBRARIES = ("scikit-learn", "numpy", "scipy", "pandas")
_PACKAGES = ("features", "training", "evaluation")


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that shape a model."""
    return {name: version(name) for name in LIBRARIES}


class Ingredients(Frozen):
    """Everything a fitted model depends on: content as SHA-256 (hexadecimal), the rest as it is.

    ``sources`` are the project's own modules and the use case's ``features.py``; ``threads`` is 0 for as many as there
    are. The seed stands in the spec.
    """

    rows: str
    spec: str
    sources: dict[str, str]
    libraries: dict[str, str]
    threads: int

    @property
    def fingerprint(self) -> str:
        """One SHA-256 of all of it."""
        return _digest(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode())

    def changes(self, other: Ingredients) -> list[str]:
        """What is another in ``other``, for a person to read; nothing where the fingerprints are equal."""
        changed = [name for name in ("rows", "spec") if getattr(self, name) != getattr(other, name)]
        named = [f"the {name} {'are' if name == 'rows' else 'is'} not the same" for name in changed]
        for what, ours, theirs in (
            ("{}", self.libraries, other.libraries),
            ("the source {}", _shortened(self.sources), _shortened(other.sources)),
            ("the number of {}", {"threads": str(self.threads)}, {"threads": str(other.threads)}),
        ):
            names = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
            named += [f"{what.format(n)} was {ours.get(n, 'absent')}, is {theirs.get(n, 'absent')}" for n in names]
        return named


def _shortened(digests: dict[str, str]) -> dict[str, str]:
    return {name: f"{digest[:12]}…" for name, digest in digests.items()}


def ingredients(rows: pd.DataFrame, spec: UseCase, threads: int) -> Ingredients:
    """What a model that is trained now on ``rows`` depends on.

    Of ``rows`` the described columns, ``observed_at`` and the label (``label`` or the target's column) count; the order
    of rows and columns does not. Raises ``ValueError`` without id, ``observed_at`` or label.
    """
    return Ingredients(
        rows=rows_hash(rows, spec),
        spec=_digest(json.dumps(spec.model_dump(mode="json"), sort_keys=True).encode()),
        sources={name: _digest(path.read_bytes()) for name, path in _sources(spec).items()},
        libraries=library_versions(),
        threads=threads,
    )


def rows_hash(rows: pd.DataFrame, spec: UseCase) -> str:
    """SHA-256 of the training rows in canonical order and types: int 1 and float 1.0 are equal, so are all nulls."""
    labels = {"label", spec.target.column} & set(rows.columns)
    missing = {spec.id, "observed_at"} - set(rows.columns)
    if missing or not labels:
        raise ValueError(f"training rows lack {', '.join(sorted(missing)) or 'a label'}")
    names = sorted(set(rows.columns) & {*spec.columns, "observed_at", *labels})
    columns = {name: _canonical_column(rows[name]) for name in names}
    order = _order({name: values for name, (values, _) in columns.items()}, [spec.id, "observed_at"])
    manifest = {name: [_digest(values[order].tobytes()), texts] for name, (values, texts) in columns.items()}
    return _digest(json.dumps([len(rows), manifest], sort_keys=True).encode())


def model_hash(pipeline: Pipeline) -> str:
    """SHA-256 of a fitted model's parameters and arrays; equal models give equal hashes in every process.

    Files of equal models differ in their bytes, so the hash is of the sorted lines of ``manifest_lines``.
    """
    return _digest("\n".join(sorted(manifest_lines(pipeline))).encode())


def manifest_lines(value: Any, path: str = "model") -> Iterator[str]:
    """One line for each leaf and each container below ``value``: path, type, and the value or its digest.

    Raises ``TypeError`` for an object that cannot be described.
    """
    kind = type(value).__qualname__
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes() | np.generic():
            yield f"{path} {kind} {value!r}"
        case np.ndarray():
            yield from _array_lines(value, path)
        case dict():
            yield f"{path} {kind} {len(value)}"
            for key, item in value.items():
                yield from manifest_lines(item, f"{path}[{key!r}]")
        case list() | tuple():
            yield f"{path} {kind} {len(value)}"
            for number, item in enumerate(value):
                yield from manifest_lines(item, f"{path}[{number}]")
        case set() | frozenset():
            yield f"{path} {kind} {sorted(map(repr, value))}"
        case slice():
            yield f"{path} {value!r}"
        case type():
            yield f"{path} type {value.__module__}.{value.__qualname__}"
        case np.random.RandomState():
            yield from manifest_lines(value.get_state(), f"{path}:{kind}")
        case np.random.Generator():
            yield from manifest_lines(value.bit_generator.state, f"{path}:{kind}")
        case _ if callable(value) and hasattr(value, "__qualname__"):
            yield f"{path} function {value.__module__}.{value.__qualname__}"
        case _:
            yield from manifest_lines(_state(value), f"{path}:{kind}")


def _state(value: Any) -> Any:
    if hasattr(value, "__dict__"):
        # Not __getstate__: scikit-learn adds its version there, which is no part of the model.
        return dict(vars(value))
    state = value.__getstate__()
    # Compiled classes without a Python state say in __reduce__ how they are made again.
    return value.__reduce__()[1:] if state is None else state


def _array_lines(array: np.ndarray, path: str) -> Iterator[str]:
    yield f"{path} array {array.dtype.str} {array.shape}"
    if array.dtype.names:
        # Field by field: the padding between the fields is arbitrary memory.
        for name in array.dtype.names:
            yield from _array_lines(array[name], f"{path}.{name}")
    elif array.dtype.hasobject:
        yield from manifest_lines(array.ravel().tolist(), path)
    else:
        yield f"{path} bytes {_digest(np.ascontiguousarray(array).tobytes())}"


def _order(columns: dict[str, np.ndarray], keys: list[str]) -> np.ndarray:
    """The places of the rows sorted by ``keys``; the other columns only matter where a key stands twice."""
    first = [columns[name] for name in reversed(keys)]  # lexsort takes the last as the first key
    order = np.lexsort(first)
    twice = np.all([values[order][1:] == values[order][:-1] for values in first], axis=0)
    others = [values for name, values in columns.items() if name not in keys]
    return np.lexsort([*others, *first]) if twice.any() else order


def _canonical_column(series: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Values that sort and compare as bytes, and for text the distinct values they stand for."""
    if isinstance(series.dtype, pd.DatetimeTZDtype) or series.dtype.kind == "M":
        return pd.to_datetime(series, utc=True).dt.as_unit("ns").astype("int64").to_numpy(), []
    if series.dtype.kind in "biuf":
        numbers = series.to_numpy(dtype="<f8", na_value=np.nan) + 0.0  # -0.0 becomes 0.0
        numbers[np.isnan(numbers)] = np.nan
        return numbers, []
    if isinstance(series.dtype, pd.CategoricalDtype):
        used = series.cat.remove_unused_categories().cat.rename_categories(str)
        ordered = used.cat.reorder_categories(sorted(used.cat.categories))
        return ordered.cat.codes.to_numpy(dtype="<i8"), ordered.cat.categories.tolist()
    codes, texts = pd.factorize(series.astype("str").to_numpy(dtype=object), sort=True)
    return codes.astype("<i8"), texts.tolist()


def _sources(spec: UseCase) -> dict[str, Path]:
    root = Path(__file__).parents[1]
    ours = {f"{p.parent.name}/{p.name}": p for package in _PACKAGES for p in sorted((root / package).glob("*.py"))}
    theirs = source_path(spec)
    return ours | ({"use case/features.py": theirs} if theirs.is_file() else {})


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
