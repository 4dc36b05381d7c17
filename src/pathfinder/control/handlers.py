"""One function for each command: checks, edits, and what it answers."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec.structs import replace

from pathfinder.control import (
    commands,
    importing,
    manifests,
    nodes,
    rebalancing,
    relocating,
    users,
    views,
    workloads,
)
from pathfinder.control.access import Principal
from pathfinder.control.cluster_views import cluster_view
from pathfinder.control.differences import changes, limits_fields, policy_fields, words
from pathfinder.control.life import Life
from pathfinder.control.objects import (
    Cluster,
    Container,
    Deployment,
    Image,
    Limits,
    Node,
    Policy,
    Remote,
    Thing,
    Token,
    User,
)
from pathfinder.control.rendering import refuse_endless
from pathfinder.control.transaction import Transaction
from pathfinder.model import names
from pathfinder.model.definitions import REPLICAS_MAX, container_spec
from pathfinder.model.documents import DOCUMENTS_MAX, KINDS
from pathfinder.model.errors import Conflict, NameTaken, NotFound, TooMuch
from pathfinder.model.resources import count

CONTAINERS_MAX = 1_000_000
ORDINAL_DIGITS: Final = 2  # of a replica's name
NOTHING_GIVEN: Final[Mapping[str, Any]] = MappingProxyType({})
KIND_OF_WORD: dict[str, type[Thing]] = {
    kind.KIND: kind for kind in (Cluster, Node, Deployment, Container, Image, Remote)
}


def apply(tx: Transaction, principal: Principal, command: commands.Apply) -> tuple[Thing, ...]:
    """Make all documents true, in an order in which each finds what it names; all or none."""
    if len(command.documents) > DOCUMENTS_MAX:
        raise TooMuch(f"at most {DOCUMENTS_MAX} documents at once")
    parsed = [
        manifests.wanted(document, f"documents[{index}]")
        for index, document in enumerate(command.documents)
    ]
    kinds = [KINDS.index(document["kind"]) for document in command.documents]
    in_order = sorted(range(len(parsed)), key=kinds.__getitem__)
    things = tuple(_put(tx, principal, parsed[index]) for index in in_order)
    _refuse_endless(tx, things)
    _refuse_shared_names(things)
    if command.dirty:
        for thing in things:
            if isinstance(thing, Deployment):
                workloads.take_over(tx, thing)
    return things


def put(tx: Transaction, principal: Principal, command: commands.Put) -> Thing:
    """Make one document true; the caller has it settled before it is shown."""
    thing = _put(tx, principal, manifests.wanted(command.document, "document"), new=command.new)
    _refuse_endless(tx, (thing,))
    return thing


def _refuse_endless(tx: Transaction, things: tuple[Thing, ...]) -> None:
    """Once all are there: a batch may turn a reference round."""
    for thing in things:
        if isinstance(thing, Deployment):
            refuse_endless(tx.state, thing)


def _refuse_shared_names(things: tuple[Thing, ...]) -> None:
    """A deployment of the same batch has no replicas yet: it would make one of a taken name."""
    deployments = {thing.key: thing for thing in things if isinstance(thing, Deployment)}
    for thing in things:
        if not isinstance(thing, Container):
            continue
        owner, _, ordinal = thing.key.rpartition("-")
        deployment = deployments.get(owner)
        if deployment is None or len(ordinal) != ORDINAL_DIGITS or not ordinal.isdecimal():
            continue
        if 1 <= int(ordinal) <= deployment.replicas:
            raise NameTaken(
                f"{thing.name!r} is a replica of deployment {deployment.name!r}",
                hint="choose another name for the container, or leave it to the deployment",
            )


def _put(
    tx: Transaction, principal: Principal, wanted: manifests.Wanted, *, new: bool = False
) -> Thing:
    if isinstance(wanted, manifests.WantedCluster):
        principal.require("admin", wanted.name)
        return put_cluster(tx, wanted.name, None, wanted.limits, wanted.policy)
    principal.require("write", wanted.cluster)
    match wanted:
        case manifests.WantedDeployment():
            return workloads.put_deployment(tx, wanted)
        case manifests.WantedContainer():
            if tx.state.count(Container) >= CONTAINERS_MAX:
                raise TooMuch(f"at most {CONTAINERS_MAX} containers")
            if new:
                return workloads.create_container(tx, wanted)
            return workloads.put_container(tx, wanted)
        case manifests.WantedRemote():
            there = tx.state.get(Remote, f"{wanted.cluster}/{wanted.name}")
            if new and there is not None:
                return there
            principal.require("write" if new else "admin", wanted.cluster)
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
    tx.happened("changed" if old else "created", new, why=changes(old, new))
    return tx.put(new)


def put_cluster(
    tx: Transaction,
    name: str,
    password_hash: str | None,
    limits: Limits | None = None,
    policy: Mapping[str, Any] = NOTHING_GIVEN,
) -> Cluster:
    """Make a cluster, or change its password, limits or these fields of its policy."""
    old = tx.state.get(Cluster, names.name(name, "name"))
    if old is None:
        tx.event("created", kind="cluster", name=name)
        return tx.put(
            Cluster(
                name=name,
                password_hash=password_hash or "",
                limits=limits or Limits(),
                policy=replace(Policy(), **policy),
            )
        )
    new = replace(
        old,
        password_hash=old.password_hash if password_hash is None else password_hash,
        limits=old.limits if limits is None else limits,
        policy=replace(old.policy, **policy),
    )
    if new == old:
        return old
    if new.password_hash != old.password_hash:
        tx.event("password_changed", kind="cluster", name=name)
    if new.limits != old.limits:
        why = words(limits_fields(old.limits), limits_fields(new.limits))
        tx.event("limits_changed", kind="cluster", name=name, why=why)
    if new.policy != old.policy:
        why = words(policy_fields(old.policy), policy_fields(new.policy))
        tx.event("policy_changed", kind="cluster", name=name, why=why)
    return tx.put(new)


def delete(tx: Transaction, principal: Principal, command: commands.Delete) -> Thing:
    """Let a thing go; what it still has on nodes is counted until they have let go."""
    kind = KIND_OF_WORD[command.kind]
    key, scope = f"{command.cluster}/{command.name}", command.cluster
    if kind is Cluster:
        key = scope = command.name
    principal.require("write" if kind in (Deployment, Container, Image) else "admin", scope)
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
            nodes.delete(tx, thing, force=command.force)
        case Cluster():
            _delete_cluster(tx, thing)
        case Remote():
            _check_unused(tx, thing)
            _drop(tx, thing)
        case Image():
            _drop(tx, thing)
    return thing


def _drop(tx: Transaction, thing: Remote | Image) -> None:
    tx.drop(thing)
    tx.happened("deleted", thing)


def _delete_orphan(tx: Transaction, command: commands.Delete) -> Node | None:
    """A container that only its node knows (after a restore) goes when a person says so."""
    for key in sorted(tx.state.nodes_with_orphans):
        node = tx.need(Node, key)
        orphan = node.orphans.get(command.name)
        if node.cluster == command.cluster and orphan is not None:
            if orphan.is_deleted:
                return node
            tx.event(
                "deleting",
                kind="container",
                cluster=node.cluster,
                name=command.name,
                node=node.name,
                why="an orphan, deleted on request",
            )
            gone = replace(orphan, is_deleted=True)
            return workloads.with_orphans(tx, node, {**node.orphans, command.name: gone})
    return None


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
            _drop(tx, thing)
    _revoke_in(tx, cluster)
    tx.drop(cluster)
    tx.event("deleted", kind="cluster", name=cluster.name)


def _revoke_in(tx: Transaction, cluster: Cluster) -> None:
    """Tokens for this cluster must not open another that is made under its name."""
    for token in list(tx.state.all(Token)):
        if token.clusters == (cluster.name,):
            tx.drop(token)  # without any cluster it would be a token for all of them
        elif cluster.name in token.clusters:
            left = tuple(name for name in token.clusters if name != cluster.name)
            tx.put(replace(token, clusters=left))
    users.close_cluster(tx, cluster.name)


def _check_unused(tx: Transaction, remote: Remote) -> None:
    for image in tx.state.all(Image):
        if image.cluster == remote.cluster and image.remote == remote.name:
            raise Conflict(
                f"image {image.name!r} comes from remote {remote.name!r}",
                hint=f"pfi delete image {image.name}",
            )


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


def rebootstrap(tx: Transaction, principal: Principal, command: commands.Rebootstrap) -> Container:
    """Begin a new round of a container's bootstrap."""
    principal.require("write", command.cluster)
    container = tx.need(Container, f"{command.cluster}/{command.name}")
    spec = container.spec
    if command.bootstrap is not None:
        if container.deployment:
            raise Conflict(
                f"{container.name!r} is a replica of deployment {container.deployment!r}",
                hint=f"change its steps there: pfi get deployment {container.deployment} -o yaml",
            )
        document = {**spec.document(), "bootstrap": command.bootstrap}
        spec = container_spec(document, "container")
        if spec.digest() != container.spec.digest():
            raise Conflict(
                "user data of cloud-init is read once, when a container first starts",
                hint="apply the changed definition: the container is replaced",
            )
    why = command.reason[:200] or f"bootstrapped again by {principal.name}"
    return workloads.rebootstrap(tx, container, spec, why=why)


