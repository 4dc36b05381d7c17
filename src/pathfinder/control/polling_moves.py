"""Relocation between polling nodes: the agent of the target moves the container, and says so.

As in the original, such nodes share an LXD cluster: what moves is one instance, never two. Until it
has arrived the target's share is an arriving copy: counted there, and no instance to be removed.
"""

from msgspec.structs import replace

from pathfinder.control.leaving import copy_of
from pathfinder.control.objects import Container, Copy, Node
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import MOVING, generation, move
from pathfinder.model.phases import Phase


def schedule(tx: Transaction, container: Container, target: Node, why: str) -> Container:
    """Ask the target's agent to move a container that may be moved there."""
    arriving = replace(copy_of(tx, container, target.name, container.generation), arriving=True)
    moving = replace(
        move(container, Phase.SCHEDULE_RELOCATION),
        leaving=(*container.leaving, arriving),
        why=why,
        changed_ms=tx.now_ms,
    )
    tx.happened("relocating", moving, node=target.name, why=why)
    return tx.put(moving)


def is_arriving(container: Container, node: Node) -> bool:
    """Whether a container is on its way to a node, which is to move it or moves it."""
    is_moving = container.wanted and container.phase in MOVING
    return is_moving and any(copy.arriving and copy.node == node.name for copy in container.leaving)


def target_of(container: Container) -> str:
    """The node that a container is on its way to, or ""."""
    if not container.wanted or container.phase not in MOVING:
        return ""
    return next((copy.node for copy in container.leaving if copy.arriving), "")


def started(tx: Transaction, container: Container) -> Container:
    """The target moves it: for this time it is not ready."""
    moving = move(container, Phase.RELOCATE_STARTED)
    tx.happened("relocate_started", moving, node=target_of(container))
    return replace(moving, ready=False, changed_ms=tx.now_ms)


def failed(tx: Transaction, container: Container, why: str) -> Container:
    """It could not be moved, and runs on where it was."""
    tx.happened("relocate_failed", container, node=target_of(container), why=why)
    return replace(
        move(container, Phase.RELOCATE_ERROR),
        leaving=_without_arriving(container),
        ready=bool(container.addresses),
        why=why,
        hint=f"pfi reschedule {container.name}, or bootstrap it again",
        changed_ms=tx.now_ms,
    )


def arrived(tx: Transaction, container: Container, node: Node) -> Container:
    """It has moved: a new generation on its new node, to be bootstrapped again."""
    why = f"moved here from {container.node}"
    tx.happened("relocated", container, node=node.name, why=why)
    return replace(
        container,
        node=node.name,
        generation=generation(tx),
        assigned=tx.revision,
        leaving=_without_arriving(container),
        phase=Phase.PROVISIONED,
        round=generation(tx),
        ready=False,
        why=why,
        hint="",
        started_ms=tx.now_ms,
        changed_ms=tx.now_ms,
    )


def cancel(tx: Transaction, container: Container, node: Node) -> Container:
    """The target is gone: the container stays where it is."""
    if not is_arriving(container, node):
        return container
    if container.phase == Phase.SCHEDULE_RELOCATION:
        container = move(container, Phase.RELOCATE_STARTED)
    return failed(tx, container, f"node {node.name} was deleted")


def _without_arriving(container: Container) -> tuple[Copy, ...]:
    return tuple(copy for copy in container.leaving if not copy.arriving)
