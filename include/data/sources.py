"""Where raw data comes from, and how it lands: files kept as they came, each with its SHA-256.

A source is a URI: ``simulator:?rows_per_day=120&drift=prior&drift_from=2026-11-01``, a CSV or Parquet file (local or
any fsspec URI) that is replayed as a history, a URI with ``{day}`` for one file a day, or a database.
"""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import chain, compress, islice
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

import pandas as pd

from include.data import contract, late_labels, sql
from include.data.calendar import days_between, today
from include.data.fetch import digest_of, fetch, store_of
from include.data.simulator import ID_ROWS, Drift, simulate_day
from include.errors import BadRequest, DataRejected
from include.files import whole, write_text
from include.spec import UseCase, is_database


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
    """One file on this side of the border. ``day`` is None for a file that is replayed over many days.

    A ``late`` file holds what came after the run that published its days: rows, whose ``day`` is the last of these, or
    labels, whose ``day`` is the one on which they became known.
    """

    kind: Literal["rows", "labels"]
    day: str | None
    path: str
    sha256: str
    uri: str
    late: bool = False


@dataclass(frozen=True)
class Seen:
    """What earlier runs have published: the last day, the newest ``as_of``, each file's URI with its SHA-256.

    ``keys`` gives the id and the time of every row of a day that has come so far, ``labels`` every label that became
    known from a day on, with ``known_at``; without them no row and no label is known as late.
    """

    last_day: date | None = None
    as_of: date | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    keys: Callable[[date], set[tuple[str, datetime]]] | None = None
    labels: Callable[[date], pd.DataFrame] | None = None


Kind = Literal["simulator", "sql", "daily", "replay"]


def kind_of(uri: str) -> Kind:
    if uri.startswith("simulator:"):
        return "simulator"
    if is_database(uri):
        return "sql"
    return "daily" if "{day}" in uri else "replay"


def label_delay(uri: str, spec: UseCase) -> timedelta:
    """How long after the observation a label is due; one that stands in the row itself is known from then on."""
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

    A static file is replayed once; ``DataRejected`` (``SOURCE_CHANGED``) when it is another one by now. ``BadRequest``
    for an ``as_of`` that a database has not come to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    match kind_of(uri):
        case "simulator":
            return _land_simulated(uri, spec, seen.last_day, as_of, folder)
        case "daily":
            return _land_daily(uri, spec, seen, as_of, folder)
        case "sql":
            _refuse_ahead(uri, as_of)
            return _land_sql(uri, spec, seen, as_of, folder)
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


def _refuse_ahead(uri: str, as_of: date) -> None:
    """A day that is not over would pass for published whole, and the days up to ``as_of`` would not be read again."""
    if as_of > (day := today()):
        raise BadRequest(
            f"as_of is {as_of}, and {uri} grows until that day begins; expected at most {day}, today in UTC; start the "
            "run again with such a day, or without as_of"
        )


def _land_sql(uri: str, spec: UseCase, seen: Seen, as_of: date, folder: Path) -> list[Landed]:
    """A file for each new day that has rows, one for rows that came late, one for each day of new or late labels.

    A past ``as_of`` brings nothing: what was known then is published already, and stays as it was.
    """
    if seen.as_of and as_of <= seen.as_of:
        return []
    first, maximum = seen.last_day and seen.last_day + timedelta(days=1), spec.limits.maximum_bytes
    with sql.connect(uri) as connection:
        rows = sql.rows(connection, uri, spec)
        landed = [_save(rows, found, "rows", day, folder, maximum) for day, found in rows.by_day(first, as_of)]
        late = _late_rows(rows, seen, spec.source.late_days)
        if seen.last_day and (one := next(late, None)):  # at least one: an empty file is refused
            name = f"late-{as_of}"
            landed.append(_save(rows, chain([one], late), "rows", seen.last_day, folder, maximum, late=name))
        if spec.source.labels_query:
            labels = sql.labels(connection, uri, spec)
            for day, found in _late_labels(labels, seen, spec):
                name = f"late-{as_of}-of-{day}"
                landed.append(_save(labels, found, "labels", day, folder, maximum, late=name))
            new = labels.by_day(seen.as_of, as_of)
            landed += [_save(labels, found, "labels", day, folder, maximum) for day, found in new]
    return landed


def _late_rows(rows: sql.Relation, seen: Seen, days: int) -> Iterator[sql.Row]:
    """Rows of the last ``days`` published days that had not come by then; a row is known by its id and its time."""
    if seen.last_day is None or seen.keys is None:
        return
    end = seen.last_day + timedelta(days=1)
    for day in days_between(end - timedelta(days=days), end):
        known = seen.keys(day)
        for row in rows.read(day, day + timedelta(days=1)):
            if (contract.stripped(row[0]), datetime.fromisoformat(row[1])) not in known:
                yield row


def _late_labels(labels: sql.Relation, seen: Seen, spec: UseCase) -> Iterator[tuple[date, Iterator[sql.Row]]]:
    """Labels of the last ``late_days`` days before the newest ``as_of`` that had not come by then, day after day."""
    if seen.as_of is None or seen.labels is None:
        return
    first = seen.as_of - timedelta(days=spec.source.late_days)
    known = seen.labels(first)
    for day, rows in labels.by_day(first, seen.as_of):
        of_day = list(rows)
        text = [[contract.stripped(value) for value in row] for row in of_day]
        raw = contract.RawTable(pd.DataFrame(text, columns=labels.names, dtype="str"), (), labels.name)
        late = list(compress(of_day, late_labels.are_news(raw, day, known, spec)))
        if late:
            yield day, iter(late)


def newest_day(uri: str, spec: UseCase) -> date | None:
    """The newest day that the source has data of; None where it has none, or where it cannot be said."""
    match kind_of(uri):
        case "daily":
            return max(daily_days(uri), default=None)
        case "sql":
            with sql.connect(uri) as connection:
                return sql.rows(connection, uri, spec).newest_day()
        case "replay" if spec.observed_at:
            return _newest_day_of_file(uri, spec, spec.observed_at)
        case _:
            return None


def _newest_day_of_file(uri: str, spec: UseCase, observed_at: str) -> date | None:
    with tempfile.TemporaryDirectory() as folder:
        file = _fetch(uri, Path(folder) / f"rows{_suffix(uri)}", "rows", None, spec)
        times = contract.read_times(contract.read(Path(file.path), spec), observed_at)
    return None if times.isna().all() else times.max().date()


def daily_days(uri: str) -> list[date]:
    """The days for which a file of the daily source ``uri`` exists, in order."""
    filesystem, template = store_of(uri)
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


def _save(
    source: sql.Relation,
    rows: Iterator[sql.Row],
    kind: Literal["rows", "labels"],
    day: date,
    folder: Path,
    maximum_bytes: int,
    late: str = "",
) -> Landed:
    """Write the rows of ``day`` to a file; ``late`` is the name of one that came after its day was published."""
    part = late or str(day)
    target = folder / f"{kind}-{part}.csv"
    with whole(target) as temporary, open(temporary, "w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(source.names)
        while some := list(islice(rows, sql.FETCH_ROWS)):
            writer.writerows(some)
            if sink.tell() > maximum_bytes:
                message = f"{source.name}: more than {maximum_bytes} bytes of {part}; raise limits.maximum_bytes"
                raise DataRejected("TOO_LARGE", message)
    with open(target, "rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    return Landed(kind, str(day), str(target), digest, f"{source.name}/{part}", bool(late))


def _suffix(uri: str) -> str:
    return "".join(Path(uri.split("?")[0].split("::")[0]).suffixes[-2:]).lower() or ".csv"
