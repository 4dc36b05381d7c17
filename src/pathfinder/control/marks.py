"""What a polling node says of its containers: marks, and the lists that it is told.

A mark is right from the phases of `SOURCES`. Where the container is in that phase already, it is a
repetition and changes nothing; anywhere else it contradicts the state and is refused.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from pathfinder.control import polling_moves
from pathfinder.control.commands import Mark, MarkAddress, MarkKind
from pathfinder.control.leaving import let_abandoned_go
from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Node
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import MOVING, finish_or_put, move
from pathfinder.model.errors import Conflict, NotFound
from pathfinder.model.phases import Phase

LET_GO_MAX: Final = 1_000  # containers of a node that are remembered after it has deleted them
SOURCES: Final[Mapping[MarkKind, tuple[Phase, ...]]] = {
    "provisioned": (Phase.SCHEDULED, Phase.RELOCATE_STARTED),
    "provision_error": (Phase.SCHEDULED,),
    "bootstrap_started": (Phase.PROVISIONED,),
    "bootstrapped": (Phase.BOOTSTRAP_STARTED,),
    "bootstrap_error": (Phase.PROVISIONED, Phase.BOOTSTRAP_STARTED),
    "relocate_started": (Phase.SCHEDULE_RELOCATION,),
    "relocate_error": (Phase.RELOCATE_STARTED,),
}
TARGET: Final[Mapping[MarkKind, Phase]] = {
    "provisioned": Phase.PROVISIONED,
    "provision_error": Phase.PROVISION_ERROR,
    "bootstrap_started": Phase.BOOTSTRAP_STARTED,
    "bootstrapped": Phase.BOOTSTRAPPED,
    "bootstrap_error": Phase.BOOTSTRAP_ERROR,
    "relocate_started": Phase.RELOCATE_STARTED,
    "relocate_error": Phase.RELOCATE_ERROR,
    "deleted": Phase.DELETED,
}
ACTION: Final[Mapping[Phase, str]] = {
    Phase.PROVISIONED: "running",
    Phase.PROVISION_ERROR: "failed",
    Phase.BOOTSTRAP_STARTED: "bootstrap_started",
    Phase.BOOTSTRAP_ERROR: "bootstrap_failed",
    Phase.BOOTSTRAPPED: "bootstrapped",
}
WHY: Final[Mapping[Phase, str]] = {
    Phase.PROVISION_ERROR: "its node could not create or start it; the node's log says why",
    Phase.BOOTSTRAP_ERROR: "its bootstrap failed; the log of the node's agent says why",
}
MOVE_FAILED: Final = "could not be moved; the log of the node's agent says why"
RUNS: Final = (
    Phase.PROVISIONED,
    Phase.BOOTSTRAP_STARTED,
    Phase.BOOTSTRAP_ERROR,
    Phase.BOOTSTRAPPED,
)


def take(tx: Transaction, life: Life, command: Mark | MarkAddress) -> Container:
    """Decide a mark; NotFound for what the node does not have, Conflict where it cannot be."""
    node = tx.need(Node, command.node)
    container = tx.state.get(Container, f"{node.cluster}/{command.name}")
    if isinstance(command, Mark) and command.what == "deleted":
        return _let_go(tx, life, node, container, command.name)
    arriving = container is not None and polling_moves.is_arriving(container, node)
    if container is None or not (arriving or container.node == node.name):
        remembered = life.node(node.key).let_go.get(command.name)
        if remembered is not None and _is_repeated(command, remembered):
            return remembered
        if container is not None and _is_leaving(container, node):
            if isinstance(command, MarkAddress):
                return container  # of what is on its way out: told too late, and no mistake
            raise _wrong(container, command, Phase.SCHEDULE_DELETION)
        raise _missing(node, command.name)
    if isinstance(command, MarkAddress):
        return _address(tx, container, command.address)
    target = TARGET[command.what]
    if container.phase == target:
        return container
    if container.phase not in SOURCES[command.what]:
        raise _wrong(container, command, container.phase)
    if container.phase in MOVING:
        return _moving(tx, life, container, node, target)
    return _move(tx, container, target)


def _moving(
    tx: Transaction, life: Life, container: Container, node: Node, target: Phase
) -> Container:
    """What the target of a relocation says; the node that it moves from has nothing to say."""
    if not polling_moves.is_arriving(container, node):
        raise _missing(node, container.name)
    if target == Phase.PROVISIONED:
        return _put(tx, container, polling_moves.arrived(tx, container, node))
    if target == Phase.RELOCATE_ERROR:
        stayed = tx.put(polling_moves.failed(tx, container, MOVE_FAILED))
        _remember(life, node, stayed)
        return stayed
    return tx.put(polling_moves.started(tx, container))


def _move(tx: Transaction, container: Container, target: Phase) -> Container:
    moved = move(container, target)
    tx.happened(ACTION[target], moved, why=WHY.get(target, ""))
    has_failed = target in (Phase.PROVISION_ERROR, Phase.BOOTSTRAP_ERROR)
    return _put(
        tx,
        container,
        replace(
            moved,
            why=WHY.get(target, ""),
            hint=f"pfi reschedule {container.name}" if has_failed else "",
            error_code="",
            started_ms=tx.now_ms if target == Phase.PROVISIONED else container.started_ms,
            changed_ms=tx.now_ms,
        ),
    )


def _address(tx: Transaction, container: Container, address: str) -> Container:
    addresses = (address,) if address else ()
    if container.addresses == addresses:
        return container
    known = address or container.address
    if container.phase in MOVING:
        return tx.put(replace(container, addresses=addresses, address=known))
    return _put(tx, container, replace(container, addresses=addresses, address=known))


def _put(tx: Transaction, before: Container, after: Container) -> Container:
    """Keep what a mark has made of a container, with what that means for its readiness.

    One that has nothing to be bootstrapped with is ready as soon as it runs: such agents stop there
    or, looking for something to run, mark it as an error.
    """
    done = after.phase == Phase.BOOTSTRAPPED or (after.phase in RUNS and not after.spec.bootstrap)
    has_address = bool(after.addresses) or after.spec.network == "none"
    ready = done and has_address
    if ready and not before.ready:
        after = let_abandoned_go(tx, after)
    after = tx.put(replace(after, ready=ready))
    if after.ready and not before.ready:
        tx.happened("ready", after, why=after.addresses[0] if after.addresses else "")
    elif before.ready and not after.ready:
        tx.happened("unready", after, why="its node says so")
    if after.deployment:
        tx.deployments.add(after.group)
    return after


def _let_go(
    tx: Transaction, life: Life, node: Node, container: Container | None, name: str
) -> Container:
    remembered = life.node(node.key).let_go
    if container is not None and polling_moves.is_arriving(container, node):
        raise _wrong(container, "deleted", container.phase)
    if container is None or not _is_leaving(container, node):
        is_here = container is not None and container.node == node.name
        # Also while one of its name has been placed here again and is not made yet.
        is_made = is_here and container is not None and container.phase != Phase.SCHEDULED
        gone_before = remembered.get(name)
        if gone_before is not None and gone_before.phase == Phase.DELETED and not is_made:
            return gone_before
        if container is not None and is_here:
            raise _wrong(container, "deleted", container.phase)
        raise _missing(node, name)
    staying = tuple(copy for copy in container.leaving if copy.node != node.name)
    tx.happened("released", container, node=node.name)
    finish_or_put(tx, replace(container, leaving=staying))
    tx.place_all = tx.place_all or bool(tx.state.pending)
    gone = replace(container, phase=Phase.DELETED, node=node.name, changed_ms=tx.now_ms)
    _remember(life, node, gone)
    return gone


def _remember(life: Life, node: Node, container: Container) -> None:
    """What a node has to do with no more, so that a repetition of its last mark is known as one."""
    remembered = life.node(node.key).let_go
    while len(remembered) >= LET_GO_MAX:
        del remembered[next(iter(remembered))]
    remembered[container.name] = container


def _is_repeated(command: Mark | MarkAddress, remembered: Container) -> bool:
    return (
        isinstance(command, Mark)
        and command.what == "relocate_error"
        and remembered.phase == Phase.RELOCATE_ERROR
    )


def _is_leaving(container: Container, node: Node) -> bool:
    return any(copy.node == node.name for copy in container.leaving)


def _missing(node: Node, name: str) -> NotFound:
    return NotFound(f"node {node.name!r} has no container {name!r}", hint="pfi get containers")


def _wrong(container: Container, mark: Any, phase: Phase) -> Conflict:
    what = mark if isinstance(mark, str) else getattr(mark, "what", "address")
    return Conflict(f"container {container.name!r} is {phase.name}: mark {what!r} does not fit")


def scheduled(state: State, node_key: str, *, relocations: bool) -> list[tuple[Container, Phase]]:
    """What a polling node shall delete, make, and with `relocations` move to itself, in order."""
    name = node_key.partition("/")[2]
    found = []
    for container in state.on_node(node_key):
        if polling_moves.target_of(container) == name:
            if relocations and container.phase == Phase.SCHEDULE_RELOCATION:
                found.append((container, Phase.SCHEDULE_RELOCATION))
        elif any(copy.node == name for copy in container.leaving):
            found.append((container, Phase.SCHEDULE_DELETION))
        elif container.node == name and container.phase == Phase.SCHEDULED:
            found.append((container, Phase.SCHEDULED))
    rank = {Phase.SCHEDULE_DELETION: 0, Phase.SCHEDULED: 1, Phase.SCHEDULE_RELOCATION: 2}
    return sorted(found, key=lambda item: (rank[item[1]], item[0].changed_ms, item[0].revision))


def bootstrap_scheduled(state: State, node_key: str) -> list[tuple[Container, Phase]]:
    """What a polling node shall bootstrap."""
    name = node_key.partition("/")[2]
    return [
        (container, Phase.PROVISIONED)
        for container in state.on_node(node_key)
        if container.node == name
        and container.phase == Phase.PROVISIONED
        and (container.round or not container.spec.bootstrap)
    ]
