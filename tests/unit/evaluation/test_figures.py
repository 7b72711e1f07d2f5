"""Figures show the figures of the verdict, with n and interval, and are the same bytes twice."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from include.evaluation import figures
from include.evaluation.figures import draw

NAMES = ["roc.png", "precision_recall.png", "calibration.png", "confusion.png"]
ELSEWHERE = """
import sys
from pathlib import Path
import numpy as np
from include.evaluation.figures import draw
with np.load(sys.argv[1]) as given:
    draw(given["labels"], {"challenger": given["scores"]}, Path(sys.argv[2]))
"""


def made(n: int = 400, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores that are the probability of the label."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1, 2, n)
    return (rng.random(n) < scores).astype(int), scores


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("names", [["challenger"], ["challenger", "champion"]], ids=["alone", "against a champion"])
def test_four_figures(names: list[str], tmp_path: Path) -> None:
    labels, scores = made()
    paths = draw(labels, dict.fromkeys(names, scores), tmp_path)
    assert [path.name for path in paths] == NAMES
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000 for path in paths)


def test_the_same_rows_make_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    labels, scores = made()
    draw(labels, {"challenger": scores}, tmp_path / "here")
    np.savez(tmp_path / "given.npz", labels=labels, scores=scores)
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "given.npz"), str(tmp_path / "there")]
    subprocess.run(command, check=True, timeout=120)
    assert hashes(tmp_path / "here") == hashes(tmp_path / "there")
    draw(labels, {"challenger": scores[::-1]}, tmp_path / "other")
    assert not set(hashes(tmp_path / "here").values()) & set(hashes(tmp_path / "other").values())


def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **said: object) -> dict[str, str]:
    """All text of each figure, drawn of 400 rows."""
    drawn = {}

    def keep(figure: figures.Figure, path: Path) -> Path:
        figure.draw_without_rendering()
        drawn[path.stem] = "\n".join(text.get_text() for text in figure.findobj(Text))
        return path

    monkeypatch.setattr(figures, "write", keep)
    labels, scores = made()
    draw(labels, {"challenger": scores, "champion": scores**2}, tmp_path, **said)
    return drawn


def test_each_says_of_how_many_rows_it_is_and_of_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labels, scores = made()
    texts = shown(monkeypatch, tmp_path, rows="hold-out rows", classes=("Churn: No", "Churn: Yes"))
    assert set(texts) == {name.removesuffix(".png") for name in NAMES}
    for text in texts.values():
        assert f"400 hold-out rows, {labels.sum()} of them Churn: Yes" in text
    metrics = figures.evaluate(labels, scores)
    auc = f"AUC {metrics.roc_auc:.3f} (95 % {metrics.roc_auc_low:.3f} to {metrics.roc_auc_high:.3f})"
    assert f"challenger: {auc}" in texts["roc"]
    assert f"challenger: average precision {metrics.average_precision:.3f}" in texts["precision_recall"]
    assert f"challenger: Brier score {metrics.brier:.3f}" in texts["calibration"]
    found = int(((scores >= 0.5) & (labels == 1)).sum())
    assert f"{found}\n{100 * found / labels.sum():.0f} % of the row" in texts["confusion"]


def test_dollars_in_a_class_are_dollars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = shown(monkeypatch, tmp_path, classes=("income: 10$ to 20$", "income: above 20$ a day"))
    assert r"above 20\$ a day" in texts["roc"]


def test_tenths_are_of_equal_size_with_their_wilson_interval() -> None:
    labels, scores = made(1000)
    predicted, observed, errors = figures._tenths(labels, scores)
    assert predicted.shape == observed.shape == (10,)
    tenth = labels[np.argsort(scores)][:100]
    assert observed[0] == pytest.approx(tenth.mean())
    # Wilson's interval of k of n at z = 1.96.
    n, p, z = 100, tenth.mean(), 1.959964
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    np.testing.assert_allclose(errors[:, 0], [p - (middle - half), middle + half - p], atol=1e-6)
    assert (errors >= 0).all()


def test_a_constant_score_can_be_drawn(tmp_path: Path) -> None:
    assert len(draw(np.array([0, 1] * 20), {"challenger": np.full(40, 0.5)}, tmp_path)) == 4


def test_pyplot_is_not_used() -> None:
    assert "matplotlib.pyplot" not in vars(figures)
    assert "import matplotlib.pyplot" not in Path(figures.__file__).read_text(encoding="utf-8")
