"""From columns to model inputs: the one code path used in training, in batches and online."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType

import numpy as np
import pandas as pd

from include.errors import DataRejected
from include.spec import SpecError, UseCase

MISSING = "missing"
"""The category that stands for null."""

Columns = Mapping[str, np.ndarray]
Function = Callable[[Columns], np.ndarray]


class FeatureError(ValueError):
    """A function of ``features.py`` failed or returned something a model cannot take; the message names it."""


def load_functions(spec: UseCase) -> dict[str, Function]:
    """The function of each derived feature from the use case's ``features.py``, in the spec's order.

    Raises ``SpecError`` naming the functions that are missing, or the reason why the file cannot be imported.
    """
    if not spec.features.derived:
        return {}
    path = source_path(spec)
    if not path.is_file():
        raise SpecError(f"{path}: there is no such file; it must define {', '.join(spec.features.derived)}")
    module = _import(path, hashlib.sha256(path.read_bytes()).hexdigest())
    missing = [name for name in spec.features.derived if not callable(getattr(module, name, None))]
    if missing:
        raise SpecError(f"{path}: no function for the derived feature(s) {', '.join(missing)}")
    return {name: getattr(module, name) for name in spec.features.derived}


def build(frame: pd.DataFrame, spec: UseCase) -> pd.DataFrame:
    """Model inputs of shape (rows, features) in the order of ``spec.feature_types``, on the index of ``frame``.

    Numbers are float64 with NaN for null, categories are text with ``"missing"`` for null. Derived features see every
    described column, read-only, except the id and what is written after the event. Raises ``DataRejected``
    (``MISSING_COLUMNS``, ``NOT_A_NUMBER``) for the frame and ``FeatureError`` for a function.
    """
    made = derive(as_columns(frame, spec), spec, load_functions(spec))
    # Text stays of type object: pandas would infer str, whose null and storage depend on what is installed.
    series = {name: pd.Series(values, frame.index, values.dtype) for name, values in made.items()}
    return pd.DataFrame(series, index=frame.index)


def derive(columns: Columns, spec: UseCase, functions: Mapping[str, Function]) -> dict[str, np.ndarray]:
    """Model inputs of shape (rows,) by name, in the order of ``spec.feature_types``, from columns as of ``as_columns``.

    The one definition for a batch, which has a frame, and for a row online, which has none and cannot wait for one.
    ``functions`` are those of ``load_functions``. Raises ``FeatureError``.
    """
    rows = len(next(iter(columns.values()), ()))
    made = {name: columns[name] for name in spec.features.columns}
    for name, function in functions.items():
        made[name] = _call(name, function, columns, rows, spec.feature_types[name])
    return made


def as_columns(frame: pd.DataFrame, spec: UseCase) -> Columns:
    """Columns as read-only arrays of shape (rows,): float64 for numbers, objects of type str for all others."""
    wanted = {name: column for name, column in spec.columns.items() if name != spec.id and not column.after_event}
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise DataRejected("MISSING_COLUMNS", f"the data lacks {', '.join(missing)}; a missing column is never filled")
    arrays = {name: _numbers(frame[name]) if c.is_numeric else _texts(frame[name]) for name, c in wanted.items()}
    for array in arrays.values():
        array.setflags(write=False)
    return MappingProxyType(arrays)


def feature_version(spec: UseCase) -> str:
    """16 hexadecimal digits that change with the source of ``features.py``, the features or the columns' types."""
    path = source_path(spec)
    parts = {
        "source": path.read_text(encoding="utf-8") if path.is_file() else "",
        "features": spec.features.model_dump(mode="json"),
        "types": {name: column.type for name, column in spec.columns.items()},
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def source_path(spec: UseCase) -> Path:
    """Where the functions of the derived features are defined."""
    return spec.folder / "features.py"


@functools.lru_cache(maxsize=32)
def _import(path: Path, digest: str) -> ModuleType:
    # Every use case has a features.py: the name tells them, and two states of one file, apart.
    name = f"use_case_features_{hashlib.sha256(f'{path.resolve()} {digest}'.encode()).hexdigest()[:16]}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise SpecError(f"{path}: not importable as Python")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except Exception as error:  # the file is the user's: importing it can raise anything
        del sys.modules[name]
        raise SpecError(f"{path}: import failed: {type(error).__name__}: {error}") from error
    return module


def _numbers(series: pd.Series) -> np.ndarray:
    try:
        array = series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    except (TypeError, ValueError) as error:
        raise DataRejected("NOT_A_NUMBER", f"column {series.name}: {error}") from error
    if np.isinf(array).any():
        raise DataRejected("NOT_A_NUMBER", f"column {series.name}: contains an infinite value")
    return array


def _texts(series: pd.Series) -> np.ndarray:
    if isinstance(series.dtype, pd.CategoricalDtype):
        # One text for each category, which its rows share; the code of null is -1, the last.
        return np.array([*map(str, series.cat.categories), MISSING], dtype=object)[series.cat.codes]
    values = series.to_numpy(dtype=object, copy=True)
    return _filled(values) if isinstance(series.dtype, pd.StringDtype) else _as_text(values)


def _filled(values: np.ndarray) -> np.ndarray:
    """``values``, of type object, with the category that stands for null in place of each null."""
    values[pd.isna(values)] = MISSING
    return values


def _as_text(values: np.ndarray) -> np.ndarray:
    """The same, and every other value as its text."""
    present = ~pd.isna(values)
    values[present] = [str(value) for value in values[present]]
    return _filled(values)


def _call(name: str, function: Function, columns: Columns, rows: int, kind: str) -> np.ndarray:
    try:
        result = np.asarray(function(columns))
    except Exception as error:  # the function is the user's: it can raise anything
        raise FeatureError(f"features.py: {name}: {type(error).__name__}: {error}") from error
    if result.shape != (rows,):
        raise FeatureError(f"features.py: {name}: expected an array of shape ({rows},), got {result.shape}")
    if kind == "category":
        if result.dtype.kind not in "OUT":
            raise FeatureError(f"features.py: {name}: expected text, got dtype {result.dtype}")
        return _as_text(result.astype(object))
    if result.dtype.kind not in "biuf":
        raise FeatureError(f"features.py: {name}: expected numbers, got dtype {result.dtype}")
    if np.isinf(result).any():
        raise FeatureError(
            f"features.py: {name}: {np.isinf(result).sum()} infinite value(s), the first in row "
            f"{np.flatnonzero(np.isinf(result))[0]}; return NaN where there is no value"
        )
    return result.astype(np.float64)
