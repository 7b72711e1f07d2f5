"""What is published: visible as a whole, once per run, and looked up as of a day."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import Engine

from include.state import publications
from include.state.publications import Publication

FIRST = Publication(
    use_case="churn",
    dataset="data",
    run_id="i1",
    as_of="2026-01-10",
    first_day="2026-01-01",
    last_day="2026-01-09",
    versions={"labels": 0, "customers": 1},
    rows_in=10,
    rows_published=9,
    rows_quarantined=1,
    simulated=True,
    files={"rows.csv": "5e"},
)
SECOND = replace(FIRST, run_id="i2", as_of="2026-01-20", last_day="2026-01-19", versions={"labels": 1, "customers": 2})


def test_what_was_published_comes_back(engine: Engine) -> None:
    publications.publish(engine, FIRST)
    assert publications.of_run(engine, "churn", "data", "i1") == FIRST
    assert publications.of_run(engine, "churn", "data", "i2") is None
    assert FIRST.data_version == "customers@1 labels@0"


def test_the_same_run_publishes_once_also_at_once(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: publications.publish(engine, replace(FIRST, rows_in=n)), range(16)))
    publications.publish(engine, replace(FIRST, dataset="features"))
    assert len(publications.history(engine, "churn", "data", "9999-12-31")) == 1


def test_the_past_knows_only_what_was_published_by_then(engine: Engine) -> None:
    publications.publish(engine, FIRST)
    publications.publish(engine, SECOND)
    publications.publish(engine, replace(SECOND, use_case="loans"))
    latest = {
        day: publications.latest(engine, "churn", "data", day) for day in ("2026-01-09", "2026-01-19", "2026-01-20")
    }
    assert list(latest.values()) == [None, FIRST, SECOND]
    assert publications.latest(engine, "churn", "data") == SECOND
    assert publications.history(engine, "churn", "data", "2026-01-10") == [FIRST]
    assert publications.history(engine, "churn", "data", "2026-12-31") == [FIRST, SECOND]
