"""Where raw data comes from, and how it lands: files kept as they came, each with its SHA-256.

A source is a URI: ``simulator:?rows_per_day=120&drift=prior&drift_from=2026-11-01``, a CSV or Parquet file (local or
any fsspec URI) that is replayed as a history, or a URI with ``{day}`` for one file a day.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

import fsspec

from include.data.calendar import days_between
from include.data.simulator import Drift, simulate_day
from include.errors import DataRejected
from include.spec import UseCase

CHUNK = 1 << 20


@dataclass(frozen=True)
class Simulator:
    """The parameters of a ``simulator:`` URI."""

    rows_per_day: int = 120
    days: int = 60
    seed: int = 7
    drift: Drift | None = None


@dataclass(frozen=True)
class Landed:
    """One file on this side of the border. ``day`` is None for a file that is replayed over many days."""

    kind: Literal["rows", "labels"]
    day: str | None
    path: str
    sha256: str
    uri: str


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
    options = dict(parse_qsl(uri.removeprefix("simulator:").removeprefix("?"), strict_parsing=False))
    try:
        drift_kind, start = options.pop("drift", None), options.pop("drift_from", None)
        drift = Drift(kind=drift_kind, start=date.fromisoformat(start or "")) if drift_kind else None  # type: ignore[arg-type]
        return Simulator(**{key: int(value) for key, value in options.items()}, drift=drift)
    except (TypeError, ValueError) as error:
        raise DataRejected(
            "BAD_SOURCE",
            f"{uri}: {error}; expected simulator:?rows_per_day=N&days=N&seed=N&"
            "drift=covariate|prior|concept&drift_from=YYYY-MM-DD",
        ) from error


def land(uri: str, spec: UseCase, *, after: date | None, as_of: date, folder: Path) -> list[Landed]:
    """Bring every day after ``after`` and before ``as_of`` into ``folder``; an empty list when there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    match kind_of(uri):
        case "simulator":
            return _land_simulated(uri, spec, after, as_of, folder)
        case "daily":
            return _land_daily(uri, spec, after, as_of, folder)
        case _:
            return [] if after else [_fetch(uri, folder / f"rows{_suffix(uri)}", "rows", None)]


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


def _land_daily(uri: str, spec: UseCase, after: date | None, as_of: date, folder: Path) -> list[Landed]:
    first = after + timedelta(days=1) if after else _first_day(uri)
    landed = []
    for day in days_between(first, as_of):
        landed.append(_fetch(uri.format(day=day), folder / f"rows-{day}{_suffix(uri)}", "rows", day))
        labels_uri = spec.source.labels_uri
        if labels_uri and _exists(labels_uri.format(day=day)):
            name = folder / f"labels-{day}{_suffix(labels_uri)}"
            landed.append(_fetch(labels_uri.format(day=day), name, "labels", day))
    return landed


def daily_days(uri: str) -> list[date]:
    """The days for which a file of the daily source ``uri`` exists, in order."""
    filesystem, pattern = fsspec.core.url_to_fs(uri.replace("{day}", "*"))
    start = pattern.index("*")
    days = []
    for path in filesystem.glob(pattern):
        try:
            days.append(date.fromisoformat(str(path)[start : start + 10]))
        except ValueError:
            continue  # a file beside the daily ones, such as a README
    return sorted(days)


def _first_day(uri: str) -> date:
    days = daily_days(uri)
    if not days:
        raise DataRejected(
            "MISSING_FILE", f"{uri}: no file matches; expected one a day, such as {uri.format(day='2026-01-31')}"
        )
    return days[0]


def _exists(uri: str) -> bool:
    filesystem, path = fsspec.core.url_to_fs(uri)
    return bool(filesystem.exists(path))


def _fetch(uri: str, target: Path, kind: Literal["rows", "labels"], day: date | None) -> Landed:
    """Copy ``uri`` to ``target`` whole or not at all, hashing on the way."""
    digest = hashlib.sha256()
    temporary = target.with_name(f".{target.name}.part")
    try:
        with fsspec.open(uri, "rb") as source, open(temporary, "wb") as sink:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                sink.write(chunk)
            sink.flush()
            os.fsync(sink.fileno())
    except FileNotFoundError as error:
        raise DataRejected(
            "MISSING_FILE", f"{uri}: there is no such file; put it there and start the run again"
        ) from error
    temporary.replace(target)
    return Landed(kind, day.isoformat() if day else None, str(target), digest.hexdigest(), uri)


def _write(text: str, target: Path, kind: Literal["rows", "labels"], day: date, uri: str) -> Landed:
    temporary = target.with_name(f".{target.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(target)
    return Landed(kind, day.isoformat(), str(target), hashlib.sha256(text.encode()).hexdigest(), uri)


def _suffix(uri: str) -> str:
    return "".join(Path(uri.split("?")[0].split("::")[0]).suffixes[-2:]) or ".csv"
