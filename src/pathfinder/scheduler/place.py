"""Which node a container goes to, decided for many containers one after another.

Among the nodes that fit: fewest members of the container's group, then the most left afterwards of
whichever of CPU and memory is scarcer, then the fewest containers, then the smallest name.

Equal requests are one class: its columns are computed once, the best nodes stand in a heap, and
each placement renews one of them in plain numbers. The outcome is that of looking at every node
for every container, which a property test compares it with.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import Final

import numpy as np
import numpy.typing as npt

from pathfinder.model.resources import Resources
from pathfinder.model.selectors import Requirement
from pathfinder.scheduler.explain import Explanation, explain
from pathfinder.scheduler.fit import (
    IS_STATEFUL,
    Needs,
    Request,
    candidates,
    examine,
    needs,
    refusals,
    room,
    shortages,
)
from pathfinder.scheduler.fleet import (
    COUNT,
    CPU,
    DISK,
    MEMORY,
    PROCESSES,
    STATEFUL,
    Columns,
    Fleet,
    Numbers,
)

MILLION: Final = 1_000_000
COUNT_BITS: Final = 21
SHARE_BITS: Final = 20  # MILLION fits
COUNT_LIMIT: Final = 1 << COUNT_BITS
NOWHERE: Final = np.iinfo(np.int64).max
CLASSES_MAX: Final = 256  # remembered at once: 20 MiB with 10,000 nodes

Index = npt.NDArray[np.intp]
RequestClass = tuple[str, str, Resources, tuple[Requirement, ...], str, bool, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Placement:
    """The container goes to `node_key` ("cluster/node"); `why` says what spoke for that node."""

    node_key: str
    why: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """No node fits; the explanation is that of the moment at which it was its turn."""

    explanation: Explanation


def place(fleet: Fleet, requests: Sequence[Request]) -> list[Placement | Unplaced]:
    """A node for each request, in the given order, each seeing what those before it were given.

    The fleet stays as it is: the caller reserves what it accepts.
    """
    class_numbers: dict[RequestClass, int] = {}
    classes = [
        class_numbers.setdefault(_class_of(request), len(class_numbers)) for request in requests
    ]
    remaining = Counter(classes)
    drafts: dict[str, _Draft] = {}
    outcomes: list[Placement | Unplaced] = []
    for request, class_number in zip(requests, classes, strict=True):
        draft = drafts.get(request.cluster)
        if draft is None:
            draft = drafts[request.cluster] = _Draft(
                fleet.columns(request.cluster), placements_max=len(requests)
            )
        remaining[class_number] -= 1
        outcomes.append(draft.place(request, class_number, to_come=remaining[class_number]))
    return outcomes


class _Draft:
    """One cluster's amounts in the middle of a round of placements."""

    def __init__(self, columns: Columns, *, placements_max: int) -> None:
        self.columns = columns
        self.traits = columns.traits
        self.amounts = columns.amounts.copy()
        # Else the parts of `preference` would run into each other.
        assert self.amounts[COUNT].max(initial=0) + placements_max < COUNT_LIMIT
        self.node_count = len(columns.views)
        self.placed_rows: list[int] = []
        self._groups: dict[str, Numbers] = {}
        self._ports: dict[str, Numbers] = {}
        self._classes: dict[int, _Chooser] = {}

    def place(self, request: Request, class_number: int, *, to_come: int) -> Placement | Unplaced:
        """Decide for one; `to_come`: so many more of its class will follow."""
        chooser = self._classes.pop(class_number, None) or _Chooser(self, request, to_come + 1)
        if to_come:
            if len(self._classes) == CLASSES_MAX:
                del self._classes[next(iter(self._classes))]
            self._classes[class_number] = chooser
        return chooser.choose(request, to_come + 1)

    def group_counts(self, group: str) -> Numbers:
        """How many members of a group each node has, with those placed in this round."""
        if group not in self._groups:
            self._groups[group] = self.columns.group_counts(group)
        return self._groups[group]

    def taken(self, ports: tuple[str, ...]) -> dict[str, Numbers]:
        """How many containers of each node have these host ports, with those of this round."""
        for port in ports:
            if port not in self._ports:
                self._ports[port] = self.columns.port_counts(port)
        return {port: self._ports[port] for port in ports}

    def reserve(self, row: int, need: Needs, group: str, ports: tuple[str, ...]) -> None:
        """Count one more container on a node."""
        amounts = self.amounts
        for resource in (CPU, MEMORY, DISK, PROCESSES):
            if amount := need[resource]:
                amounts[resource, row] += amount
        amounts[COUNT, row] += 1
        amounts[STATEFUL, row] += need[IS_STATEFUL]
        if group:
            self.group_counts(group)[row] += 1
        for counts in self.taken(ports).values():
            counts[row] += 1
        self.placed_rows.append(row)


class _Spot:
    """One node for one class, in plain numbers: faster than arrays where one number changes."""

    __slots__ = (
        "_capacities", "_count", "_is_grouped", "_members", "_needs", "_used", "key", "room",
    )  # fmt: skip

    def __init__(self, chooser: "_Chooser", row: int) -> None:
        draft = chooser.draft
        self.room = 1 if chooser.room is None else int(chooser.room[row])
        self.key = int(chooser.keys[row])
        self._capacities = draft.traits[CPU : MEMORY + 1, row].tolist()
        self._used = draft.amounts[CPU : MEMORY + 1, row].tolist()
        self._needs = chooser.need[CPU : MEMORY + 1]
        self._count = int(draft.amounts[COUNT, row])
        self._members = int(chooser.members[row])
        self._is_grouped = bool(chooser.group)

    def why(self) -> tuple[int, str, int]:
        """Percent left of the scarcer resource when it is given one more, and members before."""
        share, word = min(zip(self._shares(), ("CPU", "memory"), strict=True))
        return 100 * share // MILLION, word, self._members

    def take(self) -> None:
        """It is given one of the class."""
        self.room -= 1
        self._count += 1
        self._members += self._is_grouped
        self._used = [used + need for used, need in zip(self._used, self._needs, strict=True)]
        taken = MILLION - min(self._shares())
        self.key = (
            (self._members << (SHARE_BITS + COUNT_BITS)) + (taken << COUNT_BITS) + self._count
        )

    def _shares(self) -> list[int]:
        return [
            max(capacity - used - need, 0) * MILLION // capacity
            for capacity, used, need in zip(self._capacities, self._used, self._needs, strict=True)
        ]


