"""Where raw data comes from, and how it lands: files kept as they came, each with its SHA-256.

A source is a URI: ``simulator:?rows_per_day=120&drift=prior&drift_from=2026-11-01``, a CSV or Parquet file (local or
any fsspec URI) that is replayed as a history, or a URI with ``{day}`` for one file a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

import fsspec

from include.data.calendar import days_between
from include.data.fetch import digest_of, fetch
from include.data.simulator import ID_ROWS, Drift, simulate_day
from include.errors import DataRejected
from include.files import write_text
from include.spec import UseCase


@dataclass(frozen=True)
class Simulator:
    """The parameters of a ``simulator:`` URI."""

    rows_per_day: int = 120
    days: int = 60
    seed: int = 7
    drift: Drift | None = None

    def __post_init__(self) -> None:
        if not (0 < self.rows_per_day <= ID_ROWS and self.days > 0 and self.seed >= 0):
            raise ValueError(f"rows_per_day must be from 1 to {ID_ROWS:,}, days at least 1 and seed at least 0")


@dataclass(frozen=True)
class Landed:
    """One file on this side of the border. ``day`` is None for a file that is replayed over many days."""

    kind: Literal["rows", "labels"]
    day: str | None
    path: str
    sha256: str
    uri: str


@dataclass(frozen=True)
class Seen:
    """What earlier runs have published of the source: its last day, and each file's URI with its SHA-256."""

    last_day: date | None = None
    files: Mapping[str, str] = field(default_factory=dict)


Kind = Literal["simulator", "daily", "replay"]


def kind_of(uri: str) -> Kind:
    if uri.startswith("simulator:"):
        return "simulator"
    return "daily" if "{day}" in uri else "replay"


def label_delay(uri: str, spec: UseCase) -> timedelta:
    """How long after the observation a label that stands in the row itself is known."""
    replayed = kind_of(uri) == "replay"
    return timedelta(days=spec.source.replay.label_delay_days if replayed else spec.source.label_delay_days)


def parse_simulator(uri: str) -> Simulator:
    """The simulator that ``uri`` describes; ``DataRejected`` names an unknown or unreadable parameter."""
    text = uri.removeprefix("simulator:").removeprefix("?")
    try:
        options = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True)) if text else {}
        drift = _drift(options.pop("drift", None), options.pop("drift_from", None))
        return Simulator(**{key: int(value) for key, value in options.items()}, drift=drift)
    except (TypeError, ValueError) as error:
        raise DataRejected(
            "BAD_SOURCE",
            f"{uri}: {error}; expected simulator:?rows_per_day=N&days=N&seed=N&"
            "drift=covariate|prior|concept&drift_from=YYYY-MM-DD",
        ) from error


def _drift(kind: str | None, start: str | None) -> Drift | None:
    if (kind is None) != (start is None):
        raise ValueError("drift and drift_from belong together")
    return Drift(kind=kind, start=date.fromisoformat(start)) if kind and start else None  # type: ignore[arg-type]


