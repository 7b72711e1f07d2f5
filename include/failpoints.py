"""Named points at which this process can be made to fail, for the tests that show that nothing is lost by it.

Off unless ``MODELOPS_FAILPOINTS`` arms some: ``point=action:times``, separated by ``;``, or ``@`` and the path of a
file that holds them, which is read at each point. The actions are

- ``kill``: SIGKILL, as the kernel does it when memory is short;
- ``raise``: an ``InjectedFault``;
- ``EIO``, ``ENOSPC`` and every other name of ``errno``: that ``OSError``;
- ``sleep30``: half a minute of nothing.

With ``:times`` a point fails so often, counted over all processes in ``MODELOPS_HOME/failpoints``, and then no more, so
that the retry passes. The points:

- ``<kind>.<step>.start`` and ``<kind>.<step>.return`` of every step, such as ``retrain.train.return``;
- ``write.<file>`` after a file is written and before it has its name, such as ``write.matrix.parquet``;
- ``package.staged`` in the same place for a model package;
- ``tables.appended``, ``publications.published``, ``decisions.recorded``, ``requests.added``: after these commits;
- ``tracking.created``, ``tracking.logged``: after an MLflow run was made, after something was logged to it;
- ``versions.created``, ``versions.uploaded``, ``versions.ready``, ``versions.registered``, ``versions.aliased``: after
  the logged model, its files, its status, its version, the alias;
- ``promotion.intended``, ``promotion.moved``, ``promotion.done``: after the intent, the alias, the end of the intent;
- ``run.opened``, ``run.closed``: after a ledger row is opened, before its run claims anything, and after it is closed;
- ``notifications.kept``, ``notifications.sent``: after a notice was kept, and after a channel took it.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from pathlib import Path

from include.settings import Settings

VARIABLE = "MODELOPS_FAILPOINTS"
ARMED = re.compile(r"(?P<point>[\w.]+)=(?P<action>kill|raise|sleep(?P<seconds>\d+)|E[A-Z]+)(:(?P<times>\d+))?")


class InjectedFault(RuntimeError):
    """A failure that a test asked for."""


def reach(point: str) -> None:
    """Fail here if this point is armed; else this costs one look into the environment."""
    armed = os.environ.get(VARIABLE)
    if armed is not None:
        _fail(point, armed)


def _fail(point: str, armed: str) -> None:
    text = Path(armed[1:]).read_text(encoding="utf-8") if armed.startswith("@") else armed
    for part in filter(None, map(str.strip, text.split(";"))):
        found = ARMED.fullmatch(part)
        if found is None:
            raise ValueError(f"{VARIABLE}: {part!r} is not of the form point=action:times")
        if found["point"] == point and _is_due(point, found["times"]):
            _act(point, found)


def _is_due(point: str, times: str | None) -> bool:
    if times is None:
        return True
    folder = Settings.from_environment().home / "failpoints"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(int(times)):
        try:
            os.close(os.open(folder / f"{point}.{number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        return True
    return False


def _act(point: str, found: re.Match[str]) -> None:
    action = found["action"]
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise InjectedFault(point)
    elif found["seconds"]:
        time.sleep(int(found["seconds"]))
    else:
        code: int = getattr(errno, action)
        raise OSError(code, os.strerror(code))
