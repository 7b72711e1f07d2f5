"""Keys as callers present them, and how often they may."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.serving.keys import Bucket, Keys
from include.serving.problems import Problem
from include.settings import Settings
from include.state import api_keys
from include.state.database import StateUnavailable, connect


def test_a_bucket_gives_its_rate_and_as_many_at_once() -> None:
    bucket = Bucket(10)
    start = bucket.at
    assert [bucket.take(start) for _ in range(10)] == [0.0] * 10
    assert bucket.take(start) == pytest.approx(0.1)
    assert bucket.take(start + 0.05) == pytest.approx(0.05)
    assert bucket.take(start + 0.101) == 0.0  # a clock has no tenth of a second exactly
    assert [bucket.take(start + 100) for _ in range(10)] == [0.0] * 10
    assert bucket.take(start + 100) > 0


def test_less_than_one_a_second_is_one_at_once_all_the_same() -> None:
    bucket = Bucket(0.5)
    assert bucket.take(bucket.at) == 0.0
    assert bucket.take(bucket.at) == pytest.approx(2)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(Settings.from_environment({"MODELOPS_HOME": str(tmp_path)}))


def test_before_the_first_look_nobody_is_known_and_nobody_is_refused(keys: Keys) -> None:
    with pytest.raises(Problem) as problem:
        keys.caller({b"x-api-key": b"mo_x"}, "predict")
    assert (problem.value.code, problem.value.status) == ("NO_KEYS", 503)


def test_a_key_is_taken_from_either_header(keys: Keys, tmp_path: Path) -> None:
    engine, secret = connect(f"sqlite:///{tmp_path / 'state.db'}"), api_keys.new_secret()
    api_keys.add(engine, secret, "me", ["predict"])
    keys.refresh()
    for headers in (
        {b"authorization": b"Bearer " + secret.encode()},
        {b"authorization": b"bearer  " + secret.encode() + b" "},
        {b"x-api-key": secret.encode()},
        {b"authorization": b"Basic abc", b"x-api-key": secret.encode()},
    ):
        assert keys.caller(headers, "predict").scopes == {"predict"}
    for headers, code in (
        ({}, "NO_KEY"),
        ({b"x-api-key": b"\xff"}, "UNKNOWN_KEY"),
        ({b"authorization": b"Bearer"}, "NO_KEY"),
    ):
        with pytest.raises(Problem) as problem:
            keys.caller(headers, "predict")
        assert problem.value.code == code


def test_what_was_known_is_known_while_the_database_is_away(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, secret = connect(f"sqlite:///{tmp_path / 'state.db'}"), api_keys.new_secret()
    api_keys.add(engine, secret, "me", ["predict"])
    keys.refresh()

    def away(_: object) -> list[object]:
        raise StateUnavailable("locked")

    monkeypatch.setattr(api_keys, "every", away)
    with pytest.raises(StateUnavailable):
        keys.refresh()
    assert keys.caller({b"x-api-key": secret.encode()}, "predict")
