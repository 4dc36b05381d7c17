"""Balancing the nodes of a cluster: step by step, within a budget, and shown beforehand.

One engine: a person's `pfi rebalance`, a policy's moves per hour and the preview on a copy of the
state take their steps from the same search, each on the state as the step before has left it.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from msgspec.structs import replace

from pathfinder.control import relocating, whatif
from pathfinder.control.access import SYSTEM, Principal
from pathfinder.control.commands import Rebalance, Relocate
from pathfinder.control.life import HOUR_MS, Life, NodeStatus, Shift
from pathfinder.control.measuring import Used, is_about_to_measure, used
from pathfinder.control.moving import Way, remake, way_of
from pathfinder.control.objects import Cluster, Container, Deployment, Node
from pathfinder.control.placing import request_of
from pathfinder.control.preempting import spare
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.views import View
from pathfinder.model.definitions import ContainerSpec
from pathfinder.model.errors import Conflict, DefinitionWrong, NotFound
from pathfinder.model.phases import Phase
from pathfinder.scheduler.rebalance import (
    COLD_NODES,
    HOT_NODES,
    SWAP_MOVES,
    UNIT,
    Loads,
    Movable,
    Step,
    best_step,
)

PAUSE_MS: Final = 10_000  # between looking for steps, where none was worth it
MOVES_MAX: Final = 1_000  # in one request
CHECKED_MAX: Final = 1_000  # containers whose musts are looked at, beside those of hot nodes
REMAKE_PRICE: Final = UNIT // 100
DOWNTIME_PRICE: Final = UNIT // 50
GIB_PRICE: Final = UNIT // 1_000


class PlannedMove(View, frozen=True, kw_only=True, gc=False):
    """One container that would move, and how. gain, price: in millionths of a full node."""

    name: str
    deployment: str
    type: str
    way: Way
    source: str
    target: str
    gain: int
    price: int
    why: str


class Balance(View, frozen=True, kw_only=True, gc=False):
    """How full nodes are, in per cent of each resource. badness: what the search makes less."""

    badness: int
    cpu_most: int
    cpu_least: int
    memory_most: int
    memory_least: int
    disk_most: int


class RebalancePlan(View, frozen=True, kw_only=True, gc=False):
    """What would move, one after another, and what it comes to. done: nothing more is worth it.

    basis: of what before and after are. note: why that is not what is measured, where it could be.
    """

    revision: int
    basis: Literal["measured", "reserved"]
    note: str
    moves: tuple[PlannedMove, ...]
    before: Balance
    after: Balance
    done: bool


def begin(tx: Transaction, principal: Principal, command: Rebalance) -> Cluster:
    """Ask for so many moves; they are made one by one as time passes. 0: no more are begun."""
    principal.require("admin", command.cluster)
    if not 0 <= command.moves <= MOVES_MAX:
        raise DefinitionWrong("moves", f"{command.moves} is not a number from 0 to {MOVES_MAX}")
    cluster = tx.need(Cluster, command.cluster)
    if cluster.moves_left == command.moves:
        return cluster
    why = f"up to {command.moves} moves" if command.moves else f"stopped by {principal.name}"
    tx.event("rebalancing", kind="cluster", name=cluster.name, why=why)
    return tx.put(replace(cluster, moves_left=command.moves))


def go_on(tx: Transaction, life: Life, uptime_ms: int) -> None:
    """Take the next step of each cluster that has a budget, when the last one has ended."""
    if life.recovering:
        return
    while life.moved and uptime_ms - life.moved[0][0] >= HOUR_MS:
        life.moved.popleft()
    for cluster in list(tx.state.all(Cluster)):
        # A step is two moves where two change places: never one more than is left.
        moves_max = max(cluster.moves_left, _budget(life, cluster))
        if not moves_max:
            continue
        if uptime_ms < life.balance_not_before_ms.get(cluster.name, 0) or _is_busy(
            tx, life, cluster
        ):
            continue
        measured = used(tx.state, life, cluster.name)
        # Who asked has seen in the preview what it goes by; the policy can wait for better.
        if not cluster.moves_left and is_about_to_measure(
            tx.state, life, cluster.name, measured, uptime_ms, tx.now_ms
        ):
            life.balance_not_before_ms[cluster.name] = uptime_ms + PAUSE_MS
            continue
        step = next_step(tx.state, life, cluster, measured, moves_max)
        moved = carry_out(tx, life, cluster, step) if step is not None else []
        life.balancing[cluster.name] = set(moved)
        if step is not None and measured.nodes:
            life.shifts.extend(_shifts(tx, cluster.name, step, moved))
        if moved:
            life.moved.extend((uptime_ms, cluster.name) for _ in moved)
            if cluster.moves_left:
                tx.put(replace(cluster, moves_left=max(cluster.moves_left - len(moved), 0)))
        elif step is None:
            life.balance_not_before_ms[cluster.name] = uptime_ms + PAUSE_MS
            if cluster.moves_left:
                why = "no move is worth it" if moves_max > 1 else "no single move is worth it"
                tx.event("balanced", kind="cluster", name=cluster.name, why=why)
                tx.put(replace(cluster, moves_left=0))


def _shifts(tx: Transaction, cluster: str, step: Step, moved: list[str]) -> Iterator[Shift]:
    for one, target in step.moves:
        if f"{cluster}/{one.name}" in moved:
            yield Shift(
                revision=tx.revision,
                cluster=cluster,
                name=one.name,
                source=one.node,
                target=target,
                use=one.use,
            )


def _budget(life: Life, cluster: Cluster) -> int:
    done = sum(name == cluster.name for _, name in life.moved)
    return max(cluster.policy.moves_per_hour - done, 0)


def _is_busy(tx: Transaction, life: Life, cluster: Cluster) -> bool:
    """Whether something that was moved is not there yet, or waits for a person."""
    keys = life.balancing.get(cluster.name, set())
    for key in list(keys):
        container = tx.state.get(Container, key)
        if container is None or not container.wanted:
            keys.discard(key)
        elif not life.is_moving(container):
            keys.discard(key)
            if container.relocation_error:
                life.unmovable.add(key)
    return bool(keys)


def next_step(
    state: State, life: Life, cluster: Cluster, measured: Used, moves_max: int
) -> Step | None:
    """The step that makes most good now, of at most so many moves."""
    loads = Loads(state.fleet.columns(cluster.name), measured.nodes)
    movables = _movables(state, life, cluster.name, loads, measured)
    balances = cluster.policy.placement != "pack"
    return best_step(
        state.fleet, cluster.name, movables, loads, balances=balances, moves_max=moves_max
    )


def carry_out(tx: Transaction, life: Life, cluster: Cluster, step: Step) -> list[str]:
    """Begin it; the keys of what moves. What refuses is not asked again."""
    begun = []
    for one, target in step.moves:
        key = f"{cluster.name}/{one.name}"
        container = tx.need(Container, key)
        why = f"to balance the nodes: {step.why}"
        if way_of(container) == "relocate":
            try:
                command = Relocate(cluster.name, one.name, target, why)
                relocating.relocate(tx, SYSTEM, command)
            except Conflict:
                life.unmovable.add(key)
                continue
        else:
            tx.happened("rebalancing", container, node=target, why=f"moves to {target} {why}")
            remake(tx, container, target, why)
        begun.append(key)
    return begun


def _movables(
    state: State, life: Life, cluster: str, loads: Loads, measured: Used
) -> list[Movable]:
    """What may move: of the hottest nodes, and what has musts, which may not hold any more."""
    keys: dict[str, None] = {}
    for row in (*loads.hottest(HOT_NODES), *loads.coldest(COLD_NODES)):
        name = loads.columns.names[row]
        keys.update(dict.fromkeys(each.key for each in state.on_node(f"{cluster}/{name}")))
    keys.update(dict.fromkeys(_with_musts(state, cluster)))
    spared: dict[str, int] = {}
    return [
        _movable(state, container, measured)
        for container in state.containers(keys)
        if _may_move(state, life, container, spared)
    ]


def _with_musts(state: State, cluster: str) -> Iterable[str]:
    count = 0
    for deployment in state.all(Deployment):
        if deployment.cluster != cluster or not _has_musts(deployment.spec):
            continue
        for key in sorted(state.containers_of_deployment.get(deployment.key, ())):
            count += 1
            if count > CHECKED_MAX:
                return
            yield key


def _has_musts(spec: ContainerSpec) -> bool:
    near_and_far = (*spec.affinity, *spec.anti_affinity)
    is_tied = any(not each.weight for each in near_and_far)
    return bool(spec.constraints) or is_tied or any(each.max_skew for each in spec.spread)


def _may_move(state: State, life: Life, container: Container, spared: dict[str, int]) -> bool:
    if container.key in life.unmovable or container.phase != Phase.BOOTSTRAPPED:
        return False
    if not container.wanted or container.leaving or not life.is_ready(container):
        return False
    node = state.get(Node, container.node_key)
    if node is None or node.protocol == "poll":
        return False
    if container.spec.type == "STATEFUL" and (container.spec.kind != "system" or container.home):
        return False  # its data is in volumes, which stay
    if not container.deployment:
        return True
    if container.group not in spared:
        spared[container.group] = spare(state, life, container.group)
    return spared[container.group] > 0


def _movable(state: State, container: Container, measured: Used) -> Movable:
    need = container.spec.resources
    price = REMAKE_PRICE
    if way_of(container) == "relocate":
        price += DOWNTIME_PRICE + GIB_PRICE * need.disk_mib // 1024
    is_measured = container.node in measured.nodes and container.key in measured.containers
    return Movable(
        request=request_of(state, container),
        node=container.node,
        use=measured.containers[container.key]
        if is_measured
        else (need.cpu_millis, need.memory_mib),
        price=price,
        is_swappable=way_of(container) == "remake",
    )


def preview(
    twin: State,
    statuses: dict[str, NodeStatus],
    cluster: str,
    asked: tuple[int, Used, int],
) -> RebalancePlan:
    """What would move on `twin`, a copy that is spent by it. asked: moves, use, wall clock."""
    moves_max, measured, now_ms = asked
    if not 1 <= moves_max <= MOVES_MAX:
        raise DefinitionWrong("moves", f"{moves_max} is not a number from 1 to {MOVES_MAX}")
    found = twin.get(Cluster, cluster)
    if found is None:
        raise NotFound(f"there is no cluster {cluster!r}", hint="pfi get clusters")
    life = whatif.life_of(twin, statuses)
    tx = Transaction(twin, now_ms=now_ms, who="pathfinder", epoch=1 << 20)
    before = _balance(twin, cluster, measured)
    moves: list[PlannedMove] = []
    while step := next_step(twin, life, found, measured, moves_max - len(moves)):
        planned = [_planned(twin, cluster, step, one, target) for one, target in step.moves]
        begun = set(carry_out(tx, life, found, step))
        for (one, target), move in zip(step.moves, planned, strict=True):
            if f"{cluster}/{one.name}" in begun:
                measured.move(one.use, one.node, target)
                moves.append(move)
        whatif.come_to_rest(tx, life)
    return RebalancePlan(
        revision=twin.revision,
        basis="measured" if measured.nodes else "reserved",
        note=measured.note(),
        moves=tuple(moves),
        before=before,
        after=_balance(twin, cluster, measured),
        done=next_step(twin, life, found, measured, SWAP_MOVES) is None,
    )


def _planned(twin: State, cluster: str, step: Step, one: Movable, target: str) -> PlannedMove:
    container = twin.get(Container, f"{cluster}/{one.name}")
    assert container is not None
    return PlannedMove(
        name=one.name,
        deployment=container.deployment,
        type=container.spec.type,
        way=way_of(container),
        source=one.node,
        target=target,
        gain=step.gain,
        price=step.price,
        why=step.why,
    )


def _balance(state: State, cluster: str, measured: Used) -> Balance:
    loads = Loads(state.fleet.columns(cluster), measured.nodes)
    shares = loads.shares()
    return Balance(badness=loads.badness(), **shares)
