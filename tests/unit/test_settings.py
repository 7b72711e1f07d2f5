"""What the environment may say of training, mail server, webhook and pages, and how what it must not say is named."""

from __future__ import annotations

import os

import pytest

from include.settings import MailServer, Settings, SettingsError

MAIL = {"MODELOPS_SMTP_HOST": "mail.example", "MODELOPS_SMTP_FROM": "modelops@example.com"}
LOGIN = {"MODELOPS_SMTP_USER": "modelops", "MODELOPS_SMTP_PASSWORD": "canary"}


def test_nothing_is_set_up_unless_it_is_named() -> None:
    settings = Settings.from_environment({"MODELOPS_SMTP_FROM": "a@b", "MODELOPS_SMTP_HOST": "", **LOGIN})
    assert (settings.mail, settings.webhook_url) == (None, "")
    assert settings.airflow_pages == "http://127.0.0.1:8080"


def test_one_candidate_trains_on_each_core_unless_it_is_set() -> None:
    assert Settings.from_environment({}).training_slots == len(os.sched_getaffinity(0))
    assert Settings.from_environment({"MODELOPS_TRAINING_SLOTS": "3"}).training_slots == 3


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_a_mail_server_has_the_usual_port(security: str, port: int) -> None:
    found = Settings.from_environment({**MAIL, "MODELOPS_SMTP_SECURITY": security}).mail
    assert found == MailServer("mail.example", port, security, "modelops@example.com")
    assert Settings.from_environment(MAIL).mail == MailServer("mail.example", 587, "starttls", "modelops@example.com")


def test_secrets_do_not_show() -> None:
    environ = {**MAIL, **LOGIN, "MODELOPS_WEBHOOK_URL": "https://hooks.example/canary"}
    settings = Settings.from_environment(environ)
    assert (settings.mail and settings.mail.password, settings.webhook_url[-6:]) == ("canary", "canary")
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"MODELOPS_TRAINING_SLOTS": "0"}, "MODELOPS_TRAINING_SLOTS is '0'; expected a whole number of at least 1"),
        ({"MODELOPS_TRAINING_SLOTS": "all"}, "MODELOPS_TRAINING_SLOTS is 'all'"),
        ({**MAIL, "MODELOPS_SMTP_SECURITY": "ssl"}, "MODELOPS_SMTP_SECURITY is 'ssl'; expected one of starttls, tls"),
        ({**MAIL, "MODELOPS_SMTP_PORT": "0"}, "MODELOPS_SMTP_PORT is '0'"),
        ({**MAIL, "MODELOPS_SMTP_FROM": ""}, "MODELOPS_SMTP_FROM is ''; expected the address"),
        ({**MAIL, "MODELOPS_SMTP_FROM": "a@b\nBcc: c@d"}, "MODELOPS_SMTP_FROM is"),
        ({**MAIL, "MODELOPS_SMTP_USER": "modelops"}, "only one of MODELOPS_SMTP_USER and MODELOPS_SMTP_PASSWORD"),
        ({**MAIL, **LOGIN, "MODELOPS_SMTP_SECURITY": "none"}, "the password must not be sent as clear text"),
        ({"MODELOPS_WEBHOOK_URL": "ftp://hooks.example/canary"}, r"expected http\(s\)://host/path"),
        ({"MODELOPS_WEBHOOK_URL": "file:///etc/canary"}, r"expected http\(s\)://host/path"),
        ({"MODELOPS_WEBHOOK_URL": "canary"}, r"expected http\(s\)://host/path"),
        ({"MODELOPS_WEBHOOK_URL": "https://modelops:canary@hooks.example/"}, "without a user"),
        ({"MODELOPS_WEBHOOK_URL": "https://hooks.example:canary/"}, r"expected http\(s\)://host/path"),
        ({"MODELOPS_WEBHOOK_URL": "https://hooks.example/canary\r\nX: y"}, r"expected http\(s\)://host/path"),
    ],
)
def test_what_cannot_be_used_is_named_without_a_secret(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as refusal:
        Settings.from_environment(environ)
    assert "canary" not in str(refusal.value)
