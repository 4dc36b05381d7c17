"""What the state is made of: immutable records, one per thing, each with the revision that made it.

Structs rather than dataclasses here: a million of them must load in seconds, and the journal and
the snapshot encode them as they are. `extra` keeps fields that a newer version has written.
"""

from typing import Any, ClassVar, Literal

import msgspec

from pathfinder.model.definitions import ContainerSpec
from pathfinder.model.phases import Phase
from pathfinder.model.resources import AMOUNT_MAX, NOTHING, Resources
from pathfinder.wire.messages import Facts

Role = Literal["admin", "app", "reader", "join", "sign-in"]
PersonsRole = Literal["admin", "app", "reader"]
Protocol = Literal["exchange", "poll"]
Stage = Literal["", "copying", "finishing", "starting"]


class Thing(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    omit_defaults=True,
    forbid_unknown_fields=True,  # what a newer version wrote is read with care, into `extra`
):
    """Base: `revision` is the state's revision at the last change of this thing."""

    KIND: ClassVar[str] = ""
    revision: int = 0
    created_ms: int = 0
    extra: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """Unique among things of this kind."""
        raise NotImplementedError


class Limits(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Up to where a node of a cluster takes new containers. 0: no limit.

    memory_percent: of its memory used, as measured; it takes more at or below that. containers,
    stateful: how many it may have, of any type and STATEFUL ones.
    """

    memory_percent: int = 0
    containers: int = 0
    stateful: int = 0


class Overcommit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How much of a node may be reserved in all, in thousandths of what it has.

    More than 1000 only as far as what runs there has been measured to leave unused.
    """

    cpu_permille: int = 1_000
    memory_permille: int = 1_000


class Quota(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the containers of a cluster may reserve together. 0: as much as they like."""

    cpu_millis: int = 0
    memory_mib: int = 0
    disk_mib: int = 0
    processes: int = 0
    containers: int = 0


class Policy(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a cluster's nodes are filled.

    placement: fill all alike, or fill up the fullest first. reserved: kept from containers on each
    node, for the node itself; not where an operator has said what is granted. preemption: whose
    place a container of higher priority may take. moves_per_hour: how many containers may be moved
    to balance the nodes, without anybody asking.
    """

    placement: Literal["spread", "pack"] = "spread"
    overcommit: Overcommit = Overcommit()
    reserved: Resources = NOTHING
    quota: Quota = Quota()
    preemption: Literal["none", "stateless", "all"] = "stateless"
    moves_per_hour: int = 0


class Cluster(Thing, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A set of nodes and what runs on them. `password_hash`: argon2id, "" when none is set.

    `moves_left`: how many more a person has asked for, to balance its nodes.
    """

    KIND: ClassVar[str] = "cluster"
    name: str
    password_hash: str = ""
    limits: Limits = Limits()
    policy: Policy = Policy()
    moves_left: int = 0

    @property
    def key(self) -> str:
        """The name."""
        return self.name


class Orphan(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a node holds under a slot that a restored state does not know.

    is_deleted: a person has deleted it; it counts until its node has let go of it.
    """

    generation: int
    digest: str = ""
    is_deleted: bool = False


class Drain(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What is on a node goes elsewhere. containers: how many it had when that began.

    ended_ms: since when it has had none; 0: it still has some.
    """

    since_ms: int
    containers: int
    reason: str = ""
    ended_ms: int = 0


class Node(Thing, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A machine. `granted` is what the operator allows, over what `facts` report.

    `unverified`: the state was restored from an older backup, and this node has not yet said what
    it holds: until it has, or a person has deleted it, nothing is placed. `orphans`: slots that it
    holds and that the restored state does not know: left alone until a person decides.
    `silent_kinds`: kinds of container whose daemon does not answer while another of the node does.
    `protocol` "poll": its agent speaks API v1/v2. It has no lease, and what it holds is known only
    from its marks. `drain`: None while it is not drained; one that is drained is cordoned too.
    """

    KIND: ClassVar[str] = "node"
    cluster: str
    name: str
    secret_digest: str
    protocol: Protocol = "exchange"
    labels: dict[str, str] = {}
    cordoned: bool = False
    drain: Drain | None = None
    address: str = ""
    granted: Resources = NOTHING
    facts: Facts = Facts()
    runtime_error: str = ""
    silent_kinds: dict[str, str] = {}
    unverified: bool = False
    orphans: dict[str, Orphan] = {}

    @property
    def key(self) -> str:
        """cluster/name."""
        return f"{self.cluster}/{self.name}"

    def told_error(self) -> str:
        """What people are told of daemons that do not answer; "": all do."""
        each = (f"{kind} containers: {why}" for kind, why in self.silent_kinds.items())
        return self.runtime_error or "; ".join(each)

    def capacity(self, reserved: Resources = NOTHING) -> Resources:
        """What containers may use: granted by the operator, else what the node reports.

        reserved: of what it reports, for the node itself.
        """
        facts = self.facts
        return Resources(
            cpu_millis=self.granted.cpu_millis or _left(facts.cpu_millis, reserved.cpu_millis),
            memory_mib=self.granted.memory_mib or _left(facts.memory_mib, reserved.memory_mib),
            disk_mib=self.granted.disk_mib or _left(facts.disk_mib, reserved.disk_mib),
            processes=self.granted.processes,
            extra=self.granted.extra,
        )


def _left(reported: int, reserved: int) -> int:
    """Facts are a node's own word: no word of it may overflow the scheduler's columns.

    What reports something keeps a trace of it: 0 would mean that it is not known.
    """
    known = min(max(reported, 0), AMOUNT_MAX)
    return max(known - reserved, 1) if known else 0


class Copy(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A generation on its way out of a node.

    Counted there until the node, having seen `revision`, no longer holds it. `abandoned`: it was
    not STATEFUL and its node's lease has ended: another may be made before this one is gone.
    `arriving`: the other way round, while its container is being relocated: it is counted where the
    container is to be. `stage`, between nodes that exchange: the container runs while copy `number`
    of its data is taken; it has been told to stop, and the rest is taken; it may start here, and
    nowhere else before this node has let go. `failures`: copies that did not come about.
    kind "": not known, so that only a node that has told everything is believed to have let go.
    """

    node: str
    generation: int
    resources: Resources
    group: str = ""
    stateful: bool = False
    abandoned: bool = False
    arriving: bool = False
    stage: Stage = ""
    number: int = 0
    failures: int = 0
    revision: int
    kind: str = ""
    ports: tuple[str, ...] = ()


class Container(Thing, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One container, single or a replica.

    At most one generation is current (`node`, `phase`); earlier ones are in `leaving`. `wanted`
    False: it goes when its last copy has gone.

    `round`: of its present bootstrap, numbered as generations are; 0: it is held back until
    addresses that its steps need are known. `bootstrap_tries` and
    `bootstrap_exit_code` (-1: not known) are of the try that is under way, or was the last one.
    `ended`: how its program ended when it last did. `address`: the last one known of this
    generation. `digest`: of what its instance was made from.
    `home`: the node that has its volumes.
    `priority`: of a single container; a replica has its deployment's.
    `nominated`: the node on which others make room for it, and where it is counted while it waits.
    `earlier`: generations whose data it carries on, as it was relocated; the newest last.
    `relocation_error`: why it could not move when it last was to; `relocation_hint`: what helps.
    `taken_digest`: of the definition that it has taken over since without being replaced.
    """

    KIND: ClassVar[str] = "container"
    cluster: str
    name: str
    spec: ContainerSpec
    digest: str
    labels: dict[str, str] = {}
    deployment: str = ""
    ordinal: int = 0
    generation: int = 1
    phase: Phase = Phase.PENDING
    node: str = ""
    assigned: int = 0
    round: int = 0
    taken_digest: str = ""
    bootstrap_digest: str = ""
    bootstrap_tries: int = 0
    bootstrap_exit_code: int = -1
    leaving: tuple[Copy, ...] = ()
    home: str = ""
    priority: int = 0
    nominated: str = ""
    earlier: tuple[int, ...] = ()
    relocation_error: str = ""
    relocation_hint: str = ""
    wanted: bool = True
    ready: bool = False
    addresses: tuple[str, ...] = ()
    address: str = ""
    started_ms: int = 0
    restarts: int = 0
    ended: str = ""
    changed_ms: int = 0
    why: str = ""
    hint: str = ""
    error_code: str = ""
    explanation: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """cluster/name."""
        return f"{self.cluster}/{self.name}"

    @property
    def arriving(self) -> Copy | None:
        """What is on its way to another node that exchanges, or None."""
        return next((copy for copy in self.leaving if copy.arriving and copy.stage), None)

    @property
    def is_halted(self) -> bool:
        """Whether its node must not let it run: its data moves, or another may run it."""
        return any(
            copy.stage == "starting" or (copy.arriving and copy.stage == "finishing")
            for copy in self.leaving
            if not copy.abandoned
        )

    @property
    def may_be_placed(self) -> bool:
        """Whether it waits for nothing but a node: nothing runs that there may be only one of."""
        if not self.wanted or self.phase != Phase.PENDING:
            return False
        if not self.leaving:
            return True
        return self.spec.type == "STATELESS" and all(copy.abandoned for copy in self.leaving)

    @property
    def group(self) -> str:
        """cluster/deployment, or "" for a single container."""
        return f"{self.cluster}/{self.deployment}" if self.deployment else ""

    @property
    def node_key(self) -> str:
        """cluster/node of the current generation, or ""."""
        return f"{self.cluster}/{self.node}" if self.node else ""


class Deployment(Thing, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Numbered replicas of one definition. `wanted` False: it goes when its last replica has.

    `is_scripted`: the definition has calls; `refers`: to these deployments' addresses.
    `priority`: whose replicas may take the place of others, and are placed first.
    `held`: its replicas stay as they are for the moment, as addresses that they need are about to
    come, which it has waited for since `held_ms`.
    `last_error`, since `last_error_ms`: why it cannot go on as things are, "" while it can.
    """

    KIND: ClassVar[str] = "deployment"
    cluster: str
    name: str
    replicas: int
    min_available: int
    priority: int = 0
    spec: ContainerSpec
    digest: str
    labels: dict[str, str] = {}
    wanted: bool = True
    blocked: str = ""
    bootstrap_digest: str = ""
    is_scripted: bool = False
    refers: tuple[str, ...] = ()
    held: bool = False
    held_ms: int = 0
    last_error: str = ""
    last_error_ms: int = 0
    changed_ms: int = 0

    @property
    def key(self) -> str:
        """cluster/name."""
        return f"{self.cluster}/{self.name}"


class Remote(Thing, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Where images come from besides the nodes themselves."""

    KIND: ClassVar[str] = "remote"
    cluster: str
    name: str
    server: str
    protocol: Literal["daemon", "simplestreams", "registry"] = "daemon"
    certificate: str = ""

    @property
    def key(self) -> str:
        """cluster/name."""
        return f"{self.cluster}/{self.name}"


class Image(Thing, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A name that definitions may use for an image: what it stands for, and for which kind."""

    KIND: ClassVar[str] = "image"
    cluster: str
    name: str
    alias: str = ""
    fingerprint: str = ""
    remote: str = ""
    kind: Literal["system", "application"] = "system"

    @property
    def key(self) -> str:
        """cluster/name."""
        return f"{self.cluster}/{self.name}"


class Token(Thing, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A credential. Only the SHA-256 of its secret is kept. `clusters` empty: all of them.

    A join token is used once: `used_by` is then the digest of the node secret that came with it, so
    that the same node may repeat a registration whose answer it missed.

    A sign-in is `user`'s, with what that user may. `expires_ms` moves on by `idle_ms` while it is
    used, up to `ends_ms`.
    """

    KIND: ClassVar[str] = "token"
    id: str
    role: Role
    secret_digest: str
    name: str = ""
    clusters: tuple[str, ...] = ()
    node: str = ""
    expires_ms: int = 0
    used_by: str = ""
    created_by: str = ""
    user: str = ""
    idle_ms: int = 0
    ends_ms: int = 0

    @property
    def key(self) -> str:
        """The identifier."""
        return self.id


class User(Thing, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A person who signs in by a password. `clusters` empty: all of them."""

    KIND: ClassVar[str] = "user"
    name: str
    password_hash: str
    role: PersonsRole
    clusters: tuple[str, ...] = ()
    disabled: bool = False
    password_ms: int = 0  # when the password was set
    created_by: str = ""

    @property
    def key(self) -> str:
        """The name."""
        return self.name


class Answered(Thing, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What was answered under an idempotency key, so that a repetition gets the same."""

    KIND: ClassVar[str] = "answered"
    id: str
    request_digest: str
    reply: bytes
    refused: bool = False

    @property
    def key(self) -> str:
        """principal/idempotency key."""
        return self.id


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Something happened, why, and who asked. Part of the change that made it happen.

    kind, cluster, name: of the thing concerned. node: where, for containers.
    """

    revision: int
    index: int  # position among the events of this revision
    time_ms: int
    kind: str
    name: str
    action: str
    cluster: str = ""
    node: str = ""
    why: str = ""
    who: str = ""


# In the order in which a snapshot has them: deployments before their replicas, which are counted
# as they come.
THINGS: tuple[type[Thing], ...] = (
    Cluster,
    Node,
    Deployment,
    Container,
    Remote,
    Image,
    Token,
    User,
    Answered,
)
