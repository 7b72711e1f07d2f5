"""What was measured, beside its limit: as a table, and as ``bench/latest.json`` that keeps the other parts' figures."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from include.settings import PROJECT

Values = Mapping[str, Sequence[float]]
"""For each figure the value of every round."""


@dataclass(frozen=True)
class Limit:
    """Up to where a figure is good; ``of_rounds`` makes one value of those of all rounds."""

    limit: float
    unit: str
    at_least: bool = False
    of_rounds: Callable[[Sequence[float]], float] = statistics.median

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


LIMITS = {
    "capture.lost_after_kill": Limit(0, "predictions", of_rounds=max),
    "loop.task_overhead_s": Limit(0.4, "s"),
    "loop.idle_cpu": Limit(0.15, "cores"),
    "loop.speedup_by_preload": Limit(2.5, "times", at_least=True),
    "loop.ratio_1m": Limit(1.05, "times"),
    "loop.peak_gb_1m": Limit(2.5, "GB", of_rounds=max),
    "loop.validation_vs_gx_1m": Limit(0.5, "times"),
    "loop.fresh_s": Limit(240, "s"),
    "loop.again_s": Limit(60, "s"),
    "dags.parse_s": Limit(0.3, "s"),
    "drift.false_alarm_rate": Limit(0.02, "", of_rounds=max),
    "drift.power_price": Limit(0.95, "", at_least=True),
    "drift.power_mix": Limit(0.95, "", at_least=True),
    "drift.power_mix_500": Limit(0.7, "", at_least=True),
    "drift.concept_power": Limit(0.8, "", at_least=True, of_rounds=min),
    "drift.concept_false_alarm_rate": Limit(0.02, "", of_rounds=max),
    "drift.time_vs_preset_1m": Limit(0.25, "times"),
    "drift.time_vs_preset_5m": Limit(0.1, "times"),
    "gate.aa_promotion_rate": Limit(0.05, "", of_rounds=max),
    "gate.ab_power_real": Limit(0.9, "", at_least=True),
    "gate.ab_power_small": Limit(0.8, "", at_least=True),
    "gate.bootstrap_100k_s": Limit(2, "s"),
    "explain.shap_10k_s": Limit(10, "s"),
    "serving.p50_ms": Limit(2, "ms"),
    "serving.throughput_vs_mlflow": Limit(30, "times", at_least=True),
    "serving.p99_vs_mlflow": Limit(0.1, "times"),
    "scoring.ratio_vs_memory": Limit(0.8, "times"),
    "scoring.peak_gb_10m": Limit(2.0, "GB", of_rounds=max),
}


@dataclass(frozen=True)
class Figure:
    """One line of ``latest.json``; ``rounds`` is how many there were, ``min`` and ``max`` are over them."""

    name: str
    value: float
    unit: str
    limit: float
    rounds: int
    min: float
    max: float

    @property
    def holds(self) -> bool:
        return LIMITS[self.name].holds(self.value)


def figures_of(values: Values) -> list[Figure]:
    """The figures of what was measured; a name without a limit is a ``KeyError``, one without a round an error, too."""
    return [_figure(name, rounds) for name, rounds in values.items()]


def _figure(name: str, rounds: Sequence[float]) -> Figure:
    limit = LIMITS[name]
    value, low, high = (round(number, 4) for number in (limit.of_rounds(rounds), min(rounds), max(rounds)))
    return Figure(name, value, limit.unit, limit.limit, len(rounds), low, high)


def save(path: Path, figures: Iterable[Figure], started_at: str) -> None:
    """Write ``figures`` to ``path`` as a whole or not at all; those of other names that are there stay."""
    kept = {old["name"]: old for old in json.loads(path.read_text())["figures"]} if path.is_file() else {}
    merged = kept | {figure.name: asdict(figure) for figure in figures}
    content = {"commit": commit(), "started_at": started_at, "figures": [merged[name] for name in sorted(merged)]}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def commit() -> str:
    """The commit that is measured, marked when files differ from it; ``unknown`` outside a repository."""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def table(figures: Iterable[Figure]) -> Table:
    """The figures for a person."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("figure", "value", "limit", "min", "max", "rounds", ""):
        drawn.add_column(column, justify="left" if column in ("figure", "") else "right")
    for one in figures:
        sign = "≥" if LIMITS[one.name].at_least else "≤"
        verdict = "[green]holds[/green]" if one.holds else "[bold red]over its limit[/bold red]"
        numbers = (f"{one.value:.3g} {one.unit}", f"{sign} {one.limit:g}", f"{one.min:.3g}", f"{one.max:.3g}")
        drawn.add_row(one.name, *numbers, str(one.rounds), verdict)
    return drawn
