"""What every container runtime owes: a few idempotent verbs over instances that carry our labels.

An *instance* is what the daemon holds for one container. Its name is the container's name, so that
people find it with the daemon's own tools, and so that a call which timed out can be looked up.
Calls block: they are made by the agent's worker threads. None of the words here belongs to one
daemon.

Rules for implementations
- Nothing without `Labels` is ever touched; a name that is taken by something unlabelled is
  `NameOccupied`.
- Each verb is idempotent: doing it again when it is done is success.
- A call that may or may not have happened raises `OutcomeUnknown`: the caller looks (`inspect`)
  before it acts again.
- `create` never leaves a half-made instance that `list_instances` does not show.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from pathfinder.model.definitions import ContainerSpec
from pathfinder.model.resources import NOTHING, Resources

State = Literal["created", "starting", "running", "stopping", "stopped", "frozen", "unknown"]
CALL_S_MAX: Final = 120.0
LIST_S_MAX: Final = 30.0
NOTE_LENGTH_MAX: Final = 1_000
PULL_S_MAX: Final = 3_600.0  # 100 GB at the 30 MB/s of a slow pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """By these an agent without memory recognises what is Pathfinder's. Kept on the instance.

    An instance whose making was interrupted for good is told with an empty `digest`: it is ours, it
    is not what was wished, and it can only be removed or created again.
    """

    cluster: str
    slot: str
    generation: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where images come from: another daemon of the same kind, "simplestreams", or a registry."""

    name: str
    server: str
    protocol: Literal["daemon", "simplestreams", "registry"] = "daemon"
    certificate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One instance as it should be. `remote` is resolved from `spec.image.remote`; None: local."""

    name: str
    labels: Labels
    spec: ContainerSpec
    remote: Remote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One instance as the daemon has it. `labels` is None for what is not Pathfinder's.

    note: what `set_note` has left on it. ended: how the program of a stopped one ended, where the
    daemon can say: "ended with exit code 3".
    """

    name: str
    labels: Labels | None
    state: State
    addresses: tuple[str, ...] = ()  # IPv4 first; filled by `inspect`, not by `list_instances`
    started_ms: int = 0  # wall clock, when the daemon knows; 0: unknown
    note: str = ""
    ended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One chance to take a copy of an instance from its daemon, for whoever holds it.

    runtime: the kind of daemon that can take it. details: that daemon's own words. They hold
    secrets: an offer is passed on, never stored, and never shown.
    """

    runtime: str
    details: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSnapshot:
    """A state of an instance's disk that it can be brought back to. -1: the daemon cannot say."""

    name: str
    made_ms: int = -1
    size_mib: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One running instance's measurements. -1, None: the daemon cannot say.

    addresses, started_ms: as `inspect` tells them, since the daemon is asked for them anyway.
    """

    cpu_ns: int = -1  # since start
    memory_mib: int = -1
    disk_mib: int = -1
    processes: int = -1
    addresses: tuple[str, ...] | None = None
    started_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFacts:
    """What the daemon is and can do. `limits_missing`: limits it cannot hold here, and why.

    warnings: what people should know of how it is set up before they rely on it.
    """

    runtime: str
    version: str
    kinds: tuple[str, ...]
    architecture: str = ""
    capacity: Resources = NOTHING
    pool_total_mib: int = 0
    pool_used_mib: int = 0
    limits_missing: Mapping[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = ()  # aliases in the local store
    copies_at: str = ""  # "host:port" where it listens for other daemons; host "": everywhere
    takes_copies: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something happened to an instance; the agent inspects it. `name` "" means: list again."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """A command's terminal or pipes. tty: one stream and a size; else stdout and stderr apart."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    tty: bool = False
    columns: int = 80
    rows: int = 24


class Session(Protocol):
    """A running command inside an instance."""

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """(1 stdout or 2 stderr, bytes) until the command ends."""

    def write(self, data: bytes) -> None:
        """Standard input; b"" ends it."""

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's new size; nothing without a tty."""

    def exit_code(self) -> int:
        """After `frames` has ended. -1: the daemon cannot say."""

    def close(self) -> None:
        """End it now, from any thread."""


