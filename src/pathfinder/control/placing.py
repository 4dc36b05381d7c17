"""State and scheduler: which containers wait for a node, and nodes as the scheduler sees them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace as replace_fields
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Literal

from msgspec.structs import replace

from pathfinder.control import policies
from pathfinder.control.life import OUTWAIT_MS, Life
from pathfinder.control.objects import Cluster, Container, Limits, Node, Policy
from pathfinder.control.preempting import Moving, Round, is_room_being_made, make_room
from pathfinder.control.state import State, is_like
from pathfinder.control.transaction import Transaction
from pathfinder.control.turns import IN_TURN, TOGETHER_MAX
from pathfinder.model.affinity import WEIGHT_MAX, Affinity
from pathfinder.model.phases import Phase
from pathfinder.model.resources import AMOUNT_MAX, NOTHING, Resources
from pathfinder.model.selectors import known_requirement, requirement
from pathfinder.scheduler.draft import Placement, Unplaced
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.fleet import Fleet, NodeView
from pathfinder.scheduler.packing import in_packing_order
from pathfinder.scheduler.place import place
from pathfinder.scheduler.ties import Tie
from pathfinder.scheduler.wishes import second_best
from pathfinder.wire.messages import Measurements

NO_LIMITS = Limits()
NO_POLICY = Policy()
TOLD_SECOND_MAX = 4  # in one batch: of a crowd each is like the others
CONTAINERS_MAX = 1_000  # per node: what one daemon has been shown to carry


def place_waiting(tx: Transaction, life: Life, moving: Moving) -> None:
    """Give nodes to what waits for one, or say why there is none.

    moving: how those move with their data that make room.
    """
    keys = tx.state.pending if tx.place_all else tx.placing & tx.state.pending
    waiting = [*tx.state.containers(keys), *tx.fresh]
    if life.recovering:
        tx.put_all(tx.fresh)
        for container in waiting:
            _explain(tx, container, recovering(tx.state, life))
        waiting = []
    tx.placing, tx.place_all, tx.fresh = set(), False, []
    tx.turns = tx.turns or life.turns.begun(life.now_ms)
    nominated = [container.key for container in waiting if container.nominated]
    while waiting and _place(tx, life, waiting, moving):
        # The one that they wait for may be there now.
        waiting = tx.state.containers(tx.state.pending_near)
    if any(not each.nominated for each in tx.state.containers(tx.state.pending & {*nominated})):
        # What was kept for it is room for others, who had their turn before it.
        _place(tx, life, tx.state.containers(tx.state.pending), moving)
    tx.turns.close(tx.state.pending)


def next_in_turn(tx: Transaction, life: Life) -> None:
    """Place those anew for whom room was not looked for, as many as one transaction can look at."""
    turns = tx.turns or life.turns
    waiting = tx.state.containers(turns.now & tx.state.pending)
    tx.placing.update(each.key for _, each in _in_turn(tx.state, waiting)[:TOGETHER_MAX])


def count_before(state: State, life: Life, container: Container) -> int | None:
    """For how many others room is looked for before this one; None: it waits for no turn."""
    turns, before = life.turns, 0
    for keys in (turns.now, turns.later):
        if container.key in keys:
            order = _in_turn(state, state.containers(keys & state.pending))
            return before + [each.key for _, each in order].index(container.key)
        before += len(keys)
    return None


def _place(tx: Transaction, life: Life, containers: Iterable[Container], moving: Moving) -> bool:
    """Whether any of them was given a node."""
    waiting = _in_turn(tx.state, containers)
    is_any, around = False, Round(tx.state, life, moving)
    for batch in list(_batches(waiting)):
        nominations = [container.nominated for container in batch]
        free = batch
        if any(nominations):
            free = [_without_nomination(tx, container) for container in batch]
        requests = _requests(tx.state, free, nominations)
        decisions = _decided(tx.state.fleet, requests)
        placed = [
            (container, decision)
            for container, decision in zip(free, decisions, strict=True)
            if isinstance(decision, Placement)
        ]
        nodes = {f"{decision.cluster}/{decision.node}" for _, decision in placed}
        tx.nodes |= nodes
        if len(batch) > TOLD_SECOND_MAX:
            made = tx.put_all([_scheduled(tx, *each) for each in placed])
            tx.happened_to("scheduled", made)
        else:
            _assign_telling(tx, free, requests, decisions)
        around.forget(nodes)
        is_any = is_any or bool(placed)
        if len(placed) == len(batch):
            continue
        _put_unplaced(tx, free, decisions)
        around.stuck.clear()  # those before may have been given what these are tied to
        for was, container, request, decision in zip(batch, free, requests, decisions, strict=True):
            if isinstance(decision, Placement):
                continue
            if was.nominated and is_room_being_made(tx.state, was, was.nominated):
                tx.put_back(was)
                continue
            is_new = not container.explanation or bool(was.nominated)
            document = decision.explanation.document()
            match make_room(tx, around, container, request, is_new=is_new):
                case tuple() as more:
                    remedies = [*document["remedies"], *more]
                    _explain(tx, container, {**document, "remedies": remedies})
                case "later" if "reasons" not in container.explanation:
                    text = f"{document['text']}; {IN_TURN}"
                    _explain(tx, container, {**document, "text": text})
                # What was found when it was its turn last is said until it is again.
    return is_any


def _put_unplaced(
    tx: Transaction, containers: Sequence[Container], decisions: Sequence[Placement | Unplaced]
) -> None:
    """What is new and has to wait is there from now on, before anything is said of it."""
    there = tx.state.things[Container.KIND]
    tx.put_all(
        container
        for container, decision in zip(containers, decisions, strict=True)
        if isinstance(decision, Unplaced) and container.key not in there
    )


def _in_turn(state: State, containers: Iterable[Container]) -> list[tuple[int, Container]]:
    """With their priorities: the higher first, then who has waited longer, then by name."""
    waiting: list[tuple[tuple[int, int, int, str, str], Container]] = []
    deployment = cluster = ""
    priority, is_sorted, last = 0, True, (0, 0, 0, "", "")
    for container in containers:
        # Replicas come in a row: their priority is looked up once.
        if (
            not container.deployment
            or container.deployment != deployment
            or container.cluster != cluster
        ):
            deployment, cluster = container.deployment, container.cluster
            priority = state.priority_of(container)
        # A tuple of what is there already: no text is made for each.
        turn = (-priority, container.created_ms, container.revision, cluster, container.name)
        is_sorted = is_sorted and (last <= turn or not waiting)
        last = turn
        waiting.append((turn, container))
    if not is_sorted:
        waiting.sort(key=itemgetter(0))
    return [(-turn[0], container) for turn, container in waiting]


def _decided(fleet: Fleet, requests: Sequence[Request]) -> list[Placement | Unplaced]:
    """In the order of their turn, or where a cluster packs in the order that packs best."""
    clusters = {request.cluster for request in requests}
    packed = {cluster for cluster in clusters if fleet.columns(cluster).rules.packs}
    packing = [number for number, one in enumerate(requests) if one.cluster in packed]
    if len(packing) < 2:
        return place(fleet, requests)
    spreading = [number for number in range(len(requests)) if number not in set(packing)]
    order = spreading
    for cluster in sorted(packed):
        own = [number for number in packing if requests[number].cluster == cluster]
        best = in_packing_order(fleet, [requests[number] for number in own])
        order += [own[place] for place in best]
    decisions = place(fleet, [requests[number] for number in order])
    decided = dict(zip(order, decisions, strict=True))
    return [decided[number] for number in range(len(requests))]


def _towards(request: Request, node: str) -> Request:
    """Rather where it is meant to go, if it still fits there."""
    if not node:
        return request
    wish = (requirement(f"node = {node}", ""), WEIGHT_MAX)
    return replace_fields(request, preferences=(*request.preferences, wish))


def _without_nomination(tx: Transaction, container: Container) -> Container:
    """It may go anywhere; the room that is being made for it is its own again if it does not."""
    return tx.put(replace(container, nominated="")) if container.nominated else container


def _batches(waiting: Iterable[tuple[int, Container]]) -> Iterator[list[Container]]:
    """Those that are decided together: for whom room is made comes before who might take it."""
    for _, equals in groupby(waiting, key=itemgetter(0)):
        together = [container for _, container in equals]
        ends = [number for number, each in enumerate(together, 1) if each.nominated]
        for begin, end in pairwise([0, *ends, len(together)]):
            if begin < end:
                yield together[begin:end]


def _requests(
    state: State, containers: Sequence[Container], nominations: Sequence[str]
) -> list[Request]:
    """What each asks of a node; replicas that ask for the same share one, in the first's name."""
    known: dict[tuple[int, str, str, str], Request] = {}
    found: list[Request] = []
    like: Container | None = None  # the one before, if others may ask for the same
    for container, nominated in zip(containers, nominations, strict=True):
        if is_like(container, like) and not (container.home or nominated):
            found.append(found[-1])
            continue
        which = (id(container.spec), container.group or container.key, container.home, nominated)
        if which not in known:
            known[which] = _towards(request_of(state, container), nominated)
        found.append(known[which])
        like = None if container.home or nominated or not container.deployment else container
    return found


