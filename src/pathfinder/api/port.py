"""What the API needs from the server behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from pathfinder.control.access import Principal
from pathfinder.control.commands import Request
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Event
from pathfinder.control.queries import Twin
from pathfinder.wire.messages import Exchange, Reply

T = TypeVar("T")
Frame = bytes | str  # one message of a stream: binary with a channel byte, or JSON text
Query = Callable[[Controller, int], T]
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLife:
    """How long somebody stays signed in: at most, and without using it."""

    whole_ms: int = 168 * HOUR_MS
    idle_ms: int = 12 * HOUR_MS


USUAL_SIGN_IN_LIFE: Final = SignInLife()


class Pipe(Protocol):
    """One end of a stream between who asked for it and a node."""

    async def send(self, frame: Frame) -> bool:
        """Pass a frame on when the other end has room; False when there is none any more."""

    async def receive(self) -> Frame | None:
        """The next frame from the other end; None when it has closed and all is delivered."""

    def close(self) -> None:
        """Close both ends; twice is once."""


class Following(Protocol):
    """One subscription to events. `is_over`: nothing more comes, and `why`."""

    is_over: bool
    why: str

    async def take(self, wait_s_max: float) -> Sequence[Event]:
        """The next events; none when nothing happened for that long."""


class Backend(Protocol):
    """A leading server."""

    version: str
    spki_digest: str  # of this server's TLS key, for join tokens; "-" without TLS
    sign_in_life: SignInLife

    @property
    def is_leading(self) -> bool:
        """Whether commands are taken."""

    def authenticate(self, credential: str) -> Principal:
        """Who has this credential; Unauthorized."""

    async def submit(self, request: Request) -> bytes:
        """The JSON answer to a command, once what it did is durable; PathfinderError."""

    async def look(self, query: Query[T]) -> T:
        """What `query(controller, uptime_ms)` gives on a state that is durable as a whole."""

    def hear_poll(self, node_key: str) -> bool:
        """Note that a polling node was heard; whether that is news, which `Poll` has to say."""

    async def exchange(self, node_key: str, exchange: Exchange) -> Reply:
        """The reply to a node's exchange, at the heartbeat at the latest."""

    async def follow(
        self, wants: Callable[[Event], bool], earlier: Query[Sequence[Event]]
    ) -> Following:
        """Events from `earlier` on, without gap and without repetition; TooBusy."""

    def leave(self, following: Following) -> None:
        """End a subscription."""

    async def open_stream(
        self, node_key: str, slot: str, what: str, arguments: dict[str, Any]
    ) -> Pipe:
        """A stream that the node has joined; NodeSilent, TooBusy."""

    def join_stream(self, node_key: str, stream_id: str) -> Pipe:
        """The node's end of a stream that waits for it, once; NotFound."""

    async def hash_password(self, password: str, peer: str) -> str:
        """argon2id of a password; TooBusy when this peer asks too often."""

    async def is_password(self, password: str, password_hash: str, peer: str) -> bool:
        """Whether a password is the one; TooBusy when this peer asks too often."""

    async def ponder(self, work: Callable[[], T]) -> T:
        """What a long computation gives, made beside everything else; TooBusy.

        It may use only what belongs to it: a copy of the state, not the state.
        """

    async def state_at(self, time_ms: int) -> Twin:
        """The state as it was at a time by the wall clock; NotFound when nobody knows any more."""

    def wall_ms(self) -> int:
        """Wall clock."""
