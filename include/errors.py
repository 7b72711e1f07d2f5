"""Errors that the task boundary knows how to treat; every message says how to mend what it reports."""

from __future__ import annotations


class DataRejected(Exception):
    """The data is bad: no retry helps. ``code`` is stable and short, the message is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NothingToDo(Exception):
    """A normal end before the last step (``UNCHANGED``, ``NO_NEW_DATA``…): what follows is skipped."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