def request_of(state: State, container: Container) -> Request:
    """What a container asks of a node.

    A STATEFUL one goes where its volumes are for as long as there is that node.
    """
    constraints = [*container.spec.constraints]
    is_bound = container.spec.type == "STATEFUL" and bool(container.spec.mounts)
    if is_bound and state.get(Node, f"{container.cluster}/{container.home}") is not None:
        constraints.append(f"node = {container.home}")
    return Request(
        name=container.name,
        cluster=container.cluster,
        kind=container.spec.kind,
        need=container.spec.resources,
        constraints=tuple(known_requirement(text) for text in constraints),
        ties=ties_of(container),
        preferences=tuple(
            (known_requirement(wish.label), wish.weight) for wish in container.spec.preferences
        ),
        group=container.group,
        stateful=container.spec.type == "STATEFUL",
        ports=container.spec.host_ports,
    )


def ties_of(container: Container) -> tuple[Tie, ...]:
    """What a container's spec says of others; a single one has nothing to be spread with."""
    spec = container.spec
    ties = [
        Tie(
            kind="spread",
            over=each.over,
            group=container.group,
            skew=each.max_skew,
            weight=each.weight,
        )
        for each in spec.spread
        if container.group
    ]
    kinds: tuple[tuple[Literal["near", "far"], tuple[Affinity, ...]], ...] = (
        ("near", spec.affinity),
        ("far", spec.anti_affinity),
    )
    for kind, wishes in kinds:
        ties += [
            Tie(
                kind=kind,
                over=each.over,
                group=f"{container.cluster}/{each.deployment}",
                weight=each.weight,
            )
            for each in wishes
        ]
    return tuple(ties)


