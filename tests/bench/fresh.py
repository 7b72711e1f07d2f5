"""A fresh machine: a clone of the commit with nothing beside it, ``make run`` to a champion, and ``make run`` again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from include.settings import PROJECT
from include.stack.environment import FOREIGN
from tests.bench import data
from tests.bench.figures import Values
from tests.ports import own_ports


def fresh_machine(folder: Path, say: Callable[[str], None]) -> Values:
    """Seconds of the first ``make run`` on Telco's rows, with its installation, and of the second one."""
    source = data.telco(folder)
    clone = folder / "clone"
    environment = {key: value for key, value in os.environ.items() if not key.startswith((*FOREIGN, "MODELOPS_"))} | {
        "PIP_NO_CACHE_DIR": "1",
        "UV_CACHE_DIR": str(folder / "cache"),
        "MODELOPS_HOME": str(folder / "fresh"),
        **own_ports(),
    }
    _seconds(["git", "clone", "--quiet", str(PROJECT), str(clone)], PROJECT, environment)
    make = ["make", "--no-print-directory", f"PYTHON={sys._base_executable}"]  # type: ignore[attr-defined]
    try:
        fresh = _seconds([*make, "run", f"SOURCE={source}"], clone, environment)
        first = _last_outcome(clone, environment)
        again = _seconds([*make, "run", f"SOURCE={source}"], clone, environment)
        second = _last_outcome(clone, environment)
    finally:
        _seconds([*make, "down"], clone, environment)
    say(f"fresh machine: {fresh:.1f} s, {first}; again: {again:.1f} s, {second}")
    if (first, second) != ("PROMOTED", "UNCHANGED"):
        raise RuntimeError(f"the two runs ended {first} and {second}, not PROMOTED and UNCHANGED")
    return {"loop.fresh_s": [fresh], "loop.again_s": [again]}


def _last_outcome(clone: Path, environment: Mapping[str, str]) -> str:
    command = [str(clone / ".venv" / "bin" / "python"), "-m", "include", "status", "--json"]
    answer = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=True)
    return str(json.loads(answer.stdout)["use_cases"]["churn"]["last_run"]["outcome"])


def _seconds(command: list[str], folder: Path, environment: Mapping[str, str]) -> float:
    """Run the command to its end and say how long it took; ``RuntimeError`` with the end of its output if it fails."""
    began = time.monotonic()
    result = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with {result.returncode}:\n{result.stdout[-3000:]}")
    return time.monotonic() - began
