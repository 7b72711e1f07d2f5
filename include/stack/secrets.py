"""Secrets of one stack: made once, kept below its home, readable by their owner only."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from include.settings import Settings
from include.stack.home import once
from include.state import api_keys
from include.state.database import connect

USER = "admin"
LOCAL_KEY = "the stack on this machine"
"""What the list of keys calls the one of ``local_key``."""


@dataclass(frozen=True)
class Secrets:
    """Values that Airflow needs; none of them has a default, and none shows in a ``repr``."""

    passwords_file: Path
    password: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    api_secret_key: str = field(repr=False)
    fernet_key: str = field(repr=False)


def load_secrets(settings: Settings) -> Secrets:
    """Read the secrets of ``settings.home``, making those that are not there yet."""
    folder = _folder(settings)
    passwords = folder / "airflow_passwords.json"
    return Secrets(
        passwords_file=passwords,
        password=json.loads(once(passwords, json.dumps({USER: secrets.token_urlsafe(12)})))[USER],
        jwt_secret=once(folder / "jwt_secret", secrets.token_urlsafe(64)),
        api_secret_key=once(folder / "api_secret_key", secrets.token_urlsafe(32)),
        fernet_key=once(folder / "fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
    )


def local_key(settings: Settings) -> str:
    """The key of the scoring API for whoever owns this home, with all scopes; the API knows it as a hash.

    It is made once, and anew when it was revoked.
    """
    path = api_key_file(settings)
    while True:
        secret = once(path, api_keys.new_secret())
        if api_keys.add(connect(settings.state_url), secret, LOCAL_KEY, api_keys.SCOPES).revoked_at is None:
            return secret
        path.unlink(missing_ok=True)


def api_key_file(settings: Settings) -> Path:
    """Where ``local_key`` keeps the key, for commands that read it from there."""
    return _folder(settings) / "api_key"


def _folder(settings: Settings) -> Path:
    folder = settings.home / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
