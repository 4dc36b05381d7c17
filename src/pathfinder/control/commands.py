"""What can be asked of the state, as data. Secrets and hashes are made outside and passed in."""

from typing import Any, Literal

import msgspec

from pathfinder.control.access import Principal
from pathfinder.control.objects import PersonsRole, Role, Thing
from pathfinder.wire.messages import Measurements, Registration


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When a command is decided: wall clock for people, and a clock of durations."""

    wall_ms: int
    uptime_ms: int


class Apply(msgspec.Struct, frozen=True, tag=True):
    """Make the documents true, all of them or none.

    dirty: replicas take over their deployment's new definition without being replaced or
    bootstrapped again: what runs is left as it is.
    """

    documents: tuple[dict[str, Any], ...]
    dirty: bool = False


class Put(msgspec.Struct, frozen=True, tag=True):
    """Make or change the one thing that a document describes; answers its view.

    `new`, for a container: refuse when there is one already; for a remote: leave one that is there
    as it is. Others use it, so changing it is an administrator's; adding one is not.
    """

    document: dict[str, Any]
    new: bool = False


class Delete(msgspec.Struct, frozen=True, tag=True):
    """Let a thing go. `force`, for a node: a person confirms that it is dead."""

    kind: str
    cluster: str
    name: str
    force: bool = False


class PatchNode(msgspec.Struct, frozen=True, tag=True):
    """Change a node's labels (None removes one), whether it takes new containers, or is drained.

    reason: why it is drained, for the event.
    """

    cluster: str
    name: str
    labels: dict[str, str | None] | None = None
    cordoned: bool | None = None
    draining: bool | None = None
    reason: str = ""


class Scale(msgspec.Struct, frozen=True, tag=True):
    """Change the number of replicas."""

    cluster: str
    name: str
    replicas: int
    min_available: int | None = None


class Reschedule(msgspec.Struct, frozen=True, tag=True):
    """Begin a new generation of a container, placed anew."""

    cluster: str
    name: str
    reason: str = ""


class Rebootstrap(msgspec.Struct, frozen=True, tag=True):
    """Bootstrap a container again where it runs, by other steps than it has; None: by its own."""

    cluster: str
    name: str
    bootstrap: list[dict[str, Any]] | None = None
    reason: str = ""


class PutCluster(msgspec.Struct, frozen=True, tag=True):
    """Make a cluster, or set the password by which nodes may join it."""

    name: str
    password_hash: str | None = None


class CreateToken(msgspec.Struct, frozen=True, tag=True):
    """Remember a credential by the digest of its secret."""

    id: str
    role: Role
    secret_digest: str
    name: str = ""
    clusters: tuple[str, ...] = ()
    node: str = ""
    expires_ms: int = 0


class DeleteToken(msgspec.Struct, frozen=True, tag=True):
    """Revoke a credential."""

    id: str


class CreateUser(msgspec.Struct, frozen=True, tag=True):
    """Let a person sign in."""

    name: str
    password_hash: str
    role: PersonsRole
    clusters: tuple[str, ...] = ()


class ChangeUser(msgspec.Struct, frozen=True, tag=True):
    """Change what a person may; None leaves it. `disabled` ends what sign-ins there are."""

    name: str
    role: PersonsRole | None = None
    clusters: tuple[str, ...] | None = None
    disabled: bool | None = None


class SetPassword(msgspec.Struct, frozen=True, tag=True):
    """Another password: the sign-ins made with the old one end, but for the one that asks."""

    name: str
    password_hash: str


class DeleteUser(msgspec.Struct, frozen=True, tag=True):
    """Forget a person, and end the sign-ins."""

    name: str


class SignIn(msgspec.Struct, frozen=True, tag=True):
    """Remember a sign-in of the principal by the digest of its secret.

    password_hash: the one that the shell has checked the password against. whole_ms: how long it
    lasts at most; idle_ms: how long while it is not used. peer: from where, for the audit.
    """

    id: str
    secret_digest: str
    password_hash: str
    idle_ms: int
    whole_ms: int
    peer: str = ""


class RenewSignIn(msgspec.Struct, frozen=True, tag=True):
    """A sign-in is used: it lasts on."""

    id: str


class SignOut(msgspec.Struct, frozen=True, tag=True):
    """End a sign-in of one's own."""

    id: str


