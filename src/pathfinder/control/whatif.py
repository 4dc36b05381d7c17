"""What if: nodes are lost, drained or added, deployments scaled, documents applied. Pure.

The question is answered on a copy of the state by the code that decides in production: the events
are made to happen, every node does at once what it is told, and rollouts go on until nothing moves.
The answer is the difference between the state before and the one that things come to rest in.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from pathfinder.control import draining, handlers, nodes, workloads
from pathfinder.control.access import Principal
from pathfinder.control.commands import Apply
from pathfinder.control.life import Life, NodeStatus
from pathfinder.control.objects import Cluster, Container, Node
from pathfinder.control.placing import CONTAINERS_MAX, request_of, view_for_scheduler
from pathfinder.control.settling import settle
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.turns import ENDLESS, Turns
from pathfinder.control.views import View
from pathfinder.model import names
from pathfinder.model.definitions import REPLICAS_MAX
from pathfinder.model.errors import Conflict, DefinitionWrong, NotFound, TooMuch
from pathfinder.model.phases import Phase
from pathfinder.model.resources import count
from pathfinder.model.selectors import requirement
from pathfinder.scheduler.draft import Placement
from pathfinder.scheduler.fit import Request, needs
from pathfinder.scheduler.headroom import fullest, head_room, without_each
from pathfinder.scheduler.place import place

ADDED_MAX: Final = 10_000
LOSSES_MAX: Final = 1_000  # selectors and names in one question
ROUNDS_MAX: Final = 500  # 99 replicas that are replaced one after another, several times
SPARE_NODES_MAX: Final = 100  # how many nodes are tried one by one for the N+1 verdict


_Known = tuple[Container, Request]


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """So many more nodes, each like one that is there."""

    count: int
    like: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What happens, in the order of the fields: nodes come, documents are applied, and so on.

    lose: names of nodes, or requirements on their labels such as `rack = r1`. scale: replicas by
    deployment.
    """

    add: tuple[Added, ...] = ()
    documents: tuple[dict[str, object], ...] = ()
    scale: dict[str, int] = {}
    drain: tuple[str, ...] = ()
    lose: tuple[str, ...] = ()


class Moved(View, frozen=True, kw_only=True, gc=False):
    """One container that is not where, or not what, it was.

    action: created, placed (it had no node before), moved, remade (a new generation in the same
    place), rebootstrapped, deleted, or unplaced: no node fits. confirmation: it is STATEFUL and its
    node is lost: a person must first confirm that the machine is dead.
    """

    name: str
    deployment: str
    type: str
    action: str
    source: str
    target: str
    why: str
    remedies: tuple[str, ...] = ()
    confirmation: bool = False


class Room(View, frozen=True, kw_only=True, gc=False):
    """What the nodes that take containers have of one resource. most_free: on a single node."""

    capacity: int
    reserved: int
    free: int
    most_free: int
    most_free_on: str


class Spare(View, frozen=True, kw_only=True, gc=False):
    """N+1: whether any one node may be lost. `fails`: nodes whose containers would not all fit.

    checked: the nodes that were tried, those with most reserved first.
    """

    holds: bool
    checked: int
    nodes: int
    fails: dict[str, int]


class WhatIf(View, frozen=True, kw_only=True, gc=False):
    """What the cluster comes to. `pending_before`: containers that had no node before either.

    blocked: rollouts that cannot go on, and why. settled: False when rollouts were still moving.
    """

    revision: int
    lost: tuple[str, ...]
    moves: tuple[Moved, ...]
    pending_before: tuple[str, ...]
    blocked: tuple[str, ...]
    settled: bool
    room_before: dict[str, Room]
    room_after: dict[str, Room]
    spare_before: Spare
    spare_after: Spare


def answer(
    twin: State,
    statuses: dict[str, NodeStatus],
    cluster: str,
    question: Question,
    asker: tuple[Principal, int],
) -> WhatIf:
    """Answer on `twin`, a copy that is spent by it; NotFound, DefinitionWrong, TooMuch.

    The scheduler of the copy has seen the nodes. statuses: of the nodes, by key. asker: who asks,
    and when by the wall clock.
    """
    principal, now_ms = asker
    if twin.get(Cluster, cluster) is None:
        raise NotFound(f"there is no cluster {cluster!r}", hint="pfi get clusters")
    life = life_of(twin, statuses)
    pending = [each.name for each in twin.containers(twin.pending) if each.cluster == cluster]
    known: dict[str, _Known] = {}
    room_before, spare_before = _room(twin, cluster), _spare(twin, cluster, known)
    tx = Transaction(twin, now_ms=now_ms, who=principal.name, epoch=1 << 20)
    _add(tx, life, cluster, question.add)
    if question.documents:
        handlers.apply(tx, principal, Apply(question.documents))
    for name, replicas in sorted(question.scale.items()):
        wanted = count(replicas, f"scale.{name}", most=REPLICAS_MAX)
        workloads.scale(tx, f"{cluster}/{name}", wanted, None)
    settled = come_to_rest(tx, life)
    for name in question.drain:
        _drain(tx, life, tx.need(Node, f"{cluster}/{name}"))
    settled = _let_all_go(tx, life) and settled
    lost = _lost(twin, cluster, question.lose)
    for node in lost:
        nodes.delete(tx, node, force=True)
    settled = come_to_rest(tx, life) and settled
    return WhatIf(
        revision=twin.revision,
        lost=tuple(node.name for node in lost),
        moves=tuple(_moves(tx, cluster, {node.name for node in lost})),
        pending_before=tuple(pending),
        blocked=(*_blocked(tx), *_stay(tx, life)),
        settled=settled,
        room_before=room_before,
        room_after=_room(twin, cluster),
        spare_before=spare_before,
        spare_after=_spare(twin, cluster, known),
    )


