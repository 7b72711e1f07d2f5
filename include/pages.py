"""Pages and texts made from templates. A page holds all that it shows: nothing comes from a network."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

BASE = Path(__file__).with_name("templates")
"""Where the page is that the others extend."""
CELL = 80
"""Characters of a value that are shown: enough to know it by, too few to break the page."""


def environment(folder: Path, **filters: Any) -> Environment:
    """Templates of ``folder``, which may extend those of ``BASE``; in HTML all values are escaped."""
    made = Environment(
        loader=FileSystemLoader([folder, BASE]),
        autoescape=select_autoescape(["html.j2"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"shown": shown, **filters}
    return made


def shown(text: str, length: int = CELL) -> str:
    """``text`` cut to ``length``, with what is invisible or turns the writing round written out."""
    start = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:length])
    return start if len(text) <= length else f"{start}… ({len(text):,} characters)"


def embedded(path: Path) -> str:
    """A PNG file as a URI that holds it."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
