"""The conversation between a node and the server.

A node's *exchange* is its report, its heartbeat and its poll in one. The server parks it until
there is news, or until `heartbeat_ms` has passed, and answers.

Duties of the node
- `session.sequence` grows with every exchange it sends; at most two are under way, a newer one
  replaces the one that is parked (the server answers the older at once with `kind="nothing"`).
- `holding` is everything it holds, always, including what it is about to make or remove; absence
  from it means: not there and nothing under way. `complete` is False while a daemon has not
  answered a full list: then absence says nothing, but for kinds that another daemon runs
  (`silent_kinds`).
- `seen` is the revision of the assignments that `holding` already takes into account.
- Its lease runs from `sent_ms` of the exchange whose answer it received, on its own clock of
  durations, and is never shortened by a later answer.
- An answer that belongs to another session, or whose sequence is not newer than the last one taken,
  is ignored.

Duties of the server
- An exchange of another session is answered with `hello`: the session to use. Nothing else of such
  an exchange is believed.
- `complete` carries every assignment of the node; `difference` what changed since `base`, which is
  the node's `seen`. When anything is unclear: complete.
- `round` of an assignment that has steps of bootstrap: run them once for each round, and say how
  far it is in `Holding.bootstrap`. A round that has ended is remembered with the instance, so that
  neither the agent's restart nor a relocation runs it again.
- A `hold` assignment means: leave whatever you have under this slot as it is.
- A relocation is told to both of its nodes, to each its part (`Assignment.relocation`). Copies are
  numbered; the last one is taken when the container has been stopped. "arrive" is told only when
  the other node has said, by offering that copy, that it has stopped the container, and the other
  is not let run it again before this node has let go of the copy.
- Epochs grow with every leader. A node that knows a higher epoch, or the same epoch with another
  incarnation, proves that the server was restored from an old backup.

Every message keeps fields that this version does not know in `extra`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

PROTOCOL: Final = 1
LEASE_MS: Final = 10_000
HEARTBEAT_MS: Final = 3_000
CRASH_LOOP: Final = "crash_loop"  # an `error_code`: it runs now and then, and is not ready
HOLDING_MAX: Final = 5_000
BODY_BYTES_MAX: Final = 4 << 20

HoldingPhase = Literal[
    "waiting", "creating", "starting", "running", "stopped", "removing", "failed", "unknown"
]
HealthState = Literal["", "starting", "healthy", "unhealthy"]
BootstrapState = Literal["", "waiting", "running", "done", "failed"]
RelocationPart = Literal["", "offer", "halt", "take", "arrive"]
CopyState = Literal["", "offered", "taking", "taken", "failed"]
ReplyKind = Literal["hello", "complete", "difference", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Which leader (epoch), which life of it (incarnation), which message of the node."""

    epoch: int
    incarnation: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One container on the node, as it is. `error_*` describe the last failure while it lasts.

    health: what its checks came to since it was started, where its spec has them ("": not known),
    and why it is unhealthy. ended: how its program ended when it last did, "" where the node cannot
    say.

    bootstrap: how far `round` of its bootstrap is ("failed": no try is left); bootstrap_tries and
    bootstrap_exit_code (-1: not known) are of its latest try.

    copy: how far copy number `copy_number` of its relocation is, as seen from this node;
    `copy_code`, `copy_error` and `copy_hint` say why it failed. A holding without a digest is not
    whole: nothing runs from it.
    """

    slot: str
    generation: int
    phase: HoldingPhase
    digest: str = ""
    addresses: tuple[str, ...] = ()
    started_ms: int = 0
    restarts: int = 0
    error_code: str = ""
    error: str = ""
    hint: str = ""
    retry_ms: int = 0  # until the next attempt, as far as the node knows
    round: int = 0
    bootstrap: BootstrapState = ""
    bootstrap_tries: int = 0
    bootstrap_exit_code: int = -1
    health: HealthState = ""
    health_error: str = ""
    ended: str = ""
    copy_number: int = 0
    copy: CopyState = ""
    copy_code: str = ""
    copy_error: str = ""
    copy_hint: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the node is. Sent in the first exchange of a session and when something changes.

    copies_at: "host:port" at which other nodes' daemons can take copies of its containers; "":
    nowhere. takes_copies: its daemon and its agent can take one.
    """

    agent_version: str = ""
    hostname: str = ""
    addresses: tuple[str, ...] = ()
    kernel: str = ""
    os: str = ""
    architecture: str = ""
    machine_id: str = ""
    boot_id: str = ""
    cpu_millis: int = 0
    memory_mib: int = 0
    disk_mib: int = 0
    runtime: str = ""
    runtime_version: str = ""
    kinds: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    limits_missing: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    copies_at: str = ""
    takes_copies: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The node hands a container over: what the other node's daemon needs to take copy `number`.

    Sent with every exchange while it stands. It holds secrets: passed on, never stored or shown.
    """

    slot: str
    generation: int
    number: int
    runtime: str
    details: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUsage:
    """Measured on one running container; -1: not known."""

    slot: str
    cpu_millis: int = -1
    memory_mib: int = -1
    disk_mib: int = -1
    processes: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """What the node uses now. Volatile: never stored."""

    cpu_used_millis: int = -1
    memory_total_mib: int = 0
    memory_used_mib: int = 0
    load_1m: float = 0.0
    load_5m: float = 0.0
    load_15m: float = 0.0
    disk_total_mib: int = 0
    disk_used_mib: int = 0
    pool_total_mib: int = 0
    pool_used_mib: int = 0
    containers: tuple[ContainerUsage, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Node to server. `runtime_error` is why a daemon does not answer, "" when all do.

    silent_kinds: where one node has several daemons, the kinds of container whose daemon has not
    answered a full list, and why ("": not yet); of the other kinds `holding` is then everything,
    also while `complete` is False. Empty: `complete` speaks for all kinds.
    """

    protocol: int = PROTOCOL
    session: Session
    sent_ms: int
    seen: int = 0
    complete: bool = False
    holding: tuple[Holding, ...] = ()
    runtime_error: str = ""
    silent_kinds: Mapping[str, str] = field(default_factory=dict)
    offers: tuple[Offered, ...] = ()
    facts: Facts | None = None
    measurements: Measurements | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def tells_all_of(self, kind: str) -> bool:
        """Whether absence of a container of this kind from `holding` means that it is not there.

        kind "": not known.
        """
        is_told_apart = bool(self.silent_kinds) and bool(kind)
        return self.complete or (is_told_apart and kind not in self.silent_kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One container that this node shall run. `spec` is the document of a ContainerSpec.

    round: which round of its bootstrap is wanted; 0: none, or the server does not know rounds.

    relocation: this node's part in moving the container, for copy number `copy_number`:
    "offer": it runs on and is offered; "halt": it is stopped, stays so, and is offered;
    "take": what is offered is taken as a half-made copy, or that copy is brought up to date;
    "arrive": the copy is made whole and runs; nothing is made anew when it is not there.
    offer: what "take" needs, once the other node has said it.

    earlier: generations whose data this one carries on. An instance with the labels of one of them
    has come back from a snapshot: it is given the present labels, and never removed for them.
    """

    slot: str
    generation: int
    digest: str = ""
    hold: bool = False
    round: int = 0
    spec: Mapping[str, Any] = field(default_factory=dict)
    remote: Mapping[str, Any] | None = None
    relocation: RelocationPart = ""
    copy_number: int = 0
    offer: Offered | None = field(default=None, repr=False)
    earlier: tuple[int, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """The server asks the node to open a connection for a terminal, a log or a file.

    what: "exec", "logs" or "console". `arguments` depend on it; the connection is a WebSocket at
    `/api/v3/node/streams/{stream_id}` under the node's credential.
    """

    stream_id: str
    slot: str
    what: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Server to node. `released`: slots of `base` that the node shall no longer have."""

    session: Session
    sent_ms: int
    kind: ReplyKind
    lease_ms: int = 0
    heartbeat_ms: int = HEARTBEAT_MS
    base: int = 0
    revision: int = 0
    assignments: tuple[Assignment, ...] = ()
    released: tuple[str, ...] = ()
    streams: tuple[StreamRequest, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Node to server, once.

    `secret` is made by the node (64 hex digits) and is its credential from then on, as
    `Authorization: Bearer pfn.CLUSTER.NODE.SECRET`: the same registration twice has the effect of
    one, and the server never sends a secret.
    """

    cluster: str
    node: str
    secret: str
    join_token: str = ""
    cluster_password: str = ""
    address: str = ""
    capacity: Mapping[str, int] | None = None  # Resources document: what the operator grants
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Facts = Facts()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Server to node."""

    cluster: str
    node: str
    revision: int
    extra: Mapping[str, Any] = field(default_factory=dict)


MESSAGES: Final = (Exchange, Reply, Registration, Registered)
