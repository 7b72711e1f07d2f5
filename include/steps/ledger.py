"""What the steps of every DAG share: the run they belong to, its ledger row, and how it opens and closes."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from sqlalchemy import Engine

from include import spec as specs
from include.errors import BadRequest, DataRejected, NothingToDo
from include.failpoints import reach
from include.settings import Settings
from include.spec import UseCase
from include.state import overrides, promotions, publications, requests, runs
from include.state.database import connect
from include.state.runs import BACKFILL, DRY_RUN, ENABLED, Kind, Run

log = logging.getLogger(__name__)

P = ParamSpec("P")
Record = dict[str, Any]

PARAMETERS = frozenset({"as_of", "reason", "run_mode"})
ASSET_TRIGGERED = "asset_triggered"
LONGEST_REASON = 500


@dataclass(frozen=True)
class Work:
    """All that a step needs: where things are, what the use case is, which run this is."""

    settings: Settings
    spec: UseCase
    engine: Engine
    run: Run

    @property
    def folder(self) -> Path:
        """Where this run keeps its working files and reports."""
        folder = self.settings.run_folder(self.run.use_case, f"{self.run.kind}-{self.run.run_id}")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def models(self) -> Path:
        """Where packages of registered versions are kept on this machine."""
        return self.settings.home / "models"


def work_of(run: Record) -> Work:
    """The work of the run that ``run`` (a ``Run`` as a mapping) describes."""
    settings = Settings.from_environment()
    spec = specs.find(run["use_case"], settings.use_case_folders)
    return Work(settings, spec, connect(settings.state_url), Run(**run))


def step(function: Callable[Concatenate[Work, Record, P], Record]) -> Callable[Concatenate[Record, P], Record]:
    """A step takes the record of the steps before it and returns that record with its own findings added.

    It is given its work beside the record, and the ledger the reason when it ends the run or fails.
    """

    @functools.wraps(function)
    def recorded(record: Record, /, *args: P.args, **kwargs: P.kwargs) -> Record:
        work = work_of(record["run"])
        point = f"{work.run.kind}.{function.__name__}"
        task = function.__name__ + "".join(f"[{argument}]" for argument in args if isinstance(argument, str))
        try:
            reach(f"{point}.start")
            found = function(work, record, *args, **kwargs)
            reach(f"{point}.return")
            runs.record_error(work.engine, work.run, task, None)
            return {**record, **found}
        except NothingToDo as end:
            runs.record(work.engine, work.run, end.outcome, list(end.reasons))
            raise
        except DataRejected as refusal:
            runs.record(work.engine, work.run, "DATA_REJECTED", [f"{refusal.code}: {refusal}"])
            raise
        except BadRequest as refusal:
            runs.record(work.engine, work.run, "BAD_REQUEST", [str(refusal)])
            raise
        except Exception as error:  # recorded for the person who reads the ledger, and raised again for the retry
            runs.record_error(work.engine, work.run, task, f"{type(error).__name__}: {error}")
            raise

    return recorded


def open_run(
    use_case: str,
    kind: Kind,
    run_id: str,
    *,
    conf: Mapping[str, Any],
    run_type: str,
    interval_end: datetime | None,
    run_after: datetime,
    started_by: str | None = None,
) -> Record:
    """Resolve ``as_of``, claim what is pending, open the ledger row; return the record that the first step is given.

    The order for ``as_of``: the parameter, the greatest of what woke the run, the interval's end, run-after.
    Raises ``BadRequest`` for parameters that cannot be used, before any data is read or written.
    """
    engine = connect(Settings.from_environment().state_url)
    details = {"run_type": run_type, "started_by": started_by}
    try:
        _check(conf)
    except BadRequest as refusal:
        run = Run(use_case, kind, run_id, "")
        runs.open_row(engine, run, **details)
        _close_at_once(engine, run, "BAD_REQUEST", str(refusal))
        raise
    woken = run_type == ASSET_TRIGGERED
    waiting = _waiting(engine, use_case, kind, run_id) if woken else []
    as_of = _resolve_as_of(conf, interval_end, run_after, waiting)
    # A backfill judges the past; only a run of the present may change what serves.
    run_mode = DRY_RUN if run_type == BACKFILL else conf.get("run_mode") or ENABLED
    run = Run(use_case, kind, run_id, as_of, run_mode, conf.get("reason") or run_type)
    left_open = runs.close_dead(engine, run) if run_type != BACKFILL else {}
    for dead, outcome in left_open.items():
        _settle(engine, use_case, kind, dead, outcome)
        log.warning("closed the ledger row of run %s, which ended without closing it, as %s", dead, outcome)
    runs.open_row(engine, run, **details)
    reach("run.opened")
    # A dry run changes nothing, so it must not take a request away from the run that can answer it.
    claimed = requests.claim(engine, run) if kind == "retrain" and run_mode == ENABLED else []
    if woken and kind == "retrain" and not claimed:
        reason = "a retrain request woke this run, but an earlier run has taken it"
        _close_at_once(engine, run, "NOTHING_PENDING", reason)
        raise NothingToDo("NOTHING_PENDING", reason)
    if claimed:
        own = [run.reason] if run.reason != ASSET_TRIGGERED else []
        run = replace(run, reason="; ".join([*own, *(request.reason for request in claimed)]))
        runs.open_row(engine, run, **details)
    return {"run": vars(run)}


def _waiting(engine: Engine, use_case: str, kind: Kind, run_id: str) -> list[str]:
    """The ``as_of`` of all that may have woken a run. Its events are hints, which come late or together."""
    if kind == "score":
        newest = publications.latest(engine, use_case, "data"), promotions.champion(engine, use_case)
        return [one.as_of for one in newest if one]
    waiting = [*requests.pending(engine, use_case), *requests.claimed(engine, use_case, run_id)]
    return [request.as_of for request in waiting]


def _settle(engine: Engine, use_case: str, kind: Kind, run_id: str, outcome: str) -> None:
    """Say how it ended to what the run has taken; a run that died gives it back."""
    if kind != "retrain":  # no other kind takes anything, and a run of another DAG may have the same id
        return
    requests.settle(engine, use_case, run_id, outcome)
    if outcome == "FAILED":
        overrides.give_back(engine, use_case, run_id)


def _close_at_once(engine: Engine, run: Run, outcome: str, reason: str) -> None:
    """Close a run that ends with its first step, before anything else can fail."""
    runs.record(engine, run, outcome, [reason])
    runs.close_row(engine, run.use_case, run.kind, run.run_id, failed=[])


def _check(conf: Mapping[str, Any]) -> None:
    if unknown := sorted(set(conf) - PARAMETERS):
        raise BadRequest(f"unknown parameter(s) {', '.join(unknown)}; this DAG takes {', '.join(sorted(PARAMETERS))}")
    if conf.get("as_of"):
        try:
            date.fromisoformat(conf["as_of"])
        except (TypeError, ValueError) as error:
            raise BadRequest(f"as_of is {conf['as_of']!r}; expected a date such as 2026-01-31") from error
    if (conf.get("run_mode") or ENABLED) not in (ENABLED, DRY_RUN):
        raise BadRequest(f"run_mode is {conf['run_mode']!r}; expected {ENABLED} or {DRY_RUN}")
    reason = conf.get("reason") or ""
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
        raise BadRequest(f"reason is {str(reason)[:50]!r}…; expected a text of at most {LONGEST_REASON} characters")


def _resolve_as_of(
    conf: Mapping[str, Any], interval_end: datetime | None, run_after: datetime, waiting: list[str]
) -> str:
    if conf.get("as_of"):
        return date.fromisoformat(conf["as_of"]).isoformat()
    if waiting:
        return max(waiting)
    moment = interval_end or run_after
    # A time without a zone is UTC, as everywhere in the project.
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date().isoformat()


def close_run(use_case: str, kind: Kind, run_id: str, failed: list[str], why: str = "") -> str:
    """Close the ledger row whatever happened, settle what the run claimed, end its MLflow runs; return the outcome.

    ``why``: the run ended before its last task, if another one than that closes it.
    """
    settings = Settings.from_environment()
    engine = connect(settings.state_url)
    outcome = runs.close_row(engine, use_case, kind, run_id, failed, why)
    reach("run.closed")
    _settle(engine, use_case, kind, run_id, outcome)
    if kind == "retrain":
        from include.registry import tracking  # MLflow takes seconds to import; only this DAG needs it

        run = Run(use_case, kind, run_id, "")
        status = "FAILED" if outcome in ("FAILED", "DATA_REJECTED") else "FINISHED"
        tracking.end_all(tracking.connect(settings.mlflow_uri), run, status)
    log.info("%s %s: %s", kind, run_id, outcome)
    return outcome
