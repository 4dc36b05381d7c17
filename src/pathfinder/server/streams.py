"""Terminals and logs: two connections that never see each other, joined here.

Who asks gets a stream with a random id; the node that runs the container is told the id with its
exchange and opens a WebSocket under it. Frames pass unchanged in both directions, a few at a time:
a side that does not read makes the other wait. Either end's close closes both.
"""

import asyncio
import secrets
from collections import deque
from typing import Any, Final

from pathfinder.api.port import Frame
from pathfinder.model.errors import NodeSilent, NotFound, TooBusy
from pathfinder.server.exchanges import Exchanges
from pathfinder.wire.messages import StreamRequest

STREAMS_MAX: Final = 512
FRAMES_MAX: Final = 4  # under way in one direction
NODE_COMES_S_MAX: Final = 10.0


class Lane:
    """One direction: one who puts, one who takes."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._changed = asyncio.Event()
        self.is_closed = False

    async def put(self, frame: Frame) -> bool:
        """Wait for room; False when nobody takes any more."""
        while len(self._frames) >= FRAMES_MAX and not self.is_closed:
            self._changed.clear()
            await self._changed.wait()
        if self.is_closed:
            return False
        self._frames.append(frame)
        self._changed.set()
        return True

    async def take(self) -> Frame | None:
        """Wait for a frame; None when the lane is closed and empty."""
        while not self._frames and not self.is_closed:
            self._changed.clear()
            await self._changed.wait()
        if not self._frames:
            return None
        self._changed.set()
        return self._frames.popleft()

    def close(self) -> None:
        """What is under way can still be taken; nothing more can be put."""
        self.is_closed = True
        self._changed.set()


class End:
    """One end of a stream: an `api.port.Pipe`."""

    def __init__(self, outgoing: Lane, incoming: Lane) -> None:
        self._outgoing = outgoing
        self._incoming = incoming

    async def send(self, frame: Frame) -> bool:
        """As the port says."""
        return await self._outgoing.put(frame)

    async def receive(self) -> Frame | None:
        """As the port says."""
        return await self._incoming.take()

    @property
    def is_closed(self) -> bool:
        """Whether either end has closed."""
        return self._outgoing.is_closed

    def close(self) -> None:
        """As the port says."""
        self._outgoing.close()
        self._incoming.close()


class _Waiting:
    """A stream that its node has not joined yet."""

    def __init__(self, node_key: str) -> None:
        self.node_key = node_key
        there, back = Lane(), Lane()
        self.asker = End(there, back)
        self.node = End(back, there)
        self.joined = asyncio.Event()


class Streams:
    """All streams: those that wait for their node, and how many are open."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges
        self._waiting: dict[str, _Waiting] = {}
        self._open: set[End] = set()

    async def open(self, node_key: str, slot: str, what: str, arguments: dict[str, Any]) -> End:
        """The asker's end of a stream that the node has joined; NodeSilent, TooBusy."""
        self._open = {end for end in self._open if not end.is_closed}
        if len(self._waiting) + len(self._open) >= STREAMS_MAX:
            raise TooBusy(f"{STREAMS_MAX} terminals and logs are open already")
        stream_id = secrets.token_hex(16)
        waiting = self._waiting[stream_id] = _Waiting(node_key)
        try:
            self._exchanges.ask_for_stream(
                node_key,
                StreamRequest(stream_id=stream_id, slot=slot, what=what, arguments=arguments),
            )
            await asyncio.wait_for(waiting.joined.wait(), NODE_COMES_S_MAX)
        except TimeoutError:
            name = node_key.partition("/")[2]
            raise NodeSilent(
                f"node {name} has not opened the stream within {NODE_COMES_S_MAX:.0f} s",
                hint=f"is it up? pfi get node {name}",
            ) from None
        finally:
            del self._waiting[stream_id]
            self._exchanges.drop_stream(node_key, stream_id)
        self._open.add(waiting.asker)
        return waiting.asker

    def join(self, node_key: str, stream_id: str) -> End:
        """The node's end, once, and only for the node that was asked; NotFound."""
        waiting = self._waiting.get(stream_id)
        if waiting is None or waiting.node_key != node_key or waiting.joined.is_set():
            raise NotFound("nobody waits for this stream")
        waiting.joined.set()
        return waiting.node

    def end(self) -> None:
        """The server stops: close all of them."""
        for end in self._open:
            end.close()
