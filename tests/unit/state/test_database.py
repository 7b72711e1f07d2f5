"""The schema is made once, by whoever comes first, and a database of another version is left alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, inspect, text

from include.state.database import SCHEMA_VERSION, SchemaMismatch, connect, metadata


def test_eight_first_starts_at_once_make_one_schema(state_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: connect.__wrapped__(state_url), range(8)))
    with engines[0].connect() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalars().all() == [SCHEMA_VERSION]
    assert set(inspect(engines[0]).get_table_names()) == set(metadata.tables)


@pytest.mark.parametrize(("other", "which"), [(0, "an older"), (SCHEMA_VERSION + 1, "a newer")])
def test_a_database_of_another_version_is_named_and_left_alone(state_url: str, other: int, which: str) -> None:
    raw = create_engine(state_url)
    with raw.begin() as connection:
        connection.execute(text("CREATE TABLE schema_version (version INTEGER)"))
        connection.execute(text(f"INSERT INTO schema_version VALUES ({other})"))
    with pytest.raises(SchemaMismatch, match=rf"has schema {other}.* needs {SCHEMA_VERSION}.*{which} one") as refusal:
        connect(state_url)
    assert raw.url.password is None or raw.url.password not in str(refusal.value)
    assert inspect(raw).get_table_names() == ["schema_version"]
    raw.dispose()
