"""One champion in service for all of these tests; none of them may change it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bad_input.loans import DAYS, Loop, Maker
from tests.conftest import run_mlflow


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    with run_mlflow(tmp_path_factory.mktemp("mlflow")) as server:  # other modules remove the models of the shared one
        yield Maker(server, tmp_path_factory.mktemp("bad_input"))


@pytest.fixture(scope="session")
def served(maker: Maker) -> Iterator[Loop]:
    """Twelve good days are published and a champion serves."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        loop = maker.make("served", monkeypatch, days=DAYS)
        assert loop.retrain() == "PROMOTED", loop.reason
    return loop


@pytest.fixture
def loop(served: Loop, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    """The served use case; whatever the test feeds it, the champion is the one that it was."""
    maker.use(served.settings.home, monkeypatch)
    champion = served.champion
    assert champion is not None
    yield served
    assert served.champion == champion
