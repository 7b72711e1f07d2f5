"""The figures of the bench: limits, the value of many rounds, the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.figures import LIMITS, figures_of, save
from tests.bench.parts import PARTS, parts_of
from tests.bench.warm import critical_path, path_length


@pytest.mark.parametrize(
    ("name", "rounds", "value", "holds"),
    [
        ("loop.task_overhead_s", [0.2, 0.4, 9.0], 0.4, True),
        ("loop.task_overhead_s", [0.41], 0.41, False),
        ("loop.speedup_by_preload", [2.4, 2.5, 2.6], 2.5, True),
        ("loop.speedup_by_preload", [2.4, 2.4, 9.0], 2.4, False),
        ("loop.peak_gb_1m", [1.0, 1.0, 2.6], 2.6, False),
    ],
    ids=["median", "over", "at least", "under what is needed", "the worst round"],
)
def test_a_figure_is_held_to_its_limit(name: str, rounds: list[float], value: float, holds: bool) -> None:
    (figure,) = figures_of({name: rounds})
    assert (figure.value, figure.holds) == (value, holds)
    assert (figure.rounds, figure.min, figure.max) == (len(rounds), min(rounds), max(rounds))


def test_every_limit_is_measured_by_one_part() -> None:
    assert sorted(name for part in PARTS for name in part.names) == sorted(LIMITS)


@pytest.mark.parametrize(
    ("only", "measured"),
    [
        ("", {"capture", "dags", "drift", "explain", "gate", "loop", "scoring", "serving"}),
        ("serving", {"capture", "drift", "scoring", "serving"}),
        ("loop.ratio", {"loop"}),
        ("nothing", set()),
    ],
)
def test_a_part_is_named_by_the_beginning_of_a_figure(only: str, measured: set[str]) -> None:
    assert {name.partition(".")[0] for part in parts_of(only) for name in part.names} == measured


def test_a_part_keeps_the_figures_of_the_others(tmp_path: Path) -> None:
    latest = tmp_path / "bench" / "latest.json"
    save(latest, figures_of({"dags.parse_s": [0.1], "loop.again_s": [50.0]}), "2026-11-24T00:00:00+00:00")
    save(latest, figures_of({"loop.again_s": [40.0]}), "2026-11-25T00:00:00+00:00")
    content = json.loads(latest.read_text())
    assert set(content) == {"commit", "started_at", "figures"}
    assert content["started_at"] == "2026-11-25T00:00:00+00:00"
    assert {one["name"]: one["value"] for one in content["figures"]} == {"dags.parse_s": 0.1, "loop.again_s": 40.0}
    assert set(content["figures"][0]) == {"name", "value", "unit", "limit", "rounds", "min", "max"}


def test_every_step_of_both_runs_is_on_the_way() -> None:
    times = {"open_run": [1.0, 2.0], "train": [9.0], "select": [1.0]}
    assert (critical_path(times), path_length(times)) == (13.0, 4)
