"""Something that is done again and again in a thread of its own, beside the event loop that answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

STOP_SECONDS = 2.0
"""What hangs by then is left: the thread does not keep the process alive."""


class Repeated:
    """Calls ``act`` every ``seconds`` from ``start`` to ``stop``; what it raises is logged, once until it changes."""

    def __init__(self, act: Callable[[], None], seconds: float, name: str) -> None:
        self._act, self._seconds, self._told = act, seconds, ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._act()
                self._told = ""
            except Exception as error:  # noqa: BLE001 - whatever it is, what serves goes on and the next round may pass
                told = f"{type(error).__name__}: {error}"
                if told != self._told:
                    log.warning("%s: %s", self._thread.name, told)
                    self._told = told
            self._stopped.wait(self._seconds)
