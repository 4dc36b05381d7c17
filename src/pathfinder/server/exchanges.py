"""Parked exchanges: each node's conversation waits here until there is something to say to it."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pathfinder.control.state import Change
from pathfinder.model.errors import StoreFull, TooBusy
from pathfinder.server.leader import Leader
from pathfinder.wire.messages import HEARTBEAT_MS, Exchange, Reply, StreamRequest

STREAMS_WAITING_MAX: Final = 32  # per node


@dataclass(slots=True)
class _Parked:
    """One exchange that waits, and the timer that ends its waiting."""

    node_key: str
    exchange: Exchange
    answer: asyncio.Future[Reply]
    timer: asyncio.TimerHandle


class Exchanges:
    """At most one parked exchange for each node; a newer one of the same node answers the older."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader
        self._parked: dict[str, _Parked] = {}
        self._untried: set[str] = set()
        self._streams: dict[str, deque[StreamRequest]] = {}
        self._was_recovering = True
        self._is_open = True

    async def take(self, node_key: str, exchange: Exchange) -> Reply:
        """The reply to an exchange: at once when there is news, else by the heartbeat.

        It renews the node's lease, so only one who leads may give it: NotLeading, TooBusy.
        """
        came_ms = self._leader.now_ms()
        reply = await self._reply(node_key, exchange)
        if reply.lease_ms:
            await self._leader.confirm_since(came_ms)
        return reply

    async def _reply(self, node_key: str, exchange: Exchange) -> Reply:
        heard = await self._leader.hear(node_key, exchange)
        if heard.reply is not None:
            if heard.change is not None:
                await self._remember_doubt()
            return heard.reply
        self._answer_older(node_key)
        if not self._is_open:
            return self._leader.controller.nothing(exchange)
        if self._leader.is_durable:
            reply = self._leader.controller.answer(node_key, exchange, self._take_streams(node_key))
            if reply is not None:
                return reply
        else:
            # What is not on disk yet is no news: tried again as soon as it is.
            self._untried.add(node_key)
        return await self._park(node_key, exchange)

    async def _remember_doubt(self) -> None:
        """Return when it is durable that this state came back from an older backup.

        A node has proved it, and would not prove it again once it follows us.
        """
        restored = await self._leader.look(lambda controller, _: controller.life.restored)
        if not restored:
            raise StoreFull("the disk is full", hint="the node asks again")

    def ask_for_stream(self, node_key: str, stream: StreamRequest) -> None:
        """Have the node open a stream, told with its parked exchange or its next; TooBusy."""
        waiting = self._streams.setdefault(node_key, deque())
        if len(waiting) >= STREAMS_WAITING_MAX:
            raise TooBusy(f"{STREAMS_WAITING_MAX} streams wait for this node already")
        waiting.append(stream)
        if node_key in self._parked and self._leader.is_durable:
            self._try(node_key)
        else:
            self._untried.add(node_key)

    def drop_stream(self, node_key: str, stream_id: str) -> None:
        """Nobody waits for this stream any more."""
        waiting = self._streams.get(node_key)
        if waiting is None:
            return
        kept = deque(stream for stream in waiting if stream.stream_id != stream_id)
        if kept:
            self._streams[node_key] = kept
        else:
            del self._streams[node_key]

    def wake(self, changes: Sequence[Change]) -> None:
        """Answer those whom newly durable changes concern; all of them when recovery has ended."""
        is_recovering = self._leader.controller.life.recovering
        keys: Iterable[str] = {key for change in changes for key in change.nodes} | self._untried
        if self._was_recovering and not is_recovering:
            keys = list(self._parked)
        self._was_recovering = is_recovering
        self._untried.clear()
        for key in keys:
            self._try(key)

    def end(self) -> None:
        """The server stops: answer everybody."""
        self._is_open = False
        for key in list(self._parked):
            self._answer_older(key)

    async def _park(self, node_key: str, exchange: Exchange) -> Reply:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        timer = loop.call_later(HEARTBEAT_MS / 1000, self._answer_older, node_key)
        parked = self._parked[node_key] = _Parked(node_key, exchange, answer, timer)
        try:
            return await answer
        finally:
            timer.cancel()
            if self._parked.get(node_key) is parked:
                del self._parked[node_key]

    def _answer_older(self, node_key: str) -> None:
        parked = self._parked.pop(node_key, None)
        if parked is not None and not parked.answer.done():
            parked.answer.set_result(self._leader.controller.nothing(parked.exchange))

    def _try(self, node_key: str) -> None:
        parked = self._parked.get(node_key)
        if parked is None or parked.answer.done():
            return
        streams = self._take_streams(node_key)
        reply = self._leader.controller.answer(node_key, parked.exchange, streams)
        if reply is not None:
            parked.answer.set_result(reply)

    def _take_streams(self, node_key: str) -> tuple[StreamRequest, ...]:
        return tuple(self._streams.pop(node_key, ()))
