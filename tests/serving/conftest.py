"""One API on the home of the session's champion, for the tests of a module that change neither."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving_api import Api, Served, api, telco_rows


@pytest.fixture(scope="module")
def churn_api(telco_champion: Served) -> Iterator[Api]:
    with api(telco_champion) as started:
        yield started


@pytest.fixture(scope="session")
def rows(telco_csv: Path) -> list[dict[str, Any]]:
    """The first rows of Telco as a caller sends them."""
    return telco_rows(telco_csv, 60)
