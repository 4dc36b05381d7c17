"""What a node's exchange changes; the rules are in `wire.messages`."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from pathfinder.control import relocating
from pathfinder.control.leaving import copy_of, let_abandoned_go, with_leaving
from pathfinder.control.life import Life, NodeLife
from pathfinder.control.objects import Container, Copy, Deployment, Node
from pathfinder.control.restored import (
    Held,
    adopt,
    comes_from_the_future,
    doubt_all,
    in_a_later_round,
    note_orphans,
)
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import MOVING, finish_or_put, move
from pathfinder.model.phases import Phase
from pathfinder.wire.messages import CRASH_LOOP, BootstrapState, Exchange, Holding

TEXT_MAX = 500
PHASE_OF_BOOTSTRAP: Final[Mapping[BootstrapState, Phase]] = {
    "": Phase.PROVISIONED,
    "waiting": Phase.PROVISIONED,
    "running": Phase.BOOTSTRAP_STARTED,
    "failed": Phase.BOOTSTRAP_ERROR,
    "done": Phase.BOOTSTRAPPED,
}
BOOTSTRAP_ACTIONS: Final[Mapping[Phase, str]] = {
    Phase.BOOTSTRAP_STARTED: "bootstrap_started",
    Phase.BOOTSTRAP_ERROR: "bootstrap_failed",
    Phase.BOOTSTRAPPED: "bootstrapped",
}
UNFINISHED: Final = (Phase.PROVISIONED, Phase.BOOTSTRAP_STARTED, Phase.BOOTSTRAP_ERROR)
Told = tuple[int, bool, bool, tuple[Holding, ...]]


def is_current(life: Life, request: Exchange) -> bool:
    """Whether an exchange belongs to this life of the server."""
    session = request.session
    return session.epoch == life.epoch and session.incarnation == life.incarnation


def changes_something(
    state: State, all_lives: Life, node: Node, life: NodeLife, request: Exchange
) -> bool:
    """Whether a report needs a transaction: most do not, and cost next to nothing."""
    if life.is_unsettled or (request.facts is not None and request.facts != node.facts):
        return True
    if request.offers and relocating.has_news(state, all_lives, node, request):
        return True
    if _silence(node, request) != (node.runtime_error, node.silent_kinds):
        return True
    if request.silent_kinds.keys() != life.silent_kinds:
        return True
    if request.holding != life.holding or request.complete != life.complete:
        return True
    if request.seen == life.seen:
        return False
    return any(c.leaving for c in state.on_node(node.key))


def take(tx: Transaction, life: Life, node: Node, request: Exchange) -> None:
    """Bring the state to what the node says it holds."""
    node = _facts(tx, node, request)
    held: Held = {}
    for holding in request.holding:
        held.setdefault(holding.slot, {})[holding.generation] = holding
    if life.recovering and not life.restored and comes_from_the_future(life, request):
        doubt_all(tx, life)
    if life.recovering:
        for holding in request.holding:
            adopt(tx, node, holding)
    told = {each.name: (each, _told(each, request, held)) for each in tx.state.on_node(node.key)}
    memory = life.node(node.key).followed
    known = (
        set()
        if life.recovering
        else {
            name
            for name, (_, says) in told.items()
            if says is not None and memory.get(name) == says
        }
    )
    for name, (container, _) in told.items():
        if name not in known:
            _take_one(tx, life, container, node, request, held.get(name, {}))
    for slot, generations in held.items():
        if slot not in known:
            _count(tx, node, slot, generations)
    memory.clear()
    for name, (container, says) in told.items():
        if says is not None and tx.state.get(Container, container.key) is container:
            memory[name] = says
    note_orphans(tx, life, tx.need(Node, node.key), held, complete=request.complete)
    node = tx.need(Node, node.key)
    if node.unverified and request.complete:
        tx.put(replace(node, unverified=False))


def _take_one(
    tx: Transaction,
    life: Life,
    container: Container,
    node: Node,
    request: Exchange,
    held: Mapping[int, Holding],
) -> None:
    """Bring one container to what a node says of it."""
    after = _let_go(tx, container, node, request, held)
    if after is None:
        return
    after = relocating.follow(tx, life, after, node, request, held)
    if after.node == node.name and after.wanted:
        _follow(tx, after, request, held.get(after.generation))


def _told(container: Container, request: Exchange, held: Held) -> Told | None:
    """All that it depends on what a report does to a container; None: on more than that.

    When a report has changed nothing, an equal one changes nothing either: of the containers of a
    node mostly one has news. One that is on its way, or waits for addresses, is always looked at.
    """
    if container.leaving or not container.round:
        return None
    kind, seen = container.spec.kind, request.seen >= container.assigned
    holdings = tuple(held.get(container.name, {}).values())
    return (container.revision, seen, request.tells_all_of(kind), holdings)


def _facts(tx: Transaction, node: Node, request: Exchange) -> Node:
    error, silent = _silence(node, request)
    facts = request.facts or node.facts
    if (facts, error, silent) == (node.facts, node.runtime_error, node.silent_kinds):
        return node
    after = replace(node, facts=facts, runtime_error=error, silent_kinds=silent)
    if (why := after.told_error()) != node.told_error():
        tx.happened("runtime_down" if why else "runtime_up", node, why=why)
    if new := [text for text in facts.warnings if text not in node.facts.warnings]:
        tx.happened("warned", node, why="; ".join(new))
    tx.place_all = True
    return tx.put(after)


def _silence(node: Node, request: Exchange) -> tuple[str, dict[str, str]]:
    """Why the whole node can run nothing, and which of its kinds it cannot run while others can."""
    error = request.runtime_error[:TEXT_MAX]
    if not request.silent_kinds:
        return error, {}
    silent = {kind: why[:TEXT_MAX] for kind, why in request.silent_kinds.items() if why}
    kinds = (request.facts or node.facts).kinds
    if all(kind in silent for kind in kinds):
        return error, {}
    return "" if silent else error, silent


def _let_go(
    tx: Transaction,
    container: Container,
    node: Node,
    request: Exchange,
    held: Mapping[int, Holding],
) -> Container | None:
    """Forget the copies that the node, knowing that it shall, no longer holds."""
    meant = {c.generation for c in container.leaving if c.arriving and c.node == node.name}
    if container.node == node.name:
        meant.add(container.generation)

    def still_there(copy: Copy) -> bool:
        if copy.arriving:
            return True
        if copy.node != node.name or request.seen < copy.revision:
            return True
        if not request.tells_all_of(copy.kind):
            return True
        # After a restore, what is wanted may be older than what is to go.
        return copy.generation in held or any(
            generation < copy.generation and generation not in meant for generation in held
        )

    staying = tuple(copy for copy in container.leaving if still_there(copy))
    if len(staying) == len(container.leaving):
        return container
    after = with_leaving(tx, container, staying)
    tx.happened("released", container, node=node.name)
    finish_or_put(tx, after)
    tx.place_all = tx.place_all or bool(tx.state.pending)
    return tx.state.get(Container, container.key)


def _count(tx: Transaction, node: Node, slot: str, held: Mapping[int, Holding]) -> None:
    """What a node holds is counted, also when nobody has assigned it.

    It may be a call that had been given up and happened after all, or what an older backup does
    not know.
    """
    container = tx.state.get(Container, f"{node.cluster}/{slot}")
    if container is None:
        return
    known = {copy.generation for copy in container.leaving if copy.node == node.name}
    if container.node == node.name:
        known.add(container.generation)
    surplus = [
        holding
        for generation, holding in held.items()
        if generation not in known and holding.phase != "waiting"
    ]
    if not surplus:
        return
    copies = tuple(copy_of(tx, container, node.name, holding.generation) for holding in surplus)
    tx.nodes.add(node.key)
    tx.put(replace(container, leaving=(*container.leaving, *copies)))


def _follow(tx: Transaction, container: Container, request: Exchange, held: Holding | None) -> None:
    """Take over phase, readiness, addresses and errors of the current generation."""
    if held is None:
        is_told = request.tells_all_of(container.spec.kind)
        if container.ready and is_told and request.seen >= container.assigned:
            why = "its node no longer has it"
            tx.happened("unready", container, why=why)
            _become(tx, container, ready=False, addresses=(), why=why)
        return
    if held.round > container.round and container.spec.bootstrap and container.phase not in MOVING:
        container = in_a_later_round(tx, container, held)
    if held.phase == "running":
        _running(tx, container, held)
    elif held.phase == "failed":
        _failed(tx, container, held)
    elif held.phase != "unknown" and container.ready and request.tells_all_of(container.spec.kind):
        why = held.error or held.ended or f"is {held.phase} on its node"
        if container.is_halted:
            why = "is stopped while it moves"
        tx.happened("unready", container, why=why)
        _become(tx, container, ready=False, why=why)


def _running(tx: Transaction, container: Container, held: Holding) -> None:
    phase = _phase_of(container, held)
    moved = phase != container.phase
    if moved:
        if container.phase < Phase.PROVISIONED:
            tx.happened("running", container)
        container = move(container, phase)
        if phase in BOOTSTRAP_ACTIONS and container.spec.bootstrap:
            tx.happened(BOOTSTRAP_ACTIONS[phase], container, why=held.error[:TEXT_MAX])
    if held.restarts > container.restarts:
        tx.happened("restarted", container, why=(held.ended or "its program had ended")[:TEXT_MAX])
    has_address = bool(held.addresses) or container.spec.network == "none"
    is_looping = held.error_code == CRASH_LOOP
    is_well = _is_healthy(container, held) and not is_looping
    ready = has_address and phase not in UNFINISHED and is_well
    became_ready = ready and not container.ready
    if became_ready:
        container = let_abandoned_go(tx, container)
    has_failed = phase == Phase.BOOTSTRAP_ERROR
    held_back = "" if container.round else _why_held_back(tx, container)
    why = _why_of(phase, held, held_back, has_address=has_address)
    if is_looping:
        why = held.error[:TEXT_MAX]
        if container.error_code != CRASH_LOOP:
            tx.happened(CRASH_LOOP, container, why=why)
    elif not why and not ready:
        why = _why_unhealthy(held)
    if container.ready and not ready:
        tx.happened("unready", container, why=why)
    _become(
        tx,
        container,
        changed=moved,
        ready=ready,
        addresses=held.addresses,
        started_ms=held.started_ms,
        restarts=held.restarts,
        ended=held.ended[:TEXT_MAX],
        bootstrap_tries=held.bootstrap_tries,
        bootstrap_exit_code=held.bootstrap_exit_code,
        address=held.addresses[0] if held.addresses else container.address,
        why=why,
        hint=held.hint[:TEXT_MAX] if has_failed or is_looping else "",
        error_code=held.error_code if has_failed or is_looping else "",
    )
    if became_ready:
        tx.happened("ready", container, why=held.addresses[0] if held.addresses else "")


def _is_healthy(container: Container, held: Holding) -> bool:
    """Whether its health allows that it is ready.

    An agent that has just started does not know yet: until it does, what was ready stays so, as
    long as it is the same run of the container.
    """
    if container.spec.health is None or held.health == "healthy":
        return True
    started = {held.started_ms, container.started_ms} - {0}  # 0: not known yet
    # Restarts are counted in one life of the agent.
    is_same_run = len(started) < 2 and held.restarts <= container.restarts
    return held.health != "unhealthy" and container.ready and is_same_run


def _why_unhealthy(held: Holding) -> str:
    if held.health == "unhealthy":
        return f"is unhealthy: {held.health_error}"[:TEXT_MAX]
    return "runs; its health check has not succeeded yet"


def _phase_of(container: Container, held: Holding) -> Phase:
    """The phase of a container that runs: how far its present round of bootstrap is."""
    if container.phase > Phase.BOOTSTRAPPED:
        return container.phase
    if not container.spec.bootstrap:
        return Phase.BOOTSTRAPPED
    state = held.bootstrap if container.round and held.round == container.round else ""
    # Numbers only grow: what an older report says of this round has been said already.
    return max(container.phase, PHASE_OF_BOOTSTRAP[state])


def _why_held_back(tx: Transaction, container: Container) -> str:
    deployment = tx.state.get(Deployment, container.group)
    names = ", ".join(deployment.refers) if deployment is not None else ""
    return f"runs; waits for the addresses of {names}" if names else ""


def _why_of(phase: Phase, held: Holding, held_back: str, *, has_address: bool) -> str:
    if phase == Phase.PROVISIONED:
        return held_back or "runs; waits to be bootstrapped"
    if phase in (Phase.BOOTSTRAP_STARTED, Phase.BOOTSTRAP_ERROR) and held.error:
        return held.error[:TEXT_MAX]
    if phase == Phase.BOOTSTRAP_STARTED:
        return "its bootstrap runs"
    return "" if has_address else "runs; has no address yet"


def _failed(tx: Transaction, container: Container, held: Holding) -> None:
    began = container.phase == Phase.SCHEDULED
    why = held.error[:TEXT_MAX]
    if began:
        container = move(container, Phase.PROVISION_ERROR)
    is_looping = held.error_code == CRASH_LOOP
    if is_looping and container.error_code != CRASH_LOOP:
        tx.happened(CRASH_LOOP, container, why=why)
    elif not is_looping and (began or why != container.why):
        tx.happened("failed", container, why=why)
    if container.ready:
        tx.happened("unready", container, why=why)
    _become(
        tx,
        container,
        changed=began,
        ready=False,
        why=why,
        hint=held.hint[:TEXT_MAX],
        error_code=held.error_code,
        restarts=held.restarts,
    )


def _become(tx: Transaction, container: Container, *, changed: bool = False, **fields: Any) -> None:
    """Put the container when a field differs; a change of readiness concerns its deployment."""
    if not changed and all(getattr(container, name) == value for name, value in fields.items()):
        return
    if container.deployment:
        tx.deployments.add(container.group)
    tx.put(replace(container, changed_ms=tx.now_ms, **fields))
