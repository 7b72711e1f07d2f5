"""Ids are looked up as they are published, whatever they hold."""

from __future__ import annotations

from typing import Any

import pytest

from include.stack.scoring_api import published_route
from tests.serving_api import Api, until


@pytest.mark.parametrize("id_", ["A/1", "/", "a b?c#d", "É%2F", "12:00"])
def test_an_id_may_hold_what_separates_parts_of_an_address(churn_api: Api, id_: str) -> None:
    def ask() -> dict[str, Any]:
        return churn_api.http.post(published_route(id_), json={}).json()

    until(lambda: ask()["code"] != "NO_ROWS", 30)
    answer = ask()
    assert answer["code"] == "NO_SUCH_ROW", answer
    assert id_ in answer["detail"]
