"""Things as the API shows them. Field names are those of tables, pages and CLI columns."""

from typing import Any, Literal

import msgspec

from pathfinder.control import draining
from pathfinder.control.draining import DrainView
from pathfinder.control.life import Life
from pathfinder.control.objects import (
    Cluster,
    Container,
    Deployment,
    Image,
    Limits,
    Node,
    Policy,
    Quota,
    Remote,
    Token,
    User,
)
from pathfinder.control.reasons import NO_LEASE, why_of
from pathfinder.control.settling import steps_of
from pathfinder.control.state import State
from pathfinder.model.resources import NOTHING, Resources
from pathfinder.wire.messages import ContainerUsage, Facts, Measurements

Action = Literal[
    "create",
    "change",
    "replace",
    "rebootstrap",
    "relocate",
    "delete",
    "place",
    "release",
    "wait",
    "unchanged",
]


class View(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all views."""


class LeavingView(View, frozen=True, kw_only=True, gc=False):
    """A generation that its node has not let go of yet."""

    node: str
    generation: int


class BootstrapView(View, frozen=True, kw_only=True, gc=False):
    """How far the present round of a container's bootstrap is: its latest try.

    exit_code: -1 while none is known.
    """

    round: int
    tries: int
    exit_code: int


class RelocationView(View, frozen=True, kw_only=True, gc=False):
    """A container on its way to `node`. `failures`: copies that did not come about so far.

    stage: copying (it runs), finishing (it is stopped, the rest is copied), starting (there).
    """

    node: str
    stage: str
    failures: int


class ContainerView(View, frozen=True, kw_only=True, gc=False):
    """One container: what is wanted, where it is, how it is, and why."""

    kind: Literal["Container"] = "Container"
    cluster: str
    name: str
    labels: dict[str, str]
    deployment: str
    ordinal: int
    priority: int
    generation: int
    phase: str
    ready: bool
    node: str
    ipaddress: str | None
    addresses: tuple[str, ...]
    image: str
    spec: dict[str, Any]
    digest: str
    bootstrap: BootstrapView | None
    restarts: int
    ended: str
    started_ms: int
    created_ms: int
    changed_ms: int
    revision: int
    wanted: bool
    why: str
    hint: str
    error_code: str
    explanation: dict[str, Any] | None
    leaving: tuple[LeavingView, ...]
    relocation: RelocationView | None
    relocation_error: str
    usage: ContainerUsage | None


class NodeView(View, frozen=True, kw_only=True, gc=False):
    """One node: what it has, what is reserved, what it uses, when it was last heard.

    lent: what may be reserved beyond its capacity, as what runs there does not use it.
    """

    kind: Literal["Node"] = "Node"
    cluster: str
    name: str
    status: str
    protocol: str
    note: str
    labels: dict[str, str]
    cordoned: bool
    drain: DrainView | None
    address: str
    capacity: Resources
    lent: Resources
    reserved: Resources
    containers: int
    runtime_error: str
    orphans: tuple[str, ...]
    facts: Facts
    usage: Measurements | None
    heard_ms_ago: int | None
    created_ms: int
    revision: int


class DeploymentView(View, frozen=True, kw_only=True, gc=False):
    """One deployment: what is wanted, how far it is, and what holds it up."""

    kind: Literal["Deployment"] = "Deployment"
    cluster: str
    name: str
    labels: dict[str, str]
    replicas: int
    min_available: int
    priority: int
    current: int
    updated: int
    ready: int
    progress: str
    blocked: str
    last_error: str
    last_error_ms: int
    wanted: bool
    spec: dict[str, Any]
    digest: str
    created_ms: int
    changed_ms: int
    revision: int


class ClusterView(View, frozen=True, kw_only=True, gc=False):
    """One cluster and how many things it has.

    quota_used: what counts against its quota. moves_left: what a person has asked for to balance
    its nodes. moving: containers that are on their way for that. moved_in_hour: what counts against
    `moves_per_hour`; the server forgets it when it starts.
    """

    kind: Literal["Cluster"] = "Cluster"
    name: str
    nodes: int
    deployments: int
    containers: int
    has_password: bool
    limits: Limits
    policy: Policy
    quota_used: Quota
    moves_left: int
    moving: tuple[str, ...]
    moved_in_hour: int
    created_ms: int
    revision: int


class ImageView(View, frozen=True, kw_only=True, gc=False):
    """A name for an image. `nodes`: those that have it in their local store."""

    kind: Literal["Image"] = "Image"
    cluster: str
    name: str
    alias: str
    fingerprint: str
    remote: str
    kind_of_image: str
    nodes: tuple[str, ...]
    named: bool
    created_ms: int
    revision: int


class RemoteView(View, frozen=True, kw_only=True, gc=False):
    """Where images come from."""

    kind: Literal["Remote"] = "Remote"
    cluster: str
    name: str
    server: str
    protocol: str
    certificate: str
    created_ms: int
    revision: int


class TokenView(View, frozen=True, kw_only=True, gc=False):
    """A credential, without its secret."""

    kind: Literal["Token"] = "Token"
    id: str
    name: str
    role: str
    clusters: tuple[str, ...]
    node: str
    used: bool
    expires_ms: int
    created_by: str
    created_ms: int
    revision: int


class UserView(View, frozen=True, kw_only=True, gc=False):
    """A person who signs in, without the password. No clusters: all of them."""

    kind: Literal["User"] = "User"
    name: str
    role: str
    clusters: tuple[str, ...]
    disabled: bool
    password_ms: int
    created_by: str
    created_ms: int
    revision: int


class PlanItem(View, frozen=True, kw_only=True, gc=False):
    """One thing that a request changes, or would change."""

    kind: str
    cluster: str
    name: str
    action: Action
    node: str = ""
    why: str = ""
    warnings: tuple[str, ...] = ()


class Plan(View, frozen=True, kw_only=True, gc=False):
    """Everything that a request changes at once, or with `dry_run` would change."""

    dry_run: bool
    revision: int
    changes: tuple[PlanItem, ...]
    warnings: tuple[str, ...] = ()


def container_view(state: State, life: Life, container: Container) -> ContainerView:
    """A container as the API shows it."""
    node = container.node or (container.leaving[-1].node if container.leaving else "")
    ready = life.is_ready(container)
    why, hint = why_of(life, container)
    priority = state.priority_of(container)
    return ContainerView(
        cluster=container.cluster,
        name=container.name,
        labels=container.labels,
        deployment=container.deployment,
        ordinal=container.ordinal,
        priority=priority,
        generation=container.generation,
        phase=container.phase.name,
        ready=ready,
        node=node,
        ipaddress=container.addresses[0] if container.addresses else None,
        addresses=container.addresses,
        image=container.spec.image.text(),
        spec=container.spec.document(),
        digest=container.digest,
        bootstrap=_bootstrap(container),
        restarts=container.restarts,
        ended=container.ended,
        started_ms=container.started_ms,
        created_ms=container.created_ms,
        changed_ms=container.changed_ms,
        revision=container.revision,
        wanted=container.wanted,
        why=why,
        hint=hint,
        error_code=container.error_code,
        explanation=container.explanation or None,
        leaving=tuple(
            LeavingView(node=copy.node, generation=copy.generation)
            for copy in container.leaving
            if not copy.stage or not copy.arriving
        ),
        relocation=_relocation(container),
        relocation_error=container.relocation_error,
        usage=_usage(life, container),
    )


def _bootstrap(container: Container) -> BootstrapView | None:
    if not container.spec.bootstrap:
        return None
    return BootstrapView(
        round=container.round,
        tries=container.bootstrap_tries,
        exit_code=container.bootstrap_exit_code,
    )


def _relocation(container: Container) -> RelocationView | None:
    copy = container.arriving
    if copy is None:
        return None
    return RelocationView(node=copy.node, stage=copy.stage, failures=copy.failures)


def _usage(life: Life, container: Container) -> ContainerUsage | None:
    node = life.nodes.get(container.node_key) if container.node else None
    return node.usage_by_slot.get(container.name) if node else None


def node_view(state: State, life: Life, node: Node, uptime_ms: int) -> NodeView:
    """A node as the API shows it."""
    heard, cluster = life.nodes.get(node.key), state.get(Cluster, node.cluster)
    shown = state.fleet.view(node.key)
    return NodeView(
        cluster=node.cluster,
        name=node.name,
        status=life.status(node.key),
        protocol=node.protocol,
        note=NO_LEASE if node.protocol == "poll" else "",
        labels=node.labels,
        cordoned=node.cordoned,
        drain=draining.view(state, life, node),
        address=node.address,
        capacity=node.capacity(cluster.policy.reserved if cluster else NOTHING),
        lent=shown.lent if shown else NOTHING,
        reserved=state.fleet.used(node.key),
        containers=state.fleet.count(node.key),
        runtime_error=node.told_error(),
        orphans=tuple(sorted(s for s, orphan in node.orphans.items() if not orphan.is_deleted)),
        facts=node.facts,
        usage=heard.measurements if heard else None,
        heard_ms_ago=uptime_ms - heard.heard_ms if heard and heard.heard_ms is not None else None,
        created_ms=node.created_ms,
        revision=node.revision,
    )


def deployment_view(state: State, life: Life, deployment: Deployment) -> DeploymentView:
    """A deployment as the API shows it."""
    replicas = state.replicas(deployment.key)
    wanted = [container for container in replicas if container.wanted]
    steps = steps_of(state, replicas, deployment, life)
    return DeploymentView(
        cluster=deployment.cluster,
        name=deployment.name,
        labels=deployment.labels,
        replicas=deployment.replicas,
        min_available=deployment.min_available,
        priority=deployment.priority,
        current=len(wanted),
        updated=steps.updated,
        ready=sum(life.is_ready(container) for container in wanted),
        progress=steps.progress
        if deployment.wanted
        else f"deleting: {len(replicas)} replicas left",
        blocked=deployment.blocked,
        last_error=deployment.last_error,
        last_error_ms=deployment.last_error_ms,
        wanted=deployment.wanted,
        spec=deployment.spec.document(),
        digest=deployment.digest,
        created_ms=deployment.created_ms,
        changed_ms=deployment.changed_ms,
        revision=deployment.revision,
    )


def image_views(state: State, cluster: str) -> list[ImageView]:
    """The named images of a cluster, and the aliases that its nodes have in their local stores."""
    nodes_of: dict[str, list[str]] = {}
    for node in sorted(state.all(Node), key=lambda node: node.key):
        if node.cluster == cluster:
            for alias in node.facts.images:
                nodes_of.setdefault(alias, []).append(node.name)
    named = {image.name: image for image in state.all(Image) if image.cluster == cluster}
    views = [image_view(state, image) for image in named.values()]
    views += [
        ImageView(
            cluster=cluster,
            name=alias,
            alias=alias,
            fingerprint="",
            remote="",
            kind_of_image="",
            nodes=tuple(names),
            named=False,
            created_ms=0,
            revision=0,
        )
        for alias, names in nodes_of.items()
        if alias not in named
    ]
    return sorted(views, key=lambda view: view.name)


def image_view(state: State, image: Image) -> ImageView:
    """A named image as the API shows it."""
    nodes = sorted(
        node.name
        for node in state.all(Node)
        if node.cluster == image.cluster and image.alias and image.alias in node.facts.images
    )
    return ImageView(
        cluster=image.cluster,
        name=image.name,
        alias=image.alias,
        fingerprint=image.fingerprint,
        remote=image.remote,
        kind_of_image=image.kind,
        nodes=tuple(nodes),
        named=True,
        created_ms=image.created_ms,
        revision=image.revision,
    )


def remote_view(remote: Remote) -> RemoteView:
    """A remote as the API shows it."""
    return RemoteView(
        cluster=remote.cluster,
        name=remote.name,
        server=remote.server,
        protocol=remote.protocol,
        certificate=remote.certificate,
        created_ms=remote.created_ms,
        revision=remote.revision,
    )


def token_view(token: Token) -> TokenView:
    """A token as the API shows it."""
    return TokenView(
        id=token.id,
        name=token.name or token.user,
        role=token.role,
        clusters=token.clusters,
        node=token.node,
        used=bool(token.used_by),
        expires_ms=token.expires_ms,
        created_by=token.created_by,
        created_ms=token.created_ms,
        revision=token.revision,
    )


def user_view(user: User) -> UserView:
    """A user as the API shows one."""
    return UserView(
        name=user.name,
        role=user.role,
        clusters=user.clusters,
        disabled=user.disabled,
        password_ms=user.password_ms,
        created_by=user.created_by,
        created_ms=user.created_ms,
        revision=user.revision,
    )
