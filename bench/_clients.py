"""Raw HTTP clients on asyncio: as little as possible between the clock and the server."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from pathfinder.wire.codec import encode
from pathfinder.wire.messages import Exchange, Session

STREAM_BYTES_MAX = 8 << 20


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect to a port of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=STREAM_BYTES_MAX))

    def send(self, request: bytes) -> None:
        """Begin a request."""
        self._writer.write(request)

    async def receive(self) -> bytes:
        """The body of the next answer, which must be a success."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head[9:11] == b"20", head
        fields = head.lower().split(b"\r\ncontent-length: ")
        return await self._reader.readexactly(int(fields[1].split(b"\r\n", 1)[0]))

    async def ask(self, request: bytes) -> bytes:
        """One request and its answer."""
        self.send(request)
        return await self.receive()

    def close(self) -> None:
        """Let go."""
        self._writer.close()


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """A request as bytes."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def per_second(port: int, requests: Sequence[bytes], *, clients: int) -> float:
    """How many of these requests are answered in a second, by so many clients at once."""
    waiting = iter(requests)

    async def work(connection: Connection) -> None:
        for each in waiting:
            await connection.ask(each)

    connections = [await Connection.open(port) for _ in range(clients)]
    began = time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in connections))
    took_s = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return len(requests) / took_s


class Node:
    """A joined node with two connections: what is sent on one answers what the other parked."""

    def __init__(self, token: str, connections: tuple[Connection, Connection]) -> None:
        self._token = token
        self._connections = connections
        self._session = Session(epoch=0, incarnation="", sequence=0)

    async def begin(self) -> None:
        """Take the server's session, and park one exchange."""
        reply = await self._connections[0].ask(self._next())
        session: dict[str, Any] = json.loads(reply)["session"]
        self._session = Session(**session)
        await self._connections[0].ask(self._next())
        self._connections[0].send(self._next())

    async def exchange(self, times: int) -> None:
        """So many exchanges, each of which answers the one before."""
        for number in range(times):
            older = self._connections[number % 2]
            self._connections[(number + 1) % 2].send(self._next())
            await older.receive()
        if times % 2:
            self._connections = (self._connections[1], self._connections[0])

    def close(self) -> None:
        """Let go."""
        for connection in self._connections:
            connection.close()

    def _next(self) -> bytes:
        session = self._session
        self._session = Session(
            epoch=session.epoch, incarnation=session.incarnation, sequence=session.sequence + 1
        )
        asked = Exchange(session=self._session, sent_ms=0, seen=1 << 40, complete=True)
        return request("POST", "/api/v3/node/exchange", self._token, encode(asked))


def median_of(measure: Callable[[], float], runs: int) -> float:
    """The median of several measurements."""
    return sorted(measure() for _ in range(runs))[runs // 2]
