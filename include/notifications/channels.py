"""The ways in which a notice gets to people: the log, e-mail, a webhook.

E-mail goes through the standard library and not through Airflow's SMTP provider: that one takes its server from a
connection of Airflow's, which neither the command line nor ``include`` has, and has no part in what is kept of it.
"""

from __future__ import annotations

import json
import logging
import smtplib
import ssl
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, ClassVar, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from include.notifications import wording
from include.notifications.notice import Notice, Severity
from include.pages import shown
from include.settings import MailServer, Settings
from include.spec import UseCase

log = logging.getLogger(__name__)

LOG, EMAIL, WEBHOOK = NAMES = ("log", "email", "webhook")
SECONDS = 5.0
"""How long each step of a conversation may take: a task that has ended is killed 20 s later, with its notifiers."""
READ_OF_ANSWER, SHOWN_OF_ANSWER = 2000, 200
LEVELS: dict[Severity, int] = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Undelivered(Exception):
    """A channel could not deliver a notice; the message says why and holds no secret."""


class Channel(Protocol):
    name: ClassVar[str]

    def send(self, notice: Notice) -> None:
        """Deliver ``notice``, or raise ``Undelivered``."""


@dataclass(frozen=True)
class Log:
    name: ClassVar[str] = LOG

    def send(self, notice: Notice) -> None:
        log.log(LEVELS[notice.severity], "%s", wording.line(notice))

    def __str__(self) -> str:
        return "the log"


@dataclass(frozen=True)
class Email:
    server: MailServer
    recipients: tuple[str, ...]
    name: ClassVar[str] = EMAIL

    def send(self, notice: Notice) -> None:
        message = wording.email(notice, self.server.sender, self.recipients)
        try:
            with self._session() as session:
                refused = session.send_message(message)
        except (smtplib.SMTPException, OSError) as error:
            raise Undelivered(f"{self}: {type(error).__name__}: {error}") from error
        if refused:
            log.warning("%s refused %s and took the message for the others", self, ", ".join(refused))

    def _session(self) -> smtplib.SMTP:
        server = self.server
        # Its own name, which the protocol asks for: looking it up could take longer than all else.
        ours: dict[str, Any] = {"timeout": SECONDS, "local_hostname": server.sender.rpartition("@")[2]}
        if server.security == "tls":
            context = ssl.create_default_context()
            session: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, context=context, **ours)
        else:
            session = smtplib.SMTP(server.host, server.port, **ours)
        try:
            if server.security == "starttls":
                session.starttls(context=ssl.create_default_context())
            if server.user:
                session.login(server.user, server.password)
        except BaseException:  # nobody else has the session, to close it
            session.close()
            raise
        return session

    def __str__(self) -> str:
        return f"mail server {self.server.host}:{self.server.port}"


class _NoRedirect(HTTPRedirectHandler):
    """An answer that names another address is an error: the message is for nobody but the one that was set."""

    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True)
class Webhook:
    """``url`` is a secret: who knows it may post."""

    url: str = field(repr=False)
    name: ClassVar[str] = WEBHOOK

    def send(self, notice: Notice) -> None:
        body = json.dumps(wording.slack(notice)).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "modelops"}
        request = Request(self.url, body, headers)  # noqa: S310 - the settings take http and https only
        try:
            # Not with httpx, which writes the URL to the log of the task.
            with build_opener(_NoRedirect).open(request, timeout=SECONDS):
                pass
        except HTTPError as error:
            with error:
                said = self._hidden(f"{error.reason}: {error.read(READ_OF_ANSWER).decode(errors='replace')}")
            raise Undelivered(f"{self} answered {error.code} {shown(said, SHOWN_OF_ANSWER)}") from None
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise Undelivered(self._hidden(f"{self}: {type(reason).__name__}: {reason}")) from None

    def _hidden(self, content: str) -> str:
        parts = urlsplit(self.url)
        for secret in (self.url, f"{parts.path}?{parts.query}", parts.query, parts.path):
            content = content.replace(secret, "…") if len(secret) > 1 else content
        return content

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"webhook {parts.scheme}://{parts.netloc}"


def of(settings: Settings, spec: UseCase) -> dict[str, Channel]:
    """The channels that are set up, by name; the log always is."""
    found: list[Channel] = [Log()]
    if settings.mail and spec.notifications.email:
        found.append(Email(settings.mail, spec.notifications.email))
    if settings.webhook_url:
        found.append(Webhook(settings.webhook_url))
    return {channel.name: channel for channel in found}
