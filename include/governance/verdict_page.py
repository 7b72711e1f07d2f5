"""A verdict as one page that stands by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.governance import words
from include.governance.record import Check, Record
from include.pages import embedded, environment

TEMPLATES = Path(__file__).with_name("templates")
WIDTH, MARGIN = 160, 8
"""Of the strip that shows an interval beside its limit."""


@dataclass(frozen=True)
class Strip:
    """Where the figures of a check are on a line, from 0 to ``WIDTH``."""

    low: float
    high: float
    value: float
    limit: float
    text: str


@dataclass(frozen=True)
class Section:
    """Checks of one subject."""

    title: str
    checks: tuple[Check, ...]


def sections(record: Record) -> list[Section]:
    """The checks by what they are about; subjects without one are left out."""
    measures = {one.metric for found in record.fairness for one in found.disparities}
    fair = tuple(check for check in record.checks if check.metric in measures)
    parts = tuple(check for check in record.checks if check.slice and check not in fair)
    whole = tuple(check for check in record.checks if check not in (*fair, *parts))
    named = {"Checks": whole, "Checks on parts of the rows": parts, "Checks of fairness": fair}
    return [Section(title, checks) for title, checks in named.items() if checks]


def render(record: Record, figures: Mapping[str, Path]) -> str:
    """The page; ``figures`` are PNG files by what they show."""
    page = environment(TEMPLATES, strip=strip, **words.FILTERS)
    pictures = {title: embedded(path) for title, path in figures.items()}
    return page.get_template("verdict.html.j2").render(
        record=record, sections=sections(record), figures=pictures, width=WIDTH
    )


def strip(check: Check) -> Strip | None:
    """The interval of a check beside its limit; None where it has none."""
    found = check.gain or check.interval
    value = check.gain.value if check.gain else check.value
    if found is None or found.low is None or found.high is None or value is None or check.limit is None:
        return None
    shown = (found.low, found.high, value, check.limit)
    least, most = min(shown), max(shown)
    scale = (WIDTH - 2 * MARGIN) / ((most - least) or 1.0)
    low, high, at, limit = (round(MARGIN + (one - least) * scale, 1) for one in shown)
    text = f"{words.number(value)}, interval {words.interval(found)}, limit {words.number(check.limit)}"
    return Strip(low, high, at, limit, text)
