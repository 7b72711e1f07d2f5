"""The result of a validation as a page of its own: nothing on it comes from the network, everything is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

CELL = 80
"""Characters of a value that are shown: enough to know it by, too few to break the page."""


def render(
    result: dict[str, Any], *, title: str, source: str, days: str, as_of: str, run_id: str, simulated: bool
) -> str:
    """The page for ``result`` (``Validation.to_json()``)."""
    folder = FileSystemLoader(Path(__file__).with_name("templates"))
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined)
    environment.filters["shown"] = _shown
    page = environment.get_template("validation.html.j2")
    return page.render(
        result=result, title=title, source=source, days=days, as_of=as_of, run_id=run_id, simulated=simulated
    )


def _shown(text: str, length: int = CELL) -> str:
    """``text`` cut to ``length``, with what is invisible or turns the writing round written out."""
    start = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:length])
    return start if len(text) <= length else f"{start}… ({len(text):,} characters)"
