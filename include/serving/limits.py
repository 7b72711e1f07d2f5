"""What a caller may do to the process: pure ASGI, one layer a subject, so that a request costs microseconds of it.

Who calls is asked before a byte of the body is read, and a body is read no further than it may be long.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.serving.keys import Bucket
from include.serving.problems import Problem

if TYPE_CHECKING:
    from include.serving.service import Service

log = logging.getLogger(__name__)

OPEN = frozenset({"/health", "/ready", "/ping", "/version", "/openapi.json"})
"""What needs no key: who probes a process, or asks how to call it, learns nothing of rows or traffic."""
SCOPES = {"/v1/feedback": "feedback", "/metrics": "admin"}
"""What needs another scope than ``predict``."""
BODY_SECONDS = 5.0
MOST_AT_ONCE = 200
"""Requests under way: as many bodies are held in memory at most."""


class Limits:
    """Around the routes of one use case: who calls, how often, how much, how long; what it ends in is counted."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        self._buckets: dict[str, Bucket] = {}
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.perf_counter()
        scope["modelops.began"] = began
        answer = _Answer(send)
        self._under_way += 1
        try:
            await self._admitted(scope, receive, answer.send)
        except Problem as problem:
            await self._refuse(problem, scope, receive, answer)
        except Exception:  # a mistake of ours: the caller is told so, and the log has where
            log.exception("%s %s", scope["method"], scope["path"])
            await self._refuse(Problem("FAULT", "the log says where"), scope, receive, answer)
        finally:
            self._under_way -= 1
            self._service.count(route_of(scope), answer.status, time.perf_counter() - began)
        return None

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path(scope)
        rules = self._service.spec.serving
        if path not in OPEN:
            self._admit(dict(scope["headers"]), path)
            if self._under_way > MOST_AT_ONCE:
                raise Problem(
                    "BUSY", f"{MOST_AT_ONCE} requests are under way; try again soon", headers={"Retry-After": "1"}
                )
        receive = _Body(scope, receive, rules.maximum_bytes).receive
        try:
            async with asyncio.timeout(rules.answer_seconds):
                await self._app(scope, receive, send)
        except TimeoutError as error:
            raise Problem("OVERDUE", f"no answer within {rules.answer_seconds:g} s; send fewer rows") from error

    def _admit(self, headers: Mapping[bytes, bytes], path: str) -> None:
        caller = self._service.keys.caller(headers, SCOPES.get(path, "predict"))
        rate = self._service.spec.serving.requests_per_second
        bucket = self._buckets.get(caller.id)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[caller.id] = Bucket(rate)
        if wait := bucket.take(time.monotonic()):
            detail = f"key {caller.id} may be used {rate:g} times a second; wait {wait:.3g} s"
            raise Problem("TOO_OFTEN", detail, headers={"Retry-After": str(math.ceil(wait))})

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if answer.status:  # an answer that has begun cannot become another one: the server ends the connection
            raise problem
        self._service.refused(problem)
        await problem.response()(scope, receive, answer.send)


class _Answer:
    """Sends, and keeps the status."""

    def __init__(self, send: Send) -> None:
        self._send, self.status = send, 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


class _Body:
    """The body of a request, of ``most`` bytes, which has to be here within ``BODY_SECONDS``."""

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self._receive, self._most, self._read = receive, most, 0
        self._until = time.monotonic() + BODY_SECONDS
        self._is_complete = False
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > most:
            raise self._too_large(int(stated))

    async def receive(self) -> Message:
        if self._is_complete:
            return await self._receive()
        try:
            async with asyncio.timeout(max(self._until - time.monotonic(), 0)):
                message = await self._receive()
        except TimeoutError as error:
            detail = f"the body was not here within {BODY_SECONDS:g} s"
            raise Problem("TOO_SLOW", detail, headers={"Connection": "close"}) from error
        self._read += len(message.get("body", b""))
        if self._read > self._most:
            raise self._too_large(self._read)
        self._is_complete = not message.get("more_body", False)
        return message

    def _too_large(self, found: int) -> Problem:
        detail = f"{found:,} bytes or more, at most {self._most:,} are read; send fewer rows at a time"
        return Problem("TOO_MANY_BYTES", detail, headers={"Connection": "close"})


def _path(scope: Scope) -> str:
    """The path below the use case's own prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def route_of(scope: Scope) -> str:
    """The path of the route that took the request, never what a caller wrote into it."""
    return getattr(scope.get("route"), "path", "") or "none"
