"""One source per use case, chosen freely until data of it is published."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from include.state import sources
from include.state.sources import SourceRow


def test_a_source_may_change_until_it_is_pinned(engine: Engine) -> None:
    assert sources.get(engine, "churn") is None
    sources.choose(engine, "churn", "simulator:")
    sources.choose(engine, "churn", "telco.csv")
    assert sources.get(engine, "churn") == SourceRow("telco.csv", None, None)


def test_the_first_ingest_that_published_pins_the_source(engine: Engine) -> None:
    sources.choose(engine, "churn", "telco.csv")
    sources.pin(engine, "churn", "telco.csv", "5e", "2026-01-31")
    sources.pin(engine, "churn", "telco.csv", "6f", "2026-02-28")
    assert sources.get(engine, "churn") == SourceRow("telco.csv", "5e", "2026-01-31")


def test_a_source_that_nobody_chose_is_pinned_too(engine: Engine) -> None:
    sources.pin(engine, "churn", "simulator:", None, "2026-01-31")
    assert sources.get(engine, "churn") == SourceRow("simulator:", None, "2026-01-31")


def test_data_of_two_sources_is_never_mixed(engine: Engine) -> None:
    sources.pin(engine, "churn", "simulator:", None, "2026-01-31")
    sources.choose(engine, "churn", "simulator:")  # the same again is no change
    with pytest.raises(
        sources.SourceMixed, match=r"churn already holds data of simulator:; data of telco\.csv must not"
    ):
        sources.choose(engine, "churn", "telco.csv")
    assert sources.get(engine, "churn") == SourceRow("simulator:", None, "2026-01-31")
    sources.choose(engine, "loans", "telco.csv")  # each use case has a source of its own
