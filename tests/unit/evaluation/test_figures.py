"""Figures are written, look like PNG, and are the same twice."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from include.evaluation.figures import draw


@pytest.mark.parametrize("names", [["challenger"], ["challenger", "champion"]], ids=["alone", "against a champion"])
def test_four_figures(names: list[str], tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 400)
    scores = {name: np.clip(labels * 0.3 + random.random(400) * 0.7, 0, 1) for name in names}
    paths = draw(labels, scores, tmp_path / "first")
    assert [path.name for path in paths] == ["roc.png", "precision_recall.png", "calibration.png", "confusion.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000 for path in paths)
    again = draw(labels, scores, tmp_path / "second")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_a_constant_score_can_be_drawn(tmp_path: Path) -> None:
    assert len(draw(np.array([0, 1] * 20), {"challenger": np.full(40, 0.5)}, tmp_path)) == 4


def test_pyplot_is_not_used() -> None:
    assert "matplotlib.pyplot" not in vars(sys.modules["include.evaluation.figures"])
    source = Path(sys.modules["include.evaluation.figures"].__file__ or "").read_text(encoding="utf-8")
    assert "import matplotlib.pyplot" not in source