def _assign_telling(
    tx: Transaction,
    containers: Sequence[Container],
    requests: Sequence[Request],
    decisions: Sequence[Placement | Unplaced],
) -> None:
    """The same for a few, one after another; the event keeps which node came second, and why."""
    for container, request, decision in zip(containers, requests, decisions, strict=True):
        if isinstance(decision, Placement):
            second = second_best(tx.state.fleet, request, decision.node)
            made = tx.put(_scheduled(tx, container, decision))
            tx.happened("scheduled", made, why=f"{made.why}; {second}" if second else made.why)


def _scheduled(tx: Transaction, container: Container, placement: Placement) -> Container:
    """A container on its node, as it is to be put."""
    assert container.phase == Phase.PENDING, (container.key, container.phase)
    node, why = placement.node, placement.why
    has_volumes = bool(container.spec.mounts)
    if has_volumes and container.home not in ("", node):
        why = f"{why}; its volumes stay on {container.home}, here they are empty"
    # Of replicas that are new, all of this is so already.
    is_more = container.home or container.nominated or container.hint or container.explanation
    if has_volumes or is_more:
        container = replace(
            container, nominated="", home=node if has_volumes else "", hint="", explanation={}
        )
    return replace(
        container,
        revision=tx.revision,
        phase=Phase.SCHEDULED,
        node=node,
        assigned=tx.revision,
        why=why,
        changed_ms=tx.now_ms,
    )


