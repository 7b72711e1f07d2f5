"""A proxy between us and MLflow that does to chosen calls what networks and servers do."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self

HOST = "127.0.0.1"
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(frozen=True)
class Call:
    """The ``number``-th call through the proxy, from 0 on."""

    number: int
    method: str
    path: str

    @property
    def uploads(self) -> bool:
        return self.method == "PUT" and "/mlflow-artifacts/" in self.path

    def __str__(self) -> str:
        return f"call {self.number}, {self.method} {self.path.split('?')[0]}"


@dataclass(frozen=True)
class Fault:
    """What happens to a call.

    ``refuse``: it is answered with ``status`` and never arrives. ``lose``: it arrives and is carried out, its answer is
    lost. ``cut``: the connection breaks after ``at`` bytes of its body. ``shorten``: only ``at`` bytes of the body
    arrive, and all seems well. ``hang``: nothing happens for ``seconds``, then the connection ends.
    """

    kind: Literal["refuse", "lose", "cut", "shorten", "hang"]
    status: int = 503
    at: int = 0
    seconds: float = 0.0


Plan = Callable[[Call], Fault | None]


def on_call(number: int, fault: Fault) -> Plan:
    """Only the call of this number fails."""
    return lambda call: fault if call.number == number else None


class Proxy:
    """Listens on ``port`` while it is entered; ``calls`` are those that came, ``plan`` may be changed at any time."""

    def __init__(self, upstream: int, plan: Plan = lambda _: None) -> None:
        self.upstream, self.plan = upstream, plan
        self.calls: list[Call] = []
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:  # the client hung up on us, which is its right
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

            def _forward(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - names that http.server calls

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            call = Call(len(self.calls), handler.command, handler.path)
            self.calls.append(call)
        fault = self.plan(call)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if fault is None:
            _answer(handler, *self._ask(handler, body))
        elif fault.kind == "refuse":
            _answer(handler, fault.status, [("Content-Type", "text/plain")], b"not now")
        elif fault.kind == "shorten":
            _answer(handler, *self._ask(handler, body[: fault.at]))
        else:
            if fault.kind == "lose":
                self._ask(handler, body)
            elif fault.kind == "cut":
                self._break_off(handler, body, fault.at)
            else:
                time.sleep(fault.seconds)
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)

    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(HOST, self.upstream, timeout=60)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP_BY_HOP}
        try:
            connection.request(handler.command, handler.path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _break_off(self, handler: BaseHTTPRequestHandler, body: bytes, at: int) -> None:
        connection = http.client.HTTPConnection(HOST, self.upstream, timeout=60)
        connection.putrequest(handler.command, handler.path)
        for name, value in handler.headers.items():
            if name.lower() not in HOP_BY_HOP | {"host", "accept-encoding"}:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:at])
        connection.close()


def _answer(handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    handler.send_response(status)
    for name, value in headers:
        if name.lower() not in HOP_BY_HOP | {"server", "date"}:
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
