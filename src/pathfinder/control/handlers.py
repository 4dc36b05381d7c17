"""One function for each command: checks, edits, and what it answers."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from pathfinder.control import access, commands, manifests, views, workloads
from pathfinder.control.access import Principal
from pathfinder.control.life import Life
from pathfinder.control.objects import (
    Cluster,
    Container,
    Deployment,
    Image,
    Node,
    Remote,
    Thing,
    Token,
)
from pathfinder.control.transaction import Transaction
from pathfinder.model import names, selectors
from pathfinder.model.definitions import REPLICAS_MAX, resources_from
from pathfinder.model.errors import Conflict, Malformed, NameTaken, NotFound, TooMuch, Unauthorized
from pathfinder.model.phases import Phase
from pathfinder.model.resources import NOTHING, count
from pathfinder.wire.messages import Registered

CONTAINERS_MAX = 1_000_000
KIND_OF_WORD: dict[str, type[Thing]] = {
    kind.KIND: kind for kind in (Cluster, Node, Deployment, Container, Image, Remote, Token)
}


def apply(tx: Transaction, principal: Principal, command: commands.Apply) -> tuple[Thing, ...]:
    """Make all documents true, in an order in which each finds what it names; all or none."""
    if len(command.documents) > manifests.DOCUMENTS_MAX:
        raise TooMuch(f"at most {manifests.DOCUMENTS_MAX} documents at once")
    parsed = [
        manifests.wanted(document, f"documents[{index}]")
        for index, document in enumerate(command.documents)
    ]
    order = (
        manifests.WantedCluster,
        manifests.WantedRemote,
        manifests.WantedImage,
        manifests.WantedDeployment,
        manifests.WantedContainer,
    )
    parsed.sort(key=lambda wanted: order.index(type(wanted)))
    return tuple(_put(tx, principal, wanted) for wanted in parsed)


def put(tx: Transaction, principal: Principal, command: commands.Put) -> Thing:
    """Make one document true; the caller has it settled before it is shown."""
    return _put(tx, principal, manifests.wanted(command.document, "document"))


def _put(tx: Transaction, principal: Principal, wanted: manifests.Wanted) -> Thing:
    if isinstance(wanted, manifests.WantedCluster):
        principal.require("admin", wanted.name)
        return put_cluster(tx, wanted.name, None)
    principal.require("write", wanted.cluster)
    match wanted:
        case manifests.WantedDeployment():
            return workloads.put_deployment(tx, wanted)
        case manifests.WantedContainer():
            if tx.state.count(Container) >= CONTAINERS_MAX:
                raise TooMuch(f"at most {CONTAINERS_MAX} containers")
            return workloads.put_container(tx, wanted)
        case manifests.WantedRemote():
            principal.require("admin", wanted.cluster)
            tx.need(Cluster, wanted.cluster)
            return _upsert(
                tx,
                Remote(
                    cluster=wanted.cluster,
                    name=wanted.name,
                    server=wanted.server,
                    protocol=wanted.protocol,
                    certificate=wanted.certificate,
                ),
            )
        case manifests.WantedImage():
            tx.need(Cluster, wanted.cluster)
            if wanted.remote:
                tx.need(Remote, f"{wanted.cluster}/{wanted.remote}")
            return _upsert(
                tx,
                Image(
                    cluster=wanted.cluster,
                    name=wanted.name,
                    alias=wanted.alias,
                    fingerprint=wanted.fingerprint,
                    remote=wanted.remote,
                    kind=wanted.kind,
                ),
            )


def _upsert(tx: Transaction, new: Remote | Image) -> Thing:
    old = tx.state.get(type(new), new.key)
    if old is not None:
        new = replace(new, revision=old.revision, created_ms=old.created_ms, extra=old.extra)
        if new == old:
            return old
    tx.event("changed" if old else "created", kind=new.KIND, cluster=new.cluster, name=new.name)
    return tx.put(new)


def put_cluster(tx: Transaction, name: str, password_hash: str | None) -> Cluster:
    """Make a cluster, or change its password; None leaves it."""
    old = tx.state.get(Cluster, names.name(name, "name"))
    if old is None:
        tx.event("created", kind="cluster", name=name)
        return tx.put(Cluster(name=name, password_hash=password_hash or ""))
    if password_hash is None or password_hash == old.password_hash:
        return old
    tx.event("password_changed", kind="cluster", name=name)
    return tx.put(replace(old, password_hash=password_hash))


def delete(tx: Transaction, principal: Principal, command: commands.Delete) -> Thing:
    """Let a thing go; what it still has on nodes is counted until they have let go."""
    kind = KIND_OF_WORD[command.kind]
    key = command.name if kind in (Cluster, Token) else f"{command.cluster}/{command.name}"
    principal.require(
        "write" if kind in (Deployment, Container, Image) else "admin", command.cluster
    )
    if kind is Container and tx.state.get(Container, key) is None:
        orphan = _delete_orphan(tx, command)
        if orphan is not None:
            return orphan
    thing = tx.need(kind, key)
    match thing:
        case Container():
            workloads.delete_container(tx, thing, f"deleted by {principal.name}")
        case Deployment():
            workloads.delete_deployment(tx, key)
        case Node():
            _delete_node(tx, thing, force=command.force)
        case Cluster():
            _delete_cluster(tx, thing)
        case Remote():
            _check_unused(tx, thing)
            _drop(tx, thing, thing.cluster, thing.name)
        case Image():
            _drop(tx, thing, thing.cluster, thing.name)
        case _:
            _drop(tx, thing, "", command.name)
    return thing


def _drop(tx: Transaction, thing: Thing, cluster: str, name: str) -> None:
    tx.drop(thing)
    tx.event("deleted", kind=thing.KIND, cluster=cluster, name=name)


def _delete_orphan(tx: Transaction, command: commands.Delete) -> Node | None:
    """A container that only its node knows (after a restore) goes when a person says so."""
    for key in sorted(tx.state.nodes_with_orphans):
        node = tx.need(Node, key)
        if node.cluster == command.cluster and command.name in node.orphans:
            tx.event(
                "deleting",
                kind="container",
                cluster=node.cluster,
                name=command.name,
                node=node.name,
                why="an orphan, deleted on request",
            )
            return workloads.forget_orphan(tx, node, command.name)
    return None


def _delete_node(tx: Transaction, node: Node, *, force: bool) -> None:
    """Forget a node. With `force` a person says that it is dead: what it held is placed anew."""
    held = tx.state.on_node(node.key)
    if held and not force:
        raise Conflict(
            f"node {node.name!r} has {len(held)} containers",
            hint=f"pfi cordon {node.name}, reschedule or delete them; "
            "or, when the machine is dead for certain: pfi delete node --force",
        )
    for container in held:
        _forget_copy(tx, container, node)
    _drop(tx, node, node.cluster, node.name)


def _forget_copy(tx: Transaction, container: Container, node: Node) -> None:
    why = f"node {node.name} was declared dead"
    if container.node == node.name:
        container = workloads.release(tx, container)
        if container.wanted:
            container = replace(
                container,
                generation=workloads.generation(tx),
                phase=Phase.PENDING,
                ready=False,
                why=why,
                changed_ms=tx.now_ms,
            )
    staying = tuple(copy for copy in container.leaving if copy.node != node.name)
    tx.event(
        "released",
        kind="container",
        cluster=container.cluster,
        name=container.name,
        node=node.name,
        why=why,
    )
    workloads.finish_or_put(tx, replace(container, leaving=staying))


def _delete_cluster(tx: Transaction, cluster: Cluster) -> None:
    kinds: tuple[type[Container | Deployment | Node], ...] = (Container, Deployment, Node)
    for kind in kinds:
        left = sum(thing.cluster == cluster.name for thing in tx.state.all(kind))
        if left:
            raise Conflict(
                f"cluster {cluster.name!r} still has {left} {kind.KIND}s",
                hint=f"pfi --cluster {cluster.name} get {kind.KIND}s",
            )
    left_over: list[Remote | Image] = [*tx.state.all(Remote), *tx.state.all(Image)]
    for thing in left_over:
        if thing.cluster == cluster.name:
            _drop(tx, thing, cluster.name, thing.name)
    _drop(tx, cluster, "", cluster.name)


def _check_unused(tx: Transaction, remote: Remote) -> None:
    for image in tx.state.all(Image):
        if image.cluster == remote.cluster and image.remote == remote.name:
            raise Conflict(
                f"image {image.name!r} comes from remote {remote.name!r}",
                hint=f"pfi delete image {image.name}",
            )


def patch_node(tx: Transaction, principal: Principal, command: commands.PatchNode) -> Node:
    """Change labels and whether the node takes new containers."""
    principal.require("admin", command.cluster)
    old = tx.need(Node, f"{command.cluster}/{command.name}")
    labels = {**old.labels, **(command.labels or {})}
    kept = {key: value for key, value in labels.items() if value is not None}
    cordoned = old.cordoned if command.cordoned is None else command.cordoned
    new = replace(old, labels=selectors.labels(kept, "labels"), cordoned=cordoned)
    if new == old:
        return old
    if cordoned != old.cordoned:
        tx.event(
            "cordoned" if cordoned else "uncordoned",
            kind="node",
            cluster=old.cluster,
            name=old.name,
        )
    if new.labels != old.labels:
        tx.event("labelled", kind="node", cluster=old.cluster, name=old.name)
    tx.place_all = True
    return tx.put(new)


def scale(tx: Transaction, principal: Principal, command: commands.Scale) -> Deployment:
    """Change the number of replicas."""
    principal.require("write", command.cluster)
    replicas = count(command.replicas, "replicas", most=REPLICAS_MAX)
    if command.min_available is not None:
        manifests.min_available(command.min_available, replicas, "min_available")
    key = f"{command.cluster}/{command.name}"
    return workloads.scale(tx, key, replicas, command.min_available)


def reschedule(tx: Transaction, principal: Principal, command: commands.Reschedule) -> Container:
    """Begin a new generation of a container."""
    principal.require("write", command.cluster)
    container = tx.need(Container, f"{command.cluster}/{command.name}")
    why = command.reason[:200] or f"rescheduled by {principal.name}"
    return workloads.reschedule(tx, container, why)


def create_token(tx: Transaction, principal: Principal, command: commands.CreateToken) -> Token:
    """Remember a credential; nobody can make one that may more than himself."""
    principal.require("admin", command.clusters[0] if len(command.clusters) == 1 else "")
    for cluster in command.clusters:
        tx.need(Cluster, cluster)
    if command.name:
        names.name(command.name, "name")
    if tx.state.get(Token, command.id) is not None:
        raise NameTaken(f"there is a token {command.id!r} already")
    tx.event("created", kind="token", name=command.name or command.id, why=command.role)
    return tx.put(
        Token(
            id=command.id,
            role=command.role,
            secret_digest=command.secret_digest,
            name=command.name,
            clusters=command.clusters,
            node=command.node,
            expires_ms=command.expires_ms,
            created_by=principal.name,
        )
    )


def delete_token(tx: Transaction, principal: Principal, command: commands.DeleteToken) -> Token:
    """Revoke a credential, from the next request on."""
    token = tx.need(Token, command.id)
    principal.require("admin", token.clusters[0] if len(token.clusters) == 1 else "")
    _drop(tx, token, "", token.name or token.id)
    return token


def register(tx: Transaction, command: commands.Register) -> Node:
    """A node joins by a join token or the cluster's password; the same again has no effect."""
    asked = command.registration
    cluster = tx.state.get(Cluster, asked.cluster)
    name = names.hostname(asked.node, "node")
    if len(asked.secret) < 32:
        raise Malformed("secret: at least 32 characters")
    secret_digest = access.digest(asked.secret)
    _check_joining(tx, command, cluster, secret_digest)
    assert cluster is not None
    old = tx.state.get(Node, f"{cluster.name}/{name}")
    if old is not None and not access.same(old.secret_digest, secret_digest):
        raise NameTaken(
            f"there is a node {name!r} in cluster {cluster.name!r} with another identity",
            hint="give this one another --name; or, when the other is gone for good: "
            f"pfi delete node {name}",
        )
    node = Node(
        cluster=cluster.name,
        name=name,
        secret_digest=secret_digest,
        address=asked.address or command.peer,
        granted=resources_from(dict(asked.capacity), "capacity") if asked.capacity else NOTHING,
        labels=old.labels if old else selectors.labels(dict(asked.labels), "labels"),
        facts=asked.facts if asked.facts.hostname or old is None else old.facts,
        cordoned=old.cordoned if old else False,
        orphans=old.orphans if old else {},
        unverified=old.unverified if old else False,
        runtime_error=old.runtime_error if old else "",
        revision=old.revision if old else 0,
        created_ms=old.created_ms if old else 0,
    )
    if node == old:
        return old
    tx.event("joined" if old is None else "rejoined", kind="node", cluster=cluster.name, name=name)
    tx.place_all = True
    return tx.put(node)