def _explain(tx: Transaction, container: Container, explanation: dict[str, object]) -> None:
    if container.explanation == explanation:
        return
    why = str(explanation.get("text", ""))
    tx.put(replace(container, explanation=explanation, why=why, changed_ms=tx.now_ms))
    if why != container.why:
        tx.happened("unplaced", container, why=why)


def recovering(state: State, life: Life) -> dict[str, object]:
    """Why nothing is placed for the moment, and what would end it."""
    if not life.restored:
        unheard = [key for key, node in life.nodes.items() if not node.was_complete]
        return {
            "text": f"the server has just started and first hears {_few(unheard)}, "
            f"for at most {OUTWAIT_MS // 1000 + 1} s"
        }
    unverified = [node.key for node in state.all(Node) if node.unverified]
    return {
        "text": "the server came back from an older backup and must hear what runs on "
        f"{_few(unverified)} before anything is placed",
        "remedies": [
            f"start its agent, or when it is dead for certain: pfi delete node {name} --force"
            for name in sorted(key.partition("/")[2] for key in unverified)[:5]
        ],
    }


def _few(node_keys: list[str]) -> str:
    names = sorted(key.partition("/")[2] for key in node_keys)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) or "its nodes") + more


def view_for_scheduler(state: State, node: Node, life: Life) -> NodeView:
    """A node as the scheduler sees it: durable facts and present liveness together."""
    status = life.status(node.key)
    cluster = state.get(Cluster, node.cluster)
    limits = cluster.limits if cluster is not None else NO_LIMITS
    policy = cluster.policy if cluster is not None else NO_POLICY
    is_lent = policy.overcommit != policies.NO_OVERCOMMIT
    why = node.runtime_error
    if status == "new":
        why = "has not been heard since the server started"
    elif status in ("suspect", "lost"):
        why = f"is {status}: its agent is silent"
        if node.protocol == "poll":
            why += "; it polls by API v1/v2: no lease, so it is only suspected"
    return NodeView(
        cluster=node.cluster,
        name=node.name,
        capacity=_capacity(node, policy.reserved),
        lent=policies.lent(policy, node, life.node(node.key), state.on_node(node.key))
        if is_lent
        else NOTHING,
        kinds=node.facts.kinds,
        labels=_labels(node),
        cordoned=node.cordoned,
        available=status == "ready" and not node.runtime_error,
        why_unavailable=why,
        silent_kinds=node.silent_kinds,
        containers_max=min(limits.containers or CONTAINERS_MAX, CONTAINERS_MAX),
        stateful_max=limits.stateful,
        why_full=why_full(limits, life.node(node.key).measurements),
    )


def why_full(limits: Limits, measured: Measurements | None) -> str:
    """Why the measured memory of a node is above its cluster's limit; "" when it is not.

    A node that has measured nothing yet is above it too: what it would come to is not known.
    """
    most = limits.memory_percent
    if not most:
        return ""
    if measured is None or measured.memory_used_mib < 0:
        return f"has not measured its memory yet; the limit is {most} %"
    total, used = measured.memory_total_mib, measured.memory_used_mib
    if total <= 0:
        return f"reports a total memory of 0; the limit is {most} %"
    if used * 100 <= most * total:
        return ""
    return f"uses {used * 100 // total} % of its memory; the limit is {most} %"


def _capacity(node: Node, reserved: Resources) -> Resources:
    """What a node has; one that polls and has not told it yet is not held to have nothing."""
    told = node.capacity(reserved)
    if node.protocol != "poll":
        return told
    return replace_fields(
        told,
        cpu_millis=told.cpu_millis or AMOUNT_MAX,
        memory_mib=told.memory_mib or AMOUNT_MAX,
    )


def _labels(node: Node) -> dict[str, str]:
    """Labels that people gave, and facts under names that constraints can use."""
    facts = {
        "node": node.name,
        "architecture": node.facts.architecture,
        "runtime": node.facts.runtime,
        "protocol": node.protocol if node.protocol == "poll" else "",
        "cores": f"{node.capacity().cpu_millis / 1000:g}",
    }
    return {**{key: value for key, value in facts.items() if value}, **node.labels}
