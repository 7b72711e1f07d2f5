"""The folder of the DAG files, which tells Airflow's DAG processor when something is edited that they are made of.

A DAG file is wiring: its DAGs follow from the specs. Airflow looks for edits of the DAG files alone, so that it would
have to parse all of them every few seconds, a tenth of a core, for the edit of a spec to be seen soon.
"""

import time
from contextlib import suppress
from pathlib import Path

from airflow.dag_processing.bundles.local import LocalDagBundle
from airflow.models.dagbag import DagPriorityParsingRequest
from airflow.utils.file import list_py_file_paths
from airflow.utils.session import create_session
from sqlalchemy import delete

from include.settings import PROJECT, Settings

AWAY_SECONDS = 60.0
"""After a machine has slept for so long, Airflow may take a DAG for one that is gone, until it is parsed again."""


class DagFolder(LocalDagBundle):
    """The DAG processor calls ``refresh`` every few seconds (``[dag_processor] refresh_interval``)."""

    _seen: dict[Path, tuple[int, int]] | None = None
    _looked_at = 0.0

    def refresh(self) -> None:
        """Ask for all DAG files to be parsed if an edit was made since the last time, or that is long ago."""
        found, now = self._versions(), time.time()
        if self._seen is not None and (found != self._seen or now - self._looked_at > AWAY_SECONDS):
            self._ask()
        self._seen, self._looked_at = found, now

    def _versions(self) -> dict[Path, tuple[int, int]]:
        """When each file was changed and its size: the modules of the project, the DAG files, all of a use case."""
        folders = [(PROJECT / "include", "*.py"), (self.path, "*.py")]
        folders += [(folder, "*") for folder in Settings.from_environment().use_case_folders]
        found = {}
        for path in (path for folder, pattern in folders for path in folder.rglob(pattern)):
            with suppress(OSError):  # it has just been removed, or is not ours to read
                if path.is_file() and path.parent.name != "__pycache__":
                    stat = path.stat()
                    found[path] = stat.st_mtime_ns, stat.st_size
        return found

    def _ask(self) -> None:
        paths = [str(Path(path).relative_to(self.path)) for path in list_py_file_paths(self.path)]
        with create_session() as session:
            session.execute(delete(DagPriorityParsingRequest).where(DagPriorityParsingRequest.bundle_name == self.name))
            session.add_all(DagPriorityParsingRequest(self.name, path) for path in paths)
