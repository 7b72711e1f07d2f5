"""Derived features of diagnosis: pure functions of named columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Columns = Mapping[str, np.ndarray]


def irregularity(columns: Columns) -> np.ndarray:
    """Perimeter over that of a circle of the same area, of the largest nuclei: 1 for a circle."""
    return columns["worst perimeter"] / np.sqrt(4 * np.pi * columns["worst area"])