def life_of(twin: State, statuses: dict[str, NodeStatus]) -> Life:
    """What is known of the nodes of a copy, for questions."""
    life = Life(
        epoch=1 << 20,
        incarnation="what if",
        began_ms=0,
        base_revision=twin.revision,
        unheard="ready",
    )
    life.recovering = False
    life.turns = Turns(work_max=ENDLESS, left=ENDLESS)
    for key, status in statuses.items():
        if status != "ready":
            life.node(key).status = status
    return life


def _add(tx: Transaction, life: Life, cluster: str, added: Sequence[Added]) -> None:
    if sum(each.count for each in added) > ADDED_MAX:
        raise TooMuch(f"at most {ADDED_MAX} more nodes in one question")
    for each in added:
        like = tx.need(Node, f"{cluster}/{each.like}")
        for number in range(1, each.count + 1):
            name = names.hostname(f"{like.name}-like-{number}", "add")
            if tx.state.get(Node, f"{cluster}/{name}") is not None:
                raise Conflict(f"there is a node {name!r} already")
            made = tx.put(
                replace(
                    like,
                    name=name,
                    cordoned=False,
                    runtime_error="",
                    silent_kinds={},
                    orphans={},
                    created_ms=0,
                )
            )
            life.node(made.key).status = "ready"
            view = view_for_scheduler(tx.state, made, life)
            # It has measured nothing yet, and need not: it is empty.
            tx.state.fleet.set_node(made.key, dataclasses.replace(view, why_full=""))
    tx.place_all = tx.place_all or bool(added)


def _drain(tx: Transaction, life: Life, node: Node) -> None:
    """Nothing new may come from now on, and what is there is to go elsewhere."""
    if node.drain is None:
        node = tx.put(draining.begin(tx, node, ""))
        tx.state.fleet.set_node(node.key, view_for_scheduler(tx.state, node, life))


def _let_all_go(tx: Transaction, life: Life) -> bool:
    """Go on with drains until nothing more can leave; whether all came to rest."""
    settled = True
    while draining.go_on(tx, life, looks_max=CONTAINERS_MAX):
        settled = come_to_rest(tx, life) and settled
    return settled


def _lost(twin: State, cluster: str, wanted: Iterable[str]) -> list[Node]:
    """The nodes that the texts name or select; each text must mean at least one."""
    texts = tuple(wanted)
    if len(texts) > LOSSES_MAX:
        raise TooMuch(f"at most {LOSSES_MAX} names or requirements in one question")
    there = sorted(
        (node for node in twin.all(Node) if node.cluster == cluster), key=lambda node: node.name
    )
    chosen: dict[str, Node] = {}
    for text in texts:
        named = twin.get(Node, f"{cluster}/{text}")
        wanted_labels = requirement(text, "lose")
        meant = [named] if named else [n for n in there if wanted_labels.holds(n.labels)]
        if not meant:
            raise DefinitionWrong(
                "lose",
                f"{text!r} is neither a node nor selects one",
                hint="name a node, or write LABEL=VALUE: pfi get nodes",
            )
        chosen.update({node.key: node for node in meant})
    return list(chosen.values())


def come_to_rest(tx: Transaction, life: Life) -> bool:
    """Settle, let every node do what it was told, and again, until nothing moves."""
    for _ in range(ROUNDS_MAX):
        settle(tx, life)
        if not _obey(tx):
            return True
    return False


def _obey(tx: Transaction) -> bool:
    """What was let go is gone, what was assigned is ready; whether anything was."""
    moved = False
    for _, after in tx.changes():
        thing = tx.state.get(Container, after.key) if isinstance(after, Container) else None
        if thing is None:
            continue
        if (copy := thing.arriving) is not None:
            workloads.finish_or_put(tx, replace(thing, node=copy.node, leaving=()))
            tx.place_all = moved = True
        elif thing.leaving:
            workloads.finish_or_put(tx, replace(thing, leaving=()))
            tx.place_all = moved = True
        elif thing.node and thing.wanted and not thing.ready:
            ready = replace(thing, ready=True, phase=max(thing.phase, Phase.BOOTSTRAPPED))
            workloads.finish_or_put(tx, ready)
            moved = True
    return moved


