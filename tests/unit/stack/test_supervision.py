"""What a stack was started with: an edit of the settings is seen, whichever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.settings import Settings
from include.stack.supervision import Supervisor

MAIL = {"MODELOPS_SMTP_HOST": "mail", "MODELOPS_SMTP_FROM": "a@b", "MODELOPS_SMTP_USER": "u"}


def fingerprint(home: Path, **environment: str) -> str:
    return Supervisor(Settings.from_environment({"MODELOPS_HOME": str(home), **environment}))._fingerprint()


@pytest.mark.parametrize(
    "edit",
    [
        {"MODELOPS_API_PORT": "8001"},
        {"MODELOPS_TRAINING_SLOTS": "7"},
        {"MODELOPS_WEBHOOK_URL": "https://chat.example/hook"},
        {**MAIL, "MODELOPS_SMTP_PASSWORD": "first"},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_an_edit_of_a_setting_is_seen(tmp_path: Path, edit: dict[str, str]):
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    assert fingerprint(tmp_path, **edit) != before


def test_another_password_is_seen(tmp_path: Path):
    first, second = (fingerprint(tmp_path, **MAIL, MODELOPS_SMTP_PASSWORD=one) for one in ("first", "second"))
    assert first != second
