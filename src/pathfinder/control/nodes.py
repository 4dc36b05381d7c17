"""Nodes: how they join, what people change about them, and how they are forgotten."""

from typing import Final

from msgspec.structs import replace

from pathfinder.control import (
    access,
    commands,
    draining,
    leaving,
    polling_moves,
    relocating,
    workloads,
)
from pathfinder.control.access import Principal
from pathfinder.control.objects import Cluster, Container, Node, Token
from pathfinder.control.transaction import Transaction
from pathfinder.model import names, selectors
from pathfinder.model.definitions import resources_from
from pathfinder.model.errors import Conflict, DefinitionWrong, Malformed, NameTaken, Unauthorized
from pathfinder.model.resources import NOTHING

SECRET_LENGTH_MIN: Final = 32


def register(tx: Transaction, command: commands.Register) -> Node:
    """A node joins by a join token or the cluster's password; the same again has no effect."""
    asked = command.registration
    cluster = tx.state.get(Cluster, asked.cluster)
    name = names.hostname(asked.node, "node")
    if len(asked.secret) < SECRET_LENGTH_MIN:
        raise Malformed(f"secret: at least {SECRET_LENGTH_MIN} characters")
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
    fresh = Node(
        cluster=cluster.name,
        name=name,
        secret_digest=secret_digest,
        labels=selectors.labels(dict(asked.labels), "labels"),
    )
    node = replace(
        old or fresh,
        address=asked.address or command.peer,
        granted=resources_from(dict(asked.capacity), "capacity") if asked.capacity else NOTHING,
        facts=asked.facts if asked.facts.hostname or old is None else old.facts,
    )
    if node == old:
        return old
    warnings = "; ".join(node.facts.warnings)
    tx.happened("joined" if old is None else "rejoined", node, why=warnings)
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
    if token.used_by and not access.same(token.used_by, secret_digest):
        raise Unauthorized(
            "this join token has been used by another node",
            hint="each node needs its own: pfi create join-token",
        )
    if token.node and token.node != asked.node:
        raise Unauthorized(f"this join token is for a node named {token.node!r}")
    if token.used_by:
        return
    if token.expires_ms and tx.now_ms > token.expires_ms:
        raise Unauthorized("this join token has expired", hint="pfi create join-token")
    # From now on for this node alone: the same secret under another name would be a second node.
    tx.put(replace(token, used_by=secret_digest, node=asked.node))


def patch(tx: Transaction, principal: Principal, command: commands.PatchNode) -> Node:
    """Change labels, whether the node takes new containers, and whether it keeps those it has."""
    principal.require("admin", command.cluster)
    old = tx.need(Node, f"{command.cluster}/{command.name}")
    if command.draining and command.cordoned is False:
        raise DefinitionWrong("cordoned", "a node that is drained takes no new containers")
    labels = {**old.labels, **(command.labels or {})}
    kept = {key: value for key, value in labels.items() if value is not None}
    cordoned = old.cordoned if command.cordoned is None else command.cordoned
    new = replace(old, labels=selectors.labels(kept, "labels"), cordoned=cordoned)
    if command.draining and old.drain is None:
        new = draining.begin(tx, new, command.reason)
    elif old.drain is not None and (command.draining is False or not cordoned):
        new = draining.stop(tx, new)
    if new == old:
        return old
    if new.cordoned != old.cordoned:
        tx.happened("cordoned" if new.cordoned else "uncordoned", old)
    if new.labels != old.labels:
        tx.happened("labelled", old)
    tx.place_all = True
    return tx.put(new)


def delete(tx: Transaction, node: Node, *, force: bool) -> None:
    """Forget a node, and the token by which it could come back.

    With `force` a person says that it is dead: what it held is placed anew.
    """
    held = tx.state.on_node(node.key)
    if held and not force:
        raise Conflict(
            f"node {node.name!r} has {len(held)} container{'s' * (len(held) > 1)}",
            hint=f"pfi drain {node.name} --wait; "
            f"or, when the machine is dead for certain: pfi delete node {node.name} --force",
        )
    for container in held:
        staying = relocating.node_is_deleted(tx, container, node)
        _forget_copy(tx, polling_moves.cancel(tx, staying, node), node)
    for token in list(tx.state.all(Token)):
        if token.used_by and access.same(token.used_by, node.secret_digest):
            tx.drop(token)
    tx.drop(node)
    tx.happened("deleted", node)


def _forget_copy(tx: Transaction, container: Container, node: Node) -> None:
    why = f"node {node.name} was declared dead"
    if container.node == node.name:
        container = leaving.release(tx, container)
        if container.wanted:
            container = workloads.next_generation(tx, container, why=why)
    staying = tuple(copy for copy in container.leaving if copy.node != node.name)
    tx.happened("released", container, node=node.name, why=why)
    workloads.finish_or_put(tx, leaving.with_leaving(tx, container, staying))
