"""What the runs of the three DAGs have people told: each once, with its reason and where to look, at a real webhook."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from include.__main__ import main
from include.cli.source import register_source
from include.cli.status import use_case_state
from include.notifications import channels
from include.registry import tracking, versions
from include.settings import Settings
from include.steps.notify import tell
from tests.conftest import MlflowServer
from tests.ports import free_port
from tests.receivers import HOST, Hook, Mailbox, mail_server, webhook
from tests.steps.loop import FIRST, ingest, monitor, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

Edit = Callable[[Callable[[dict[str, Any]], None]], None]


def quick(spec: dict[str, Any]) -> None:
    spec["training"]["candidates"] = {"line": {"kind": "logistic_regression", "params": {"C": 0.3}}}
    spec["monitoring"]["minimum_rows"] = 50
    spec["retrain_policy"]["min_new_labels"] = 0
    spec["notifications"] = {"email": ["ada@example.com"]}


def day(n: int) -> str:
    return (date.fromisoformat(FIRST) + timedelta(n)).isoformat()


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as made:
        yield made


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as made:
        yield made


@pytest.fixture
def told(
    settings: Settings, hook: Hook, mailbox: Mailbox, edit_churn: Edit, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A home with a source that drifts, whose runs are told by e-mail and webhook."""
    monkeypatch.setenv("no_proxy", HOST)
    monkeypatch.setenv("MODELOPS_WEBHOOK_URL", hook.url)
    monkeypatch.setenv("MODELOPS_SMTP_HOST", HOST)
    monkeypatch.setenv("MODELOPS_SMTP_PORT", str(mailbox.port))
    monkeypatch.setenv("MODELOPS_SMTP_SECURITY", "none")
    monkeypatch.setenv("MODELOPS_SMTP_FROM", "modelops@example.com")
    edit_churn(quick)
    register_source(settings, f"simulator:?rows_per_day=60&drift=covariate&drift_from={FIRST}")
    return settings


def news(hook: Hook) -> list[dict[str, Any]]:
    """What the notifiers of a run say that is new, though they are called twice."""
    before = len(hook.bodies)
    for channel in channels.NAMES * 2:
        tell("churn", channel)
    return hook.bodies[before:]


def test_each_outcome_is_told_once(
    told: Settings, hook: Hook, mailbox: Mailbox, edit_churn: Edit, mlflow_server: MlflowServer
) -> None:
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert news(hook) == []
    assert retrain("r1") == "PROMOTED"
    (promoted,) = news(hook)
    assert promoted["text"].startswith(f"churn: PROMOTED, retrain as of {FIRST}\n")
    assert "version 1 is the first champion" in promoted["text"]
    assert f"http://127.0.0.1:{told.airflow_port}/dags/churn_retrain/runs/r1" in promoted["text"]
    assert "data: simulated" in promoted["text"]
    (verdict,) = re.findall(r"The verdict: (\S+)", promoted["text"])
    assert verdict.startswith(told.mlflow_uri)
    assert httpx.get(verdict, trust_env=False).status_code == 200

    edit_churn(lambda spec: spec["gate"]["rules"][0].update(floor=0.99))
    assert retrain("r2") == "REFUSED"
    (refused,) = news(hook)
    assert refused["text"].startswith(f"churn: REFUSED, retrain as of {FIRST}\n")
    assert "0.99" in refused["text"]
    edit_churn(lambda spec: spec["gate"]["rules"][0].update(floor=0.6))

    edit_churn(lambda spec: spec["limits"].update(minimum_batch_rows=10**6))
    assert ingest("i2", day(7)) == "DATA_REJECTED"
    (rejected,) = news(hook)
    assert rejected["text"].startswith(f"churn: DATA_REJECTED, ingest as of {day(7)}\n")
    assert "TOO_FEW_ROWS" in rejected["text"]
    edit_churn(lambda spec: spec["limits"].update(minimum_batch_rows=10))

    assert ingest("i3", day(7)) == "PUBLISHED"
    assert monitor("m1", day(7)) == "REQUESTED"
    (requested,) = news(hook)
    assert requested["text"].startswith(f"churn: REQUESTED, monitor as of {day(7)}\n")
    assert "MonthlyCharges" in requested["text"]

    assert retrain("r3", None, "asset_triggered") == "PROMOTED"
    (promoted,) = news(hook)
    assert "version 2 replaces version 1" in promoted["text"]
    assert "why it ran: drift of" in promoted["text"]

    client = tracking.connect(told.mlflow_uri)
    newest = next(one for one in versions.registered(client, "churn") if one.version == "2")
    (mlflow_server.package(newest) / "model.skops").unlink()
    shutil.rmtree(told.home / "models")
    monitor("m2", day(7))
    (damaged,) = news(hook)
    assert damaged["text"].startswith(f"churn: CHAMPION_DAMAGED, monitor as of {day(7)}\n")
    assert "version 2 gives way" in damaged["text"]

    subjects = [message["Subject"].split(",")[0] for message in mailbox.messages]
    events = ("PROMOTED", "REFUSED", "DATA_REJECTED", "REQUESTED", "PROMOTED", "CHAMPION_DAMAGED")
    assert subjects == [f"[ModelOps] churn: {event}" for event in events]