def land(uri: str, spec: UseCase, seen: Seen, *, as_of: date, folder: Path) -> list[Landed]:
    """Bring what ``seen`` does not hold yet of the days before ``as_of`` into ``folder``; it may be nothing.

    A static file is replayed once; ``DataRejected`` (``SOURCE_CHANGED``) when it is another one by now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    match kind_of(uri):
        case "simulator":
            return _land_simulated(uri, spec, seen.last_day, as_of, folder)
        case "daily":
            return _land_daily(uri, spec, seen, as_of, folder)
        case _ if seen.last_day:
            refuse_changed(uri, seen.files.get(uri))
            return []
        case _:
            return [_fetch(uri, folder / f"rows{_suffix(uri)}", "rows", None, spec)]


def refuse_changed(uri: str, pinned: str | None) -> None:
    """Raise ``DataRejected`` (``SOURCE_CHANGED``) when a static file is no longer the one that was replayed."""
    found = digest_of(uri)
    if pinned and found and found != pinned:
        raise DataRejected(
            "SOURCE_CHANGED",
            f"{uri}: has changed since it was replayed (SHA-256 {pinned[:12]}… then, {found[:12]}… now), and a static "
            "file is replayed once. Put the old one back and give new rows as daily files, or start anew with it: "
            "another MODELOPS_HOME, or make clean",
        )


def _land_simulated(uri: str, spec: UseCase, after: date | None, as_of: date, folder: Path) -> list[Landed]:
    simulator = parse_simulator(uri)
    delay = label_delay(uri, spec)
    history_start = as_of - timedelta(days=simulator.days)
    first = after + timedelta(days=1) if after else history_start
    landed = []
    for day in days_between(first, as_of):
        frame = _simulate(simulator, day)
        if delay:
            frame = frame.assign(**{spec.target.column: ""})
        landed.append(_write(frame.to_csv(index=False), folder / f"rows-{day}.csv", "rows", day, uri))
        observed = day - delay
        if delay and (after or observed >= history_start):
            labels = _simulate(simulator, observed)[[spec.id, spec.target.column]].assign(observed_at=str(observed))
            landed.append(_write(labels.to_csv(index=False), folder / f"labels-{day}.csv", "labels", day, uri))
    return landed


def _simulate(simulator: Simulator, day: date):  # type: ignore[no-untyped-def]
    return simulate_day(day, rows=simulator.rows_per_day, seed=simulator.seed, drift=simulator.drift)


def _land_daily(uri: str, spec: UseCase, seen: Seen, as_of: date, folder: Path) -> list[Landed]:
    first = seen.last_day + timedelta(days=1) if seen.last_day else _first_day(uri)
    rows = [(day, uri.replace("{day}", str(day))) for day in days_between(first, as_of)]
    landed = [_fetch(one, folder / f"rows-{day}{_suffix(uri)}", "rows", day, spec) for day, one in rows]
    if landed and spec.labels_uri:
        landed += _land_labels(spec.labels_uri, spec, seen, as_of, folder)
    return landed


def _land_labels(uri: str, spec: UseCase, seen: Seen, as_of: date, folder: Path) -> list[Landed]:
    """Every file of labels that no earlier run has taken, so also one that came days after its day."""
    found = [(day, uri.replace("{day}", str(day))) for day in daily_days(uri) if day < as_of]
    new = [(day, one) for day, one in found if one not in seen.files]
    return [_fetch(one, folder / f"labels-{day}{_suffix(uri)}", "labels", day, spec) for day, one in new]


def daily_days(uri: str) -> list[date]:
    """The days for which a file of the daily source ``uri`` exists, in order."""
    filesystem, template = fsspec.core.url_to_fs(uri)
    start = template.index("{day}")
    pattern = template.replace("[", "[[]").replace("{day}", "*")
    days = []
    for path in map(str, filesystem.glob(pattern)):
        text = path[start : start + len("2026-01-31")]
        with suppress(ValueError):  # a file beside the daily ones, such as a README
            if template.replace("{day}", text) == path:
                days.append(date.fromisoformat(text))
    return sorted(days)


def _first_day(uri: str) -> date:
    days = daily_days(uri)
    if not days:
        example = uri.replace("{day}", "2026-01-31")
        raise DataRejected("MISSING_FILE", f"{uri}: no file matches; expected one a day, such as {example}")
    return days[0]


def _fetch(uri: str, target: Path, kind: Literal["rows", "labels"], day: date | None, spec: UseCase) -> Landed:
    digest = fetch(uri, target, maximum_bytes=spec.limits.maximum_bytes, wait_seconds=spec.source.wait_seconds)
    return Landed(kind, day.isoformat() if day else None, str(target), digest, uri)


def _write(text: str, target: Path, kind: Literal["rows", "labels"], day: date, uri: str) -> Landed:
    write_text(target, text)
    return Landed(kind, day.isoformat(), str(target), hashlib.sha256(text.encode()).hexdigest(), uri)


def _suffix(uri: str) -> str:
    return "".join(Path(uri.split("?")[0].split("::")[0]).suffixes[-2:]).lower() or ".csv"
