"""Load on one HTTP route: connections that each ask again as soon as they are answered.

Called as a process of its own with a ``Load`` as JSON on its input; answers with a ``Found`` as JSON. It knows just
enough of HTTP to be cheap: on two cores it must not take from the server what is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import uvloop

from include.settings import HOST, PROJECT

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
OVERDUE_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """What is asked: ``bodies``, one after the other and over again, each as JSON."""

    port: int
    path: str
    headers: Mapping[str, str]
    bodies: Sequence[str]
    connections: int
    seconds: float

    def requests(self) -> Iterator[bytes]:
        lines = [f"POST {self.path} HTTP/1.1", f"Host: {HOST}:{self.port}", "Content-Type: application/json"]
        head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in self.headers.items())])
        made = [f"{head}\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode() for body in self.bodies]
        return itertools.cycle(made)


@dataclass(frozen=True)
class Found:
    """How many answers came in a second, and within how many milliseconds half of them and 99 % of them."""

    per_second: float
    p50: float
    p99: float


def put(load: Load) -> Found:
    """Put ``load`` on a server, from a process of its own; ``RuntimeError`` with the answer if one is not 200."""
    client = subprocess.run(
        [sys.executable, "-m", "tests.bench.load"],
        input=json.dumps(asdict(load)),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=load.seconds + 2 * OVERDUE_SECONDS,
    )
    if client.returncode:
        raise RuntimeError(f"{load.path} on port {load.port}: {client.stderr[-2000:]}")
    return Found(**json.loads(client.stdout))


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], until: float, took: list[float], ended: asyncio.Future[None]) -> None:
        self._requests, self._until, self._took, self.ended = requests, until, took, ended
        self._answer, self._asked = b"", 0.0

    def connection_made(self, transport: asyncio.WriteTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, _, body = self._answer.partition(b"\r\n\r\n")
        length = LENGTH.search(head + b"\r\n")
        if length is None or len(body) < int(length[1]):
            return
        now = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 200 "):
            self._end(RuntimeError(self._answer.decode(errors="replace")))
            return
        self._took.append((now - self._asked) * 1000)
        self._answer = b""
        if now < self._until:
            self._ask()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("the server ended the connection"))

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(next(self._requests))

    def _end(self, problem: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(problem) if problem else self.ended.set_result(None)
            self._transport.close()


async def _run(load: Load) -> Found:
    loop, requests = asyncio.get_running_loop(), load.requests()
    took: list[float] = []
    began = time.perf_counter()
    ends = [loop.create_future() for _ in range(load.connections)]
    connect = partial(_Connection, requests, began + load.seconds, took)
    for end in ends:
        await loop.create_connection(partial(connect, end), HOST, load.port)
    async with asyncio.timeout(load.seconds + OVERDUE_SECONDS):
        await asyncio.gather(*ends)
    seconds = time.perf_counter() - began
    p50, p99 = np.percentile(took, [50, 99]).tolist()
    return Found(len(took) / seconds, p50, p99)


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_run(Load(**json.load(sys.stdin)))))))
