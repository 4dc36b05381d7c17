"""Relocation with data, between nodes whose daemons do not know each other.

The target's daemon takes a copy while the container runs; then it is stopped, what has changed
since is copied, and it starts on the target. What is on its way is an *arriving* copy with a stage:

    copying    the source runs it and offers it; the target takes copy 1
    finishing  the source has been told to stop it, and offers it stopped; the target takes the rest
    starting   the target may start it; the source may not, until the target has let go of it

The container is the source's until the target says that it runs. Whatever fails before, it runs on
where it was and the reason is kept; half-made copies are leaving copies as all others. A copy that
fails is taken anew a few times, under another number. Offers hold secrets and are only in memory.
"""

from collections.abc import Mapping
from dataclasses import replace as request_with
from typing import Final

from msgspec.structs import replace

from pathfinder.control import polling_moves
from pathfinder.control.access import SYSTEM, Principal
from pathfinder.control.commands import CancelRelocation, Relocate
from pathfinder.control.leaving import copy_of, end_relocation
from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Copy, Node
from pathfinder.control.placing import request_of
from pathfinder.control.preempting import Moving
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import finish_or_put, generation
from pathfinder.model.errors import Conflict
from pathfinder.model.phases import Phase
from pathfinder.model.selectors import requirement
from pathfinder.scheduler.draft import Placement
from pathfinder.scheduler.place import place
from pathfinder.wire.messages import Exchange, Holding

FROM: Final = (Phase.BOOTSTRAPPED, Phase.BOOTSTRAP_ERROR)
FAILURES_MAX: Final = 3
TARGETS_TRIED_MAX: Final = 8  # for one that can take it over, the best first
EARLIER_MAX: Final = 32  # so many moves later a snapshot cannot be told from a leftover
FOR_GOOD: Final = ("refused", "name_occupied")  # codes of failures that trying again does not mend
TEXT_MAX: Final = 500
Held = Mapping[int, Holding]


def relocate(tx: Transaction, principal: Principal, command: Relocate) -> Container:
    """Begin to move a container; Conflict, with what to do, when it cannot be moved there."""
    principal.require("write", command.cluster)
    container = tx.need(Container, f"{command.cluster}/{command.name}")
    source = _source(tx, container)
    target = _target(tx, container, source, command.node)
    why = command.reason[:200] or f"asked by {principal.name}"
    why = f"is to move to {target.name}, {why}"
    if source.protocol == "poll":
        return polling_moves.schedule(tx, container, target, why)
    arriving = replace(
        copy_of(tx, container, target.name, generation(tx), kind=container.spec.kind),
        arriving=True,
        stage="copying",
        number=1,
    )
    tx.nodes.update((source.key, target.key))
    tx.happened("relocating", container, node=target.name, why=why)
    return tx.put(
        replace(
            container,
            leaving=(*container.leaving, arriving),
            assigned=tx.revision,
            relocation_error="",
            relocation_hint="",
            changed_ms=tx.now_ms,
        )
    )


def cancel(tx: Transaction, principal: Principal, command: CancelRelocation) -> Container:
    """Leave a container where it is; one that does not move stays as it is."""
    principal.require("write", command.cluster)
    container = tx.need(Container, f"{command.cluster}/{command.name}")
    copy = container.arriving
    if copy is None:
        return container
    if copy.stage == "starting":
        # It may run there already, and go back without what it has written since.
        raise Conflict(
            f"all of container {container.name!r} is on {copy.node}, where it is started just now",
            hint=f"wait: pfi wait container/{container.name} --for moved; then relocate it back",
        )
    return tx.put(end_relocation(tx, container, f"cancelled by {principal.name}"))