class Register(msgspec.Struct, frozen=True, tag=True):
    """A node joins. `password_good`: the shell has checked the cluster's password."""

    registration: Registration
    peer: str = ""
    password_good: bool = False


class Redefine(msgspec.Struct, frozen=True, tag=True):
    """Keep another definition of a single container, and leave what runs as it is."""

    cluster: str
    name: str
    spec: dict[str, Any]


class Import(msgspec.Struct, frozen=True, tag=True):
    """Put things as another Pathfinder had them, all or none; nothing follows from it."""

    things: tuple[Thing, ...]


class Relocate(msgspec.Struct, frozen=True, tag=True):
    """Move a container with its data to another node; "": to the best there is."""

    cluster: str
    name: str
    node: str = ""
    reason: str = ""


class Rebalance(msgspec.Struct, frozen=True, tag=True):
    """Move up to so many containers of a cluster to balance its nodes, one by one; 0: stop."""

    cluster: str
    moves: int


class CancelRelocation(msgspec.Struct, frozen=True, tag=True):
    """Leave a container that is being moved where it is."""

    cluster: str
    name: str


class AskSnapshot(msgspec.Struct, frozen=True, tag=True):
    """Have a container's node make, restore or delete a snapshot: allowed, and kept as an event."""

    cluster: str
    name: str
    do: Literal["create", "restore", "delete"]
    snapshot: str


MarkKind = Literal[
    "provisioned",
    "provision_error",
    "bootstrap_started",
    "bootstrapped",
    "bootstrap_error",
    "relocate_started",
    "relocate_error",
    "deleted",
]


class RegisterPolling(msgspec.Struct, frozen=True, tag=True):
    """A node that speaks API v1/v2 joins; the shell has checked the cluster's password.

    token_digest: of the credential that it gets. proof: the credential that it has, or "".
    """

    cluster: str
    name: str
    token_digest: str
    address: str
    proof: str = ""


class Poll(msgspec.Struct, frozen=True, tag=True):
    """A polling node is heard again."""

    node: str


class Measure(msgspec.Struct, frozen=True, tag=True):
    """What a polling node has and uses; None: not told."""

    node: str
    measurements: Measurements
    memory_total_mib: int | None = None
    cores: float | None = None


class Mark(msgspec.Struct, frozen=True, tag=True):
    """A polling node says how far it is with one of its containers."""

    node: str
    name: str
    what: MarkKind


class MarkAddress(msgspec.Struct, frozen=True, tag=True):
    """A polling node says which address one of its containers has; "": none."""

    node: str
    name: str
    address: str


Polling = RegisterPolling | Poll | Measure | Mark | MarkAddress

Command = (
    Apply
    | Put
    | Delete
    | PatchNode
    | Scale
    | Reschedule
    | Rebootstrap
    | Redefine
    | PutCluster
    | CreateToken
    | DeleteToken
    | CreateUser
    | ChangeUser
    | SetPassword
    | DeleteUser
    | SignIn
    | RenewSignIn
    | SignOut
    | Register
    | Polling
    | Import
    | Relocate
    | CancelRelocation
    | Rebalance
    | AskSnapshot
)


class Request(msgspec.Struct, frozen=True):
    """A command with who asks and under which conditions.

    idempotency_key: "" or the client's; then `request_digest` tells its requests apart.
    if_match: the revision that the thing must have, or None.
    """

    principal: Principal
    command: Command
    idempotency_key: str = ""
    request_digest: str = ""
    if_match: int | None = None
    dry_run: bool = False
