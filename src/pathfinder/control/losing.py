"""Lost nodes: what is STATELESS is made elsewhere, what is STATEFUL waits for its node or a person.

When a node's lease has certainly ended, its STATELESS containers begin a new generation at once,
beside the copy that the node may still run: that copy is *abandoned*. It counts on its node until
the node has let go of it, and it does not keep the new one from being placed. A node that returns
keeps an abandoned copy running until the new generation is ready, so that coming back costs no
availability.

Many nodes that vanish at once look like a partition of our own. So at most a tenth of a cluster's
nodes, or two, are given up in a minute; what waits for that says so.
"""

from typing import Final

from msgspec.structs import replace

from pathfinder.control import relocating, workloads
from pathfinder.control.leaving import with_leaving
from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Deployment, Node
from pathfinder.control.transaction import Transaction

GIVEN_UP_MS: Final = 60_000
GIVEN_UP_PERCENT: Final = 10
GIVEN_UP_MIN: Final = 2


def give_up_lost(tx: Transaction, life: Life, now_ms: int) -> None:
    """Replace what lost nodes had and may be replaced. Never while the server is recovering."""
    if life.recovering:
        return
    for key in sorted(life.lost):
        node = tx.state.get(Node, key)
        if node is None:
            continue
        for each in tx.state.on_node(key):
            relocating.node_is_lost(tx, each, node)
        concerned = [each for each in tx.state.on_node(key) if _is_concerned(each, node)]
        if not concerned:
            continue
        if life.node(key).given_up_ms is None and not _may_give_up(tx, life, node, now_ms):
            _tell(tx, node, concerned)
            continue
        if life.node(key).given_up_ms is None:
            life.node(key).given_up_ms = now_ms
            life.given_up.append((now_ms, node.cluster))
            tx.happened("given_up", node, why=f"{len(concerned)} STATELESS containers are replaced")
        for container in concerned:
            _abandon(tx, container, node)


def _is_concerned(container: Container, node: Node) -> bool:
    """Whether it is STATELESS, and the node has it or still counts for a copy of it."""
    if not container.wanted or container.spec.type != "STATELESS":
        return False
    return container.node == node.name or any(
        copy.node == node.name and not copy.stateful and not copy.abandoned
        for copy in container.leaving
    )


def _may_give_up(tx: Transaction, life: Life, node: Node, now_ms: int) -> bool:
    while life.given_up and now_ms - life.given_up[0][0] >= GIVEN_UP_MS:
        life.given_up.popleft()
    given_up = sum(cluster == node.cluster for _, cluster in life.given_up)
    return given_up < given_up_max(tx, node.cluster)


def given_up_max(tx: Transaction, cluster: str) -> int:
    """How many nodes of a cluster may be given up in a minute."""
    count = sum(each.cluster == cluster for each in tx.state.all(Node))
    return max(GIVEN_UP_MIN, count * GIVEN_UP_PERCENT // 100)


def _tell(tx: Transaction, node: Node, containers: list[Container]) -> None:
    most = given_up_max(tx, node.cluster)
    why = (
        f"its node {node.name} is lost; so many nodes were lost at once that it may be the server "
        f"that is cut off: at most {most} nodes are given up in a minute"
    )
    for container in containers:
        if container.node == node.name and container.why != why:
            hint = f"check the network; pfi delete node {node.name} --force replaces it at once"
            tx.happened("waiting", container, why=why)
            tx.put(replace(container, why=why, hint=hint))


def _abandon(tx: Transaction, container: Container, node: Node) -> None:
    why = f"its node {node.name} is lost"
    if container.node == node.name:
        deployment = tx.state.get(Deployment, container.group) if container.deployment else None
        is_held = deployment is not None and bool(deployment.refers)
        container = workloads.begin_anew(tx, container, container.spec, why=why, is_held=is_held)
    leaving = tuple(
        replace(copy, abandoned=True) if copy.node == node.name and not copy.stateful else copy
        for copy in container.leaving
    )
    freed = with_leaving(tx, container, leaving)
    workloads.finish_or_put(tx, replace(freed, why=why))
