"""Which container should be elsewhere: a local search of moves and swaps, one step at a time.

What is wrong with an arrangement, in the order in which it is put right:

1. a must that does not hold (any more): worth any price;
2. disks that are almost full;
3. load: the sum over nodes and resources of the squared share in use, which falls with every move
   from a fuller node to an emptier one, and is least when all are alike;
4. replicas of one deployment beside each other.

A step is taken when it makes more good than it costs. The form (an objective in order of goals,
local search by moves and swaps over the hottest hosts, a price on each) is that of Rebalancer at
Meta (Kumar et al., OSDI 2024, "Optimizing Resource Allocation in Hyperscale Datacenters").
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pathfinder.scheduler.domains import Mask, Numbers
from pathfinder.scheduler.fit import CONSTRAINT_CODE, Request, feasible, takers
from pathfinder.scheduler.fleet import CPU, DISK, MEMORY, Columns, Fleet

UNIT: Final = 1_000_000  # of good: a node that is full of one resource counts so much
VIOLATION: Final = 1_000 * UNIT
HEAD_ROOM: Final = 900_000  # of a disk, in millionths, up to which nothing is wrong
HEAD_ROOM_WEIGHT: Final = 20
NEIGHBOUR: Final = UNIT // 200
HOT_NODES: Final = 8  # whose containers are looked at
COLD_NODES: Final = 4  # that a swap may be made with
SWAPS_TRIED_MAX: Final = 400
SWAP_MOVES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Movable:
    """A container that may be moved. use: of CPU and memory. price: of moving it."""

    request: Request
    node: str
    use: tuple[int, int]
    price: int
    is_swappable: bool = False

    @property
    def name(self) -> str:
        """The container's."""
        return self.request.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Containers and where they go: one, or two that change places. gain: what it is good for."""

    moves: tuple[tuple[Movable, str], ...]
    gain: int
    price: int
    why: str


class Loads:
    """How full each node is: as it is measured in `use`, or with none at all as is reserved.

    Of some nodes the one and of others the other cannot be compared: who calls gives all or none.
    """

    def __init__(self, columns: Columns, use: dict[str, tuple[int, int]]) -> None:
        traits, amounts = columns.traits, columns.amounts
        self.columns = columns
        self.capacity: Numbers = np.maximum(traits[CPU : MEMORY + 1], 1)
        self.used: Numbers = amounts[CPU : MEMORY + 1].copy()
        for name, (cpu, memory) in use.items():
            if (row := columns.rows.get(name, -1)) >= 0:
                self.used[:, row] = cpu, memory
        self.disk_capacity: Numbers = traits[DISK]
        self.disk: Numbers = amounts[DISK].copy()
        self.takes: Mask = takers(columns)

    def badness(self) -> int:
        """Of the arrangement as a whole: load and disks; musts and neighbours apart."""
        return int(_squares(self.used, self.capacity)[self.takes].sum() + self.disks().sum())

    def shares(self) -> dict[str, int]:
        """The most and the least that a node has in use, in per cent."""
        cpu, memory = (self.used * 100 // self.capacity)[:, self.takes]
        disk = self.disk[self.takes] * 100 // np.maximum(self.disk_capacity[self.takes], 1)
        return {
            "cpu_most": int(cpu.max(initial=0)),
            "cpu_least": int(cpu.min(initial=int(cpu.max(initial=0)))),
            "memory_most": int(memory.max(initial=0)),
            "memory_least": int(memory.min(initial=int(memory.max(initial=0)))),
            "disk_most": int(disk.max(initial=0)),
        }

    def disks(self) -> Numbers:
        """What is wrong with each node's disk."""
        return _disk_badness(self.disk, self.disk_capacity)

    def hottest(self, count: int) -> list[int]:
        """The rows where most is wrong."""
        heat = _squares(self.used, self.capacity) + self.disks()
        heat[~self.takes] = -1
        order = np.argsort(-heat, kind="stable")[:count]
        return [int(row) for row in order if heat[row] >= 0]

    def coldest(self, count: int) -> list[int]:
        """The rows where least is wrong."""
        heat = _squares(self.used, self.capacity) + self.disks()
        heat[~self.takes] = np.iinfo(np.int64).max
        order = np.argsort(heat, kind="stable")[:count]
        return [int(row) for row in order if self.takes[row]]

    def gains(self, one: Movable) -> Numbers:
        """What moving it to each node makes good, its own node's loss of it included."""
        row = self.columns.rows[one.node]
        need: Numbers = np.array([[one.use[0]], [one.use[1]]], np.int64)
        here = self.used[:, row : row + 1]
        freed = _squares(here, self.capacity[:, row : row + 1]) - _squares(
            np.maximum(here - need, 0), self.capacity[:, row : row + 1]
        )
        added = _squares(self.used + need, self.capacity) - _squares(self.used, self.capacity)
        disk = one.request.need.disk_mib
        if disk:
            own, more = self.disk[row : row + 1], self.disk + disk
            of = self.disk_capacity[row : row + 1]
            freed = freed + _disk_badness(own, of) - _disk_badness(own - disk, of)
            added = added + _disk_badness(more, self.disk_capacity) - self.disks()
        gains: Numbers = freed[0] - added
        return gains


