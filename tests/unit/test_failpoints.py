"""Failpoints: nothing without the variable, and exactly what is asked for with it."""

from __future__ import annotations

import errno
import multiprocessing
import re
import signal
import timeit
from pathlib import Path

import pytest

from include import failpoints
from include.failpoints import InjectedFault, reach
from include.settings import PROJECT


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path))
    return lambda text: monkeypatch.setenv(failpoints.VARIABLE, text)


def test_without_the_variable_a_point_costs_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)
    assert min(timeit.repeat(lambda: reach("ingest.land.start"), number=1000, repeat=5)) < 0.01  # 10 µs each


@pytest.mark.parametrize(
    ("armed", "raised"),
    [
        ("other.point=raise", None),
        ("here.it.is=raise", InjectedFault),
        ("other=kill; here.it.is=raise ;", InjectedFault),
        ("here.it.is=ENOSPC", OSError),
        ("here.it.is=sleep0", None),
        ("here.it=raise", None),
    ],
)
def test_only_the_named_point_fails(armed: str, raised: type[Exception] | None, arm):
    arm(armed)
    if raised is None:
        reach("here.it.is")
    else:
        with pytest.raises(raised):
            reach("here.it.is")


def test_an_os_error_is_the_one_that_was_named(arm):
    arm("here=EIO")
    with pytest.raises(OSError, match="Input/output error") as raised:
        reach("here")
    assert raised.value.errno == errno.EIO


def test_a_count_is_kept_over_all_processes(arm):
    arm("here=kill:2")
    ends = []
    for _ in range(3):
        process = multiprocessing.get_context("fork").Process(target=reach, args=["here"])
        process.start()
        process.join()
        ends.append(process.exitcode)
    assert ends == [-signal.SIGKILL, -signal.SIGKILL, 0]


def test_a_file_may_hold_what_is_armed(arm, tmp_path: Path):
    points = tmp_path / "points"
    points.write_text("here=raise\n")
    arm(f"@{points}")
    with pytest.raises(InjectedFault):
        reach("here")
    points.write_text("")
    reach("here")


@pytest.mark.parametrize("armed", ["here", "here=explode", "here=kill:often", "here=E"])
def test_what_cannot_be_read_is_said(armed: str, arm):
    arm(armed)
    with pytest.raises(ValueError, match="point=action:times"):
        reach("here")


def test_every_fixed_point_is_documented_and_every_documented_one_exists():
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT / "include").rglob("*.py")]
    reached = {point for source in sources for point in re.findall(r'reach\("([\w.]+)"\)', source)}
    assert reached
    assert reached == set(re.findall(r"``(\w+\.\w+)``", failpoints.__doc__ or ""))
