"""``make status`` and the summary that ends ``make run``: champion, last runs, open requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from include.cli.console import console, error, heading, line
from include.cli.monitoring import monitor_lines, monitor_state
from include.notifications.outbox import TOO_OLD
from include.settings import Settings
from include.spec import sound
from include.stack.environment import airflow_url
from include.stack.scoring_api import ScoringApi
from include.stack.secrets import USER, load_secrets
from include.state import notifications, overrides, promotions, publications, requests, runs
from include.state.database import ago, connect

MOST_OVERRIDES = 3
VERDICTS = frozenset({"PROMOTED", "REFUSED", "NOT_EVALUATED", "UNCHANGED", "DRY_RUN"})


def status(settings: Settings, *, as_json: bool) -> int:
    """Show the state of every use case, as tables or as JSON; 1 where a spec cannot be used, which is said, too."""
    specs, faults = sound(settings.use_case_folders)
    states = {name: use_case_state(settings, name) for name in specs}
    if as_json:
        print(json.dumps({"use_cases": states, "faults": [str(fault) for fault in faults]}, indent=2))
        return 1 if faults else 0
    for name, found in states.items():
        heading(name)
        console.print(_table(found))
    for fault in faults:
        error(str(fault))
    return 1 if faults else 0


def use_case_state(settings: Settings, use_case: str) -> dict[str, Any]:
    """What ``status --json`` says of one use case."""
    engine = connect(settings.state_url)
    return {
        "champion": _champion(engine, use_case),
        "registered_versions": _registered_versions(settings, use_case),
        "last_run": _last_run(engine, use_case),
        "overrides": _overrides(engine, use_case),
        "last_monitor": _last_monitor(engine, use_case),
        "last_scoring": _last_scoring(engine, use_case),
        "pending_requests": len(requests.pending(engine, use_case)),
        "not_delivered": _not_delivered(engine, use_case),
        "data": _data(engine, use_case),
        "api": _api(settings, use_case),
    }


def print_outcome(settings: Settings, use_case: str, run_id: str) -> bool:
    """Say what came of a retrain; return whether it ended in a verdict."""
    heading("Outcome")
    console.print(_table(use_case_state(settings, use_case)))
    row = runs.get(connect(settings.state_url), use_case, "retrain", run_id)
    return row is not None and row.outcome in VERDICTS


def print_places(settings: Settings, use_case: str) -> None:
    """Say where to look further."""
    heading("Where to look")
    line(f"Airflow   {airflow_url(settings)}  (user {USER}, password {load_secrets(settings).password})")
    line(f"MLflow    {settings.mlflow_uri}")
    line(f"Reports   {settings.home / 'runs' / use_case}")
    line(f"API       {settings.api_url}/{use_case}/openapi.json says what it can be asked")
    line("make status shows the outcome again, make down stops everything")


def _champion(engine: Engine, use_case: str) -> dict[str, Any] | None:
    promotion = promotions.champion(engine, use_case)
    if promotion is None:
        return None
    return {
        "version": promotion.version,
        "roc_auc_holdout": promotion.metrics.get("roc_auc"),
        "roc_auc_interval": [promotion.metrics.get("roc_auc_low"), promotion.metrics.get("roc_auc_high")],
        "model_sha256": promotion.model_sha256,
        "data_version": promotion.data_version,
        "promoted_at": promotion.done_at,
        "put_back": next((why for why in promotion.reasons if why.startswith(promotions.PUT_BACK)), None),
    }


def _registered_versions(settings: Settings, use_case: str) -> int | None:
    """How many versions MLflow holds; None while it cannot be asked."""
    import httpx

    address = f"{settings.mlflow_uri}/api/2.0/mlflow/model-versions/search"
    try:
        answer = httpx.get(address, params={"filter": f"name = '{use_case}'", "max_results": 10000}, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError:
        return None
    return len(answer.json().get("model_versions", []))


def _last_run(engine: Engine, use_case: str) -> dict[str, Any] | None:
    row = runs.last(engine, use_case, "retrain")
    if row is None:
        return None
    return {
        "outcome": row.outcome,
        "run_id": row.run_id,
        "reason": row.reason,
        "reasons": list(row.reasons),
        "as_of": row.as_of,
        "verdict_page": row.details.get("verdict_page"),
    }


def _overrides(engine: Engine, use_case: str) -> list[dict[str, Any]]:
    """Those that wait for a run, and those that runs have used, newest first."""
    return [vars(one) for one in reversed(overrides.every(engine, use_case))]


def _last_monitor(engine: Engine, use_case: str) -> dict[str, Any] | None:
    row = runs.last(engine, use_case, "monitor")
    return monitor_state(row) if row else None


def _api(settings: Settings, use_case: str) -> dict[str, Any]:
    with ScoringApi(settings.api_url, use_case) as api:
        return {"url": api.url, **asdict(api.answering())}


def _not_delivered(engine: Engine, use_case: str) -> list[dict[str, Any]]:
    """Messages of the last day that have not got to people, with what the last attempt ran into."""
    shown = ("channel", "event", "kind", "run_id", "attempts", "error")
    waiting = notifications.waiting(engine, use_case, ago(TOO_OLD))
    return [{name: getattr(one, name) for name in shown} for one in waiting if one.error]


def _last_scoring(engine: Engine, use_case: str) -> dict[str, Any] | None:
    """How the last run ended, and what there is of the last one that has scored; None before there was any."""
    last = runs.last(engine, use_case, "score")
    if last is None:
        return None
    scored = runs.last(engine, use_case, "score", outcomes=["SCORED"])
    return {
        "outcome": last.outcome,
        "run_id": last.run_id,
        "reasons": list(last.reasons),
        "scores": {
            "run_id": scored.run_id,
            "at": scored.ended_at,
            "version": scored.details["champion"],
            "data_version": scored.details["data_version"],
            **scored.details["scored"],
        }
        if scored
        else None,
    }


def _data(engine: Engine, use_case: str) -> dict[str, Any] | None:
    publication = publications.latest(engine, use_case, "data")
    if publication is None:
        return None
    days = f"{publication.first_day} to {publication.last_day}"
    return {
        "version": publication.data_version,
        "days": days,
        "as_of": publication.as_of,
        "simulated": publication.simulated,
    }


def _table(state: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(state):
        # As text, so that a path, a name or a reason with [brackets] is shown as it is.
        table.add_row(name, Text(value) if isinstance(value, str) else value)
    return table


def _lines(state: Mapping[str, Any]) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = []
    if run := state["last_run"]:
        why = f"  ({run['run_id']}: {run['reason']})"
        rows += [("last retrain", Text.assemble((str(run["outcome"]), "bold"), why))]
        rows += [("", reason) for reason in run["reasons"]]
        rows += [("verdict", run["verdict_page"])] if run["verdict_page"] else []
    else:
        rows += [("last retrain", "none yet; start with make run")]
    if champion := state["champion"]:
        low, high = champion["roc_auc_interval"]
        auc = f"{champion['roc_auc_holdout']:.4f} (95 % interval {low:.4f} to {high:.4f})"
        rows += [
            ("champion", f"version {champion['version']}, promoted {champion['promoted_at']}"),
            *([("", champion["put_back"])] if champion["put_back"] else []),
            ("hold-out ROC AUC", auc),
            ("model SHA-256", champion["model_sha256"]),
            ("trained on", champion["data_version"]),
        ]
    else:
        rows += [("champion", "none")]
    if data := state["data"]:
        simulated = ("  simulated" if data["simulated"] else "", "yellow")
        rows += [("newest data", Text.assemble(f"{data['version']}, {data['days']}", simulated))]
    if monitor := state["last_monitor"]:
        rows += monitor_lines(monitor)
    api = state["api"]
    answers = f"version {api['version']} answers" if api["version"] else "no version answers"
    rows += [("scoring API", f"{answers} at {api['url']}"), *(("", reason) for reason in api["why"])]
    rows += _scoring_lines(state["last_scoring"])
    versions = state["registered_versions"]
    rows += [("versions", "MLflow does not answer" if versions is None else str(versions))]
    rows += [("pending requests", str(state["pending_requests"]))]
    for one in state["not_delivered"]:
        what = f"{one['channel']}: {one['event']} of {one['kind']} {one['run_id']}: {one['error']}"
        rows += [("not delivered", what)]
    for given in state["overrides"][:MOST_OVERRIDES]:
        used = f"used by {given['used_by']}" if given["used_by"] else f"until {given['until']}"
        what = f"{given['obstacle']} of version {given['champion']}, by {given['by']}, {used}: {given['because']}"
        rows += [("override", what)]
    return rows


def _scoring_lines(scoring: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if scoring is None:
        return []
    outcome = scoring["outcome"] or "not ended yet"
    rows = [("last scoring", f"{outcome}  ({scoring['run_id']})"), *(("", one) for one in scoring["reasons"])]
    if scores := scoring["scores"]:
        what = f"{scores['rows']:,} rows as of {scores['as_of']}, version {scores['version']}, {scores['data_version']}"
        rows += [("scores", what), *(("", path) for path in scores["exports"].values())]
    return rows
