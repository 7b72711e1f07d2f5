"""What messages go to in tests: a mail server and a webhook, both real, on this machine."""

from __future__ import annotations

import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

HOST = "127.0.0.1"
USER, PASSWORD = "modelops", "canary-of-mail"


@dataclass
class Mailbox:
    """The messages that came, each with the recipients of its envelope, and who logged in; ``refuse`` is an answer."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    refuse: str = ""

    async def handle_DATA(self, _server: object, session: Session, envelope: Envelope) -> str:  # noqa: N802 - called so
        if self.refuse:
            return self.refuse
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        self.recipients.append(envelope.rcpt_tos)
        self.logins.append(session.auth_data or "")
        return "250 OK"

    def log_in(self, _server: object, _session: object, _envelope: object, _mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=known, handled=known, auth_data=data.login.decode() if known else None)


@contextmanager
def mail_server(certificate: Path | None = None, *, tls: bool = False) -> Iterator[Mailbox]:
    """A mail server; with a ``certificate`` it wants STARTTLS (or, with ``tls``, TLS from the start) and a login."""
    box = Mailbox(free_port())
    options: dict[str, Any] = {}
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        options = {"auth_required": True, "authenticator": box.log_in}
        options |= {"ssl_context": context, "auth_require_tls": False} if tls else {"tls_context": context}
        options |= {} if tls else {"require_starttls": True}
    controller = Controller(box, hostname=HOST, port=box.port, **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def certificate(folder: Path) -> Path:
    """A certificate of this address with its key, which whoever names the file in SSL_CERT_FILE believes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "certificate.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@dataclass
class Hook:
    """The bodies that were posted to ``path``, which is the secret; ``status`` and ``answer`` are what it answers."""

    port: int = 0
    path: str = "/services/T0/B0/canary-of-webhook"
    bodies: list[dict[str, Any]] = field(default_factory=list)
    other_calls: list[str] = field(default_factory=list)
    status: int = 200
    answer: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}{self.path}"

    def headlines(self) -> list[str]:
        return [body["text"].splitlines()[0] for body in self.bodies]


@contextmanager
def webhook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if self.path == hook.path and hook.status == 200:
                hook.bodies.append(json.loads(body))
            elif self.path != hook.path:
                hook.other_calls.append(f"{self.command} {self.path}")
            self.send_response(hook.status)
            for name, value in hook.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(hook.answer.encode())

        do_GET = do_POST  # noqa: N815 - a name that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
