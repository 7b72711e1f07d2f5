"""Runs steps in processes of their own, which can be killed: one interpreter imports everything once and forks itself.

So does the scheduler with its tasks. A request is a line of JSON on stdin, as is the answer on stdout; what a child
returns or raises is in a file. ``Zygote`` is the side of the tests, ``serve`` that of the interpreter.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from include.settings import PROJECT
from tests.faults import clocks, kernel

PRELOAD = (
    "include.steps.ingest",
    *(f"include.steps.retrain.{name}" for name in ("window", "training", "evaluation", "explanation", "judgement")),
    "include.steps.retrain.release",
    "include.steps.score",
    *(f"include.steps.monitor.{name}" for name in ("quality", "drift", "performance", "decision")),
    "include.monitoring.report",
)
SECONDS = 120.0


@dataclass(frozen=True)
class Ended:
    """How a process ended: killed by ``signal``, or with what it ``returned``, or with the error that it ``raised``."""

    signal: int | None = None
    returned: Any = None
    raised: str | None = None
    message: str = ""
    log: str = field(default="", repr=False)

    @property
    def killed(self) -> bool:
        return self.signal == signal.SIGKILL


@dataclass(frozen=True)
class Running:
    zygote: Zygote
    pid: int
    folder: Path

    def wait(self, seconds: float = SECONDS) -> Ended:
        """How it ended; it is killed when it has not within ``seconds``."""
        deadline = time.monotonic() + seconds
        while (status := self.zygote.ask(op="poll", pid=self.pid)) is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"not ended within {seconds} s:\n{self._log()}")
            time.sleep(0.005)
        if os.WIFSIGNALED(status):
            return Ended(signal=os.WTERMSIG(status), log=self._log())
        return Ended(**json.loads((self.folder / "result").read_text()), log=self._log())

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


class Zygote:
    """The interpreter that is forked; its children get the given environment on top of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        environ = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "ignore"}
        command, pipe = [sys.executable, "-m", __name__], subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environ, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # closes the pipes, at whose end it ends
            pass

    def start(self, call: str, *arguments: Any, environ: dict[str, str], **prepare: Any) -> Running:
        """Call ``module:function`` with JSON ``arguments`` in a new process; see ``_prepare`` for what may go wrong."""
        with self._lock:
            self._number += 1
            folder = self._folder / str(self._number)
        folder.mkdir(parents=True)
        wanted = {"call": call, "arguments": arguments, "environ": environ, "folder": str(folder), "prepare": prepare}
        return Running(self, self.ask(op="start", **wanted), folder)

    def run(self, call: str, *arguments: Any, environ: dict[str, str], **prepare: Any) -> Ended:
        return self.start(call, *arguments, environ=environ, **prepare).wait()

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


def serve() -> None:
    for name in PRELOAD:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        answer = _poll(request["pid"]) if request["op"] == "poll" else _start(request)
        print(json.dumps(answer), flush=True)


def _poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return status if ended else None


def _start(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        _child(request)
    finally:
        os._exit(0)


def _child(request: dict[str, Any]) -> None:
    folder = Path(request["folder"])
    log = os.open(folder / "log", os.O_CREAT | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(request["environ"])
    module, _, function = request["call"].partition(":")
    result: dict[str, Any]
    try:
        call = getattr(importlib.import_module(module), function)
        _prepare(**request["prepare"])
        result = {"returned": call(*request["arguments"])}
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test is told
        result = {"raised": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(result.pop("traceback", ""), flush=True)
    os.write(os.open(folder / "result", os.O_CREAT | os.O_WRONLY), json.dumps(result).encode())


def _prepare(
    largest_file: int | None = None,
    failing_calls: list[str] | None = None,
    clock: float = 0.0,
    patch: dict[str, Any] | None = None,
) -> None:
    """Let the disk be full for a file past ``largest_file`` bytes, system calls fail with EIO, the clock be wrong.

    ``patch`` sets constants, such as a patience that no test can wait for.
    """
    for place, value in (patch or {}).items():
        module, _, name = place.partition(":")
        setattr(importlib.import_module(module), name, value)
    if clock:
        clocks.shift(clock)
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))
    if failing_calls:
        kernel.fail(failing_calls)


if __name__ == "__main__":
    serve()
