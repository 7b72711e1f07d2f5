"""``python -m include keys``: who may call the scoring API."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from include.cli.console import console, line, say
from include.errors import BadRequest
from include.settings import Settings
from include.state import api_keys
from include.state.api_keys import SCOPES
from include.state.database import connect

LONGEST_NAME = 100


def add(settings: Settings, name: str, scopes: Sequence[str]) -> int:
    """Make a key and print it, the only time that it is seen. Raises ``BadRequest``."""
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise BadRequest(f"the name is {name[:50]!r}; expected 1 to {LONGEST_NAME} characters that can be read")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise BadRequest(f"--scope {', '.join(unknown)}: expected some of {', '.join(SCOPES)}")
    secret = api_keys.new_secret()
    key = api_keys.add(connect(settings.state_url), secret, name, scopes)
    say(secret)
    line(
        f"Key {key.id} for {name}, which may {', '.join(sorted(key.scopes))}. It is shown this once and kept as a hash."
    )
    line(f"A caller sends it as: Authorization: Bearer {api_keys.PREFIX}…")
    return 0


def show(settings: Settings) -> int:
    """List all keys; the secrets are known to nobody here."""
    table = Table("key", "name", "scopes", "made", "revoked", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for key in api_keys.every(connect(settings.state_url)):
        scopes = ", ".join(sorted(key.scopes))
        table.add_row(key.id, Text(key.name), scopes, key.created_at, key.revoked_at or "")
    console.print(table)
    return 0


def revoke(settings: Settings, key_id: str) -> int:
    """Let a key be used no more. Raises ``BadRequest`` when there is none with this id."""
    if not api_keys.revoke(connect(settings.state_url), key_id):
        raise BadRequest(f"there is no key {key_id[:50]!r}; python -m include keys list shows them")
    say(f"Key {key_id} is revoked; a running API refuses it within seconds.")
    return 0
