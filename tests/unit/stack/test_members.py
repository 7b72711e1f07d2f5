from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from include.settings import Settings
from include.stack.home import stack_id
from include.stack.members import end, is_alive, members

# Starts a child with an empty environment in a session of its own, ignores requests to end, and says when it is set.
STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "300"], env={}, start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(300)
"""


def test_a_process_without_our_mark_is_not_a_member(settings: Settings) -> None:
    environ = os.environ | {"MODELOPS_STACK_ID": "another stack"}
    with subprocess.Popen(["sleep", "300"], env=environ) as other:
        assert members(settings) == set()
        assert end(settings) == set()
        assert other.poll() is None
        other.kill()


def test_all_of_a_stack_end_even_those_that_would_not(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.stack.members.TERM_SECONDS", 0.3)
    note = tmp_path / "child"
    environ = os.environ | {"MODELOPS_STACK_ID": stack_id(settings)}
    with subprocess.Popen([sys.executable, "-c", STUBBORN, note], env=environ, start_new_session=True) as parent:
        while not (note.is_file() and note.read_text()):
            time.sleep(0.02)
        child = psutil.Process(int(note.read_text()))
        assert {p.pid for p in members(settings)} == {parent.pid, child.pid}
        assert end(settings) == set()
        assert members(settings) == set()
        assert not is_alive(child)


def test_the_caller_is_never_a_member(settings: Settings, tmp_path: Path) -> None:
    code = (
        "from include.settings import Settings; from include.stack.members import members;"
        "import sys; sys.exit(bool(members(Settings.from_environment())))"
    )
    environ = os.environ | {
        "MODELOPS_STACK_ID": stack_id(settings),
        "MODELOPS_HOME": str(settings.home),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    shell = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, code]
    assert subprocess.run(shell, env=environ, check=False).returncode == 0
