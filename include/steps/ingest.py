"""The steps of ``<use case>_ingest``: land every unpublished day, judge the batch, publish it in one act."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from include.data import contract, data_docs, expectations, report, tables
from include.data import sources as data_sources
from include.data.calendar import midnight
from include.data.replay import spread
from include.data.sources import Landed, Seen
from include.data.window import Lake
from include.errors import DataRejected, NothingToDo
from include.files import read_json, read_parquet, require_hash, write_parquet, write_text
from include.spec import UseCase
from include.state import decisions, publications, runs, sources
from include.state.lock import hold
from include.state.publications import Publication
from include.state.runs import DRY_RUN
from include.steps.ledger import Record, Work, step

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 600.0
ROWS, LABELS, QUARANTINE = "customers", "labels", "quarantine"


@step
def land(work: Work, record: Record) -> Record:
    """Bring in every day after the last published one and before ``as_of``; ``NO_NEW_DATA`` when there is none."""
    uri = sources.uri_of(work.engine, work.spec)
    seen = _seen(work)
    as_of = date.fromisoformat(work.run.as_of)
    folder = work.settings.home / "landing" / work.run.use_case / work.folder.name
    landed = data_sources.land(uri, work.spec, seen, as_of=as_of, folder=folder)
    if not landed:
        raise NothingToDo("NO_NEW_DATA", _nothing_new(uri, work.spec, seen, as_of))
    landed = _without_repeats(seen, landed)
    manifest = work.folder / "landed.json"
    write_text(manifest, json.dumps([asdict(file) for file in landed], indent=2))
    log.info("landed %d file(s) of %s", len(landed), uri)
    return {"uri": uri, "manifest": str(manifest)}


def _nothing_new(uri: str, spec: UseCase, seen: Seen, as_of: date) -> str:
    known = f"everything up to {seen.last_day} is published" if seen.last_day else f"{uri} has no day before {as_of}"
    if uri == spec.source_uri:
        return known
    return f"{known}; {uri} was chosen for this home, so {spec.source_uri}, which the spec names, is not read"


@step
def validate(work: Work, record: Record) -> Record:
    """Type the rows, run the suite, stage what passes; a batch past the limits is refused whole."""
    files = [Landed(**file) for file in read_json(Path(record["manifest"]))]
    for file in files:
        require_hash(Path(file.path), file.sha256)
    rows = _read_rows(work, [file for file in files if file.kind == "rows"])
    result = expectations.validate(rows.frame, rows.faults, work.spec)
    labels = _read_labels(work, [file for file in files if file.kind == "labels"])
    _report(work, record["uri"], rows.frame, result)
    reasons = [f"{code}: {_named(files)}: {message}" for code, message in result.refusals]
    evidence = {
        **result.to_json(),
        "uri": record["uri"],
        "files": {f.path: f.sha256 for f in files},
        "ignored_columns": list(rows.ignored),
        "late_rows": rows.late,
        "labels": labels.counts,
    }
    decisions.record(work.engine, work.run, "batch", "REFUSED" if reasons else "PASS", reasons, evidence)
    if result.refusals:
        message = "; ".join(message for _, message in result.refusals)
        raise DataRejected(result.refusals[0][0], f"{_named(files)}: {message}")
    good = (result.broken_rules == "").to_numpy()
    bad = ~good & (result.broken_rules != "duplicate row").to_numpy()
    rules = result.broken_rules[bad].to_numpy()
    quarantine = pd.DataFrame({"row": [json.dumps(row) for row in rows.raw[bad].to_dict("records")], "rule": rules})
    _stage(work, record["uri"], rows.frame[good], labels.frame, quarantine)
    late = {"late": rows.late, "late_labels": labels.counts.get("late", 0)}
    return {"rows_in": result.rows_in, "quarantined": int(bad.sum()), **late}


@step
def publish(work: Work, record: Record) -> Record:
    """Append to the tables and make their versions visible with one row; a repeat and a dry run change nothing."""
    files = read_json(Path(record["manifest"]))
    rows = read_parquet(work.folder / f"{ROWS}.parquet")
    simulated = data_sources.kind_of(record["uri"]) == "simulator"
    days = [file["day"] for file in files if file["kind"] == "rows" and file["day"]]
    publication = Publication(
        use_case=work.run.use_case,
        dataset="data",
        run_id=work.run.run_id,
        as_of=work.run.as_of,
        first_day=min(days) if days else str(rows["observed_at"].min().date()),
        last_day=max(days) if days else str(rows["observed_at"].max().date()),
        versions={},
        rows_in=record["rows_in"],
        rows_published=len(rows),
        rows_quarantined=record["quarantined"],
        simulated=simulated,
        files={file["uri"]: file["sha256"] for file in files},
    )
    what = _counted(publication, record)
    if work.run.run_mode == DRY_RUN:
        raise NothingToDo("DRY_RUN", f"run_mode is dry_run: would publish {what}")
    publication = _publish(work, publication)
    digest = files[0]["sha256"] if data_sources.kind_of(record["uri"]) == "replay" else None
    sources.pin(work.engine, work.run.use_case, record["uri"], digest, work.run.as_of)
    runs.record(work.engine, work.run, "PUBLISHED", [what], data_version=publication.data_version, simulated=simulated)
    log.info("published %s as %s", what, publication.data_version)
    return {"data_version": publication.data_version, "rows": len(rows)}


def _counted(publication: Publication, record: Record) -> str:
    """What is published, in a line of the ledger."""
    days = f"{publication.first_day} to {publication.last_day}"
    what = f"{publication.rows_published} rows of {days}, {publication.rows_quarantined} quarantined"
    what += f", {record['late']} late" if record["late"] else ""
    return what + (f"; {record['late_labels']} label(s) late" if record["late_labels"] else "")


def _publish(work: Work, publication: Publication) -> Publication:
    """Append the staged tables and name their versions in one row, unless this run has done so before."""
    use_case = work.run.use_case
    with hold(work.engine, f"publish {use_case} data", PUBLISH_SECONDS):
        if done := publications.of_run(work.engine, use_case, "data", work.run.run_id):
            return done
        previous = publications.latest(work.engine, use_case, "data")
        versions = dict(previous.versions) if previous else {}
        for table in (ROWS, LABELS, QUARANTINE):
            staged = read_parquet(work.folder / f"{table}.parquet")
            if len(staged):
                frame = staged.assign(as_of=work.run.as_of, run_id=work.run.run_id)
                uri = tables.table_uri(work.settings.lake_uri, use_case, table)
                versions[table] = tables.append(uri, frame, work.run.run_id, after=versions.get(table))
        published = replace(publication, versions=versions)
        publications.publish(work.engine, published)
    return published


def _seen(work: Work) -> Seen:
    """What earlier runs have published; a cleared run publishes the same again, to no effect."""
    history = publications.history(work.engine, work.run.use_case, "data", "9999-12-31")
    earlier = [publication for publication in history if publication.run_id != work.run.run_id]
    if not earlier:
        return Seen()
    files = {uri: digest for publication in earlier for uri, digest in publication.files.items()}
    last = earlier[-1]
    lake = Lake(work.settings.lake_uri, work.spec, last)
    return Seen(date.fromisoformat(last.last_day), date.fromisoformat(last.as_of), files, lake.keys, lake.every_label)


def _named(files: list[Landed]) -> str:
    """The files whose rows are judged together, in a word."""
    uris = list(dict.fromkeys(file.uri for file in files if file.kind == "rows"))
    return uris[0] if len(uris) == 1 else f"{uris[0]} and {len(uris) - 1} more, to {uris[-1]}"


@dataclass(frozen=True)
class _Rows:
    """All rows of a run as text and typed; ``late`` counts those observed before the day of their file."""

    raw: pd.DataFrame
    frame: pd.DataFrame
    faults: tuple[contract.RowFault, ...]
    ignored: tuple[str, ...]
    late: int


@dataclass(frozen=True)
class _Labels:
    """The labels feed of a run: id, observed_at, label, known_at; ``counts`` say what became of its rows."""

    frame: pd.DataFrame
    counts: dict[str, int]


def _without_repeats(seen: Seen, landed: list[Landed]) -> list[Landed]:
    """Leave out rows that came before in a file of the same bytes; ``NO_NEW_DATA`` when no row is left."""
    known = {sha: uri for uri, sha in seen.files.items()}
    kept, repeats = [], []
    for file in landed:
        if file.kind == "rows" and file.day and file.sha256 in known:
            repeats.append(f"{file.uri} of {file.day} is the same, byte for byte, as {known[file.sha256]}")
            log.warning("left out: %s", repeats[-1])
            continue
        known[file.sha256] = file.uri
        kept.append(file)
    if not any(file.kind == "rows" for file in kept):
        alone = f"{len(kept)} file(s) of labels without new rows; they come with the next rows"
        raise NothingToDo("NO_NEW_DATA", *repeats, *([alone] if kept else []))
    return kept


def _read_rows(work: Work, files: list[Landed]) -> _Rows:
    """The rows of all files, one after the other, with the time of their observation."""
    raws, frames, faults, ignored, late, offset = [], [], [], set(), 0, 0
    for file in files:
        raw = contract.read(Path(file.path), work.spec)
        if raw.extra:
            log.warning("%s: ignored unknown column(s) %s", raw.name, ", ".join(raw.extra))
        conformed = contract.conform(raw, work.spec)
        frame = conformed.frame
        if work.spec.observed_at:
            late += _late_rows(work, raw.name, frame["observed_at"], file)
        else:
            frame = frame.assign(observed_at=_observed(work, frame, file))
        faults += [contract.RowFault(f.rule, f.column, f.rows + offset, f.sample) for f in conformed.faults]
        ignored |= set(raw.extra)
        offset += len(frame)
        raws.append(raw.frame)
        frames.append(frame)
    return _Rows(_concat(raws), _concat(frames), _merged(faults), tuple(sorted(ignored)), late)


def _late_rows(work: Work, name: str, times: pd.Series, file: Landed) -> int:
    """How many rows are of a day before their file's; raises ``DataRejected`` when one is of a day to come."""
    column, as_of = work.spec.observed_at, work.run.as_of
    future = times[times >= midnight(as_of)]
    if len(future):
        raise DataRejected(
            "FUTURE_TIME",
            f"{name}: column '{column}': {len(future)} of {len(times)} times are not before {as_of}, the day of this "
            f"run; found {future.max().isoformat()}; mend the clock or the export that wrote them",
        )
    late = len(times) if file.late else int((times < midnight(file.day)).sum()) if file.day else 0
    if late:
        log.warning("%s: %d row(s) are late, the oldest of %s", name, late, times.min().date())
    return late


