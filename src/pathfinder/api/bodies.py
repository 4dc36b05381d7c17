"""What requests carry, as the OpenAPI document describes it.

Documents (deployments, containers, ...) are read by `control.manifests`, whose errors name the
place and say what to write; the types here describe them. The others are read by these types.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pathfinder.api.parameters import NAME_PATTERN
from pathfinder.model.definitions import REPLICAS_MAX

Name = Annotated[str, Meta(max_length=63, pattern=NAME_PATTERN)]
TTL_S_MAX = 10 * 365 * 24 * 3600
Replicas = Annotated[int, Meta(ge=0, le=REPLICAS_MAX)]
Labels = dict[
    Annotated[str, Meta(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9._/-]{0,61}[a-zA-Z0-9])?$")],
    Annotated[str, Meta(pattern=r"^[a-zA-Z0-9._/:@+ -]{0,128}$")],
]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: what is not known is refused."""


class ApplyBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Documents to make true, all of them or none.

    dirty: replicas take over a new definition as they run, without being made anew.
    """

    documents: Annotated[tuple[dict[str, Any], ...], Meta(max_length=1_000)]
    dirty: bool = False


class ClusterBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`password`: with it, nodes may join without a join token."""

    password: Annotated[str, Meta(min_length=8, max_length=1_024)] | None = None