def _moves(tx: Transaction, cluster: str, lost: set[str]) -> list[Moved]:
    moves = []
    for was, now in tx.changes():
        thing = now or was
        if not isinstance(thing, Container) or thing.cluster != cluster:
            continue
        assert was is None or isinstance(was, Container)
        assert now is None or isinstance(now, Container)
        if action := _action(was, now):
            moves.append(_moved(action, thing, was.node if was else "", lost))
    return sorted(moves, key=lambda move: (move.action, move.name))


def _action(was: Container | None, now: Container | None) -> str:
    if now is None or not now.wanted:
        return "deleted" if was is not None else ""
    if was is None:
        return "created" if now.node else "unplaced"
    if was.node and not now.node:
        return "unplaced"
    if was.node != now.node:
        return "moved" if was.node else "placed"
    if was.generation != now.generation:
        return "remade"
    return "rebootstrapped" if was.round != now.round else ""


def _moved(action: str, thing: Container, source: str, lost: set[str]) -> Moved:
    return Moved(
        name=thing.name,
        deployment=thing.deployment,
        type=thing.spec.type,
        action=action,
        source=source,
        target=thing.node if action != "deleted" else "",
        why=thing.why,
        remedies=tuple(thing.explanation.get("remedies", ())) if action == "unplaced" else (),
        confirmation=thing.spec.type == "STATEFUL" and source in lost,
    )


def _blocked(tx: Transaction) -> tuple[str, ...]:
    said = {getattr(after, "blocked", "") for _, after in tx.changes() if after is not None}
    return tuple(sorted(said - {""}))


def _stay(tx: Transaction, life: Life) -> Iterator[str]:
    """What cannot leave the nodes that are drained, and what would help."""
    for key in sorted(tx.state.draining & life.drains.keys()):
        for name, (why, hint) in sorted(life.drains[key].stays.items()):
            remedy = f"; {hint}" if hint else ""
            yield f"{_last(name)} stays on {_last(key)}: {why}{remedy}"


def _last(key: str) -> str:
    return key.partition("/")[2]


def _room(twin: State, cluster: str) -> dict[str, Room]:
    return {
        name: Room(**dataclasses.asdict(each))
        for name, each in head_room(twin.fleet, cluster).items()
    }


def _spare(twin: State, cluster: str, known: dict[str, _Known]) -> Spare:
    """Lose each node in turn, in thought: do its containers fit on the others?

    known: what containers have been found to ask for, by key.
    """
    takers = fullest(twin.fleet, cluster)
    tried = takers[:SPARE_NODES_MAX]
    there = {
        name: [
            _asked(twin, each, known)
            for each in twin.on_node(f"{cluster}/{name}")
            if each.wanted and each.node == name
        ]
        for name in tried
    }
    tied = {name for name, requests in there.items() if any(each.ties for each in requests)}
    fails = {name: _missing(twin, cluster, name, there[name]) for name in tied}
    free = {
        name: sorted(requests, key=_size) for name, requests in there.items() if name not in tied
    }
    fails.update(without_each(twin.fleet, cluster, free.items()))
    return Spare(
        holds=not any(fails.values()),
        checked=len(tried),
        nodes=len(takers),
        fails={name: missing for name, missing in sorted(fails.items()) if missing},
    )


def _asked(twin: State, container: Container, known: dict[str, _Known]) -> Request:
    """What it asks of another node. Without ties, whose it is does not matter: it is like others.

    Known from before while it is the same.
    """
    key = container.key
    if key in known and known[key][0] is container:
        return known[key][1]
    request = request_of(twin, container)
    if request.ties:
        request = dataclasses.replace(request, is_counted=True)
    else:
        request = dataclasses.replace(request, is_counted=True, name="", group="", preferences=())
    known[key] = (container, request)
    return request


def _size(request: Request) -> tuple[int, ...]:
    """The largest first, and equal ones together."""
    return tuple(-amount for amount in needs(request))


def _missing(twin: State, cluster: str, name: str, requests: list[Request]) -> int:
    """How many of them fit nowhere while one node takes nothing: with all that ties them."""
    key, view = f"{cluster}/{name}", twin.fleet.columns(cluster).views[name]
    twin.fleet.set_node(key, dataclasses.replace(view, available=False))
    outcomes = place(twin.fleet, requests)
    twin.fleet.set_node(key, view)
    return sum(not isinstance(outcome, Placement) for outcome in outcomes)
