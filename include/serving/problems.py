"""What the API answers instead of a result: problem documents (RFC 9457), each with a stable reason.

``code`` and ``type`` are for programs, ``title`` and ``detail`` for people. Where parts of a request are wrong,
``errors`` names the first of them by JSON pointer (RFC 6901).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import to_json
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 20
"""So many faults of a request are named."""

PROBLEMS: dict[str, tuple[int, str]] = {
    "NOT_JSON": (400, "The body is not JSON"),
    "NO_KEY": (401, "A key is needed"),
    "UNKNOWN_KEY": (401, "The key is not known, or revoked"),
    "MISSING_SCOPE": (403, "The key is not for this"),
    "NO_SUCH_PLACE": (404, "There is nothing here"),
    "NO_SUCH_ROW": (404, "No row has this id"),
    "WRONG_METHOD": (405, "This method does not fit"),
    "TOO_SLOW": (408, "The request took too long to arrive"),
    "TOO_MANY_BYTES": (413, "The body is too large"),
    "TOO_MANY_ROWS": (413, "There are too many rows"),
    "WRONG_TYPE": (415, "The body is of the wrong type"),
    "INVALID": (422, "The request does not fit the use case"),
    "NO_SCORE": (422, "The model has no score for a row"),
    "TOO_OFTEN": (429, "The key is used too often"),
    "FAULT": (500, "The API made a mistake"),
    "NO_MODEL": (503, "There is no model that can be served"),
    "NO_KEYS": (503, "The keys cannot be read"),
    "NO_ROWS": (503, "There are no published rows to look up"),
    "NO_EXPLANATION": (503, "The model was registered without an explanation"),
    "NOT_KEPT": (503, "The answer could not be kept"),
    "BUSY": (503, "There is too much to do"),
    "OVERDUE": (503, "The answer took too long"),
}
"""The status and the title of each code."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the part of the body that ``pointer`` names."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class ProblemDocument:
    """What a caller reads; ``errors`` are there where parts of the body are wrong."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[Fault]


class Problem(Exception):
    """Ends a request; ``code`` is one of ``PROBLEMS``, ``detail`` says how to mend it."""

    def __init__(
        self, code: str, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
        self.status, self.title = PROBLEMS[code]
        self.faults, self.headers = list(faults), dict(headers or {})

    def document(self) -> ProblemDocument:
        type_ = f"urn:modelops:{self.code}"
        return ProblemDocument(type_, self.title, self.status, self.detail, self.code, self.faults[:MOST_FAULTS])

    def response(self) -> Response:
        return Response(to_json(self.document()), self.status, self.headers, MEDIA_TYPE)


def invalid(faults: Sequence[Fault]) -> Problem:
    """The problem of a request with these faults, at least one; the first is told in the detail."""
    first = faults[0]
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return Problem("INVALID", f"{first.pointer or 'the body'}: {first.detail}{more}", faults)


def pointer(*parts: str | int) -> str:
    """A JSON pointer to a part of the body."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)
