"""Figures of slices and fairness show every part, its limit and what there are too few rows for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from include.evaluation.fairness import Disparity, Fairness, Group
from include.evaluation.resampling import Figure, Interval
from include.evaluation.slices import Slice
from include.evaluation.verdict import Check, Outcome, Result, Verdict
from include.governance import part_figures

COLUMNS = {"gender": "as stated", "plan": "cost: 10$ to 20$"}
ROWS = "hold-out rows of the test"


def part(name: str, value: str, n: int, *figures: Figure) -> Slice:
    return Slice({name: value}, f"{name}: {value}", n, n // 3, figures, () if figures else ("roc_auc",))


def check(name: str, of: str, limit: float, result: Result) -> Check:
    return Check(f"{name}[{of}]", name, 0.8, limit, 100, result, "OK", "fine", Interval(0.7, 0.9), slice=of)


def disparity(metric: str, *compared: str) -> Disparity:
    return Disparity(
        metric, ("gender",), 0.12, Interval(0.05, 0.2), 0.01, "precision", "a", "b", 900, compared, (), champion=0.1
    )


AUC = Figure("roc_auc", 0.81, 500, Interval(0.77, 0.85), baseline=0.8)
VERDICT = Verdict(
    Outcome.PASS,
    (
        check("roc_auc", "gender: Female", 0.7, Result.PASSED),
        check("roc_auc", "gender: Male", 0.9, Result.FAILED),
        check("calibration", "gender", 0.1, Result.FAILED),
    ),
    (),
    cold_start=False,
    slices=(
        part("gender", "Female", 500, AUC),
        part("gender", "Male", 1400, replace(AUC, baseline=None)),
        part("plan", "10$ to 20$", 7),
    ),
    fairness=(
        Fairness(
            ("gender",),
            (Group("gender: Female", 500, 160, 90, {}), Group("gender: Male", 1400, 460, 200, {})),
            (
                disparity("calibration", "gender: Female", "gender: Male"),
                disparity("equal_opportunity", "gender: Male"),
            ),
        ),
    ),
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Canvas]:
    """The figures by name, before they are files."""
    found: dict[str, Canvas] = {}

    def keep(figure: Canvas, path: Path) -> Path:
        figure.draw_without_rendering()
        found[path.stem] = figure
        return path

    monkeypatch.setattr(part_figures, "write", keep)
    part_figures.draw(VERDICT, tmp_path, rows=ROWS, columns=COLUMNS)
    return found


def texts(figure: Canvas) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def test_every_slice_has_its_line_with_its_size_or_why_not(drawn: dict[str, Canvas]) -> None:
    found = texts(drawn["slices"])
    assert {"gender: Female (500)", "gender: Male (1,400)", r"plan: 10\$ to 20\$ (7)", "ROC AUC"} < set(found)
    assert found.count("too few rows") == 1
    assert any(ROWS in text and "gender: as stated" in text for text in found)


def test_a_metric_of_fairness_has_its_limit_in_the_colour_of_its_result(drawn: dict[str, Canvas]) -> None:
    found = texts(drawn["fairness"])
    assert {"Calibration by group", "Equal opportunity", "gender: Female (500)\ngender: Male (1,400)"} < set(found)
    assert found.count("too few rows") == 1  # only one group has the rows
    (axes,) = drawn["fairness"].axes
    intervals, limits = (lines for lines in axes.collections if isinstance(lines, LineCollection))
    assert [line[:, 0].tolist() for line in intervals.get_segments()] == [[0.05, 0.2]]
    assert to_hex(intervals.get_color()[0]) == part_figures.RED
    assert [line[:, 0].tolist() for line in limits.get_segments()] == [[0.1, 0.1]]


def test_the_same_verdict_makes_the_same_bytes(tmp_path: Path) -> None:
    first, second = (part_figures.draw(VERDICT, tmp_path / folder, rows=ROWS, columns=COLUMNS) for folder in ("a", "b"))
    assert [path.name for path in first] == ["slices.png", "fairness.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_nothing_measured_is_no_figure(tmp_path: Path) -> None:
    assert part_figures.draw(replace(VERDICT, slices=(), fairness=()), tmp_path, rows=ROWS, columns={}) == []