def _source(tx: Transaction, container: Container) -> Node:
    name = container.name
    if not container.wanted or container.phase not in FROM or not container.node:
        raise Conflict(
            f"container {name!r} is {container.phase.name}: only one that is BOOTSTRAPPED or "
            "BOOTSTRAP_ERROR can be relocated",
            hint=f"pfi explain container {name}",
        )
    if container.arriving is not None:
        raise Conflict(
            f"container {name!r} is being relocated to {container.arriving.node} already",
            hint=f"wait, or: pfi relocate {name} --cancel",
        )
    if container.spec.kind != "system":
        raise Conflict(
            f"container {name!r} is an application container, whose daemon hands none over",
            hint=f"its data is in its volumes; it is made anew elsewhere by pfi reschedule {name}",
        )
    return tx.need(Node, container.node_key)


def _target(tx: Transaction, container: Container, source: Node, wanted: str) -> Node:
    if wanted == source.name:
        raise Conflict(f"container {container.name!r} is on node {wanted!r} already")
    if not wanted:
        return _best(tx, container, source)
    target = tx.need(Node, f"{container.cluster}/{wanted}")
    _check_protocols(container, source, target)
    _check_fits(tx, container, target)
    _check_copies(tx, container, source, target)
    return target


def _check_protocols(container: Container, source: Node, target: Node) -> None:
    if source.protocol != target.protocol:
        polls = source.name if source.protocol == "poll" else target.name
        raise Conflict(
            f"node {polls!r} polls by API v1/v2, and the other one does not: such nodes take "
            "containers only from each other",
            hint=f"pfi reschedule {container.name}, without its data",
        )


def _best(tx: Transaction, container: Container, source: Node) -> Node:
    """The best node that can take it over; what keeps the very best one, when there is none."""
    passed, refusal = [source.name], None
    for _ in range(TARGETS_TRIED_MAX):
        try:
            decision = _placed(tx, container, f"node notin ({', '.join(passed)})")
        except Conflict as error:
            raise refusal or error from None
        target = tx.need(Node, decision.node_key)
        try:
            _check_protocols(container, source, target)
            _check_copies(tx, container, source, target)
        except Conflict as error:
            refusal = refusal or error
            passed.append(target.name)
        else:
            return target
    assert refusal is not None
    raise refusal


def _check_fits(tx: Transaction, container: Container, target: Node) -> None:
    _placed(tx, container, f"node = {target.name}")


def _placed(tx: Transaction, container: Container, constraint: str) -> Placement:
    """Where it fits under one more constraint, by the same function as everywhere."""
    request = request_of(tx.state, container)
    narrowed = (*request.constraints, requirement(constraint, ""))
    moving = request_with(request, constraints=narrowed, is_counted=True)
    (decision,) = place(tx.state.fleet, [moving])
    if isinstance(decision, Placement):
        return decision
    text = str(decision.explanation.document().get("text", ""))
    raise Conflict(
        f"container {container.name!r} fits on no other node: {text}"
        if "notin" in constraint
        else f"container {container.name!r} does not fit there: {text}",
        hint="pfi get nodes; room is made by pfi relocate or pfi reschedule of others",
    )


def _check_copies(tx: Transaction, container: Container, source: Node, target: Node) -> None:
    if source.protocol == "poll":
        return  # such nodes share an LXD cluster
    view = tx.state.fleet.view(source.key)
    if view is None or not view.available:
        why = view.why_unavailable if view is not None else "is not known"
        raise Conflict(f"its node {source.name!r} cannot hand it over: {why}")
    if not source.facts.copies_at:
        raise Conflict(
            f"LXD of node {source.name!r} listens at no address, so that no other node can take "
            "a copy",
            hint=f"on {source.name}: lxc config set core.https_address :8443",
        )
    if not target.facts.takes_copies:
        raise Conflict(
            f"node {target.name!r} takes no copies: it has no LXD, or an agent that is too old",
            hint="pfi get nodes",
        )
    if source.facts.architecture != target.facts.architecture:
        raise Conflict(
            f"node {target.name!r} is {target.facts.architecture}, and the container is made for "
            f"{source.facts.architecture}"
        )
    if any(copy.node == target.name for copy in container.leaving):
        raise Conflict(
            f"node {target.name!r} still has an earlier copy of {container.name!r}",
            hint=f"wait until it is gone: pfi describe container {container.name}",
        )


