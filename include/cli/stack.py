"""The commands that need nothing but the stack: ``down``, ``logs``, ``clean``."""

from __future__ import annotations

import os
from collections.abc import Sequence

from include.cli.console import say
from include.settings import Settings
from include.stack import StackError
from include.stack.home import is_ours, remove_home
from include.stack.processes import stop


def down(settings: Settings) -> int:
    """Stop every process of the stack."""
    say("Stopped: no process and no port is left." if stop(settings, say) else "Nothing was running.")
    return 0


def logs(settings: Settings, names: Sequence[str], follow: bool) -> int:
    """Show the end of the logs, or keep showing what comes."""
    folder = settings.home / "logs"
    files = sorted(folder.glob("*.log"))
    chosen = [file for file in files if not names or file.stem in names]
    if not chosen:
        there = ", ".join(file.stem for file in files)
        raise StackError(f"No such log; there are: {there}." if files else f"There are no logs in {folder} yet.")
    # tail takes this process's place, so that Ctrl-C ends it without a word of ours.
    os.execvp("tail", ["tail", "-n", "30", *(["-F"] if follow else []), *map(str, chosen)])  # noqa: S606


def clean(settings: Settings) -> int:
    """Stop the stack and remove its home, if it is one that this project made."""
    if settings.home.exists() and not is_ours(settings.home):
        raise StackError(f"{settings.home} was not made by this project, so it is left alone.")
    stop(settings, say)
    say(f"Removed {settings.home}." if remove_home(settings) else "There is nothing to remove.")
    return 0
