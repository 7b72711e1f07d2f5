from __future__ import annotations

import dataclasses
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.settings import Settings
from include.stack import StackError
from include.stack.home import (
    SOCKET_PATH_LIMIT,
    first_start,
    prepare_home,
    remove_home,
    schedule_start,
    socket_path,
    stack_id,
)
from include.stack.secrets import api_key_file, load_secrets, local_key
from include.state import api_keys
from include.state.database import connect


def at(settings: Settings, home: Path) -> Settings:
    return dataclasses.replace(settings, home=home)


def test_a_home_is_private_and_can_be_prepared_again(settings: Settings) -> None:
    prepare_home(settings)
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700


def test_a_folder_of_others_is_neither_taken_nor_removed(settings: Settings, tmp_path: Path) -> None:
    precious = tmp_path / "mine" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    foreign = at(settings, precious.parent)
    with pytest.raises(StackError, match="holds files of others"):
        prepare_home(foreign)
    with pytest.raises(StackError, match="left alone"):
        remove_home(foreign)
    assert precious.read_text() == "years of work"


def test_removing_takes_our_home_once(settings: Settings) -> None:
    assert remove_home(settings)
    assert not settings.home.exists()
    assert not remove_home(settings)


def test_first_start_is_written_once(settings: Settings) -> None:
    (settings.home / "first_start").write_text("2024-01-02T03:04:05+00:00")
    prepare_home(settings)
    assert first_start(settings) == "2024-01-02T03:04:05+00:00"
    assert schedule_start(settings) == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_schedules_of_a_fresh_home_start_now(tmp_path: Path, settings: Settings) -> None:
    before = datetime.now(UTC)
    fresh = at(settings, tmp_path / "fresh")
    assert schedule_start(fresh) < before - timedelta(days=1)
    assert not fresh.home.exists()
    prepare_home(fresh)
    assert abs(schedule_start(fresh) - before) < timedelta(minutes=1)


def test_the_socket_of_a_deep_home_is_elsewhere_and_its_own(settings: Settings, tmp_path: Path) -> None:
    shallow = at(settings, Path("/srv/modelops"))
    deep = at(settings, tmp_path / "d" / ("x" * 100))
    other = at(settings, tmp_path / "d" / ("y" * 100))
    assert socket_path(shallow).is_relative_to(shallow.home)
    assert len(str(socket_path(deep))) <= SOCKET_PATH_LIMIT
    assert socket_path(deep) != socket_path(other)


def test_each_home_has_its_own_stack_id(settings: Settings, tmp_path: Path) -> None:
    assert stack_id(settings) != stack_id(at(settings, tmp_path / "other"))


def test_secrets_are_made_once_and_are_for_their_owner_only(settings: Settings) -> None:
    made = load_secrets(settings)
    assert load_secrets(settings) == made
    files = list((settings.home / "secrets").iterdir())
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert made.password not in repr(made)


def test_the_local_key_is_made_once_for_its_owner_and_known_to_the_api_by_its_hash(settings: Settings) -> None:
    secret = local_key(settings)
    assert local_key(settings) == secret
    assert stat.S_IMODE(api_key_file(settings).stat().st_mode) == 0o600
    (key,) = api_keys.every(connect(settings.state_url))
    assert key.sha256 == api_keys.digest(secret.encode())
    assert key.scopes == {"predict", "feedback", "admin"}
    assert secret.encode() not in Path(connect(settings.state_url).url.database).read_bytes()


def test_a_local_key_that_was_revoked_is_made_anew(settings: Settings) -> None:
    first, engine = local_key(settings), connect(settings.state_url)
    (key,) = api_keys.every(engine)
    api_keys.revoke(engine, key.id)
    second = local_key(settings)
    assert second not in (first, "")
    assert [bool(key.revoked_at) for key in api_keys.every(engine)] == [True, False]
    assert local_key(settings) == second


def test_a_state_database_that_is_new_learns_the_key_that_there_is(settings: Settings, tmp_path: Path) -> None:
    secret = local_key(settings)
    other = dataclasses.replace(settings, state_url=f"sqlite:///{tmp_path / 'other.db'}")
    assert local_key(other) == secret
    assert len(api_keys.every(connect(other.state_url))) == 1


def test_two_homes_share_no_secret(settings: Settings, tmp_path: Path) -> None:
    one, other = load_secrets(settings), load_secrets(at(settings, tmp_path / "other"))
    assert not set(dataclasses.astuple(one)) & set(dataclasses.astuple(other))
    assert local_key(settings) != local_key(at(settings, tmp_path / "other"))
