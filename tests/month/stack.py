"""The stack of the month: its own home, free ports, the use case of the world."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from include.settings import Settings
from include.stack.home import prepare_home
from include.stack.processes import start, stop
from tests.bench.stack import free_port
from tests.month.world import World


@contextmanager
def started(home: Path, world: World) -> Iterator[Settings]:
    ports = ("MODELOPS_AIRFLOW_PORT", "MODELOPS_MLFLOW_PORT", "MODELOPS_API_PORT")
    environ = {"MODELOPS_HOME": str(home), "MODELOPS_USE_CASES": str(world.use_cases)}
    environ |= {name: str(free_port()) for name in ports}
    settings = Settings.from_environment(environ)
    prepare_home(settings)
    try:
        with patch.dict(os.environ, environ):
            start(settings)
        yield settings
    finally:
        stop(settings)
