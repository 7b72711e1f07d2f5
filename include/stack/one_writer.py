"""Requests that write, one at a time: for Airflow's API server on SQLite.

The server writes who did what within its event loop. If another request holds SQLite's only write lock then, and goes
on as soon as the event loop does, both wait for each other until one gives up, and every other process with them.
SQLite lets them write one after the other anyway; so does this, before they begin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
READS = {"GET", "HEAD", "OPTIONS"}


class OneWriter:
    """ASGI middleware; a request takes its turn once it has arrived whole, so that a slow caller holds up nobody."""

    def __init__(self, app: App) -> None:
        self._app, self._turn = app, asyncio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READS:
            await self._app(scope, receive, send)
            return
        arrived = [await receive()]
        while arrived[-1].get("more_body"):
            arrived.append(await receive())

        async def again() -> Message:
            return arrived.pop(0) if arrived else await receive()

        async with self._turn:
            await self._app(scope, again, send)
