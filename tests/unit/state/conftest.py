"""An engine on an empty state database, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from include.state.database import connect


@pytest.fixture
def engine(state_url: str) -> Engine:
    return connect(state_url)
