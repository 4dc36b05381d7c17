"""The server as the API sees it: leader, exchanges, streams, events and passwords together."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Final, TypeVar

from pathfinder.api.port import USUAL_SIGN_IN_LIFE, Following, Query, SignInLife
from pathfinder.control import access, exporting
from pathfinder.control.access import Principal
from pathfinder.control.commands import Request
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Event
from pathfinder.control.queries import Twin
from pathfinder.control.state import Change
from pathfinder.model.errors import TooBusy
from pathfinder.server.clock import Clock
from pathfinder.server.exchanges import Exchanges
from pathfinder.server.feed import Feed, Follower
from pathfinder.server.journal import Journal, Retention
from pathfinder.server.leader import Leader
from pathfinder.server.passwords import Passwords
from pathfinder.server.streams import End, Streams
from pathfinder.store.port import Store
from pathfinder.wire.messages import Exchange, Reply

T = TypeVar("T")
PONDERING_MAX: Final = 2


class Server:
    """An `api.port.Backend`. `begin` before use, `stop` at the end."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        retention: Retention,
        spki_digest: str,
        on_failure: Callable[[str], None],
        sign_in_life: SignInLife = USUAL_SIGN_IN_LIFE,
    ) -> None:
        self.sign_in_life = sign_in_life
        self.version = version("pathfinder-cm")
        self.spki_digest = spki_digest
        self._clock = clock
        self._feed = Feed()
        self._leader = Leader(
            journal=Journal(store, retention),
            clock=clock,
            new_incarnation=lambda: secrets.token_hex(8),
            on_durable=self._publish,
            on_failure=on_failure,
        )
        self._exchanges = Exchanges(self._leader)
        self._streams = Streams(self._exchanges)
        self._passwords = Passwords(clock)
        self._pondering = 0

    async def begin(self) -> None:
        """Lead; StoreFailure when that cannot be."""
        await self._leader.begin()

    def end_conversations(self) -> None:
        """Answer what is parked, end event streams and terminals: connections may close now."""
        self._exchanges.end()
        self._feed.end("the server stops: come again")
        self._streams.end()

    async def stop(self) -> None:
        """Finish what was accepted, save the state, let go of the store."""
        await self._leader.stop()

    @property
    def is_leading(self) -> bool:
        """As the port says."""
        return self._leader.is_leading

    def authenticate(self, credential: str) -> Principal:
        """As the port says. Two microseconds: nothing is gained by remembering digests."""
        now_ms = self._clock.now().wall_ms
        return access.authenticate(self._leader.controller.state, credential, now_ms)

    async def submit(self, request: Request) -> bytes:
        """As the port says."""
        return await self._leader.submit(request)

    async def look(self, query: Query[T]) -> T:
        """As the port says."""
        return await self._leader.look(query)

    def hear_poll(self, node_key: str) -> bool:
        """As the port says. What it notes is never stored, so it waits for no disk."""
        return self._leader.controller.hear_poll(node_key, self._clock.now())

    async def exchange(self, node_key: str, exchange: Exchange) -> Reply:
        """As the port says."""
        return await self._exchanges.take(node_key, exchange)

    async def follow(
        self, wants: Callable[[Event], bool], earlier: Query[Sequence[Event]]
    ) -> Follower:
        """As the port says."""

        def begin(controller: Controller, uptime_ms: int) -> Follower:
            return self._feed.follow(wants, earlier(controller, uptime_ms))

        return await self._leader.look(begin)

    def leave(self, following: Following) -> None:
        """As the port says."""
        assert isinstance(following, Follower)
        self._feed.leave(following)

    async def open_stream(
        self, node_key: str, slot: str, what: str, arguments: dict[str, Any]
    ) -> End:
        """As the port says."""
        return await self._streams.open(node_key, slot, what, arguments)

    def join_stream(self, node_key: str, stream_id: str) -> End:
        """As the port says."""
        return self._streams.join(node_key, stream_id)

    async def hash_password(self, password: str, peer: str) -> str:
        """As the port says."""
        return await self._passwords.digest(password, peer)

    async def is_password(self, password: str, password_hash: str, peer: str) -> bool:
        """As the port says."""
        return await self._passwords.matches(password, password_hash, peer)

    async def ponder(self, work: Callable[[], T]) -> T:
        """As the port says."""
        if self._pondering >= PONDERING_MAX:
            raise TooBusy(
                f"{PONDERING_MAX} long questions are being answered already",
                hint="try again in a few seconds",
            )
        self._pondering += 1
        try:
            return await asyncio.to_thread(work)
        finally:
            self._pondering -= 1

    async def state_at(self, time_ms: int) -> Twin:
        """As the port says."""
        return await self.ponder(lambda: exporting.earlier(self._leader.state_at(time_ms)))

    def wall_ms(self) -> int:
        """As the port says."""
        return self._clock.now().wall_ms

    def _publish(self, changes: Sequence[Change]) -> None:
        self._exchanges.wake(changes)
        self._feed.publish([event for change in changes for event in change.events])
