"""Where things are: environment variables become one frozen ``Settings``.

Every variable starts with ``MODELOPS_``; ``.env.example`` lists them. Beside the failpoints of the tests, nothing else
in ``include/`` reads the environment, so a test or a second stack on the same machine only needs another environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"


class SettingsError(ValueError):
    """A ``MODELOPS_`` variable holds something that cannot be used; the message names it."""


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
    airflow_port: int
    mlflow_port: int
    api_url: str
    """Where the commands find the scoring API, which in containers is not where it listens."""
    api_port: int = 8000
    api_host: str = HOST
    """Where the scoring API listens; in a container that is not loopback."""
    api_use_case: str = "churn"
    """Which use case the scoring API serves at its root, beside each one below its name."""
    data_docs: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read ``environ``; raise ``SettingsError`` naming the variable that is wrong."""
        home = Path(environ.get("MODELOPS_HOME") or PROJECT / ".modelops").expanduser().resolve()
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
            airflow_port=_port(environ, "MODELOPS_AIRFLOW_PORT", 8080),
            mlflow_port=mlflow_port,
            api_url=environ.get("MODELOPS_API_URL") or f"http://{HOST}:{api_port}",
            api_port=api_port,
            api_host=environ.get("MODELOPS_API_HOST") or HOST,
            api_use_case=environ.get("MODELOPS_API_USE_CASE") or "churn",
            data_docs=environ.get("MODELOPS_DATA_DOCS", "0") not in ("", "0"),
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