def redefine(tx: Transaction, principal: Principal, command: commands.Redefine) -> Container:
    """Keep another definition of a single container, for when it is begun anew."""
    principal.require("write", command.cluster)
    container = tx.need(Container, f"{command.cluster}/{command.name}")
    return workloads.redefine(tx, container, container_spec(command.spec, "spec"))


def ask_snapshot(tx: Transaction, principal: Principal, command: commands.AskSnapshot) -> Container:
    """Check that a node may be asked, and keep who asked; what comes of it is the node's answer."""
    principal.require("write", command.cluster)
    container = tx.need(Container, f"{command.cluster}/{command.name}")
    names.name(command.snapshot, "snapshot")
    if container.spec.kind != "system":
        raise Conflict(
            f"container {container.name!r} is an application container: Docker makes no snapshots",
            hint="what it keeps is in its volumes",
        )
    if not container.node or not container.wanted:
        raise Conflict(
            f"container {container.name!r} is on no node",
            hint=f"why: pfi explain container {container.name}",
        )
    if container.arriving is not None:
        raise Conflict(
            f"container {container.name!r} is being relocated",
            hint=f"wait until it has moved: pfi wait container/{container.name} --for moved",
        )
    tx.happened(f"snapshot_{command.do}", container, why=command.snapshot)
    return container


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
    tx.drop(token)
    tx.event("deleted", kind="token", name=token.name or token.id)
    return token


