"""``python -m tests.month``: play the month in a stack of its own; each day is a line, ``make status`` is the end."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from include.cli.status import status
from tests.month.play import Month
from tests.month.stack import started
from tests.month.world import World


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="month-") as temporary:
        world = World.make(Path(temporary) / "world", datetime.now(UTC).date())
        with started(Path(temporary) / "home", world) as settings, Month.of(settings, world, print) as month:
            month.play(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
            return status(settings, as_json=False)


if __name__ == "__main__":
    sys.exit(main())
