"""The stack of the month: its own home, free ports, the use case of the world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.settings import Settings
from include.stack.processes import start
from tests.home import own_home
from tests.month.world import World


@contextmanager
def started(home: Path, world: World) -> Iterator[Settings]:
    with own_home(home, MODELOPS_USE_CASES=str(world.use_cases)) as settings:
        start(settings)
        yield settings