class _Chooser:
    """What is computed once for all equal requests of a round.

    Every placement makes its node less preferable, never more. So of `count` equal requests in
    succession none goes beyond the `count` nodes that are best at the beginning: these stand in a
    heap, and beyond the worst of them nothing is looked at.
    """

    def __init__(self, draft: _Draft, request: Request, count: int) -> None:
        self.draft = draft
        self.need = needs(request)
        self.members = draft.group_counts(request.group)
        self._needed: Numbers = np.array([[self.need[CPU]], [self.need[MEMORY]]], np.int64)
        self.group = request.group
        self._ports = request.ports
        self._deployment = request.group.rpartition("/")[2]
        self._open = candidates(draft.columns, refusals(draft.columns, request))
        self._unplaced: Unplaced | None = None
        self._begin(count)

    def choose(self, request: Request, count: int) -> Placement | Unplaced:
        """The best node now, reserved in the draft; `count` of the class are still to be placed."""
        if self._seen != len(self.draft.placed_rows):
            self._unplaced = None
            self._begin(count)
        heap = self._heap
        if not heap or heap[0] > self._horizon:
            if self._fit_count:
                self._begin(count)
                heap = self._heap
            if not heap:
                return self._explained(request)
        row = heap[0][1]
        spot = self._spots.get(row)
        if spot is None:
            spot = self._spots[row] = _Spot(self, row)
        name = self.draft.columns.names[row]
        placement = Placement(f"{request.cluster}/{name}", self._why(spot))
        self.draft.reserve(row, self.need, self.group, self._ports)
        self._seen += 1
        spot.take()
        if spot.room:
            heapreplace(heap, (spot.key, row))
        else:
            heappop(heap)
            self._fit_count -= 1
        return placement

    def _begin(self, count: int) -> None:
        """Compute everything: which nodes fit, and the heap of the `count` best of them."""
        draft = self.draft
        traits, amounts, taken = draft.traits, draft.amounts, draft.taken(self._ports)
        self.room: Numbers | None  # for a single one it is enough to know where there is any
        if count > 1:
            self.room = np.where(self._open, room(traits, amounts, self.need, taken), 0)
            shut = self.room < 1
        else:
            shut = ~self._open
            for failure in shortages(traits, amounts, self.need, taken):
                shut |= failure.nodes
            self.room = None
        self.keys = preference(traits, amounts, self._needed, self.members)
        self.keys[shut] = NOWHERE
        self._fit_count = len(shut) - int(np.count_nonzero(shut))
        self._seen = len(draft.placed_rows)
        self._spots: dict[int, _Spot] = {}
        best = _best_rows(self.keys, min(count, self._fit_count))
        self._heap = list(zip(self.keys[best].tolist(), best.tolist(), strict=True))
        # All that is not in the heap comes after this one.
        self._horizon = max(self._heap, default=(NOWHERE, 0))
        heapify(self._heap)

    def _explained(self, request: Request) -> Unplaced:
        if self._unplaced is None:
            draft = self.draft
            taken = draft.taken(request.ports)
            examined = examine(draft.columns, draft.amounts, taken, request)
            self._unplaced = Unplaced(explain(examined))
        return self._unplaced

    def _why(self, spot: _Spot) -> str:
        percent, word, members = spot.why()
        reasons = f"{percent} % of {word} free"
        if self.group:
            reasons = f"fewest replicas of {self._deployment} ({members}), {reasons}"
        count = self.draft.node_count
        if self._fit_count == 1:
            others = f" of {count} that fits" if count > 1 else ""
            return f"{reasons}; the only node{others}"
        return f"{reasons}; {self._fit_count} of {count} nodes fit"


def _best_rows(keys: Numbers, count: int) -> Index:
    """The rows of the `count` smallest keys; of equal keys those with the smaller rows."""
    if count <= 1:
        return np.array([keys.argmin()] if count else [], np.intp)
    last = np.partition(keys, count - 1)[count - 1]
    below = np.flatnonzero(keys < last)
    level = np.flatnonzero(keys == last)[: count - len(below)]
    return np.concatenate((below, level))


def preference(traits: Numbers, amounts: Numbers, needed: Numbers, members: Numbers) -> Numbers:
    """One number per node, the smaller the better: group members, share taken, containers.

    needed: CPU and memory, one below the other.
    """
    capacity = traits[CPU : MEMORY + 1]
    left = np.maximum(capacity - amounts[CPU : MEMORY + 1] - needed, 0)
    # In millionths, so that shares are exact whole numbers: 2^40 times a million is in int64.
    shares = left * MILLION // np.maximum(capacity, 1)
    taken = MILLION - np.minimum(shares[CPU], shares[MEMORY])
    keys: Numbers = (members << (SHARE_BITS + COUNT_BITS)) + (taken << COUNT_BITS)
    keys += amounts[COUNT]
    return keys


def _class_of(request: Request) -> RequestClass:
    return (
        request.cluster,
        request.kind,
        request.need,
        request.constraints,
        request.group,
        request.stateful,
        request.ports,
    )
