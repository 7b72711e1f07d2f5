"""The home of a stack that a test or a measurement starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from include.settings import Settings
from include.stack.home import prepare_home
from include.stack.processes import stop
from tests.ports import own_ports


@contextmanager
def own_home(home: Path, **environ: str) -> Iterator[Settings]:
    """A prepared home with ports of its own and these variables; what is started in it is stopped at the end.

    Raises ``StackError`` with the list of what would not end.
    """
    variables = {"MODELOPS_HOME": str(home), **own_ports(), **environ}
    with patch.dict(os.environ, variables):
        settings = Settings.from_environment(variables)
        prepare_home(settings)
        try:
            yield settings
        finally:
            stop(settings, say=lambda _: None)
