"""The result of a validation as a page of its own: nothing on it comes from the network, everything is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(
    result: dict[str, Any], *, title: str, source: str, days: str, as_of: str, run_id: str, simulated: bool
) -> str:
    """The page for ``result`` (``Validation.to_json()``)."""
    folder = FileSystemLoader(Path(__file__).with_name("templates"))
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("validation.html.j2")
    return page.render(
        result=result, title=title, source=source, days=days, as_of=as_of, run_id=run_id, simulated=simulated
    )
