"""Secrets of one stack: made once, kept below its home, readable by their owner only."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from include.settings import Settings

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
        password=json.loads(_read_or_make(passwords, json.dumps({USER: secrets.token_urlsafe(12)})))[USER],
        jwt_secret=_read_or_make(folder / "jwt_secret", secrets.token_urlsafe(64)),
        api_secret_key=_read_or_make(folder / "api_secret_key", secrets.token_urlsafe(32)),
        fernet_key=_read_or_make(folder / "fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
    )


def _read_or_make(path: Path, fresh: str) -> str:
    """Return what is in ``path``, or publish ``fresh`` there: linked into place whole, so the first writer wins."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(fresh)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
