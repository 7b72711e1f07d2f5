"""An override is for one champion, one obstacle and one run, and not after its last day."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, create_engine, text

from include.state import overrides, runs
from include.state.database import SCHEMA_VERSION, connect
from include.state.overrides import Override
from include.state.runs import Run

SAW = "CHAMPION_SAW_HOLDOUT"
RUN = Run("churn", "retrain", "r1", "2026-11-24")


@pytest.fixture
def engine(state_url: str) -> Engine:
    return connect(state_url)


def given(engine: Engine, until: str = "9999-12-31", champion: str = "3", obstacle: str = SAW) -> Override:
    because = "the split was changed"
    return overrides.give(
        engine, "churn", champion=champion, obstacle=obstacle, because=because, by="Ada Lovelace", until=until
    )


def test_one_run_uses_it_and_may_be_retried(engine: Engine) -> None:
    one = given(engine)
    assert overrides.hindrance(engine, RUN, one) is None
    assert overrides.take(engine, RUN, one)
    assert overrides.take(engine, RUN, one)
    (used,) = overrides.every(engine, "churn")
    assert (used.used_by, used.used_at is not None) == ("r1", True)
    assert overrides.hindrance(engine, RUN, used) is None
    other = Run("churn", "retrain", "r2", "2026-11-25")
    hindrance = overrides.hindrance(engine, other, used)
    assert hindrance is not None
    assert hindrance[0] == "OVERRIDE_USED"
    assert "run r1 has used override 1 by Ada Lovelace" in hindrance[1]
    assert not overrides.take(engine, other, one)


def test_it_is_for_its_champion_its_obstacle_and_its_use_case(engine: Engine) -> None:
    one = given(engine)
    assert overrides.matching(engine, "churn", "3", [SAW, "TOO_FEW_ROWS"]) == [one]
    assert overrides.matching(engine, "churn", "4", [SAW]) == []
    assert overrides.matching(engine, "churn", "3", ["CHAMPION_DAMAGED"]) == []
    assert overrides.matching(engine, "loans", "3", [SAW]) == []


@pytest.mark.parametrize(
    ("until", "as_of", "code"),
    [
        pytest.param("2026-11-24", "2026-11-24", None, id="on its last day"),
        pytest.param("2026-11-23", "2026-11-24", "OVERRIDE_EXPIRED", id="a day later"),
        pytest.param("2000-01-01", "2000-01-01", "OVERRIDE_EXPIRED", id="a run of the past that is started now"),
    ],
)
def test_neither_the_runs_day_nor_its_start_may_be_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, until: str, as_of: str, code: str | None
) -> None:
    monkeypatch.setattr("include.state.database.now", lambda: "2026-11-24T12:00:00.000+00:00")
    run = Run("churn", "retrain", "r1", as_of)
    runs.open_row(engine, run)
    hindrance = overrides.hindrance(engine, run, given(engine, until))
    assert (hindrance and hindrance[0]) == code


def test_only_a_champion_that_cannot_be_judged_is_overridden(engine: Engine) -> None:
    with pytest.raises(ValueError, match="TOO_FEW_ROWS: only CHAMPION_DAMAGED"):
        given(engine, obstacle="TOO_FEW_ROWS")


def test_a_database_of_before_overrides_is_brought_up_to_date(state_url: str) -> None:
    connect.__wrapped__(state_url).dispose()
    raw = create_engine(state_url)
    with raw.begin() as connection:
        connection.execute(text("DROP TABLE overrides"))
        connection.execute(text("UPDATE schema_version SET version = 1"))
        connection.execute(text("INSERT INTO fences VALUES ('kept', 7)"))
    engine = connect.__wrapped__(state_url)
    given(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalars().all() == [SCHEMA_VERSION]
        assert connection.execute(text("SELECT value FROM fences WHERE name = 'kept'")).scalar_one() == 7
    raw.dispose()
