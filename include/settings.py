"""Where things are: environment variables become one frozen ``Settings``.

Every variable starts with ``MODELOPS_``; ``.env.example`` lists them. Beside the failpoints of the tests, nothing else
in ``include/`` reads the environment, so a test or a second stack on the same machine only needs another environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"


SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""The usual port for each kind of security."""


class SettingsError(ValueError):
    """A ``MODELOPS_`` variable holds something that cannot be used; the message names it."""


@dataclass(frozen=True)
class MailServer:
    """Where e-mails are handed over, and in whose name; ``security`` is one of ``SMTP_PORTS``."""

    host: str
    port: int
    security: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """Places and ports. Paths are absolute; URIs are strings because they may point off this machine."""

    home: Path
    use_case_folders: tuple[Path, ...]
    state_url: str
    lake_uri: str
    mlflow_uri: str
    mlflow_pages: str
    """Where a browser finds MLflow, which in containers is not where the tasks do."""
    airflow_pages: str
    """Where a browser finds Airflow; messages link to it."""
    airflow_port: int
    mlflow_port: int
    api_url: str
    """Where the commands find the scoring API, which in containers is not where it listens."""
    api_port: int = 8000
    api_host: str = HOST
    """Where the scoring API listens; in a container that is not loopback."""
    api_use_case: str = "churn"
    """Which use case the scoring API serves at its root, beside each one below its name."""
    training_slots: int = 2
    """How many candidates of a use case train at a time; each has one thread."""
    data_docs: bool = False
    mail: MailServer | None = None
    webhook_url: str = field(default="", repr=False)
    """Where messages are posted to; whoever knows it may post there, so that it is a secret."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read ``environ``; raise ``SettingsError`` naming the variable that is wrong."""
        home = Path(environ.get("MODELOPS_HOME") or PROJECT / ".modelops").expanduser().resolve()
        airflow_port = _port(environ, "MODELOPS_AIRFLOW_PORT", 8080)
        mlflow_port = _port(environ, "MODELOPS_MLFLOW_PORT", 5000)
        mlflow_uri = environ.get("MODELOPS_MLFLOW_URI") or f"http://{HOST}:{mlflow_port}"
        api_port = _port(environ, "MODELOPS_API_PORT", 8000)
        folders = environ.get("MODELOPS_USE_CASES", "")
        return cls(
            home=home,
            use_case_folders=tuple(Path(f).expanduser().resolve() for f in folders.split(os.pathsep) if f)
            or (PROJECT / "include" / "use_cases",),
            state_url=environ.get("MODELOPS_STATE_URL") or f"sqlite:///{home / 'state.db'}",
            lake_uri=environ.get("MODELOPS_LAKE_URI") or str(home / "lake"),
            mlflow_uri=mlflow_uri,
            mlflow_pages=environ.get("MODELOPS_MLFLOW_PAGES") or mlflow_uri,
            airflow_pages=environ.get("MODELOPS_AIRFLOW_PAGES") or f"http://{HOST}:{airflow_port}",
            airflow_port=airflow_port,
            mlflow_port=mlflow_port,
            api_url=environ.get("MODELOPS_API_URL") or f"http://{HOST}:{api_port}",
            api_port=api_port,
            api_host=environ.get("MODELOPS_API_HOST") or HOST,
            api_use_case=environ.get("MODELOPS_API_USE_CASE") or "churn",
            training_slots=_slots(environ, "MODELOPS_TRAINING_SLOTS"),
            data_docs=environ.get("MODELOPS_DATA_DOCS", "0") not in ("", "0"),
            mail=_mail(environ),
            webhook_url=_webhook(environ),
        )

    def run_folder(self, use_case: str, run_id: str) -> Path:
        """The one authority on where a run keeps its working files and reports."""
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in run_id)
        return self.home / "runs" / use_case / safe


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SettingsError(f"{name} is {text!r}; expected a TCP port between 1 and 65535")
    return int(text)


def _slots(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name) or str(_cores())
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{name} is {text!r}; expected a whole number of at least 1")
    return int(text)


def _cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _mail(environ: Mapping[str, str]) -> MailServer | None:
    host, sender = environ.get("MODELOPS_SMTP_HOST"), environ.get("MODELOPS_SMTP_FROM") or ""
    if not host:
        return None
    security = environ.get("MODELOPS_SMTP_SECURITY") or "starttls"
    if security not in SMTP_PORTS:
        raise SettingsError(f"MODELOPS_SMTP_SECURITY is {security!r}; expected one of {', '.join(SMTP_PORTS)}")
    port = _port(environ, "MODELOPS_SMTP_PORT", SMTP_PORTS[security])
    if sender.count("@") != 1 or not sender.isprintable() or " " in sender:
        raise SettingsError(f"MODELOPS_SMTP_FROM is {sender!r}; expected the address that e-mails come from")
    user, password = environ.get("MODELOPS_SMTP_USER") or "", environ.get("MODELOPS_SMTP_PASSWORD") or ""
    if bool(user) != bool(password):
        raise SettingsError("only one of MODELOPS_SMTP_USER and MODELOPS_SMTP_PASSWORD is set; expected both or none")
    if user and security == "none":
        raise SettingsError("MODELOPS_SMTP_SECURITY is 'none', and the password must not be sent as clear text")
    return MailServer(host, port, security, sender, user, password)


def _webhook(environ: Mapping[str, str]) -> str:
    """The URL, which no message may show."""
    url = environ.get("MODELOPS_WEBHOOK_URL") or ""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # such as a port that is no number
        usable = False
    if url and (not usable or not url.isascii() or not url.isprintable() or " " in url):
        raise SettingsError("MODELOPS_WEBHOOK_URL cannot be used; expected http(s)://host/path without a user")
    return url