def _squares(used: Numbers, capacity: Numbers) -> Numbers:
    shares = np.minimum(used * 1_000 // capacity, 4_000)  # thousandths: squared they are millionths
    summed: Numbers = (shares * shares).sum(axis=0)
    return summed


def _disk_badness(used: Numbers, capacity: Numbers) -> Numbers:
    share = np.where(capacity > 0, used * UNIT // np.maximum(capacity, 1), 0)
    found: Numbers = np.maximum(share - HEAD_ROOM, 0) * HEAD_ROOM_WEIGHT
    return found


def best_step(
    fleet: Fleet,
    cluster: str,
    movables: Sequence[Movable],
    loads: Loads,
    *,
    balances: bool = True,
    moves_max: int = SWAP_MOVES,
) -> Step | None:
    """The step that makes most good for its price, or None: as things are, none is worth it.

    movables: of all nodes, or of the hottest and those with musts. balances: whether load counts; a
    cluster that packs wants its nodes unlike. moves_max: a step has no more moves than this; two
    that change places are two.
    """
    if moves_max < 1:
        return None
    best = max(
        _single_moves(fleet, cluster, movables, loads, balances=balances),
        key=_worth,
        default=None,
    )
    if best is None and balances and moves_max >= SWAP_MOVES:
        best = max(_swaps(fleet, cluster, movables, loads), key=_worth, default=None)
    return best


def _worth(step: Step) -> tuple[int, tuple[str, ...]]:
    return (step.gain - step.price, tuple(one.name for one, _ in step.moves))


def _single_moves(
    fleet: Fleet, cluster: str, movables: Sequence[Movable], loads: Loads, *, balances: bool
) -> Iterator[Step]:
    hot = {loads.columns.names[row] for row in loads.hottest(HOT_NODES)}
    disks = loads.disks()
    for one in movables:
        row = loads.columns.rows.get(one.node, -1)
        if row < 0:
            continue
        has_musts = bool(one.request.constraints) or any(not t.weight for t in one.request.ties)
        if not has_musts and one.node not in hot:
            continue
        key = f"{cluster}/{one.node}"
        _release(fleet, key, one)
        feasibility = feasible(fleet, one.request)
        broken = [
            failure.code.removeprefix(CONSTRAINT_CODE)
            for failure in feasibility.failures
            if failure.code.startswith(CONSTRAINT_CODE) and failure.nodes[row]
        ]
        gains = loads.gains(one) if balances or disks[row] else np.zeros_like(loads.disk)
        if one.request.group:
            members = fleet.columns(cluster).group_counts(one.request.group)
            gains = gains + NEIGHBOUR * (members[row] - members)
        _reserve(fleet, key, one)
        fits = feasibility.fits & loads.takes
        fits[row] = False
        if not fits.any():
            continue
        gains = np.where(fits, gains, np.iinfo(np.int64).min)
        target = int(gains.argmax())
        gain = int(gains[target]) + VIOLATION * len(broken)
        if gain > one.price:
            yield Step(
                moves=((one, loads.columns.names[target]),),
                gain=gain,
                price=one.price,
                why=_why(loads, row, target, broken),
            )


def _swaps(fleet: Fleet, cluster: str, movables: Sequence[Movable], loads: Loads) -> Iterator[Step]:
    """Two that change places, where no move alone finds room: one large for one small.

    Never two of one group: each was found to be dispensable alone.
    """
    names = loads.columns.names
    hot = {names[row] for row in loads.hottest(COLD_NODES)}
    cold = {names[row] for row in loads.coldest(COLD_NODES)}
    large = [one for one in movables if one.node in hot and one.is_swappable]
    small = [one for one in movables if one.node in cold and one.is_swappable]
    pairs = (
        (one, other)
        for one in large
        for other in small
        if one.node != other.node
        and sum(one.use) > sum(other.use)
        and (not one.request.group or one.request.group != other.request.group)
    )
    for (one, other), _ in zip(pairs, range(SWAPS_TRIED_MAX), strict=False):
        gain = _swap_gain(loads, one, other)
        price = one.price + other.price
        if gain > price and _can_swap(fleet, cluster, one, other):
            rows = loads.columns.rows
            yield Step(
                moves=((one, other.node), (other, one.node)),
                gain=gain,
                price=price,
                why=_why(loads, rows[one.node], rows[other.node], []) + "; they change places",
            )


def _swap_gain(loads: Loads, one: Movable, other: Movable) -> int:
    rows = [loads.columns.rows[one.node], loads.columns.rows[other.node]]
    before, capacity = loads.used[:, rows], loads.capacity[:, rows]
    shift: Numbers = np.array(
        [[b - a, a - b] for a, b in zip(one.use, other.use, strict=True)], np.int64
    )
    after = np.maximum(before + shift, 0)
    return int((_squares(before, capacity) - _squares(after, capacity)).sum())


def _can_swap(fleet: Fleet, cluster: str, one: Movable, other: Movable) -> bool:
    here, there = f"{cluster}/{one.node}", f"{cluster}/{other.node}"
    _release(fleet, here, one)
    _release(fleet, there, other)
    fits = feasible(fleet, one.request).fits_on(other.node)
    if fits:
        _reserve(fleet, there, one)
        fits = feasible(fleet, other.request).fits_on(one.node)
        _release(fleet, there, one)
    _reserve(fleet, here, one)
    _reserve(fleet, there, other)
    return fits


def _why(loads: Loads, source: int, target: int, broken: Sequence[str]) -> str:
    if broken:
        return f"does not meet {', '.join(broken)} where it is"
    names = loads.columns.names
    if loads.disks()[source]:
        share = int(loads.disk[source] * 100 // max(int(loads.disk_capacity[source]), 1))
        return f"{share} % of the disk of {names[source]} are taken"

    def percent(row: int) -> str:
        cpu, memory = (loads.used[:, row] * 100 // loads.capacity[:, row]).tolist()
        return f"{names[row]} has {cpu} % of CPU and {memory} % of memory in use"

    return f"{percent(source)}, {percent(target)}"


def _release(fleet: Fleet, key: str, one: Movable) -> None:
    request = one.request
    fleet.release(key, request.need, request.group, stateful=request.stateful, ports=request.ports)


def _reserve(fleet: Fleet, key: str, one: Movable) -> None:
    request = one.request
    fleet.reserve(key, request.need, request.group, stateful=request.stateful, ports=request.ports)
