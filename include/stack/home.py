"""The folder with all state of one stack (``MODELOPS_HOME``): who owns it, its lock, its first start."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from include.settings import Settings
from include.stack import StackError

MARKER = ".modelops-home"
FIRST_START = "first_start"
# sun_path holds 108 bytes with its final NUL on Linux and 104 on macOS; supervisord binds "<socket>.<pid>" first.
SOCKET_PATH_LIMIT = 90


def stack_id(settings: Settings) -> str:
    """Name the stack by its home, so that its processes are found again even when the home was removed."""
    return hashlib.sha256(str(settings.home).encode()).hexdigest()[:16]


def prepare_home(settings: Settings) -> None:
    """Make the home and mark it as ours; refuse a folder that holds somebody else's files."""
    home = settings.home
    if home.exists() and not home.is_dir():
        raise StackError(f"MODELOPS_HOME is {home}, which is not a folder.")
    if home.is_dir() and not is_ours(home) and any(home.iterdir()):
        raise StackError(f"MODELOPS_HOME is {home}, which holds files of others. Name a new or an empty folder.")
    # Private: it holds customer data and the secrets.
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "logs").mkdir(exist_ok=True)
    (home / MARKER).write_text("The state of one ModelOps stack; `make clean` removes this folder.\n")
    first_start(settings)


def remove_home(settings: Settings) -> bool:
    """Remove the home. Returns ``False`` if there is none; raises ``StackError`` for a folder without our marker."""
    if not settings.home.exists():
        return False
    if not is_ours(settings.home):
        raise StackError(f"{settings.home} was not made by this project, so it is left alone.")
    shutil.rmtree(settings.home)
    shutil.rmtree(socket_path(settings).parent, ignore_errors=True)
    return True


def is_ours(home: Path) -> bool:
    """Tell whether ``home`` carries our marker file."""
    return (home / MARKER).is_file()


def first_start(settings: Settings) -> str:
    """Return when this home was first started (ISO, UTC), writing it down the first time."""
    return once(settings.home / FIRST_START, datetime.now(UTC).isoformat(timespec="seconds"))


def schedule_start(settings: Settings) -> datetime:
    """Return the ``start_date`` of the DAGs: the first start, so that no schedule runs a tick of the time before it.

    Only reads, since DAG files are parsed all the time: a fixed day for a home that was never started.
    """
    file = settings.home / FIRST_START
    return datetime.fromisoformat(file.read_text().strip()) if file.is_file() else datetime(2026, 1, 1, tzinfo=UTC)


def once(path: Path, fresh: str) -> str:
    """Return what is in ``path`` or, the first time, put ``fresh`` there, readable by the owner only.

    It is linked into place whole: of several callers at a time the first one wins, and nobody reads half of it.
    """
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft, contextlib.suppress(FileExistsError):
            draft.write(fresh)
            draft.flush()
            os.link(draft.name, path)
    return path.read_text().strip()


def socket_path(settings: Settings) -> Path:
    """Say where the supervisor listens: below home or, where that is too long, in a private temporary folder."""
    below_home = settings.home / "supervisor" / "control.sock"
    if len(str(below_home).encode()) <= SOCKET_PATH_LIMIT:
        return below_home
    return Path(tempfile.gettempdir()) / f"modelops-{stack_id(settings)}" / "control.sock"


@contextlib.contextmanager
def exclusive(settings: Settings, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of this home; a second caller is told so, and waits."""
    with (settings.home / "stack.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait("Another command is starting or stopping this stack; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
