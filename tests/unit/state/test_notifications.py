"""Notices are kept once, held back above their limit and counted, and each is one sender's at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, create_engine, text, update

from include.state import database as db
from include.state import notifications
from include.state.database import SCHEMA_VERSION, connect
from include.state.notifications import MOST_ATTEMPTS, Waiting
from tests.unit.notifications.conftest import HOSTILE

DAY = timedelta(days=1)


def keep(
    engine: Engine, run_id: str, event: str = "FAILED", use_case: str = "churn", kind: str = "retrain"
) -> bool | None:
    content = {"run": run_id, "reasons": [HOSTILE]}
    return notifications.keep(engine, use_case, (kind, run_id, event), content, ("log", "webhook"), per_hour=4)


def waiting(engine: Engine, channel: str = "webhook") -> list[Waiting]:
    found = notifications.waiting(engine, "churn", db.ago(DAY))
    return [one for one in found if one.channel == channel]


def let_pass(engine: Engine, period: timedelta) -> None:
    """As if what is kept had been kept so long ago."""
    with engine.begin() as connection:
        connection.execute(update(db.notifications).values(noticed_at=db.ago(period)))


def test_a_notice_is_kept_once_for_an_event_of_a_run(engine: Engine) -> None:
    assert keep(engine, "r1")
    assert keep(engine, "r1") is None
    for other in ({"event": "PROMOTED"}, {"use_case": "loans"}, {"kind": "ingest"}, {"run_id": "r2"}):
        assert keep(engine, **{"run_id": "r1", **other})
    assert notifications.known(engine, "loans", db.ago(DAY)) == {("retrain", "r1", "FAILED")}
    assert notifications.known(engine, "churn", db.now()) == set()
    (first, *_) = waiting(engine)
    assert (first.kind, first.run_id, first.event, first.notice, first.more) == (
        "retrain",
        "r1",
        "FAILED",
        {"run": "r1", "reasons": [HOSTILE]},
        0,
    )


def test_what_is_held_back_is_counted_by_the_next_one(engine: Engine) -> None:
    assert [keep(engine, f"r{n}") for n in range(16)] == [True] * 4 + [False] * 12
    assert keep(engine, "p1", "PROMOTED"), "the limit is of one event"
    assert keep(engine, "l1", use_case="loans"), "and of one use case"
    let_pass(engine, timedelta(minutes=59))
    assert keep(engine, "r16") is False
    let_pass(engine, timedelta(minutes=61))
    assert [keep(engine, f"late{n}") for n in range(5)] == [True] * 4 + [False]
    assert {one.run_id: one.more for one in waiting(engine)} == {
        **{f"r{n}": 0 for n in range(4)},
        "p1": 0,
        "late0": 13,
        **{f"late{n}": 0 for n in range(1, 4)},
    }


def test_a_clock_that_was_ahead_holds_nothing_back(engine: Engine) -> None:
    for n in range(4):
        assert keep(engine, f"r{n}")
    let_pass(engine, -DAY)
    assert keep(engine, "now")


def test_of_many_at_once_as_many_pass_as_may(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sorted(map(str, pool.map(lambda _: keep(engine, "same"), range(16)))) == ["None"] * 15 + ["True"]
        kept = list(pool.map(lambda n: keep(engine, f"r{n}"), range(16)))
    assert (kept.count(True), kept.count(False)) == (3, 13)
    assert len(waiting(engine)) == len(waiting(engine, "log")) == 4


def test_of_many_senders_one_has_it(engine: Engine) -> None:
    keep(engine, "r1")
    (one,) = waiting(engine)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: notifications.claim(engine, one), range(8))).count(True) == 1
    assert [seen.attempts for seen in waiting(engine)] == [1]
    assert not notifications.claim(engine, waiting(engine)[0]), "its sender is at it"


def test_a_sender_that_died_is_followed_by_another(engine: Engine) -> None:
    keep(engine, "r1")
    assert notifications.claim(engine, waiting(engine)[0])
    with engine.begin() as connection:
        connection.execute(update(db.deliveries).values(begun_at=db.ago(timedelta(minutes=3))))
    (left,) = waiting(engine)
    assert notifications.claim(engine, left)
    notifications.delivered(engine, left)
    assert waiting(engine) == []
    assert len(waiting(engine, "log")) == 1, "each channel for itself"


def test_what_failed_waits_behind_the_new_and_not_for_ever(engine: Engine) -> None:
    keep(engine, "r1")
    for n in range(MOST_ATTEMPTS):
        (one,) = waiting(engine)
        assert (one.attempts, one.error) == (n, f"away {n - 1}" if n else None)
        assert notifications.claim(engine, one)
        notifications.failed(engine, one, f"away {n}")
    keep(engine, "r2")
    new, old = waiting(engine)
    assert (new.run_id, old.run_id, old.error) == ("r2", "r1", "away 4")
    assert notifications.claim(engine, new)
    assert not notifications.claim(engine, old)


def test_what_is_old_does_not_wait(engine: Engine) -> None:
    keep(engine, "r1")
    let_pass(engine, DAY + timedelta(minutes=1))
    assert waiting(engine) == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_database_of_before_notices_is_brought_up_to_date(state_url: str, version: int) -> None:
    connect.__wrapped__(state_url).dispose()
    raw = create_engine(state_url)
    with raw.begin() as connection:
        connection.execute(text("DROP TABLE notifications"))
        connection.execute(text("DROP TABLE deliveries"))
        connection.execute(text(f"UPDATE schema_version SET version = {version}"))
    engine = connect.__wrapped__(state_url)
    assert keep(engine, "r1")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalars().all() == [SCHEMA_VERSION]
    raw.dispose()
