"""Tasks start with the project's modules as they are in the scheduler, unless one of them was edited since."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import PROJECT

SCHEDULER = """
import os, pathlib, sys
sys.path[:0] = ["plugins", "."]
import airflow_local_settings as preloading
preloading._preload(preloading._steps())
import include.steps.first, include.steps.second
loaded = include.steps.second
def task():
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            from include.steps import first, second
            print(first.VALUE, second.VALUE, second is loaded, flush=True)
        except BaseException as error:
            print(type(error).__name__, flush=True)
        os._exit(0)
    os.wait()
task()
edit = pathlib.Path(sys.argv[1])
exec(sys.argv[2])
task()
print(include.steps.second is loaded)
"""


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """The folder of steps of a small project."""
    steps = tmp_path / "include" / "steps"
    steps.mkdir(parents=True)
    for path in (steps.parent, steps):
        (path / "__init__.py").touch()
    (steps / "first.py").write_text("VALUE = 1")
    (steps / "second.py").write_text("VALUE = 2")
    shutil.copytree(PROJECT / "plugins", tmp_path / "plugins")
    return steps


def schedule(steps: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=steps.parents[1], capture_output=True, text=True, timeout=60, check=True)


@pytest.mark.parametrize(
    ("edit", "seen"),
    [
        pytest.param("pass", "1 2 True", id="nothing"),
        pytest.param("edit.write_text('VALUE = 30')", "30 2 False", id="an edit"),
        pytest.param("edit.write_text('VALUE = ')", "SyntaxError", id="a mistake"),
        pytest.param("edit.unlink()", "ImportError", id="a module that is gone"),
        pytest.param("edit.with_name('third.py').write_text('VALUE = 3')", "1 2 True", id="a new module"),
    ],
)
def test_an_edit_is_seen_by_the_next_task(steps: Path, edit: str, seen: str) -> None:
    done = schedule(steps, SCHEDULER, str(steps / "first.py"), edit)
    assert done.stdout.splitlines() == ["1 2 True", seen, "True"]
    assert "Preloaded 3 modules with what they import" in done.stderr


def test_an_edit_while_the_modules_are_loaded_is_seen_as_well(steps: Path) -> None:
    """The last module to be loaded stands for a person with an editor."""
    edit = "import pathlib; pathlib.Path(__file__).with_name('first.py').write_text('VALUE = 30')"
    (steps / "third.py").write_text(edit)
    done = schedule(steps, SCHEDULER, str(steps / "first.py"), "pass")
    assert done.stdout.splitlines()[0] == "30 2 False"


def test_a_module_that_cannot_be_imported_is_left_to_the_task_that_needs_it(steps: Path) -> None:
    (steps / "broken.py").write_text("1 / 0")
    done = schedule(steps, SCHEDULER.partition("import include")[0])
    assert "Cannot preload include.steps.broken: division by zero" in done.stderr
