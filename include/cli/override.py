"""``python -m include override``: a person lets one retrain judge its challenger without the champion."""

from __future__ import annotations

from datetime import UTC, date, datetime

from include import spec as specs
from include.cli.console import line, say
from include.errors import BadRequest
from include.settings import Settings
from include.state import overrides, promotions
from include.state.database import connect
from include.state.overrides import OBSTACLES

LEAST_REASON, LONGEST_REASON, LONGEST_NAME = 10, 500, 100


def override(settings: Settings, name: str, champion: str, obstacle: str, because: str, by: str, until: str) -> int:
    """Keep the override. Raises ``BadRequest`` for what would help nobody or cannot be answered for."""
    specs.find(name, settings.use_case_folders)
    if obstacle not in OBSTACLES:
        raise BadRequest(
            f"--obstacle {obstacle}: expected one of {', '.join(OBSTACLES)}; nothing else can be overridden"
        )
    engine = connect(settings.state_url)
    serving = promotions.champion(engine, name)
    if serving is None or serving.version != champion:
        found = f"version {serving.version}" if serving else "none"
        raise BadRequest(f"--champion {champion}: {name}'s champion is {found}")
    given = overrides.give(
        engine,
        name,
        champion=champion,
        obstacle=obstacle,
        because=_text("--because", because, LEAST_REASON, LONGEST_REASON),
        by=_text("--by", by, 1, LONGEST_NAME),
        until=_day(until),
    )
    say(str(given))
    line(f"One retrain of {name} up to that day judges its challenger by floors, dummy model and fairness alone.")
    line("Whether it passes is for the gate to say. Verdict, promotion, model card and status will name you.")
    return 0


def _text(option: str, text: str, least: int, most: int) -> str:
    text = " ".join(text.split())
    if not least <= len(text) <= most or not text.isprintable():
        raise BadRequest(f"{option} is {text[:50]!r}; expected {least} to {most} characters that can be read")
    return text


def _day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"--until is {text!r}; expected a date such as 2026-01-31") from error
    if day < datetime.now(UTC).date():
        raise BadRequest(f"--until {day} is over; expected today or a later day")
    return day.isoformat()
