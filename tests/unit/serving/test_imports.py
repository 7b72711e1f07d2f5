"""What a process of the scoring API holds in memory: each worker is one, and starts when a machine is in need."""

from __future__ import annotations

import subprocess
import sys

from include.settings import PROJECT

UNUSED = {"airflow", "evidently", "fairlearn", "great_expectations", "matplotlib", "optuna"}


def test_the_api_loads_no_library_that_it_does_not_use() -> None:
    loaded = "import include.serving.app, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=PROJECT, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "fastapi" in modules
    assert not modules & UNUSED