def view_of(tx: Transaction, life: Life, thing: Thing, uptime_ms: int) -> Any:
    """The view of a thing after a command, also of one that has gone."""
    now = tx.state.get(type(thing), thing.key) or thing
    return view(tx, life, now, uptime_ms)


def view(tx: Transaction, life: Life, thing: Thing, uptime_ms: int) -> Any:
    """The view of a thing as it is given."""
    match thing:
        case Container():
            return views.container_view(tx.state, life, thing)
        case Deployment():
            return views.deployment_view(tx.state, life, thing)
        case Node():
            return views.node_view(tx.state, life, thing, uptime_ms)
        case Cluster():
            return cluster_view(tx.state, life, thing)
        case Image():
            return views.image_view(tx.state, thing)
        case Remote():
            return views.remote_view(thing)
        case Token():
            return views.token_view(thing)
        case User():
            return views.user_view(thing)
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
            key = command.name if kind_of is Cluster else f"{command.cluster}/{command.name}"
            return tx.state.get(kind_of, key)
        case commands.PatchNode():
            return tx.state.get(Node, f"{command.cluster}/{command.name}")
        case commands.Scale():
            return tx.state.get(Deployment, f"{command.cluster}/{command.name}")
        case (
            commands.Reschedule()
            | commands.Rebootstrap()
            | commands.Redefine()
            | commands.Relocate()
        ):
            return tx.state.get(Container, f"{command.cluster}/{command.name}")
        case commands.PutCluster():
            return tx.state.get(Cluster, command.name)
        case commands.DeleteToken():
            return tx.state.get(Token, command.id)
        case commands.ChangeUser() | commands.SetPassword() | commands.DeleteUser():
            return tx.state.get(User, command.name)
        case _:
            return None


Handler = Callable[[Transaction, Principal, Any], Thing]
HANDLERS: dict[type, Handler] = {
    commands.Put: put,
    commands.Delete: delete,
    commands.PatchNode: nodes.patch,
    commands.Scale: scale,
    commands.Reschedule: reschedule,
    commands.Rebootstrap: rebootstrap,
    commands.Redefine: redefine,
    commands.Import: importing.put_all,
    commands.Relocate: relocating.relocate,
    commands.Rebalance: rebalancing.begin,
    commands.CancelRelocation: relocating.cancel,
    commands.AskSnapshot: ask_snapshot,
    commands.CreateToken: create_token,
    commands.DeleteToken: delete_token,
    commands.CreateUser: users.create_user,
    commands.ChangeUser: users.change_user,
    commands.SetPassword: users.set_password,
    commands.DeleteUser: users.delete_user,
    commands.SignIn: users.sign_in,
    commands.RenewSignIn: users.renew_sign_in,
    commands.SignOut: users.sign_out,
}
