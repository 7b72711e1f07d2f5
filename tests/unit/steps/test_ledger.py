"""How a run opens and closes: one ``as_of`` for all of it, one ledger row, the requests that it answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from include.errors import BadRequest, NothingToDo
from include.settings import Settings
from include.state import overrides, promotions, publications, requests, runs
from include.state.database import connect, metadata
from include.state.publications import Publication
from include.state.runs import Run
from include.steps import ledger
from tests.conftest import MlflowServer

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOKYO, NEW_YORK = timezone(timedelta(hours=9)), timezone(timedelta(hours=-5))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path))
    return connect(Settings.from_environment().state_url)


def opened(
    kind: Any = "retrain",
    run_id: str = "r1",
    run_type: str = "manual",
    interval_end: datetime | None = None,
    run_after: datetime = NOON,
    **conf: Any,
) -> Run:
    record = ledger.open_run(
        "churn",
        kind,
        run_id,
        conf=conf,
        run_type=run_type,
        interval_end=interval_end,
        run_after=run_after,
        started_by="ada",
    )
    return Run(**record["run"])


def ask(engine: Engine, *days: str) -> None:
    for day in days:
        requests.add(engine, Run("churn", "monitor", f"m-{day}", day), f"e-{day}", ["tenure"], f"drift of {day}")


def row(engine: Engine, run_id: str = "r1", kind: str = "retrain") -> runs.LedgerRow:
    found = runs.get(engine, "churn", kind, run_id)
    assert found is not None
    return found


MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "as_of"),
    [
        pytest.param({"as_of": "2026-01-31", "interval_end": MIDNIGHT}, "2026-01-31", id="the parameter first"),
        pytest.param({"as_of": "20260131"}, "2026-01-31", id="the parameter, written another way"),
        pytest.param({"as_of": None, "interval_end": MIDNIGHT}, "2026-11-23", id="an empty parameter is none"),
        pytest.param({"as_of": "", "interval_end": MIDNIGHT}, "2026-11-23", id="a blank parameter is none"),
        pytest.param({"interval_end": MIDNIGHT}, "2026-11-23", id="then the interval's end"),
        pytest.param({}, "2026-11-24", id="then run-after"),
        pytest.param({"run_after": datetime(2026, 11, 24, 23, 59)}, "2026-11-24", id="naive is UTC"),
        pytest.param({"run_after": datetime(2026, 11, 25, 5, tzinfo=TOKYO)}, "2026-11-24", id="ahead of UTC"),
        pytest.param({"run_after": datetime(2026, 11, 23, 21, tzinfo=NEW_YORK)}, "2026-11-24", id="behind UTC"),
        pytest.param({"interval_end": datetime(2026, 11, 24, 1, tzinfo=TOKYO)}, "2026-11-23", id="interval in Tokyo"),
    ],
)  # fmt: skip
def test_the_order_for_as_of(engine: Engine, given: dict[str, Any], as_of: str) -> None:
    assert opened(**given).as_of == as_of
    assert row(engine).as_of == as_of


@pytest.mark.parametrize(
    ("given", "as_of", "claimed"),
    [
        pytest.param({}, "2026-11-20", ["2026-11-10", "2026-11-20"], id="woken: the newest request"),
        pytest.param({"as_of": "2026-11-15"}, "2026-11-15", ["2026-11-10"], id="woken: the parameter before it"),
        pytest.param({"run_type": "scheduled", "interval_end": MIDNIGHT}, "2026-11-23", ["2026-11-10", "2026-11-20"],
                     id="scheduled: its own day, and every request up to it"),
        pytest.param({"run_type": "scheduled", "interval_end": datetime(2026, 11, 12)}, "2026-11-12", ["2026-11-10"],
                     id="scheduled: no request of a later day"),
        pytest.param({"run_type": "manual", "run_mode": "dry_run"}, "2026-11-24", [], id="dry run: takes no request"),
        pytest.param({"run_type": "backfill"}, "2026-11-24", [], id="backfill: takes no request"),
        pytest.param({"kind": "ingest", "run_type": "manual"}, "2026-11-24", [], id="ingest: takes no request"),
    ],
)  # fmt: skip
def test_requests_and_as_of(engine: Engine, given: dict[str, Any], as_of: str, claimed: list[str]) -> None:
    ask(engine, "2026-11-10", "2026-11-20")
    run = opened(**{"run_type": "asset_triggered", **given})
    assert run.as_of == as_of
    held = requests.claimed(engine, "churn", "r1")
    assert [request.as_of for request in held] == claimed
    assert all(request.reason in row(engine, kind=run.kind).reason for request in held)
    assert row(engine, kind=run.kind).reason == run.reason


def test_a_retry_of_the_first_step_finds_the_same_as_of_and_claims(engine: Engine) -> None:
    ask(engine, "2026-11-10")
    first = opened(run_type="asset_triggered")
    ask(engine, "2026-11-05")
    again = opened(run_type="asset_triggered")
    assert again.as_of == first.as_of == "2026-11-10"
    assert [request.as_of for request in requests.claimed(engine, "churn", "r1")] == ["2026-11-10", "2026-11-05"]


@pytest.mark.parametrize(
    ("published", "promoted", "given", "as_of"),
    [
        pytest.param(["2026-11-10", "2026-11-20"], ["2026-11-15"], {}, "2026-11-20", id="new data"),
        pytest.param(["2026-11-10"], ["2026-11-05", "2026-11-15"], {}, "2026-11-15", id="a new champion"),
        pytest.param(["2026-11-10"], [], {"as_of": "2026-11-01"}, "2026-11-01", id="the parameter before both"),
        pytest.param(["2026-11-10"], [], {"run_type": "manual"}, "2026-11-24", id="by hand: run-after"),
        pytest.param([], [], {}, "2026-11-24", id="neither"),
    ],
)
def test_a_woken_scoring_is_of_the_day_of_what_woke_it(
    engine: Engine, published: list[str], promoted: list[str], given: dict[str, Any], as_of: str
) -> None:
    ask(engine, "2026-11-30")
    for day in published:
        counts = {"rows_in": 1, "rows_published": 1, "rows_quarantined": 0, "simulated": False}
        days = {"first_day": day, "last_day": day, "as_of": day, "run_id": f"i-{day}"}
        publications.publish(engine, Publication(use_case="churn", dataset="data", versions={}, **days, **counts))
    for day in promoted:
        made = {"previous_version": None, "model_sha256": "m", "fingerprint": "f", "data_version": "d", "fence": 1}
        intent = promotions.intend(
            engine, use_case="churn", run_id=f"r-{day}", version="1", as_of=day, metrics={}, reasons=[], **made
        )
        promotions.finish(engine, intent)
    run = opened(**{"kind": "score", "run_type": "asset_triggered", **given})
    assert run.as_of == as_of
    assert row(engine, kind="score").ended_at is None, "it goes on: nothing is to be claimed"
    assert requests.claimed(engine, "churn", "r1") == []


def test_a_woken_run_with_nothing_to_claim_ends_at_once(engine: Engine) -> None:
    ask(engine, "2026-11-10")
    opened(run_id="r0", run_type="scheduled")
    requests.settle(engine, "churn", "r0", "REFUSED")
    with pytest.raises(NothingToDo, match="an earlier run has taken it"):
        opened(run_type="asset_triggered")
    assert (row(engine).outcome, row(engine).ended_at is not None) == ("NOTHING_PENDING", True)


@pytest.mark.parametrize(
    ("given", "mode", "reason"),
    [
        pytest.param({}, "enabled", "manual", id="as it comes"),
        pytest.param({"run_mode": "dry_run", "reason": "a look"}, "dry_run", "a look", id="dry run"),
        pytest.param({"run_type": "backfill", "run_mode": "enabled"}, "dry_run", "backfill", id="backfill"),
    ],
)  # fmt: skip
def test_mode_and_reason(engine: Engine, given: dict[str, Any], mode: str, reason: str) -> None:
    run = opened(**given)
    assert (run.run_mode, run.reason) == (mode, reason)
    assert row(engine).details == {"run_type": given.get("run_type", "manual"), "started_by": "ada"}


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        pytest.param({"as_of": "tomorrow"}, "as_of is 'tomorrow'; expected a date", id="B39-word"),
        pytest.param({"as_of": "2026-13-01"}, "as_of is '2026-13-01'", id="B39-no-such-day"),
        pytest.param({"as_of": "2026-01-31T00:00:00Z"}, "as_of is '2026-01-31T00:00:00Z'", id="B39-time"),
        pytest.param({"as_of": 20260131}, "as_of is 20260131", id="B39-number"),
        pytest.param({"as_of": "../../etc"}, "as_of is '../../etc'", id="B39-path"),
        pytest.param({"path": "../../etc"}, "unknown .* path; this DAG takes as_of, reason", id="B39-key"),
        pytest.param({"run_mode": "yolo"}, "run_mode is 'yolo'; expected enabled or dry_run", id="B39-mode"),
        pytest.param({"run_mode": ["enabled"]}, "run_mode is", id="B39-mode-list"),
        pytest.param({"reason": {"a": 1}}, "reason is .*expected a text", id="B39-reason"),
        pytest.param({"reason": "x" * 501}, "expected a text of at most 500", id="B39-long-reason"),
    ],
)  # fmt: skip
def test_bad_parameters_leave_their_row_and_nothing_else(
    engine: Engine, tmp_path: Path, conf: dict[str, Any], message: str
) -> None:
    ask(engine, "2026-11-10")
    opened(run_id="alive", run_type="scheduled", interval_end=datetime(2026, 11, 1))
    before = _counts(engine)
    with pytest.raises(BadRequest, match=message):
        opened(**conf)
    refused = row(engine)
    assert (refused.outcome, refused.as_of, refused.ended_at is not None) == ("BAD_REQUEST", "", True)
    assert _counts(engine) == before | {"runs": before["runs"] + 1}
    assert row(engine, "alive").ended_at is None
    assert len(requests.pending(engine, "churn")) == 1
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith("state.db")]


def _counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
        }


def test_the_next_run_closes_a_dead_one_and_takes_over_its_requests(engine: Engine) -> None:
    ask(engine, "2026-11-10")
    opened(run_id="dead", run_type="asset_triggered")
    run = opened(run_type="scheduled", interval_end=MIDNIGHT)
    assert (row(engine, "dead").outcome, row(engine, "dead").reasons) == (
        "FAILED",
        ("the run ended before its last task",),
    )
    assert [request.claimed_by for request in requests.every(engine, "churn")] == ["r1"]
    assert run.reason == "scheduled; drift of 2026-11-10"


def test_a_backfill_and_the_run_beside_it_leave_each_other_alone(engine: Engine) -> None:
    opened(run_id="now", run_type="scheduled")
    opened(run_id="b1", run_type="backfill")
    opened(run_id="b2", run_type="backfill")
    assert row(engine, "now").ended_at is None
    opened(run_id="next", run_type="scheduled")
    assert [row(engine, name).ended_at is None for name in ("now", "b1", "b2", "next")] == [False, True, True, True]


def test_a_cleared_run_opens_its_row_anew(engine: Engine) -> None:
    opened(kind="ingest", as_of="2026-01-31")
    assert ledger.close_run("churn", "ingest", "r1", failed=["land"]) == "FAILED"
    opened(kind="ingest", as_of="2026-01-31")
    again = row(engine, kind="ingest")
    assert (again.outcome, again.ended_at, again.reasons) == (None, None, ())


def work(run: Run, record: dict[str, Any]) -> dict[str, Any]:
    raise record["end"]


@pytest.mark.parametrize(
    ("end", "outcome", "reasons"),
    [
        pytest.param(NothingToDo("REFUSED", "too bad"), "REFUSED", ("too bad",), id="a normal end"),
        pytest.param(ledger.DataRejected("NO_ROWS", "empty"), "DATA_REJECTED", ("NO_ROWS: empty",), id="bad data"),
        pytest.param(BadRequest("as_of is far"), "BAD_REQUEST", ("as_of is far",), id="a parameter"),
        pytest.param(OSError("full"), "FAILED", ("work: OSError: full", "task work failed"), id="a fault"),
    ],
)
def test_a_step_tells_the_ledger_how_it_ended(
    engine: Engine, end: Exception, outcome: str, reasons: tuple[str, ...]
) -> None:
    run = opened(kind="ingest")
    with pytest.raises(type(end)):
        ledger.step(work)({"run": vars(run), "end": end})
    assert ledger.close_run("churn", "ingest", "r1", failed=["work"]) == outcome
    assert row(engine, kind="ingest").reasons == reasons


def test_a_step_adds_its_findings_to_the_record(engine: Engine) -> None:
    run = opened(kind="ingest")
    found = ledger.step(lambda work, record: {"rows": 3, "of": work.spec.name})({"run": vars(run), "rows": 1})
    assert found == {"run": vars(run), "rows": 3, "of": "churn"}


def take_override(engine: Engine, run: Run) -> None:
    because = {"obstacle": "CHAMPION_DAMAGED", "because": "the store burnt down", "by": "Ada"}
    override = overrides.give(engine, "churn", champion="3", until="9999-12-31", **because)
    assert overrides.take(engine, run, override)


@pytest.mark.parametrize(("outcome", "free"), [("REFUSED", False), (None, True)], ids=["judged", "died"])
def test_what_a_retrain_has_taken_is_given_back_if_it_died(
    engine: Engine, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch, outcome: str | None, free: bool
) -> None:
    monkeypatch.setenv("MODELOPS_MLFLOW_PORT", str(mlflow_server.port))
    ask(engine, "2026-11-10")
    run = opened()
    take_override(engine, run)
    if outcome:
        runs.record(engine, run, outcome)
    ledger.close_run("churn", "retrain", run.run_id, [])
    (kept,), (request,) = overrides.every(engine, "churn"), requests.every(engine, "churn")
    assert (kept.used_by is None, request.claimed_by is None, request.outcome) == (free, free, outcome)


def test_what_a_retrain_with_a_verdict_has_taken_stays_taken_though_its_row_was_left_open(engine: Engine) -> None:
    """It was killed between its verdict and its last task."""
    ask(engine, "2026-11-10")
    run = opened("retrain", "killed")
    take_override(engine, run)
    runs.record(engine, run, "REFUSED")
    opened("retrain", "next")
    assert row(engine, "killed").outcome == "REFUSED"
    (kept,), (request,) = overrides.every(engine, "churn"), requests.every(engine, "churn")
    assert (kept.used_by, request.claimed_by, request.outcome) == ("killed", "killed", "REFUSED")


@pytest.mark.parametrize("kind", ["ingest", "monitor", "score"])
@pytest.mark.parametrize("outcome", ["PUBLISHED", None], ids=["ended", "died"])
def test_a_run_of_another_dag_with_the_same_id_leaves_it_to_the_retrain(
    engine: Engine, kind: Any, outcome: str | None
) -> None:
    ask(engine, "2026-11-10")
    take_override(engine, opened("retrain", "scheduled__2026-11-24"))
    other = opened(kind, "scheduled__2026-11-24")
    if outcome:
        runs.record(engine, other, outcome)
        ledger.close_run("churn", kind, other.run_id, [])
    else:
        opened(kind, "scheduled__2026-11-25")
        assert row(engine, other.run_id, kind).outcome == "FAILED"
    (kept,), (request,) = overrides.every(engine, "churn"), requests.every(engine, "churn")
    assert (kept.used_by, request.claimed_by, request.outcome) == (other.run_id, other.run_id, None)
