"""Who may call: the keys of the state database, held in memory by their hash and read again every second."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.serving.problems import Problem
from include.settings import Settings
from include.state import api_keys
from include.state.database import connect

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(slots=True)
class Bucket:
    """A token bucket: ``rate`` requests a second, and as many at once. Called from one event loop."""

    rate: float
    left: float = field(init=False)
    at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.left = max(self.rate, 1.0)

    def take(self, now: float) -> float:
        """Take one token; returns 0, or after how many seconds there will be one."""
        self.left = min(max(self.rate, 1.0), self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left < 1:
            return (1 - self.left) / self.rate
        self.left -= 1
        return 0.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A key that was presented and is good."""

    id: str
    scopes: frozenset[str]


class Keys:
    """What is known of all keys; while the database cannot be read, what was known last."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._callers: Mapping[str, Caller] | None = None

    def refresh(self) -> None:
        """Read the keys once. Raises what the database raises."""
        found = api_keys.every(connect(self._settings.state_url))
        self._callers = {key.sha256: Caller(key.id, key.scopes) for key in found if key.revoked_at is None}

    def caller(self, headers: Mapping[bytes, bytes], scope: str) -> Caller:
        """Who calls, if the key may be used for ``scope``; raises ``Problem``."""
        if self._callers is None:
            raise Problem("NO_KEYS", "the state database has not been read since the start; try again soon")
        secret = _secret(headers)
        if not secret:
            raise Problem("NO_KEY", "send a key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'", headers=CHALLENGE)
        caller = self._callers.get(api_keys.digest(secret))
        if caller is None:
            raise Problem("UNKNOWN_KEY", "ask whoever runs this for another one", headers=CHALLENGE)
        if scope not in caller.scopes:
            raise Problem("MISSING_SCOPE", f"key {caller.id} may {', '.join(sorted(caller.scopes))}, not {scope}")
        return caller


def _secret(headers: Mapping[bytes, bytes]) -> bytes:
    kind, _, secret = headers.get(b"authorization", b"").partition(b" ")
    return secret.strip() if kind.lower() == b"bearer" else headers.get(b"x-api-key", b"").strip()