def _check_joining(
    tx: Transaction, command: commands.Register, cluster: Cluster | None, secret_digest: str
) -> None:
    asked = command.registration
    if not asked.join_token:
        if cluster is None or not command.password_good:
            raise Unauthorized(
                f"no cluster {asked.cluster!r} has this password",
                hint="use a join token instead: pfi create join-token",
            )
        return
    prefix, _, rest = asked.join_token.partition(".")
    identifier, _, secret = rest.partition(".")[2].partition(".")
    token = tx.state.get(Token, identifier)
    if (
        prefix != "pf1"
        or token is None
        or token.role != "join"
        or cluster is None
        or cluster.name not in token.clusters
        or not access.same(token.secret_digest, access.digest(secret))
    ):
        raise Unauthorized(
            f"this join token is not known for cluster {asked.cluster!r}",
            hint="make a new one: pfi create join-token",
        )
    if token.node and token.node != asked.node:
        raise Unauthorized(f"this join token is for a node named {token.node!r}")
    if token.used_by:
        if not access.same(token.used_by, secret_digest):
            raise Unauthorized(
                "this join token has been used by another node",
                hint="each node needs its own: pfi create join-token",
            )
        return
    if token.expires_ms and tx.now_ms > token.expires_ms:
        raise Unauthorized("this join token has expired", hint="pfi create join-token")
    tx.put(replace(token, used_by=secret_digest))


