"""``make bench``: measure, print a table, write ``bench/latest.json``; ends with 1 if a figure is over its limit or
could not be measured.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import time
from pathlib import Path

from include.cli.console import console, errors, heading, line
from include.settings import Settings
from include.stack.environment import load_dotenv
from include.stack.home import prepare_home
from include.state import database
from tests.bench import figures
from tests.bench.parts import Part, parts_of

log = logging.getLogger(__name__)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="a figure, or the beginning of the names of some")
    only = parser.parse_args().only
    parts = parts_of(only)
    if not parts:
        parser.error(f"no figure is called {only}; there are: {', '.join(figures.LIMITS)}")
    load_dotenv()
    settings = Settings.from_environment()
    prepare_home(settings)
    # A request to end stops the stacks, too, as an interrupt does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started_at, measured, failed = database.now(), [], []
    for part in parts:
        try:
            measured += _measure(part, settings.home / "bench")
        except Exception as error:  # the other parts are measured all the same, and this one is reported
            log.exception("%s", ", ".join(part.names))
            failed.append(f"{', '.join(part.names)}: {type(error).__name__}: {error}")
    latest = settings.home / "bench" / "latest.json"
    figures.save(latest, measured, started_at)
    return _report(measured, failed, latest)


def _measure(part: Part, folder: Path) -> list[figures.Figure]:
    """The figures of one part, measured in a folder of its own that does not outlive it."""
    heading(", ".join(part.names))
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder, prefix="part-") as temporary:
        found = figures.figures_of(part.measure(Path(temporary), line))
    if missing := set(part.names) - {figure.name for figure in found}:
        raise RuntimeError(f"not measured: {', '.join(sorted(missing))}")
    line(f"{time.monotonic() - began:.0f} s")
    return found


def _report(measured: list[figures.Figure], failed: list[str], latest: Path) -> int:
    heading(f"Figures of {figures.commit()}")
    console.print(figures.table(measured))
    line(f"written to {latest}")
    over = [figure.name for figure in measured if not figure.holds]
    if over:
        errors.print(f"Over the limit: {', '.join(over)}", style="red")
    for reason in failed:
        errors.print(f"Could not be measured: {reason}", style="red", markup=False)
    return 1 if over or failed else 0


if __name__ == "__main__":
    sys.exit(main())
