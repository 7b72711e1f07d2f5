"""What the ledger says reaches people once, whatever happens to channels and senders on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import Engine, update

from include.failpoints import VARIABLE, InjectedFault
from include.notifications import channels, outbox
from include.notifications.channels import Undelivered, Webhook
from include.notifications.notice import Notice
from include.settings import Settings
from include.spec import Notifications, UseCase
from include.state import database as db
from include.state import promotions, runs
from include.state.database import ago, connect
from include.state.runs import Run
from tests.receivers import Hook

SETTINGS = Settings.from_environment({})
HOUR = timedelta(hours=1)


@dataclass
class Pen:
    """A channel that writes down what it is given, while it is not ``away``; ``fault`` is one of its own."""

    name: ClassVar[str] = "webhook"
    written: list[Notice] = field(default_factory=list)
    tried: int = 0
    away: bool = False
    fault: Exception | None = None

    def send(self, notice: Notice) -> None:
        self.tried += 1
        if self.fault:
            raise self.fault
        if self.away:
            raise Undelivered("nobody there")
        self.written.append(notice)

    @property
    def runs(self) -> list[str]:
        return [notice.run_id for notice in self.written]


@pytest.fixture
def engine(state_url: str) -> Engine:
    return connect(state_url)


@pytest.fixture
def end(engine: Engine) -> Callable[..., None]:
    """Let a run end with an outcome."""

    def ended(run_id: str, outcome: str | None = "REFUSED", kind: Any = "retrain", **more: Any) -> None:
        run = Run("churn", kind, run_id, "2026-11-24", reason="scheduled")
        runs.open_row(engine, run, **more)
        if outcome:
            runs.record(engine, run, outcome, ["NOT_BETTER: by chance"])
        runs.close_row(engine, "churn", kind, run_id, [])

    return ended


@pytest.fixture
def tell(engine: Engine, churn: UseCase) -> Callable[..., None]:
    """What a notifier does."""

    def told(channel: channels.Channel, **wanted: Any) -> None:
        spec = churn.model_copy(update={"notifications": Notifications(**wanted)})
        outbox.fill(engine, SETTINGS, spec, ("log", "webhook"))
        outbox.send(engine, "churn", channel)

    return told


def let_pass(engine: Engine, period: timedelta) -> None:
    with engine.begin() as connection:
        connection.execute(update(db.notifications).values(noticed_at=ago(period)))
        connection.execute(update(db.runs).values(ended_at=ago(period)))


def test_each_run_is_told_once_by_whoever_comes_next(end: Callable, tell: Callable) -> None:
    pen = Pen()
    end("r1")
    end("r2", "PROMOTED")
    end("i1", "PUBLISHED", "ingest")
    tell(pen)
    tell(pen)
    assert [(one.run_id, one.event, one.kind) for one in pen.written] == [
        ("r1", "REFUSED", "retrain"),
        ("r2", "PROMOTED", "retrain"),
    ]
    assert pen.written[0].reasons == ("NOT_BETTER: by chance",)
    assert pen.written[0].simulated


def test_a_champion_that_gave_way_is_told_whichever_run_found_it_out(
    engine: Engine, end: Callable, tell: Callable
) -> None:
    values: dict[str, Any] = dict.fromkeys(("model_sha256", "fingerprint", "data_version", "as_of"), "")
    values |= {"version": "1", "previous_version": "2", "metrics": {}, "fence": 1}
    for run_id, reason in (("r1", "CHAMPION_DAMAGED: version 2 gives way: a bit"), ("r2", "ALL_CHECKS_PASSED: fine")):
        made = promotions.intend(engine, use_case="churn", run_id=run_id, reasons=[reason], **values)
        promotions.finish(engine, made)
        end(run_id, "UNCHANGED")
    pen = Pen()
    tell(pen)
    assert [(one.run_id, one.event, one.outcome) for one in pen.written] == [("r1", "CHAMPION_DAMAGED", "UNCHANGED")]
    assert pen.written[0].reasons[-1] == "CHAMPION_DAMAGED: version 2 gives way: a bit"


def test_a_run_that_is_cleared_is_told_again_only_if_it_ends_otherwise(end: Callable, tell: Callable) -> None:
    pen = Pen()
    for outcome in (None, None, "PROMOTED", "PROMOTED"):
        end("r1", outcome)
        tell(pen)
    assert [one.event for one in pen.written] == ["FAILED", "PROMOTED"]


def test_what_was_held_back_is_said_with_the_next_one(
    engine: Engine, end: Callable, tell: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    pen = Pen()
    for n in range(14):
        end(f"r{n}")
    tell(pen, per_hour=2)
    assert pen.runs == ["r0", "r1"]
    assert caplog.text.count("is not sent: there were 2 in the last hour") == 12
    let_pass(engine, 1.1 * HOUR)
    end("r14")
    tell(pen, per_hour=2)
    assert (pen.runs, pen.written[-1].more) == (["r0", "r1", "r14"], 12)


def test_a_channel_that_was_away_gets_the_new_first_and_then_the_old(
    end: Callable, tell: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    pen = Pen(away=True)
    for run_id in ("r1", "r2"):
        end(run_id)
        tell(pen)
    assert (pen.tried, pen.runs) == (2, []), "one attempt a call: the others would take as long to fail"
    assert "REFUSED of retrain r1 was not delivered: nobody there" in caplog.text
    pen.away = False
    end("r3")
    tell(pen)
    assert pen.runs == ["r3", "r1", "r2"]


def test_a_fault_of_a_channel_is_logged_and_recorded(
    end: Callable, tell: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    pen = Pen(fault=ZeroDivisionError("ours"))
    end("r1")
    tell(pen)
    assert "ZeroDivisionError: ours" in caplog.text
    pen.fault = None
    tell(pen)
    assert pen.runs == ["r1"]


def test_one_channel_knows_nothing_of_another(end: Callable, tell: Callable, caplog: pytest.LogCaptureFixture) -> None:
    end("r1")
    tell(Pen(away=True))
    with caplog.at_level(logging.INFO):
        tell(channels.Log())
    assert "churn: REFUSED, retrain as of 2026-11-24 | NOT_BETTER: by chance" in caplog.text


def test_what_is_old_is_not_told_any_more(engine: Engine, end: Callable, tell: Callable) -> None:
    pen = Pen(away=True)
    end("r1")
    tell(pen)
    end("never_kept")
    let_pass(engine, 25 * HOUR)
    pen.away = False
    tell(pen)
    assert (pen.tried, pen.runs) == (1, [])


@pytest.mark.parametrize(
    ("point", "bodies"),
    [
        pytest.param("notifications.kept", 1, id="before it is sent"),
        pytest.param("notifications.sent", 2, id="after it, and before that is written down"),
    ],
)
def test_a_sender_that_dies_leaves_it_to_the_next(
    point: str,
    bodies: int,
    engine: Engine,
    end: Callable,
    tell: Callable,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end("r1")
    monkeypatch.setenv(VARIABLE, f"{point}=raise")
    with pytest.raises(InjectedFault):
        tell(Webhook(hook.url))
    monkeypatch.setenv(VARIABLE, "")
    with engine.begin() as connection:
        connection.execute(update(db.deliveries).values(begun_at=ago(timedelta(minutes=3))))
    tell(Webhook(hook.url))
    tell(Webhook(hook.url))
    assert hook.headlines() == ["churn: REFUSED, retrain as of 2026-11-24"] * bodies
