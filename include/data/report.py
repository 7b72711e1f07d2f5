"""The result of a validation as a page of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from include.pages import environment


def render(
    result: dict[str, Any], *, title: str, source: str, days: str, as_of: str, run_id: str, simulated: bool
) -> str:
    """The page for ``result`` (``Validation.to_json()``)."""
    page = environment(Path(__file__).with_name("templates")).get_template("validation.html.j2")
    return page.render(
        result=result, title=title, source=source, days=days, as_of=as_of, run_id=run_id, simulated=simulated
    )