def has_news(state: State, life: Life, node: Node, request: Exchange) -> bool:
    """Whether a node offers something that its taker has not been told."""
    for offered in request.offers:
        container = state.get(Container, f"{node.cluster}/{offered.slot}")
        copy = container.arriving if container is not None else None
        is_awaited = copy is not None and copy.number == offered.number
        if is_awaited and container is not None and life.offers.get(container.key) != offered:
            return True
    return False


def follow(
    tx: Transaction, life: Life, container: Container, node: Node, request: Exchange, held: Held
) -> Container:
    """Go on with a relocation as one of its nodes tells; the container as it is then."""
    copy = container.arriving
    if copy is None or not container.wanted:
        return container
    if copy.node == node.name:
        return _follow_target(tx, life, container, copy, request, held.get(copy.generation))
    if container.node == node.name and copy.stage != "starting":
        return _follow_source(tx, life, container, copy, request, held.get(container.generation))
    return container


def _follow_source(
    tx: Transaction,
    life: Life,
    container: Container,
    copy: Copy,
    request: Exchange,
    held: Holding | None,
) -> Container:
    if held is None:
        if request.tells_all_of(container.spec.kind) and request.seen >= container.assigned:
            return tx.put(end_relocation(tx, container, f"it is gone from {container.node}"))
        return container
    if held.copy == "failed" and held.copy_number == copy.number:
        return _copy_failed(tx, life, container, copy, held)
    for offered in request.offers:
        is_this = offered.slot == container.name and offered.generation == container.generation
        if (
            not is_this
            or offered.number != copy.number
            or offered == life.offers.get(container.key)
        ):
            continue
        if copy.stage == "finishing" and held.phase not in ("stopped", "creating"):
            continue  # only what does not run any more is copied for good
        life.offers[container.key] = offered
        return _tell(tx, container, copy)
    return container


def _follow_target(
    tx: Transaction,
    life: Life,
    container: Container,
    copy: Copy,
    request: Exchange,
    held: Holding | None,
) -> Container:
    if copy.stage == "starting":
        if held is not None and held.phase == "running":
            return arrived(tx, container, copy)
        is_gone = held is None and request.tells_all_of(copy.kind) and request.seen >= copy.revision
        if is_gone or (held is not None and held.phase == "failed"):
            why = held.error if held is not None else "its copy is gone"
            hint = held.hint if held is not None else ""
            return tx.put(end_relocation(tx, container, f"{copy.node}: {why}", hint))
        return container
    if held is not None and held.digest:
        # Whole: a future that this restored state does not know has let it start there.
        return arrived(tx, container, copy)
    if held is None or held.copy_number != copy.number:
        return container
    if held.copy == "failed":
        return _copy_failed(tx, life, container, copy, held)
    if held.copy != "taken":
        return container
    life.offers.pop(container.key, None)
    if copy.stage == "finishing":
        tx.happened("arriving", container, node=copy.node, why="all of its data is there")
        return _tell(tx, container, replace(copy, stage="starting"))
    tx.happened("relocate_started", container, node=copy.node, why="is stopped for what is left")
    tx.nodes.add(container.node_key)
    stopping = replace(container, assigned=tx.revision, changed_ms=tx.now_ms)
    return _tell(tx, stopping, replace(copy, stage="finishing", number=copy.number + 1))


def _copy_failed(
    tx: Transaction, life: Life, container: Container, copy: Copy, held: Holding
) -> Container:
    life.offers.pop(container.key, None)
    failures = copy.failures + 1
    if failures >= FAILURES_MAX or held.copy_code in FOR_GOOD:
        return tx.put(end_relocation(tx, container, held.copy_error, held.copy_hint))
    tx.nodes.add(container.node_key)
    again = replace(copy, number=copy.number + 1, failures=failures)
    return _tell(tx, replace(container, assigned=tx.revision), again)


