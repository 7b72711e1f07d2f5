"""``python -m include.serving``: the scoring API, until it is asked to end."""

from __future__ import annotations

import logging
import sys

from include.serving.server import server
from include.settings import Settings, SettingsError
from include.spec import SpecError
from include.stack.environment import load_dotenv


def main() -> int:
    """Serve; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    load_dotenv()
    try:
        server(Settings.from_environment()).run()
    except (SettingsError, SpecError, OSError) as problem:
        logging.getLogger(__name__).error("%s", problem)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
