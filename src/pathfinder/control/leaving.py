"""What a container has on nodes that it leaves, or is on its way to: counted until it is gone."""

from typing import Final

from msgspec.structs import replace

from pathfinder.control.objects import Container, Copy
from pathfinder.control.transaction import Transaction

ERROR_MAX: Final = 500


def copy_of(
    tx: Transaction, container: Container, node: str, generation: int, *, kind: str = ""
) -> Copy:
    """A generation that `node` shall let go of, from now on. kind "": not known."""
    return Copy(
        node=node,
        generation=generation,
        kind=kind,
        ports=container.spec.host_ports,
        resources=container.spec.resources,
        group=container.group,
        stateful=container.spec.type == "STATEFUL",
        revision=tx.revision,
    )


def release(tx: Transaction, container: Container) -> Container:
    """The container without a node; what the node had is on its way out, and counted."""
    container = end_relocation(tx, let_abandoned_go(tx, container), "it is replaced")
    if not container.node:
        return container
    tx.nodes.add(container.node_key)
    kind = container.spec.kind
    leaving = copy_of(tx, container, container.node, container.generation, kind=kind)
    return replace(
        container, node="", assigned=0, addresses=(), leaving=(*container.leaving, leaving)
    )


def end_relocation(tx: Transaction, container: Container, why: str, hint: str = "") -> Container:
    """The container stays where it is, and its target lets go of what it has. The caller puts it.

    Where the target may run it already, it runs on here only when the target has let go.
    """
    copy = container.arriving
    if copy is None:
        return container
    tx.nodes.add(f"{container.cluster}/{copy.node}")
    if container.node:
        tx.nodes.add(container.node_key)
    tx.happened("relocate_failed", container, node=copy.node, why=why)
    tx.place_all = True  # somebody may wait for the place that it does not leave now
    gone = replace(copy, arriving=False, revision=tx.revision)
    return replace(
        container,
        leaving=tuple(gone if each.arriving else each for each in container.leaving),
        assigned=tx.revision if container.node else 0,
        relocation_error=f"could not move to {copy.node}: {why}"[:ERROR_MAX],
        relocation_hint=hint,
        changed_ms=tx.now_ms,
    )


def stay_or_arrive(tx: Transaction, container: Container, why: str) -> Container:
    """Something else is asked of a container that moves: it stays, unless it may have arrived."""
    copy = container.arriving
    if copy is None or copy.stage != "starting":
        return end_relocation(tx, container, why)
    tx.nodes.add(f"{container.cluster}/{copy.node}")
    told = replace(copy, revision=tx.revision)
    leaving = tuple(told if each.arriving else each for each in container.leaving)
    return replace(container, leaving=leaving)


def with_leaving(tx: Transaction, container: Container, leaving: tuple[Copy, ...]) -> Container:
    """The container with what is still on its way out; its node is told when it may run again."""
    after = replace(container, leaving=leaving)
    if container.is_halted and not after.is_halted and after.node:
        tx.nodes.add(after.node_key)
        after = replace(after, assigned=tx.revision)
    return after


def let_abandoned_go(tx: Transaction, container: Container) -> Container:
    """Nodes that keep an abandoned copy running are told that they need not any more."""
    if not any(copy.abandoned for copy in container.leaving):
        return container
    tx.nodes.update(f"{container.cluster}/{c.node}" for c in container.leaving if c.abandoned)
    leaving = tuple(
        replace(copy, revision=tx.revision) if copy.abandoned else copy
        for copy in container.leaving
    )
    return replace(container, leaving=leaving)