def registered(node: Node) -> Registered:
    """What a node is answered when it has joined."""
    return Registered(cluster=node.cluster, node=node.name, revision=node.revision)


def view_of(tx: Transaction, life: Life, thing: Thing, uptime_ms: int) -> Any:
    """The view of a thing after a command, also of one that has gone."""
    now = tx.state.get(type(thing), thing.key) or thing
    return view(tx, life, now, uptime_ms)


def view(tx: Transaction, life: Life, thing: Thing, uptime_ms: int) -> Any:
    """The view of a thing as it is given."""
    match thing:
        case Container():
            return views.container_view(life, thing)
        case Deployment():
            return views.deployment_view(tx.state, life, thing)
        case Node():
            return views.node_view(tx.state, life, thing, uptime_ms)
        case Cluster():
            return views.cluster_view(tx.state, thing)
        case Image():
            return views.image_view(tx.state, thing)
        case Remote():
            return views.remote_view(thing)
        case Token():
            return views.token_view(thing)
        case _:
            raise NotFound(f"a {thing.KIND} has no view")


def if_match(tx: Transaction, command: commands.Command) -> Thing | None:
    """The thing whose revision an If-Match speaks of."""
    match command:
        case commands.Put():
            wanted = manifests.wanted(command.document, "document")
            kind = KIND_OF_WORD[str(command.document["kind"]).lower()]
            cluster = getattr(wanted, "cluster", "")
            return tx.state.get(kind, f"{cluster}/{wanted.name}" if cluster else wanted.name)
        case commands.Delete():
            kind_of = KIND_OF_WORD[command.kind]
            is_global = kind_of in (Cluster, Token)
            key = command.name if is_global else f"{command.cluster}/{command.name}"
            return tx.state.get(kind_of, key)
        case commands.PatchNode():
            return tx.state.get(Node, f"{command.cluster}/{command.name}")
        case commands.Scale():
            return tx.state.get(Deployment, f"{command.cluster}/{command.name}")
        case commands.Reschedule():
            return tx.state.get(Container, f"{command.cluster}/{command.name}")
        case commands.PutCluster():
            return tx.state.get(Cluster, command.name)
        case commands.DeleteToken():
            return tx.state.get(Token, command.id)
        case _:
            return None


Handler = Callable[[Transaction, Principal, Any], Thing]
HANDLERS: dict[type, Handler] = {
    commands.Put: put,
    commands.Delete: delete,
    commands.PatchNode: patch_node,
    commands.Scale: scale,
    commands.Reschedule: reschedule,
    commands.CreateToken: create_token,
    commands.DeleteToken: delete_token,
}