class NodeChanges(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labels to set, null to take one away; whether new containers are kept off.

    draining: whether those that are there go elsewhere; reason: why, kept with the event.
    """

    labels: dict[str, str | None] | None = None
    cordoned: bool | None = None
    draining: bool | None = None
    reason: Annotated[str, Meta(max_length=200)] = ""


class RebalanceBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many containers may be moved, one by one; 0: begin no more."""

    moves: Annotated[int, Meta(ge=0, le=1_000)]


class ScaleBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many replicas; so many of them stay ready while others are replaced."""

    replicas: Replicas
    min_available: Replicas | None = None


class RescheduleBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, for the audit."""

    reason: Annotated[str, Meta(max_length=200)] = ""


class RebootstrapBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other steps than the container has (None: its own), and why, for the audit."""

    bootstrap: list[dict[str, Any]] | None = None
    reason: Annotated[str, Meta(max_length=200)] = ""


class RelocateBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to ("": the best node there is), and why, for the audit."""

    node: Annotated[str, Meta(max_length=63)] = ""
    reason: Annotated[str, Meta(max_length=200)] = ""


class SnapshotBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it is called; "": the present time."""

    name: Annotated[str, Meta(max_length=63)] = ""


class TokenBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A credential for the API. No clusters: all of them. No `ttl_s`: it does not expire."""

    name: Name
    role: Literal["admin", "app", "reader"]
    clusters: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    ttl_s: Annotated[int, Meta(ge=1, le=TTL_S_MAX)] | None = None


class JoinTokenBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one node joins with. `node`: only the one of this name."""

    node: Annotated[str, Meta(max_length=63)] | None = None
    ttl_s: Annotated[int, Meta(ge=1, le=TTL_S_MAX)] = 3_600


Password = Annotated[str, Meta(min_length=12, max_length=1_024)]
SomePassword = Annotated[str, Meta(max_length=1_024)]  # any that was good once
PersonsRole = Literal["admin", "app", "reader"]
Clusters = Annotated[tuple[Name, ...], Meta(max_length=100)]


class UserBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person who may sign in. No clusters: all of them."""

    name: Name
    password: Password
    role: PersonsRole
    clusters: Clusters = ()


class UserChanges(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person may from now on; what is absent stays. `disabled`: may not sign in."""

    role: PersonsRole | None = None
    clusters: Clusters | None = None
    disabled: bool | None = None


class PasswordBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password. Who changes the own one says the present one, too."""

    password: Password
    current_password: SomePassword = ""


class SignInBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who comes, and by what password."""

    name: Annotated[str, Meta(max_length=63)]
    password: SomePassword


class ImageSourceBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either alias or fingerprint; `remote`: the name of where it comes from."""

    alias: str = ""
    fingerprint: str = ""
    remote: str = ""


class ResourcesBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be used: `{cpu: 0.5, memory: 512MiB, disk: 4GiB, processes: 200}`."""

    cpu: int | float | str = 0
    memory: int | str = 0
    disk: int | str = 0
    processes: int = 0
    cpu_millis: int = 0
    memory_mib: int = 0
    disk_mib: int = 0


class PortBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A port of the node that leads to one of the container; also as text, `8080:80/tcp`."""

    host: Annotated[int, Meta(ge=1, le=65535)]
    container: Annotated[int, Meta(ge=1, le=65535)]
    protocol: Literal["tcp", "udp"] = "tcp"


class MountBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A volume of the container's own under a path: it outlives each making of the container."""

    volume: str
    path: str
    read_only: bool = False


class HttpCheckBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GET that is answered with a status below 400."""

    port: Annotated[int, Meta(ge=1, le=65535)]
    path: str = "/"


class TcpCheckBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A connection that is taken."""

    port: Annotated[int, Meta(ge=1, le=65535)]


class HealthBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of command, http and tcp, made each `interval_s` while the container runs."""

    command: Annotated[tuple[str, ...], Meta(max_length=128)] | None = None
    http: HttpCheckBody | None = None
    tcp: TcpCheckBody | None = None
    interval_s: int = 10
    timeout_s: int = 3
    retries: int = 3
    start_period_s: int = 0


class SpreadBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Evenly over the values of a node label: a must by `max_skew`, else a wish by `weight`."""

    over: str
    max_skew: Annotated[int, Meta(ge=0, le=99)] = 0
    weight: Annotated[int, Meta(ge=0, le=100)] = 0


class AffinityBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a deployment has a replica, or has none. With a weight a wish, without one a must."""

    deployment: Name
    over: str = "node"
    weight: Annotated[int, Meta(ge=0, le=100)] = 0


class PreferenceBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rather on a node that meets a requirement on its labels."""

    label: str
    weight: Annotated[int, Meta(ge=0, le=100)] = 1


class SpecBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about a container that its node needs to make it."""

    image: str | ImageSourceBody
    kind: Literal["system", "application"] = "system"
    type: Literal["STATEFUL", "STATELESS", "stateful", "stateless"] = "STATEFUL"
    resources: ResourcesBody | None = None
    environment: dict[str, str] | None = None
    command: Annotated[tuple[str, ...], Meta(max_length=128)] = ()
    constraints: Annotated[tuple[str, ...], Meta(max_length=32)] = ()
    spread: Annotated[tuple[SpreadBody, ...], Meta(max_length=16)] = ()
    affinity: Annotated[tuple[AffinityBody, ...], Meta(max_length=16)] = ()
    anti_affinity: Annotated[tuple[AffinityBody, ...], Meta(max_length=16)] = ()
    preferences: Annotated[tuple[PreferenceBody, ...], Meta(max_length=16)] = ()
    network: Literal["default", "none"] = "default"
    ports: Annotated[tuple[PortBody | str, ...], Meta(max_length=64)] = ()
    mounts: Annotated[tuple[MountBody, ...], Meta(max_length=64)] = ()
    health: HealthBody | None = None


class ContainerBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One container. `kind`, `cluster` and `name`, when given, must be those of the path."""

    spec: SpecBody
    labels: Labels | None = None
    kind: str = "Container"
    cluster: str = ""
    name: str = ""


class DeploymentBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbered replicas of one definition."""

    spec: SpecBody
    labels: Labels | None = None
    replicas: Replicas = 1
    min_available: Replicas | None = None
    kind: str = "Deployment"
    cluster: str = ""
    name: str = ""


class ImageBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name for an image: either alias or fingerprint, and where it comes from."""

    alias: str = ""
    fingerprint: str = ""
    remote: str = ""
    kind_of_image: Literal["system", "application"] = "system"
    kind: str = "Image"
    cluster: str = ""
    name: str = ""


class RemoteBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where images come from. `certificate`: PEM of the server's, for protocol `daemon`."""

    server: Annotated[str, Meta(pattern=r"^https://", max_length=1_024)]
    protocol: Literal["daemon", "simplestreams", "registry"] = "daemon"
    certificate: Annotated[str, Meta(max_length=65_536)] = ""
    kind: str = "Remote"
    cluster: str = ""
    name: str = ""
