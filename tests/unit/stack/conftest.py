"""A stack that is described but never started."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.settings import Settings
from include.stack.home import prepare_home
from tests.ports import own_ports


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings with a prepared home and free ports."""
    settings = Settings.from_environment({"MODELOPS_HOME": str(tmp_path / "home"), **own_ports()})
    prepare_home(settings)
    return settings