class Runtime(Protocol):
    """The port. Times are bounded by CALL_S_MAX unless a verb says otherwise."""

    def facts(self) -> RuntimeFacts:
        """What the daemon is, has and can do; RuntimeDown when it does not answer."""

    def list_instances(self, cluster: str) -> list[Instance]:
        """All of `cluster`'s instances, complete, within LIST_S_MAX; RuntimeDown otherwise."""

    def inspect(self, name: str) -> Instance | None:
        """One instance with its addresses; None when there is none."""

    def usage(self, name: str) -> Usage:
        """Measurements of one running instance; NotThere when it does not run."""

    def create(self, wish: Wish) -> None:
        """Make the instance, stopped. One that carries the same labels already is success."""

    def start(self, name: str) -> None:
        """Start it. Running already is success."""

    def stop(self, name: str, *, grace_s: float = 10.0) -> None:
        """Stop it, by force after `grace_s` (0: at once). Stopped or absent is success."""

    def remove(self, name: str) -> None:
        """Remove it, with its root disk, stopping it by force when it runs. Absent is success."""

    def changes(self, stopping: Callable[[], bool]) -> Iterator[Change]:
        """Changes as they happen, `Change(name="")` first and after each gap, until `stopping`.

        Ends when the daemon goes away: the caller waits and asks again.
        """

    def set_note(self, name: str, note: str) -> None:
        """Leave a text of at most NOTE_LENGTH_MAX characters on one of our instances.

        It survives restarts of instance and daemon and travels with a copy. Refused where the
        daemon can keep nothing beside an instance.
        """

    def offer_copy(self, name: str, address: str) -> Offer:
        """Be ready to hand the instance, running or not, with its snapshots to another daemon once.

        address: "host:port" at which the other reaches this daemon. Refused where the daemon hands
        nothing over, or listens at no address.
        """

    def pull_copy(self, wish: Wish, offer: Offer) -> None:
        """Take what is offered as a half-made copy, or bring that copy up to date. PULL_S_MAX.

        The copy has the wish's labels with an empty digest, so that it cannot be started, and is
        recognised, until `complete_copy`. Its disk, its snapshots and its note are the offered
        one's. A complete instance is never written over: NameOccupied.
        """

    def complete_copy(self, wish: Wish) -> None:
        """Let the half-made copy be what was wished: it can be started. Done already is success."""

    def relabel(self, name: str, labels: Labels) -> None:
        """Give one of our instances other labels."""

    def list_snapshots(self, name: str) -> list[InstanceSnapshot]:
        """The instance's snapshots, oldest first."""

    def make_snapshot(self, name: str, snapshot: str) -> None:
        """Keep the state of its disk under a name. One of this name already is `NameOccupied`."""

    def restore_snapshot(self, name: str, snapshot: str) -> None:
        """Bring a stopped instance back to a snapshot; it keeps its labels. Refused while it runs.

        Where the daemon brings the labels of the snapshot back as well, the present ones are set
        again at once: between the two the instance carries those of an earlier generation.
        """

    def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Remove a snapshot. Absent is success."""

    def read_file(self, name: str, path: str) -> bytes:
        """The content of one file."""

    def write_file(self, name: str, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write one file, making its parent directories."""

    def open_session(self, name: str, terminal: Terminal) -> Session:
        """Run a command in a running instance."""

    def console_log(self, name: str) -> bytes:
        """What the instance has written to its console; b"" when nothing is kept."""

    def close(self) -> None:
        """Let go of connections."""


class RuntimeFailure(Exception):
    """A verb failed. `code` is stable for programs; str() is for people; `hint` says what to do."""

    code = "runtime_failed"
    retry = True

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class RuntimeDown(RuntimeFailure):
    """The daemon does not answer."""

    code = "runtime_down"


class OutcomeUnknown(RuntimeFailure):
    """The call may still have happened, or may yet happen: look before acting again."""

    code = "outcome_unknown"


class NotThere(RuntimeFailure):
    """No such instance, or it does not run where it must."""

    code = "not_there"


class NameOccupied(RuntimeFailure):
    """Something that is not Pathfinder's, or another container's, has this name."""

    code = "name_occupied"


class ImageMissing(RuntimeFailure):
    """The image cannot be had."""

    code = "image_missing"


class Refused(RuntimeFailure):
    """The daemon refuses the wish as it is; trying again without a change is of little use."""

    code = "refused"
