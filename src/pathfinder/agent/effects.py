"""What the core wants done, what came of it, and the one place where a runtime is asked to do it.

Effects are data with an id and a `why`; `perform` carries one out and never raises what a runtime
is expected to raise: it comes back as `Failed`. Pure but for the runtime that it is handed.
"""

from dataclasses import dataclass, field
from typing import Final, Protocol

from pathfinder.agent.notes import Note
from pathfinder.model.bootstrap import BootstrapStep
from pathfinder.model.errors import PathfinderError
from pathfinder.runtimes.port import Instance, Labels, Offer, Runtime, RuntimeFailure, Wish
from pathfinder.wire.messages import StreamRequest

MESSAGE_LENGTH_MAX: Final = 600  # of a failure's text: what a person reads, not a daemon's dump


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make the instance, stopped."""

    id: int
    slot: str
    wish: Wish
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start the instance that is there."""

    id: int
    slot: str
    generation: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Stop the instance, by force after `grace_s`."""

    id: int
    slot: str
    generation: int
    grace_s: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Remove the instance with its disk."""

    id: int
    slot: str
    generation: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect:
    """Look at one instance, with its addresses."""

    id: int
    slot: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAll:
    """List the cluster's instances. daemon: its name where there are several."""

    id: int
    cluster: str
    why: str
    daemon: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStream:
    """Open the connection that the server asked for. Nothing waits for its end."""

    id: int
    request: StreamRequest
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Make one try of one step, or follow it when it has begun before; minutes to hours.

    step: None when the try belongs to a round that is not wanted any more: nothing is begun, and
    what may still run is seen to its end.
    """

    id: int
    slot: str
    generation: int
    note: Note
    step: BootstrapStep | None = field(repr=False)  # it may hold secrets
    step_count: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Offer the instance to another node's daemon, which reaches this one at `address`."""

    id: int
    slot: str
    generation: int
    number: int
    address: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Take copy `number` of what another node offers, or bring the copy up to date; up to hours."""

    id: int
    slot: str
    generation: int
    number: int
    wish: Wish
    offer: Offer
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """Let the copy be what is wanted: it can be started."""

    id: int
    slot: str
    generation: int
    wish: Wish
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Bring the stopped instance back to a snapshot."""

    id: int
    slot: str
    generation: int
    snapshot: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relabel:
    """Give what has come back from a snapshot the labels that it had before."""

    id: int
    slot: str
    generation: int
    labels: Labels
    why: str


Moving = HandOver | Take | Complete
OnSnapshot = Restore | Relabel
Acting = Create | Start | Stop | Remove | Moving | OnSnapshot
Call = Acting | Inspect | ListAll
Effect = Call | OpenStream | Bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The verb has done its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The daemon's full list."""

    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What is under the name; None: nothing."""

    instance: Instance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The verb failed; `code` as in `runtimes.port`, texts for people."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A try has ended; `note` is what the instance's note says now."""

    note: Note


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """The instance is offered."""

    offer: Offer


Result = Done | Listed | Inspected | Tried | HandedOver | Failed


class Lister(Protocol):
    """What can be listed by itself: a runtime, or one of several."""

    def list_instances(self, cluster: str) -> list[Instance]:
        """As in the port."""


def perform(runtime: Runtime, call: Call, lister: Lister | None = None) -> Result:
    """Carry `call` out. Blocks as long as the runtime's verb may.

    lister: where a list is not one of everything that the runtime has.
    """
    try:
        return _perform(runtime, call, lister)
    except RuntimeFailure as failure:
        return failed(failure.code, str(failure), failure.hint)
    except PathfinderError as error:
        return failed(error.code, error.message, error.hint)


def failed(code: str, message: str, hint: str = "") -> Failed:
    """A failure with its texts cut to their bound."""
    return Failed(code=code, message=message[:MESSAGE_LENGTH_MAX], hint=hint[:MESSAGE_LENGTH_MAX])


def _perform(runtime: Runtime, call: Call, lister: Lister | None) -> Result:
    match call:
        case Create():
            runtime.create(call.wish)
        case Start():
            runtime.start(call.slot)
        case Stop():
            runtime.stop(call.slot, grace_s=call.grace_s)
        case Remove():
            runtime.remove(call.slot)
        case HandOver():
            return HandedOver(offer=runtime.offer_copy(call.slot, call.address))
        case Take() | Complete() | Restore() | Relabel():
            _perform_on_data(runtime, call)
        case Inspect():
            return Inspected(instance=runtime.inspect(call.slot))
        case ListAll():
            return Listed(instances=tuple((lister or runtime).list_instances(call.cluster)))
    return Done()


def _perform_on_data(runtime: Runtime, call: Take | Complete | OnSnapshot) -> None:
    match call:
        case Take():
            runtime.pull_copy(call.wish, call.offer)
        case Complete():
            runtime.complete_copy(call.wish)
        case Restore():
            runtime.restore_snapshot(call.slot, call.snapshot)
        case Relabel():
            runtime.relabel(call.slot, call.labels)
