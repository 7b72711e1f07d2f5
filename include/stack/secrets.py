"""Secrets of one stack: made once, kept below its home, readable by their owner only."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from include.settings import Settings
from include.stack.home import once

USER = "admin"


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
    folder = settings.home / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    passwords = folder / "airflow_passwords.json"
    return Secrets(
        passwords_file=passwords,
        password=json.loads(once(passwords, json.dumps({USER: secrets.token_urlsafe(12)})))[USER],
        jwt_secret=once(folder / "jwt_secret", secrets.token_urlsafe(64)),
        api_secret_key=once(folder / "api_secret_key", secrets.token_urlsafe(32)),
        fernet_key=once(folder / "fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
    )
