"""Requests that write take turns; those that read, or have not arrived yet, hold up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from include.stack.one_writer import Message, OneWriter, Receive, Send


class Server:
    """Answers after a while with what it was sent, and counts how many requests it has at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        self.bodies.append(body + message["body"])
        await asyncio.sleep(0.01)
        self.now -= 1


def request(method: str, parts: list[bytes], wait: Callable[[], asyncio.Future[None]] | None = None) -> tuple:
    left = list(parts)

    async def receive() -> Message:
        if wait is not None:
            await wait()
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(_: Message) -> None: ...

    return {"type": "http", "method": method}, receive, send


def test_writers_come_one_after_the_other_with_their_whole_bodies() -> None:
    server = Server()

    async def crowd() -> None:
        app = OneWriter(server)
        await asyncio.gather(*(app(*request("POST", [b"a", b"b", str(n).encode()])) for n in range(5)))

    asyncio.run(crowd())
    assert server.most == 1
    assert sorted(server.bodies) == [f"ab{n}".encode() for n in range(5)]


def test_readers_wait_for_nobody() -> None:
    server = Server()

    async def crowd() -> None:
        app = OneWriter(server)
        await asyncio.gather(*(app(*request(method, [b""])) for method in ("POST", "GET", "HEAD")))

    asyncio.run(crowd())
    assert server.most == 3


def test_a_body_that_does_not_arrive_holds_up_nobody() -> None:
    server = Server()

    async def crowd() -> None:
        app = OneWriter(server)
        slow = asyncio.create_task(app(*request("POST", [b"late"], asyncio.get_running_loop().create_future)))
        await asyncio.sleep(0)
        await asyncio.wait_for(app(*request("PATCH", [b"soon"])), 5)
        slow.cancel()

    asyncio.run(crowd())
    assert server.bodies == [b"soon"]
