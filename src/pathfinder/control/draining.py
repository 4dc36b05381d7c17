"""Draining a node: what is on it goes elsewhere, nothing new comes, and it is said when all went.

What is STATELESS is made anew elsewhere and what is STATEFUL goes with its data, a few at a time,
within each deployment's `min_available`. What has nowhere to go runs on where it is, and says why
and what would help; it is looked at again whenever something has changed.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from pathfinder.control import relocating
from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import Relocate
from pathfinder.control.leaving import end_relocation
from pathfinder.control.life import Draining, Life
from pathfinder.control.moving import remake, way_of
from pathfinder.control.objects import Container, Deployment, Drain, Node
from pathfinder.control.placing import request_of
from pathfinder.control.preempting import spare
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.model.errors import Conflict
from pathfinder.model.phases import Phase
from pathfinder.scheduler.draft import Placement
from pathfinder.scheduler.place import place

AT_ONCE_MAX: Final = 4  # of one node, on their way: more would share its disk and its network
LOOKS_MAX: Final = 32  # for a place, in one go
REASON_MAX: Final = 200


class StaysView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A container that cannot leave a drained node for the moment, and what would help."""

    name: str
    why: str
    hint: str


class DrainView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How far a node's drain is. containers: how many it had; left: how many it still has.

    moving: how many of these are on their way. ends_in_ms: as fast as until now; null: not known.
    ended_ms: since when it is empty; 0: it is not.
    """

    since_ms: int
    reason: str
    containers: int
    left: int
    moving: int
    stays: tuple[StaysView, ...]
    ends_in_ms: int | None
    ended_ms: int


def begin(tx: Transaction, node: Node, reason: str) -> Node:
    """The node as it is while it is drained, for the caller to put."""
    there = tx.state.on_node(node.key)
    for container in there:
        copy = container.arriving
        if copy is not None and copy.node == node.name and copy.stage != "starting":
            tx.put(end_relocation(tx, container, f"{node.name} is drained"))
    count = len(tx.state.on_node(node.key))
    why = _counted(count, "{} goes elsewhere", "{} go elsewhere")
    tx.happened("draining", node, why=f"{why}: {reason[:REASON_MAX]}" if reason else why)
    drain = Drain(since_ms=tx.now_ms, containers=count, reason=reason[:REASON_MAX])
    return replace(node, cordoned=True, drain=drain)


def stop(tx: Transaction, node: Node) -> Node:
    """The node as it is when it is drained no more; what is on its way goes on."""
    assert node.drain is not None
    if not node.drain.ended_ms:
        count = len(tx.state.on_node(node.key))
        tx.happened("drain_stopped", node, why=_counted(count, "{} stays", "{} stay"))
    return replace(node, drain=None)


def go_on(tx: Transaction, life: Life, *, looks_max: int = LOOKS_MAX) -> bool:
    """Let the next containers go from nodes that are drained; whether any does.

    looks_max: for so many at most a place is sought; the others have their turn the next time.
    """
    for key in life.drains.keys() - tx.state.draining:
        del life.drains[key]
    is_any = False
    for key in () if life.recovering else sorted(tx.state.draining):
        node = tx.state.get(Node, key)
        assert node is not None
        there = tx.state.on_node(key)
        if bool(there) == bool(node.drain and node.drain.ended_ms):
            _tell(tx, node, is_empty=not there)
        if not there:
            continue
        drain = life.drains.get(key)
        if drain is None:
            drain = life.drains[key] = Draining(began_ms=life.now_ms, began_with=len(there))
        _watch(tx.state, life, drain, node)
        is_any = _let_go(tx, life, node, looks_max) or is_any
    return is_any


def _tell(tx: Transaction, node: Node, *, is_empty: bool) -> None:
    """It has become empty, or something has come back."""
    assert node.drain is not None
    if is_empty:
        count = node.drain.containers
        why = _counted(count, "{} has left it", "all {} have left it") if count else "it was empty"
        tx.happened("drained", node, why=why)
    tx.put(replace(node, drain=replace(node.drain, ended_ms=tx.now_ms if is_empty else 0)))


def _counted(count: int, one: str, more: str) -> str:
    return one.format("1 container") if count == 1 else more.format(f"{count} containers")


def _let_go(tx: Transaction, life: Life, node: Node, looks_max: int) -> bool:
    drain = life.drains[node.key]
    turn = [each for each in tx.state.on_node(node.key) if _has_its_turn(each, node)]
    drain.stays = {each.key: drain.stays[each.key] for each in turn if each.key in drain.stays}
    ahead = [each for each in turn if each.key not in drain.moving]
    if not drain.is_behind or all(each.key in drain.looked_at for each in ahead):
        drain.looked_at.clear()
        drain.revision = tx.state.revision
    # Replicas of one definition fit alike: who was refused a place, and why.
    refused: dict[tuple[int, str], tuple[str, Conflict]] = {}
    moved, looks = False, 0
    for container in ahead:
        if container.key in drain.looked_at:
            continue
        if looks == looks_max or len(drain.moving) >= AT_ONCE_MAX:
            break
        drain.looked_at.add(container.key)
        which = (id(container.spec), container.group or container.key)
        try:
            _check(tx.state, life, drain, container, node)
            _raise_again(refused.get(which), container)
            looks += 1
            _move(tx, container, node)
        except Conflict as error:
            drain.stays[container.key] = (error.message, error.hint)
            if life.is_ready(container):
                refused[which] = (container.name, error)
        else:
            drain.stays.pop(container.key, None)
            drain.moving.add(container.key)
            moved = True
    # What has changed since the round began may matter to those that were looked at before.
    drain.is_behind = looks == looks_max or drain.revision != tx.state.revision
    return moved


def _raise_again(refused: tuple[str, Conflict] | None, container: Container) -> None:
    if refused is not None:
        name, error = refused
        message = error.message.replace(repr(name), repr(container.name))
        raise Conflict(message, hint=error.hint.replace(name, container.name))


def _watch(state: State, life: Life, drain: Draining, node: Node) -> None:
    """Forget those that are on their way no more; one that could not go says why."""
    for key in list(drain.moving):
        container = state.get(Container, key)
        if container is not None and _has_failed(container, node):
            drain.failed.add(key)
        elif container is not None and _is_under_way(life, container):
            continue
        drain.moving.discard(key)


def _has_failed(container: Container, node: Node) -> bool:
    """Whether its relocation has ended where it began: that is a person's to repeat."""
    is_here = container.node == node.name and not relocating.target_of(container)
    return is_here and bool(container.relocation_error)


