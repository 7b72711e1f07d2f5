"""Errors that the task boundary knows how to treat; every message says how to mend what it reports."""

from __future__ import annotations


class DataRejected(Exception):
    """The data is bad: no retry helps. ``code`` is stable and short, the message is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NothingToDo(Exception):
    """A normal end before the last step (``UNCHANGED``, ``REFUSED``…): what follows is skipped, reasons are kept."""

    def __init__(self, outcome: str, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.outcome = outcome
        self.reasons = reasons


class BadRequest(Exception):
    """The run's own parameters cannot be used; nothing was read or written."""


class SourceAway(Exception):
    """A source cannot be reached now; a retry is due."""
