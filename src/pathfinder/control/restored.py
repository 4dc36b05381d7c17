"""What nodes know of a future that this state, come back from an older backup, does not."""

from dataclasses import replace as spec_with

from msgspec.structs import replace

from pathfinder.control.leaving import copy_of, end_relocation
from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Deployment, Node, Orphan
from pathfinder.control.rendering import rendered
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import rebootstrap
from pathfinder.model.definitions import ContainerSpec
from pathfinder.model.phases import Phase
from pathfinder.wire.messages import Exchange, Holding

Held = dict[str, dict[int, Holding]]  # slot -> generation -> what the node has


def proves_restore(life: Life, request: Exchange) -> bool:
    """Whether a node has heard of a future that this state does not know."""
    session = request.session
    if session.epoch == 0:
        return False
    same_epoch = session.epoch == life.epoch and session.incarnation != life.incarnation
    return session.epoch > life.epoch or same_epoch or comes_from_the_future(life, request)


def comes_from_the_future(life: Life, request: Exchange) -> bool:
    """Whether it was told, by an earlier leader, what this state has never known."""
    if request.session.epoch < life.epoch and request.seen > life.base_revision:
        return True
    return any(
        holding.generation >> 32 < life.epoch
        and holding.generation & 0xFFFF_FFFF > life.base_revision
        for holding in request.holding
    )


def future_epoch(state: State, life: Life, request: Exchange) -> int:
    """The newest epoch of what a node holds that this state cannot have made; 0: there is none.

    Two servers that came back from one backup lead under the same epoch: only what is numbered
    beyond all that this one has decided is certainly of the other.
    """
    newest = max((holding.generation for holding in request.holding), default=0)
    return newest >> 32 if newest > (life.epoch << 32) + state.revision else 0


def doubt_all(tx: Transaction, life: Life) -> None:
    """The state came back from an older backup: believe nothing of what nodes hold until told."""
    life.restored = life.recovering = True
    for node in list(tx.state.all(Node)):
        if not node.unverified and node.protocol == "exchange":
            tx.put(replace(node, unverified=True))
            life.node(node.key).is_unsettled = True
    tx.event(
        "restored",
        kind="server",
        name="pathfinder",
        why="nodes know of a later state than this one: it came back from an older backup",
    )


def in_a_later_round(tx: Transaction, container: Container, held: Holding) -> Container:
    """Rounds only grow. A restored state asks for an older one; what it asks for comes anew.

    A replica that its node has set up serves until a rollout comes to it. With which steps is not
    known, but for those that made it: by its definition it lacks all others.
    """
    is_set_up = held.bootstrap == "done"
    if not (is_set_up and container.deployment):
        why = "its node has run a bootstrap that the restored state does not know"
        if container.ready and not is_set_up:
            tx.happened("unready", container, why=why)
        return rebootstrap(tx, container, container.spec, why=why)
    made_it = tuple(step for step in container.spec.bootstrap if step.type == "cloud-init")
    spec = spec_with(container.spec, bootstrap=made_it)
    tx.nodes.add(container.node_key)
    tx.deployments.add(container.group)
    return tx.put(
        replace(
            container,
            spec=spec,
            bootstrap_digest=spec.bootstrap_digest(),
            round=held.round,
            assigned=tx.revision,
            changed_ms=tx.now_ms,
        )
    )


def adopt(tx: Transaction, node: Node, holding: Holding) -> None:
    """While recovering: a node that holds a newer generation than we know is right."""
    container = tx.state.get(Container, f"{node.cluster}/{holding.slot}")
    if container is None or holding.generation <= container.generation or not container.wanted:
        return
    is_arriving = any(copy.generation == holding.generation for copy in container.leaving)
    if is_arriving or not holding.digest:
        return  # it is on its way, or not whole: nothing runs from that
    container = end_relocation(tx, container, "a node knew of a newer generation")
    leaving = container.leaving
    if container.node and container.node != node.name:
        kind = container.spec.kind
        old = copy_of(tx, container, container.node, container.generation, kind=kind)
        leaving = (*leaving, old)
        tx.nodes.add(container.node_key)
    leaving = tuple(copy for copy in leaving if copy.node != node.name)
    tx.put(
        replace(
            container,
            node=node.name,
            generation=holding.generation,
            digest=holding.digest,
            spec=_spec_of(tx, container, holding.digest),
            round=holding.round or container.round,
            phase=Phase.SCHEDULED,
            assigned=tx.revision,
            leaving=leaving,
            ready=False,
            addresses=(),
            address="",
            taken_digest="",
            explanation={},
            why="taken over from its node, which knew of a newer generation",
            changed_ms=tx.now_ms,
        )
    )
    tx.nodes.add(node.key)
    tx.happened(
        "adopted", container, node=node.name, why="the server was restored from an older backup"
    )


def _spec_of(tx: Transaction, container: Container, digest: str) -> ContainerSpec:
    """What a node made a container from: its own definition as we know it, or its deployment's.

    Where it is neither, the digest differs from that of the spec, and it will be replaced.
    """
    deployment = tx.state.get(Deployment, container.group) if container.deployment else None
    if deployment is not None and container.spec.digest() != digest:
        wanted = rendered(tx.state, deployment, container.ordinal)
        if wanted.digest == digest:
            return wanted.spec
    return container.spec


def note_orphans(tx: Transaction, life: Life, node: Node, held: Held, *, complete: bool) -> None:
    """Containers that a restored state does not know are kept, for a person to decide."""
    unknown = {slot for slot in held if tx.state.get(Container, f"{node.cluster}/{slot}") is None}
    kept = {slot: has for slot, has in node.orphans.items() if slot in held or not complete}
    found = unknown - kept.keys() if life.recovering and node.unverified else set()
    after = dict(kept)
    for slot in sorted(found):
        holding = max(held[slot].values(), key=lambda holding: holding.generation)
        after[slot] = Orphan(generation=holding.generation, digest=holding.digest)
    if after == node.orphans:
        return
    for slot in sorted(found):
        tx.event(
            "orphaned",
            kind="container",
            cluster=node.cluster,
            name=slot,
            node=node.name,
            why="the restored state does not know it: delete it, or apply its definition",
        )
    tx.nodes.add(node.key)
    tx.put(replace(node, orphans=after))