def _is_under_way(life: Life, container: Container) -> bool:
    waits = container.phase == Phase.PENDING and not container.leaving
    return life.is_moving(container) and not waits


def _has_its_turn(container: Container, node: Node) -> bool:
    is_leaving = bool(relocating.target_of(container)) or not container.wanted
    return container.node == node.name and not is_leaving


def _check(state: State, life: Life, drain: Draining, container: Container, node: Node) -> None:
    """Conflict when it must not leave now, wherever to."""
    status = life.status(node.key)
    if status != "ready":
        raise Conflict(f"its node {node.name} is {status}", hint=f"pfi describe node {node.name}")
    if container.key in drain.failed:
        again = f"pfi relocate {container.name}"
        raise Conflict(container.relocation_error, hint=container.relocation_hint or again)
    if container.spec.type == "STATEFUL" and container.home and way_of(container) == "relocate":
        raise Conflict(
            f"its volumes are on {node.name}, and stay there",
            hint=f"take out of them what is needed, then: pfi delete container {container.name}",
        )
    deployment = state.get(Deployment, container.group) if container.deployment else None
    if deployment is None or not life.is_ready(container):
        return
    if spare(state, life, deployment.key) <= 0:
        floor = min(deployment.min_available, deployment.replicas)
        raise Conflict(
            f"{deployment.name} has no more ready than the {floor} of its min_available",
            hint="it goes when another replica is ready, or: "
            f"pfi scale {deployment.name} --replicas {deployment.replicas} "
            f"--min-available {floor - 1}",
        )


def _move(tx: Transaction, container: Container, node: Node) -> None:
    """Let it go; Conflict when there is nowhere to go."""
    why, target = f"{node.name} is drained", _place_elsewhere(tx, container, node)
    if way_of(container) == "relocate":
        relocating.relocate(tx, SYSTEM, Relocate(container.cluster, container.name, "", why))
        return
    remake(tx, container, target, why)


def _place_elsewhere(tx: Transaction, container: Container, node: Node) -> str:
    """The node on which it would fit best: never its own, which is cordoned."""
    with tx.state.without(container):
        (decision,) = place(tx.state.fleet, [request_of(tx.state, container)])
    if isinstance(decision, Placement):
        return decision.node
    found = decision.explanation.document()
    remedies = [each for each in found["remedies"] if f"uncordon {node.name}" not in each]
    raise Conflict(f"fits on no other node: {found['text']}", hint="; or ".join(remedies[:2]))


def view(state: State, life: Life, node: Node) -> DrainView | None:
    """How far a drain is; None when the node is not drained."""
    drain, seen = node.drain, life.drains.get(node.key)
    if drain is None:
        return None
    left = len(state.containers_of_node.get(node.key, ()))
    stays = sorted(seen.stays.items()) if seen is not None and left else []
    moving = sum(not _has_its_turn(each, node) for each in state.on_node(node.key))
    return DrainView(
        since_ms=drain.since_ms,
        reason=drain.reason,
        containers=drain.containers,
        left=left,
        moving=moving,
        stays=tuple(
            StaysView(name=key.partition("/")[2], why=why, hint=hint) for key, (why, hint) in stays
        ),
        ends_in_ms=_ends_in_ms(life, seen, left) if seen is not None else None,
        ended_ms=drain.ended_ms,
    )


def _ends_in_ms(life: Life, seen: Draining, left: int) -> int | None:
    """As fast as until now; None while none has gone, or one stays."""
    gone = seen.began_with - left
    if gone <= 0 or seen.stays or not left:
        return None
    return (life.now_ms - seen.began_ms) * left // gone


def remedies_now(state: State, life: Life, cluster: str, remedies: Sequence[str]) -> list[str]:
    """What would help a container that waits, with how long drains of nodes take that it names."""
    told = list(remedies)
    for key in sorted(state.draining):
        owner, _, name = key.partition("/")
        node = state.get(Node, key)
        shown = view(state, life, node) if node is not None and owner == cluster else None
        if shown is not None:
            end, now = f"pfi uncordon {name}", words(shown)
            told = [f"{text} ({now})" if text.endswith(end) else text for text in told]
    return told


def words(shown: DrainView) -> str:
    """How far a drain is, as a person would say it."""
    if shown.ended_ms:
        return "it has been drained, and is empty"
    text = f"it is being drained: {shown.left} of {shown.containers} containers left"
    if shown.ends_in_ms is None:
        return text
    seconds = -(-shown.ends_in_ms // 1_000)
    span = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
    return f"{text}, for about {span}"
