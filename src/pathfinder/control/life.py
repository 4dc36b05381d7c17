"""What is known of nodes but not stored: when they were last heard, what they hold, what they use.

Lost with the process, on purpose: a new server hears every node, or outwaits its lease, before it
starts or stops anything. Times are milliseconds of one clock that only measures durations.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from pathfinder.control.objects import Container
from pathfinder.control.turns import Turns
from pathfinder.wire.messages import (
    HEARTBEAT_MS,
    LEASE_MS,
    ContainerUsage,
    Holding,
    Measurements,
    Offered,
)

# A lease is over for certain when it has run out on a clock that is this much slower than ours ...
DRIFT: Final = 0.02
# ... and what the agent does at its end has had time to happen.
GRACE_MS: Final = 3_000
OUTWAIT_MS: Final = int(LEASE_MS * (1 + 2 * DRIFT)) + GRACE_MS
SUSPECT_MS: Final = 2 * HEARTBEAT_MS + 500
# A node that polls comes every 6 to 10 s, and less often while it works: it does one thing at once.
# Whoever claims its name is told to wait this long; its own agent, started anew, asks each minute.
POLL_SUSPECT_MS: Final = 45_000
HOUR_MS: Final = 3_600_000  # moves that balance are counted over

SHIFTS_MAX: Final = 1_000

NodeStatus = Literal["new", "ready", "suspect", "lost"]


@dataclass(frozen=True, slots=True)
class Use:
    """What all containers of a node used when it measured, at a revision of the state."""

    revision: int
    cpu_millis: int
    memory_mib: int


@dataclass(slots=True)
class NodeLife:
    """One node, as this life of the server has heard it."""

    heard_ms: int | None = None
    sequence: int = -1
    seen: int = 0
    complete_at: int | None = None  # revision of the first complete answer of this session
    complete: bool = False
    silent_kinds: frozenset[str] = frozenset()
    news: int = 0  # revision of the newest change to its assignments
    status: NodeStatus = "new"
    was_complete: bool = False  # whether it has said, in this life, all that it holds
    holding: tuple[Holding, ...] = ()
    measurements: Measurements | None = None
    is_unsettled: bool = False  # what it reported did not become durable: take it anew
    uses: deque[Use] = field(default_factory=deque)  # the last so many, the oldest first
    lent_told: tuple[int, int] = (0, 0)  # CPU and memory lent when what waits was last looked at
    usage_by_slot: dict[str, ContainerUsage] = field(default_factory=dict)
    # By slot: what its container and the report were when the report changed nothing.
    followed: dict[str, tuple[int, bool, bool, tuple[Holding, ...]]] = field(default_factory=dict)
    let_go: dict[str, Container] = field(default_factory=dict)  # by mark: for its repetitions
    lost_ms: int | None = None  # since when it is lost
    given_up_ms: int | None = None  # since when what it had is made elsewhere
    polls: bool = False  # no lease: suspect when silent, and never lost by the clock alone


@dataclass(slots=True, kw_only=True)
class Draining:
    """How far a node's drain is, as this life of the server has seen it. Containers by key.

    began_ms, began_with: when it was first looked at, and how many containers there were then.
    stays: why one stays for the moment, and what would help. failed: those whose relocation did.
    looked_at: in the present round, which began at `revision`; is_behind: it goes on with the next
    tick.
    """

    began_ms: int
    began_with: int
    moving: set[str] = field(default_factory=set)
    stays: dict[str, tuple[str, str]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    looked_at: set[str] = field(default_factory=set)
    revision: int = 0
    is_behind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A container moved to balance nodes, at a revision, and what it was measured to use."""

    revision: int
    cluster: str
    name: str
    source: str
    target: str
    use: tuple[int, int]


class Life:
    """All nodes, and whether the server is still recovering."""

    def __init__(
        self,
        *,
        epoch: int,
        incarnation: str,
        began_ms: int,
        base_revision: int,
        unheard: NodeStatus = "new",
    ) -> None:
        self.epoch = epoch
        self.incarnation = incarnation
        self.began_ms = began_ms
        self.now_ms = began_ms  # when what is decided now began to be decided
        self.base_revision = base_revision  # of the state that this life began with
        self.unheard: NodeStatus = unheard  # what is held of a node that nothing is known of
        self.recovering = True
        self.restored = False
        self.nodes: dict[str, NodeLife] = {}
        self.lost: set[str] = set()
        self.given_up: deque[tuple[int, str]] = deque()  # when, and in which cluster
        self.balancing: dict[str, set[str]] = {}  # by cluster: containers on their way
        self.moved: deque[tuple[int, str]] = deque()  # to balance: when, and in which cluster
        # For as long as measurements from before may count: at most so many moves.
        self.shifts: deque[Shift] = deque(maxlen=SHIFTS_MAX)
        self.drains: dict[str, Draining] = {}  # by node
        self.unmovable: set[str] = set()  # refused to move; not tried again in this life
        self.balance_not_before_ms: dict[str, int] = {}
        self.offers: dict[str, Offered] = {}  # by container; they hold secrets
        self.held_ms: dict[str, int] = {}  # since when a deployment has waited for addresses
        self.answered_ms: dict[str, int] = {}  # when it was answered, if that was in this life
        self.turns = Turns(since_ms=began_ms)  # of those for whom room is looked for

    def node(self, key: str) -> NodeLife:
        """A node's life, begun when first asked for."""
        life = self.nodes.get(key)
        if life is None:
            life = self.nodes[key] = NodeLife(status=self.unheard)
        return life

    def status(self, key: str) -> NodeStatus:
        """new: not heard in this life of the server; suspect: late; lost: its lease is over."""
        life = self.nodes.get(key)
        return life.status if life else self.unheard

    def is_moving(self, container: Container) -> bool:
        """Whether it is not there yet, or not all gone where it was; one that failed has ended."""
        is_there = self.is_ready(container) or bool(container.error_code)
        return container.wanted and (bool(container.leaving) or not is_there)

    def is_ready(self, container: Container) -> bool:
        """Whether a container counts as ready: it said so, and its node is still heard."""
        return (
            container.ready and bool(container.node) and self.status(container.node_key) != "lost"
        )

    def status_at(self, key: str, now_ms: int) -> NodeStatus:
        """What a node's status is by the clock."""
        life = self.node(key)
        if life.polls:
            silent_ms = now_ms - (self.began_ms if life.heard_ms is None else life.heard_ms)
            suspect = silent_ms > POLL_SUSPECT_MS
            return "suspect" if suspect else "new" if life.heard_ms is None else "ready"
        if life.heard_ms is None:
            return "lost" if now_ms - self.began_ms > OUTWAIT_MS else "new"
        silent_ms = now_ms - life.heard_ms
        if silent_ms > OUTWAIT_MS:
            return "lost"
        return "suspect" if silent_ms > SUSPECT_MS else "ready"
