"""Each channel delivers to a real server or says why not, without a secret and within its time."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from include.notifications import channels
from include.notifications.channels import Email, Log, Undelivered, Webhook
from include.settings import MailServer, Settings
from include.spec import Notifications, UseCase
from tests.ports import free_port
from tests.receivers import HOST, PASSWORD, USER, Hook, Mailbox, certificate, mail_server
from tests.unit.notifications.conftest import HOSTILE, notice

TO = ("ada@example.com", "bob@example.com")
SECRET = "canary-of-webhook"


def email(port: int, security: str = "none", password: str = "", to: tuple[str, ...] = TO) -> Email:
    user = USER if password else ""
    return Email(MailServer(HOST, port, security, "modelops@example.com", user, password), to)


def why(channel: channels.Channel) -> str:
    with pytest.raises(Undelivered) as refusal:
        channel.send(notice())
    return str(refusal.value)


@pytest.mark.parametrize(("severity", "level"), [("info", "INFO"), ("warning", "WARNING"), ("error", "ERROR")])
def test_the_log_says_it_as_loud_as_it_is_grave(severity: str, level: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Log().send(notice(severity=severity))
    (record,) = caplog.records
    assert (record.levelname, record.message[:40]) == (level, "churn: REFUSED, retrain as of 2026-11-24")


def test_an_email_arrives_in_both_forms(mailbox: Mailbox) -> None:
    email(mailbox.port).send(notice(reasons=("Größe: 12 €", HOSTILE)))
    (message,) = mailbox.messages
    assert mailbox.recipients == [list(TO)]
    assert (message["Subject"], message["To"]) == (
        "[ModelOps] churn: REFUSED, retrain as of 2026-11-24",
        "ada@example.com, bob@example.com",
    )
    text, html = (part.get_content() for part in message.iter_parts())  # type: ignore[attr-defined]
    assert "- Größe: 12 €" in text
    assert "<li>Größe: 12 €</li>" in html
    assert "Bcc" not in message


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # which is around it
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_email_is_handed_over_encrypted_and_by_name(
    security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = certificate(tmp_path)
    with mail_server(file, tls=security == "tls") as box:
        reason = why(email(box.port, security, PASSWORD))
        assert "CERTIFICATE_VERIFY_FAILED" in reason, "a certificate that nobody vouches for"
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        email(box.port, security, PASSWORD).send(notice())
        assert (len(box.messages), box.logins) == (1, [USER])
        refused = why(email(box.port, security, "another-canary"))
        assert "535" in refused
        assert "another-canary" not in refused


def test_a_server_that_offers_no_encryption_gets_no_message(mailbox: Mailbox) -> None:
    assert "STARTTLS" in why(email(mailbox.port, "starttls", PASSWORD))
    assert mailbox.messages == []


def test_a_mail_server_that_refuses_or_is_away_is_named(mailbox: Mailbox) -> None:
    mailbox.refuse = "451 try again later"
    assert why(email(mailbox.port)) == (f"mail server {HOST}:{mailbox.port}: SMTPDataError: (451, b'try again later')")
    port = free_port()
    assert why(email(port)) == f"mail server {HOST}:{port}: ConnectionRefusedError: [Errno 111] Connection refused"


def test_a_webhook_gets_what_slack_takes(hook: Hook) -> None:
    Webhook(hook.url).send(notice())
    (body,) = hook.bodies
    assert body["text"].startswith("churn: REFUSED, retrain as of 2026-11-24\n")
    assert body["blocks"][0]["text"]["text"] == "churn: REFUSED, retrain as of 2026-11-24"


def test_the_answer_of_a_webhook_is_told_without_its_secret(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    hook.status, hook.answer = 404, f"no_service at {hook.path} or {hook.url}" + "x" * 9000
    with caplog.at_level(logging.DEBUG):
        reason = why(Webhook(hook.url))
    assert reason.startswith(f"webhook http://{HOST}:{hook.port} answered 404 Not Found: no_service at … or …x")
    assert len(reason) < 300
    assert SECRET not in reason + caplog.text + repr(Webhook(hook.url))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, hook: Hook) -> None:
    hook.status, hook.headers = status, {"Location": f"http://{HOST}:{hook.port}/elsewhere"}
    assert f"answered {status}" in why(Webhook(hook.url))
    assert hook.other_calls == []


@pytest.mark.parametrize("make", [lambda port: email(port), lambda port: Webhook(f"http://{HOST}:{port}/{SECRET}")])
def test_a_server_that_says_nothing_is_left(
    make: Callable[[int], channels.Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "SECONDS", 0.3)
    monkeypatch.setenv("no_proxy", HOST)
    with socket.create_server((HOST, 0)) as silent:
        began = time.monotonic()
        reason = why(make(silent.getsockname()[1]))
    assert "timed out" in reason
    assert SECRET not in reason
    assert time.monotonic() - began < 5


def test_a_webhook_that_is_away_or_no_http_is_named_without_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", HOST)
    port = free_port()
    away = why(Webhook(f"http://{HOST}:{port}/{SECRET}?key={SECRET}"))
    assert away == f"webhook http://{HOST}:{port}: ConnectionRefusedError: [Errno 111] Connection refused"
    with mail_server() as box:
        assert "BadStatusLine" in (reason := why(Webhook(f"http://{HOST}:{box.port}/{SECRET}")))
    assert SECRET not in reason


def test_a_refused_recipient_is_logged_and_the_others_have_it(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def only_ada(_self: object, _server: object, _session: object, envelope: object, to: str, _: object) -> str:
        if not to.startswith("ada"):
            return "550 no such user"
        envelope.rcpt_tos.append(to)  # type: ignore[attr-defined]
        return "250 OK"

    monkeypatch.setattr(Mailbox, "handle_RCPT", only_ada, raising=False)
    email(mailbox.port).send(notice())
    assert mailbox.recipients == [["ada@example.com"]]
    assert "refused bob@example.com" in caplog.text
    assert "SMTPRecipientsRefused" in why(email(mailbox.port, to=("bob@example.com",)))


@pytest.mark.parametrize(
    ("environ", "to", "names"),
    [
        ({}, TO, ["log"]),
        ({"MODELOPS_SMTP_HOST": HOST, "MODELOPS_SMTP_FROM": "a@b"}, TO, ["log", "email"]),
        ({"MODELOPS_SMTP_HOST": HOST, "MODELOPS_SMTP_FROM": "a@b"}, (), ["log"]),
        ({"MODELOPS_WEBHOOK_URL": "https://hooks.example/x"}, (), ["log", "webhook"]),
    ],
)
def test_channels_are_those_that_are_set_up(
    churn: UseCase, environ: dict[str, str], to: tuple[str, ...], names: list[str]
) -> None:
    spec = churn.model_copy(update={"notifications": Notifications(email=to)})
    assert list(channels.of(Settings.from_environment(environ), spec)) == names