def _tell(tx: Transaction, container: Container, copy: Copy) -> Container:
    """Put the arriving copy as it is now, and tell its node."""
    tx.nodes.add(f"{container.cluster}/{copy.node}")
    told = replace(copy, revision=tx.revision)
    leaving = tuple(told if each.arriving else each for each in container.leaving)
    return tx.put(replace(container, leaving=leaving))


def arrived(
    tx: Transaction, container: Container, copy: Copy, *, source_has_it: bool = True
) -> Container:
    """It runs on the target: that is its node now, and what the old one has is on its way out."""
    why = f"moved here from {container.node}"
    leaving = tuple(each for each in container.leaving if not each.arriving)
    if source_has_it:
        kind = container.spec.kind
        old = copy_of(tx, container, container.node, container.generation, kind=kind)
        leaving = (*leaving, old)
    tx.nodes.update((container.node_key, f"{container.cluster}/{copy.node}"))
    tx.happened("relocated", container, node=copy.node, why=why)
    if container.deployment:
        tx.deployments.add(container.group)
    return tx.put(
        replace(
            container,
            node=copy.node,
            generation=copy.generation,
            earlier=(*container.earlier, container.generation)[-EARLIER_MAX:],
            assigned=tx.revision,
            leaving=leaving,
            ready=False,
            addresses=(),
            started_ms=0,
            restarts=0,
            ended="",
            why=why,
            hint="",
            error_code="",
            changed_ms=tx.now_ms,
        )
    )


def node_is_lost(tx: Transaction, container: Container, node: Node) -> None:
    """One of its two nodes is lost.

    Before it may start on the target it stays where it is. After that nobody knows whether it runs
    there: what is STATELESS runs on where it was, what is STATEFUL waits for the node or a person.
    """
    copy = container.arriving
    if copy is None or not container.wanted or node.name not in (copy.node, container.node):
        return
    if copy.stage != "starting" or (copy.node == node.name and not copy.stateful):
        finish_or_put(tx, end_relocation(tx, container, f"node {node.name} is lost"))


def node_is_deleted(tx: Transaction, container: Container, node: Node) -> Container:
    """A person says that one of its two nodes is dead."""
    copy = container.arriving
    if copy is None or not container.wanted:
        return container
    if container.node == node.name and copy.stage == "starting":
        return arrived(tx, container, copy, source_has_it=False)
    return end_relocation(tx, container, f"node {node.name} was deleted")


def target_of(container: Container) -> str:
    """The node that it is on its way to, whatever its agents speak, or ""."""
    copy = container.arriving
    return copy.node if copy is not None else polling_moves.target_of(container)


def phase_of(container: Container) -> Phase:
    """Its phase as the original tells it, to which moving is a phase and not a fact beside it."""
    if container.arriving is not None:
        return Phase.RELOCATE_STARTED
    is_settled = container.wanted and container.phase in FROM
    return Phase.RELOCATE_ERROR if container.relocation_error and is_settled else container.phase


def _destination(tx: Transaction, container: Container) -> Node:
    """Where it could make room for another: never again by itself where that has failed."""
    source = _source(tx, container)
    if container.relocation_error:
        raise Conflict(
            f"it {container.relocation_error}",
            hint=container.relocation_hint or f"try: pfi relocate {container.name}",
        )
    if source.protocol == "poll":
        raise Conflict(
            f"node {source.name!r} polls by API v1/v2, whose moves are a person's",
            hint=f"pfi relocate {container.name}",
        )
    return _target(tx, container, source, "")


def _begin(tx: Transaction, container: Container, node: str, why: str) -> None:
    relocate(tx, SYSTEM, Relocate(container.cluster, container.name, node, why))


WITH_DATA: Final = Moving(destination=_destination, begin=_begin)
