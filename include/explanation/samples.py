"""Rows that are pinned: the same for the same frame and seed, known by their SHA-256."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping

import numpy as np
import pandas as pd

FOLDER = "explanation"
"""Where the files of an explanation are in a run's folder, in MLflow and in a package."""
BACKGROUND = "background.csv"


def pinned(frame: pd.DataFrame, rows: int, seed: int) -> np.ndarray:
    """The places of ``rows`` rows of ``frame`` drawn without replacement, in their order; of all if there are fewer."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(len(frame), min(rows, len(frame)), replace=False))


def as_csv(frame: pd.DataFrame) -> bytes:
    """Model inputs as text: every digit of a number, nothing where there is none."""
    return frame.to_csv(index=False, lineterminator="\n").encode()


def from_csv(content: bytes, feature_types: Mapping[str, str]) -> pd.DataFrame:
    """What ``as_csv`` was given, bit for bit."""
    texts = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    numbers = {
        name: texts[name].replace("", "nan").to_numpy(dtype=object).astype(np.float64)
        for name, kind in feature_types.items()
        if kind == "number"
    }
    return texts.astype("category").assign(**numbers)[list(feature_types)]


def digest(frame: pd.DataFrame) -> str:
    """SHA-256 of ``as_csv``, hexadecimal."""
    return hashlib.sha256(as_csv(frame)).hexdigest()
