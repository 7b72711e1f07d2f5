"""A clock that is wrong, for this process: everything in Python that asks what time it is gets the same shift."""

from __future__ import annotations

import datetime as real
import time

from include.state import database


def shift(seconds: float) -> None:
    now = time.time

    class Shifted(real.datetime):
        @classmethod
        def now(cls, tz: real.tzinfo | None = None) -> real.datetime:
            return real.datetime.fromtimestamp(now() + seconds, tz)

    time.time = lambda: now() + seconds
    # The one place of the project that asks for the time of day; tests/faults/test_time.py sees to it.
    database.datetime = Shifted
