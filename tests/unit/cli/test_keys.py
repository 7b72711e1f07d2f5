"""``python -m include keys``: a key is shown once, listed without its secret, and revoked."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.__main__ import main
from include.state import api_keys
from include.state.database import connect


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path))


def test_a_key_is_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", "CRM", "--scope", "predict", "--scope", "feedback"]) == 0
    secret, *about = capsys.readouterr().out.splitlines()
    (key,) = api_keys.every(connect(f"sqlite:///{tmp_path / 'state.db'}"))
    assert key.sha256 == api_keys.digest(secret.encode())
    assert "feedback, predict" in " ".join(about)
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert key.id in listed
    assert "CRM" in listed
    assert secret not in listed
    assert main(["keys", "revoke", key.id]) == 0
    assert api_keys.every(connect(f"sqlite:///{tmp_path / 'state.db'}"))[0].revoked_at


@pytest.mark.parametrize("name", ["CRM [eu]", "CRM [/prod]", "CRM :smile:"])
def test_a_name_is_listed_as_it_was_given(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", name, "--scope", "predict"]) == 0
    capsys.readouterr()
    assert main(["keys", "list"]) == 0
    assert name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["add", "CRM", "--scope", "root"], "--scope root: expected some of predict, feedback, admin"),
        (["add", " ", "--scope", "predict"], "expected 1 to 100 characters"),
        (["add", "a\x1b[31m", "--scope", "predict"], "that can be read"),
        (["revoke", "nothing"], "there is no key 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_told(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", *arguments]) == 1
    assert reason in " ".join(capsys.readouterr().err.split())