def _concat(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def _merged(faults: list[contract.RowFault]) -> tuple[contract.RowFault, ...]:
    """The faults of several files, one per rule."""
    rules: dict[str, list[contract.RowFault]] = {}
    for fault in faults:
        rules.setdefault(fault.rule, []).append(fault)
    return tuple(
        contract.RowFault(
            rule,
            same[0].column,
            pd.Series([row for fault in same for row in fault.rows]).to_numpy(),
            tuple(value for fault in same for value in fault.sample)[:5],
        )
        for rule, same in rules.items()
    )


def _observed(work: Work, frame: pd.DataFrame, file: Landed) -> pd.Series:
    if file.day:
        return pd.Series(midnight(file.day), index=frame.index).dt.as_unit("us")
    return spread(frame[work.spec.id], work.spec.source.replay.days, date.fromisoformat(work.run.as_of))


def _read_labels(work: Work, files: list[Landed]) -> _Labels:
    """The labels feed; the later of two files corrects the earlier one, one file must not contradict itself."""
    if not files:
        return _Labels(pd.DataFrame(), {})
    keys = [work.spec.id, "observed_at"]
    every = _concat([_labels_of(work, file) for file in files])
    known = every.dropna(subset=["label"])
    kept = known.drop_duplicates(keys, keep="last")
    late = _late_labels(work, kept)
    counts = {"rows": len(every), "blank": len(every) - len(known), "repeated": len(known) - len(kept), "late": late}
    return _Labels(kept.reset_index(drop=True), counts)


def _late_labels(work: Work, labels: pd.DataFrame) -> int:
    """How many labels became known before the ``as_of`` of what is published; from this run's on they count."""
    published = _seen(work).as_of
    late = labels[labels["known_at"] < midnight(published)] if published else labels.head(0)
    if len(late):
        log.warning("%d label(s) are late, the oldest known since %s", len(late), late["known_at"].min().date())
    return len(late)


def _labels_of(work: Work, file: Landed) -> pd.DataFrame:
    """One file of labels, typed; raises ``DataRejected`` naming what no label can be taken from."""
    spec = work.spec
    needed = [spec.id, "observed_at", spec.target.column]
    raw = contract.read_columns(Path(file.path), needed, [], spec.limits.maximum_bytes)
    labels, broken = contract.map_labels(raw.frame[spec.target.column], spec)
    expected = f"{spec.target.positive!r} or {spec.target.negative!r}"
    _refuse(raw, "BAD_LABEL", spec.target.column, broken, f"are neither {expected}")
    ids = contract.strip(raw.frame[spec.id])
    _refuse(raw, "BLANK_KEY", spec.id, ids.isna().to_numpy(), "are blank; a label needs its id")
    times = contract.read_times(raw, "observed_at", days=True)
    _refuse(raw, "BLANK_KEY", "observed_at", times.isna().to_numpy(), "are blank; a label needs its observation")
    known = pd.Series(midnight(file.day or work.run.as_of), index=ids.index).dt.as_unit("us")
    frame = pd.DataFrame({spec.id: ids, "observed_at": times, "label": labels, "known_at": known})
    given = frame[frame["label"].notna()].drop_duplicates()
    conflicts = frame.index.isin(given.index[given.duplicated(given.columns[:2], keep=False)])
    _refuse(raw, "CONFLICTING_LABELS", spec.id, conflicts, "have two labels for one observation")
    return frame


def _refuse(raw: contract.RawTable, code: str, column: str, broken: np.ndarray, what: str) -> None:
    """Refuse a file of labels for the rows in ``broken`` (a mask); nothing of it is published."""
    if broken.any():
        sample = ", ".join(repr(str(value)[:80]) for value in raw.frame.loc[broken, column].head(3))
        message = f"{raw.name}: column '{column}': {broken.sum()} of {len(broken)} values {what}, such as {sample}"
        raise DataRejected(code, f"{message}; mend the file and start the run again")


def _stage(work: Work, uri: str, rows: pd.DataFrame, labels: pd.DataFrame, quarantine: pd.DataFrame) -> None:
    delay = data_sources.label_delay(uri, work.spec)
    own = rows.loc[rows["label"].notna(), [work.spec.id, "observed_at", "label"]]
    own = own.assign(known_at=(own["observed_at"] + delay).dt.as_unit("us"))
    staged = {ROWS: rows.drop(columns="label"), LABELS: _concat([own, labels]), QUARANTINE: quarantine}
    for name, frame in staged.items():
        write_parquet(work.folder / f"{name}.parquet", frame)


def _report(work: Work, uri: str, frame: pd.DataFrame, result: expectations.Validation) -> None:
    content = result.to_json()
    write_text(work.folder / "validation.json", json.dumps(content, indent=2))
    times = frame["observed_at"]
    page = report.render(
        content,
        title=work.spec.title,
        source=uri,
        days=f"{times.min().date()} to {times.max().date()}",
        as_of=work.run.as_of,
        run_id=work.run.run_id,
        simulated=data_sources.kind_of(uri) == "simulator",
    )
    write_text(work.folder / "validation.html", page)
    if work.settings.data_docs:
        data_docs.build(frame, work.spec, work.folder / "data_docs")
