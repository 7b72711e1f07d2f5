"""A small client of the scoring API: which version answers, and one prediction through it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

import httpx

from include.settings import Settings
from include.stack import StackError
from include.stack.secrets import local_key

FOLLOW_SECONDS = 30.0
"""The API follows a promotion within 10 s; a busy machine gets three times that."""
POLL_SECONDS = 0.25
UNKNOWN = frozenset({httpx.codes.NOT_FOUND, httpx.codes.UNAUTHORIZED})
"""What an open route answers of a use case that the API does not know: nothing is there, or a key is asked for."""


@dataclass(frozen=True)
class Answering:
    """``version`` is the one that answers, if any; ``why`` says why it is none, or not the one that should."""

    version: str | None
    is_current: bool
    why: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a caller is told of one row, and how many milliseconds later."""

    prediction_id: str
    version: str
    score: float
    decision: bool
    milliseconds: float


class ScoringApi:
    """A session for a ``with`` statement with what is served of one use case."""

    def __init__(self, url: str, use_case: str, key: str | None = None) -> None:
        self.url, self._use_case = f"{url}/{use_case}", use_case
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=10)

    @classmethod
    def of(cls, settings: Settings, use_case: str) -> Self:
        """Open a session with the local stack."""
        return cls(settings.api_url, use_case, local_key(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def is_unknown(self) -> bool:
        """Whether the API says that it has no such use case: it knows those that were there when it started."""
        try:
            return self._client.get("/health").status_code in UNKNOWN
        except httpx.HTTPError:
            return False

    def answering(self) -> Answering:
        """Ask which version answers; that nothing does, not even the API, is an answer as well."""
        try:
            response = self._client.get("/ready")
            content = response.json()
        except (httpx.HTTPError, ValueError) as error:
            return Answering(None, False, (f"nothing answers at {self.url} ({error}); make run starts it",))
        if response.status_code in UNKNOWN:
            return Answering(None, False, (self._unknown(),))
        if not response.is_success:
            return Answering(None, False, (content["detail"],))
        troubles = tuple(f"{trouble['code']}: {trouble['detail']}" for trouble in content["troubles"])
        return Answering(content["model_version"], content["is_current"], troubles)

    def _unknown(self) -> str:
        return (
            f"the API knows the use cases that were there when it started, and {self._use_case} is none of them; "
            f"start it anew, as make run USE_CASE={self._use_case} does once a version is promoted"
        )

    def predict_published(self, key: str, version: str) -> Answer:
        """Score the newest published row of an id by ``version``, as soon as that one answers.

        Raises ``StackError`` with what the API says when it does not within ``FOLLOW_SECONDS``.
        """
        deadline = time.monotonic() + FOLLOW_SECONDS
        while True:
            try:
                return self._predict_published(key, version)
            except (StackError, httpx.HTTPError) as problem:
                if time.monotonic() > deadline:
                    raise StackError(
                        f"{self.url} has no prediction by version {version} after {FOLLOW_SECONDS:.0f} s: {problem}"
                    ) from problem
            time.sleep(POLL_SECONDS)

    def _predict_published(self, key: str, version: str) -> Answer:
        answering = self.answering()
        if answering.version != version:
            raise StackError("; ".join(answering.why) or f"version {answering.version} answers")
        began = time.perf_counter()
        response = self._client.post(published_route(key), json={})
        milliseconds = (time.perf_counter() - began) * 1000
        content = response.json()
        if not response.is_success:
            raise StackError(f"status {response.status_code}: {content['detail']}")
        found = content["prediction"]
        return Answer(found["prediction_id"], found["model_version"], found["score"], found["decision"], milliseconds)


def published_route(key: str) -> str:
    """Where the newest published row of an id is scored, below the use case."""
    return f"/v1/customers/{quote(key, safe='')}/predict"
