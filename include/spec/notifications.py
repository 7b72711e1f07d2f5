"""What people are told of the runs of a use case: of which events, how often at most, and whom by e-mail."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from include.spec.base import Count, Frozen, Many

Event = Literal[
    "FAILED",
    "BAD_REQUEST",
    "DATA_REJECTED",
    "PROMOTED",
    "REFUSED",
    "NOT_EVALUATED",
    "CHAMPION_CHANGED",
    "UNCHANGED",
    "REQUESTED",
    "SUPPRESSED",
    "DATA_QUALITY",
    "NEEDS_A_PERSON",
    "PERFORMANCE",
    "ATTRIBUTION_DRIFT",
    "STALE_CHAMPION",
    "NO_SCORES",
    "CHAMPION_DAMAGED",
    "CHAMPION_GONE",
]
"""An outcome of a run, or an alarm among its reasons."""
SELDOM_WANTED = ("BAD_REQUEST", "UNCHANGED", "SUPPRESSED")
ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$"


class Notifications(Frozen):
    """Where messages go is a matter of the installation, and so of its settings; see ``.env.example``."""

    events: Many[Event] = tuple(event for event in get_args(Event) if event not in SELDOM_WANTED)
    per_hour: Count = 4  # messages of one event; how many were held back stands in the next one
    email: Many[Annotated[str, Field(pattern=ADDRESS)]] = ()
