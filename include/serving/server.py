"""The web server: uvicorn with one worker, and a protocol that cuts off who takes too long to ask."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from include.serving.app import make_app
from include.settings import Settings

RECEIVE_SECONDS = 15.0
"""From the first byte of a request to its last, from a connection to its first request, and until a caller who does not
read its answers goes on to."""
KEEP_ALIVE_SECONDS = 60
STOP_SECONDS = 6
"""What requests under way have left when the process is asked to end; its supervisor gives it ten."""
MOST_CONNECTIONS = 1000
MOST_HEADER_BYTES = 32_768


class Guarded(HttpToolsProtocol):
    """Ends a connection whose request is not complete in time, or whose headers are endless; uvicorn waits for ever."""

    _cut: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._received()
        super().connection_lost(exc)  # which resumes writing, too

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(RECEIVE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._expect()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_message_complete(self) -> None:
        self._received()
        super().on_message_complete()

    def _expect(self) -> None:
        self._received()
        self._cut = self.loop.call_later(RECEIVE_SECONDS, self.transport.abort)

    def _received(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            self.transport.abort()


def server(settings: Settings) -> uvicorn.Server:
    """The server, not yet listening."""
    return uvicorn.Server(
        uvicorn.Config(
            make_app(settings),
            host=settings.api_host,
            port=settings.api_port,
            loop="uvloop",
            http=Guarded,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )
