"""Keys of the scoring API: of each only the SHA-256, for whom it is, and what it may be used for.

A key is a random secret of 256 bits, which nobody can guess from its hash, so that the hash needs neither salt nor
stretching. Revoked keys stay in the table.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Engine, select, update

from include.state import database as db

table = db.api_keys

SCOPES = ("predict", "feedback", "admin")
PREFIX = "mo_"
"""Lets a scanner for secrets find a key where it should not stand."""
SECRET_BYTES = 32
ID_DIGITS = 12


@dataclass(frozen=True)
class ApiKey:
    """``id`` are the first digits of ``sha256``, both hexadecimal; times are ISO 8601 in UTC."""

    id: str
    sha256: str
    name: str
    scopes: frozenset[str]
    created_at: str
    revoked_at: str | None


def new_secret() -> str:
    """A new key, as a caller sends it."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


def add(engine: Engine, secret: str, name: str, scopes: Iterable[str]) -> ApiKey:
    """Keep the hash of ``secret`` (of ``new_secret``) with its scopes; the same one again changes nothing."""
    scopes = sorted(set(scopes))
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError(f"scopes {scopes}: expected some of {', '.join(SCOPES)}")
    sha256 = digest(secret.encode())
    values = {"id": sha256[:ID_DIGITS], "sha256": sha256, "name": name, "scopes": scopes, "created_at": db.now()}
    with engine.begin() as connection:
        db.insert_once(connection, table, **values)
    return next(key for key in every(engine) if key.sha256 == sha256)


def revoke(engine: Engine, key_id: str) -> bool:
    """Let the key be used no more; returns whether there is one with this id. Again changes nothing."""
    with engine.begin() as connection:
        found = connection.execute(select(table.c.id).where(table.c.id == key_id)).one_or_none()
        of_it = (table.c.id == key_id, table.c.revoked_at.is_(None))
        connection.execute(update(table).where(*of_it).values(revoked_at=db.now()))
    return found is not None


def every(engine: Engine) -> list[ApiKey]:
    """All of them, revoked ones as well, the oldest first."""
    with engine.connect() as connection:
        rows = connection.execute(select(table).order_by(table.c.created_at, table.c.id))
        return [ApiKey(r.id, r.sha256, r.name, frozenset(r.scopes), r.created_at, r.revoked_at) for r in rows]