def test_channels_that_are_down_change_nothing_and_are_named_without_their_secret(
    told: Settings,
    hook: Hook,
    mailbox: Mailbox,
    edit_churn: Edit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def printed() -> str:
        return " ".join(capsys.readouterr().out.split())

    monkeypatch.setenv("MODELOPS_SMTP_PORT", str(free_port()))
    hook.status, hook.answer = 500, f"no service at {hook.path}"
    edit_churn(lambda spec: spec["limits"].update(minimum_batch_rows=10**6))
    assert ingest("i1", FIRST) == "DATA_REJECTED"
    assert news(hook) == []
    left = use_case_state(told, "churn")["not_delivered"]
    assert {(one["channel"], one["event"], one["run_id"], one["attempts"]) for one in left} == {
        ("email", "DATA_REJECTED", "i1", 2),
        ("webhook", "DATA_REJECTED", "i1", 2),
    }
    answered = f"webhook http://{HOST}:{hook.port} answered 500 Internal Server Error: no service at …"
    assert main(["status"]) == 0
    assert f"not delivered webhook: DATA_REJECTED of ingest i1: {answered}" in printed()
    monkeypatch.setenv("MODELOPS_SMTP_PORT", str(mailbox.port))
    assert main(["notify", "churn"]) == 1
    assert f"webhook NOT delivered: DATA_REJECTED of ingest i1: {answered} churn: 1 not delivered" in printed()
    assert len(mailbox.messages) == 1
    files = {path: path.read_bytes() for path in told.home.rglob("*") if path.is_file()}
    assert any(b"no service at" in content for content in files.values()), "the answer is kept"
    assert [path for path, content in files.items() if hook.path.encode() in content] == []
    hook.status = 200
    assert main(["notify", "churn"]) == 0
    assert [len(mailbox.messages), len(hook.bodies)] == [1, 1]
    assert main(["status"]) == 0
    assert "not delivered" not in printed()


def test_a_test_message_goes_through_every_channel_that_is_set_up(
    told: Settings, hook: Hook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notify", "churn", "--test"]) == 0
    assert hook.headlines()[0].startswith("churn: TEST, monitor as of ")
    assert mailbox.recipients == [["ada@example.com"]]
    assert f"taken by mail server {HOST}:{mailbox.port}" in capsys.readouterr().out
    mailbox.refuse = "554 not from you"
    assert main(["notify", "churn", "--test"]) == 1
    assert "email    NOT delivered: mail server" in capsys.readouterr().out
    monkeypatch.delenv("MODELOPS_WEBHOOK_URL")
    monkeypatch.delenv("MODELOPS_SMTP_HOST")
    assert main(["notify", "churn", "--test"]) == 0
    out = capsys.readouterr().out
    assert "email    not set up: set MODELOPS_SMTP_HOST" in out
    assert "webhook  not set up: set MODELOPS_WEBHOOK_URL" in out
    assert use_case_state(told, "churn")["not_delivered"] == []
