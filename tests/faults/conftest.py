"""The choices of the faults, the interpreter that is forked for each step, and a home."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import MlflowServer
from tests.faults.home import AS_OF, SOURCE, Home, Loop
from tests.faults.zygote import Zygote
from tests.unit.registry.conftest import trained  # noqa: F401 - a fixture of the tests here, too


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random choices of a test, the same for the same seed."""
    return random.Random(f"{os.environ['SEED']} {request.node.name}")


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with Zygote(tmp_path_factory.mktemp("processes")) as started:
        yield started


@pytest.fixture(scope="module")
def make_home(
    tmp_path_factory: pytest.TempPathFactory, mlflow_server: MlflowServer, zygote: Zygote
) -> Callable[..., Home]:
    """Homes for the tests of a module; each has a use case of its own."""
    made = itertools.count()

    def make(name: str, **edits: Any) -> Home:
        folder = tmp_path_factory.mktemp(name)
        use_case = f"{name}_{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}_{next(made)}"
        return Home.make(folder, mlflow_server.port, zygote, use_case, **edits)

    return make


@pytest.fixture
def home(make_home: Callable[..., Home]) -> Home:
    return make_home("home")


@pytest.fixture(scope="module")
def make_loop(make_home: Callable[..., Home]) -> Callable[..., Loop]:
    """Loops with drift after the first training, so that their monitor asks for a retrain."""

    def make(name: str, **policy: Any) -> Loop:
        source = {"uri": f"{SOURCE}&drift=covariate&drift_from={AS_OF}"}
        policy = {"min_new_labels": 0, **policy}
        return Loop(make_home(name, source=source, monitoring={"minimum_rows": 50}, retrain_policy=policy))

    return make
