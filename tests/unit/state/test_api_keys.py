"""Keys are kept as hashes, with their scopes, and revoked for good."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, create_engine, text

from include.state import api_keys
from include.state.database import SCHEMA_VERSION, connect


def test_a_key_is_kept_as_its_hash_alone(engine: Engine) -> None:
    secret = api_keys.new_secret()
    assert len(secret) > 43
    assert secret != api_keys.new_secret()
    key = api_keys.add(engine, secret, "CRM", ["predict", "feedback", "predict"])
    assert (key.name, key.scopes, key.revoked_at) == ("CRM", {"predict", "feedback"}, None)
    assert key.sha256 == api_keys.digest(secret.encode())
    assert key.sha256.startswith(key.id)
    with engine.connect() as connection:
        (row,) = connection.execute(api_keys.table.select()).all()
    assert secret not in str(row)


def test_the_same_secret_again_is_the_same_key(engine: Engine) -> None:
    """The local stack keeps its secret in a file and adds it at each start."""
    secret = api_keys.new_secret()
    first = api_keys.add(engine, secret, "stack", ["predict"])
    assert api_keys.add(engine, secret, "stack", ["admin"]) == first
    assert api_keys.every(engine) == [first]


@pytest.mark.parametrize("scopes", [[], ["everything"], ["predict", "root"]])
def test_other_scopes_are_refused(scopes: list[str], engine: Engine) -> None:
    with pytest.raises(ValueError, match="expected some of predict, feedback, admin"):
        api_keys.add(engine, api_keys.new_secret(), "x", scopes)


def test_a_revoked_key_stays_on_record(engine: Engine) -> None:
    key = api_keys.add(engine, api_keys.new_secret(), "CRM", ["predict"])
    assert api_keys.revoke(engine, key.id)
    (revoked,) = api_keys.every(engine)
    assert revoked.revoked_at is not None
    assert api_keys.revoke(engine, key.id)
    assert api_keys.every(engine) == [revoked]
    assert not api_keys.revoke(engine, "0" * 12)


def test_a_database_of_before_keys_is_brought_up_to_date(state_url: str) -> None:
    connect.__wrapped__(state_url).dispose()
    raw = create_engine(state_url)
    with raw.begin() as connection:
        connection.execute(text("DROP TABLE api_keys"))
        connection.execute(text("UPDATE schema_version SET version = 2"))
    engine = connect.__wrapped__(state_url)
    api_keys.add(engine, api_keys.new_secret(), "x", ["predict"])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalars().all() == [SCHEMA_VERSION]
    raw.dispose()
