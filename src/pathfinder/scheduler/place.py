"""Which node a container goes to, decided for many containers one after another.

Among the nodes that fit: fewest members of the container's group, then the most left afterwards of
whichever of CPU and memory is scarcer, then the fewest containers, then the smallest name.

Equal requests are one class: its columns are computed once, the best nodes stand in a heap, and
each placement renews one of them in plain numbers. The outcome is that of looking at every node
for every container, which a property test compares it with.
"""

from collections import Counter
from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace
from itertools import groupby
from typing import Any, Final

import numpy as np

from pathfinder.model.resources import Resources
from pathfinder.model.selectors import Requirement
from pathfinder.scheduler.domains import Numbers, Rows
from pathfinder.scheduler.draft import (
    MEMBERS_SHIFT,
    NOWHERE,
    Draft,
    Placement,
    Spot,
    Unplaced,
    shares_left,
)
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.fleet import (
    Fleet,
)
from pathfinder.scheduler.packing import MILLION
from pathfinder.scheduler.shapes import Shape
from pathfinder.scheduler.tied import TiedChooser

CLASSES_MAX: Final = 256  # remembered at once
LEVEL_MIN: Final = 4  # fewer are sooner placed one by one
FIT_SHIFT: Final = 8  # below it: a percentage, and of which resource
PERCENT_MASK: Final = 0x7F
SHAPES_MAX: Final = 256  # the same: 40 MiB with 10,000 nodes

_ShapeOf = tuple[str, Resources, tuple[Requirement, ...], bool, tuple[str, ...]]
_ClassOf = tuple[object, ...]


def place(fleet: Fleet, requests: Sequence[Request]) -> list[Placement | Unplaced]:
    """A node for each request, in the given order, each seeing what those before it were given.

    The fleet stays as it is: the caller reserves what it accepts.
    """
    clusters = {request.cluster for request in requests}
    if len(clusters) == 1:
        return _in_cluster(fleet, requests)
    found: dict[int, Placement | Unplaced] = {}
    for cluster in sorted(clusters):
        numbers = [n for n, request in enumerate(requests) if request.cluster == cluster]
        decided = _in_cluster(fleet, [requests[number] for number in numbers])
        found.update(zip(numbers, decided, strict=True))
    return [found[number] for number in range(len(requests))]


def _in_cluster(fleet: Fleet, requests: Sequence[Request]) -> list[Placement | Unplaced]:
    """The same for one cluster: nothing in another matters to it."""
    columns = fleet.columns(requests[0].cluster)
    return Round(Draft(columns, placements_max=len(requests))).decide(requests)


def best(fleet: Fleet, request: Request, count: int) -> list[tuple[str, str]]:
    """The names of the `count` best nodes for one container, and what speaks for each."""
    draft = Draft(fleet.columns(request.cluster), placements_max=1)
    return TiedChooser(Shape(draft, request), request).best(count)


class Round:
    """One cluster's placements, one after another."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._classes: dict[int, _Chooser | TiedChooser] = {}
        self._shapes: dict[_ShapeOf, Shape] = {}

    def decide(self, requests: Sequence[Request]) -> list[Placement | Unplaced]:
        """For each in turn; equal ones in succession together."""
        known: dict[int, int] = {}  # replicas of one deployment are often asked for by one object
        numbers: dict[_ClassOf, int] = {}
        classes = []
        number, last = 0, None
        for request in requests:
            if request is not last:
                last, found = request, known.get(id(request))
                if found is None:
                    found = numbers.setdefault(_class_of(request), len(numbers))
                    known[id(request)] = found
                number = found
            classes.append(number)
        remaining = Counter(classes)
        outcomes: list[Placement | Unplaced] = []
        for number, run in groupby(classes):
            count = sum(1 for _ in run)
            remaining[number] -= count
            request = requests[len(outcomes)]
            outcomes += self._run(request, number, count, to_come=remaining[number])
        self._classes.clear()
        return outcomes

    def _run(
        self, request: Request, number: int, count: int, *, to_come: int
    ) -> list[Placement | Unplaced]:
        """Decide for `count` of a class; `to_come`: so many more of it will follow later."""
        chooser = self._classes.pop(number, None) or self._chooser(request, count + to_come)
        if to_come:
            _make_room(self._classes, CLASSES_MAX)
            self._classes[number] = chooser
        allowed = self._draft.within_quota(request, count)
        outcomes = chooser.choose(allowed, to_come)
        if allowed < count:
            outcomes += [self._draft.explained(request)] * (count - allowed)
        return outcomes

    def shape(self, request: Request) -> Shape:
        """What a request has in common with those that differ in their group alone."""
        shape_of = _shape_of(request)
        shape = self._shapes.get(shape_of)
        if shape is None:
            _make_room(self._shapes, SHAPES_MAX)
            shape = self._shapes[shape_of] = Shape(self._draft, request)
        return shape

    def _chooser(self, request: Request, count: int) -> "_Chooser | TiedChooser":
        shape = self.shape(request)
        if request.ties or request.preferences:
            return TiedChooser(shape, request)
        return _Chooser(shape, request, count)


def _make_room(remembered: dict[Any, Any], most: int) -> None:
    """The oldest goes when there is one too many."""
    if len(remembered) == most:
        del remembered[next(iter(remembered))]


class _Chooser:
    """What is computed once for all equal requests of a round.

    Every placement changes its own node alone, and fills up one at most. So of `count` equal
    requests in succession none goes beyond the `count` nodes that are best at the beginning: these
    stand in a heap, and beyond the worst of them nothing is looked at.

    Where replicas are spread, the nodes with the fewest of them are given one each before any is
    given another: these are taken all at once, in the order in which they are good.
    """

    def __init__(self, shape: Shape, request: Request, count: int) -> None:
        self.draft = shape.draft
        self.need = shape.need
        self.group = request.group
        self._request = request
        self._shape = shape
        self._deployment = request.group.rpartition("/")[2]
        self._unplaced: Unplaced | None = None
        self._texts: dict[tuple[int, str, int, int], str] = {}
        self._begin(count)

    def choose(self, count: int, to_come: int) -> list[Placement | Unplaced]:
        """The best nodes for so many, one after another, reserved in the draft."""
        found: list[Placement | Unplaced] = []
        while (left := count - len(found)) > 0:
            if self._seen != len(self.draft.placed_rows):
                self._unplaced = None
                self._begin(left + to_come)
            if self._is_levelled and left >= LEVEL_MIN:
                found += self._level(left)
            else:
                found.append(self._one(left + to_come))
        return found

    def _one(self, count: int) -> Placement | Unplaced:
        """The best node now; `count` of the class are still to be placed."""
        heap = self._heaped()
        if not heap or heap[0] > self._horizon:
            if self._fit_count:
                self._begin(count)
                heap = self._heaped()
            if not heap:
                return self._explained()
        self._is_levelled = False
        row = heap[0][1]
        spot = self._spots.get(row)
        if spot is None:
            spot = self._spots[row] = self._spot(row)
        name = self.draft.columns.names[row]
        why = self._why(*spot.why(), self._fit_count)
        self.draft.reserve(row, self._request, self.need)
        self._seen += 1
        spot.take()
        if spot.room:
            heapreplace(heap, (spot.key(), row))
        else:
            heappop(heap)
            self._fit_count -= 1
        return Placement(self._request.cluster, name, why)

    def _level(self, count: int) -> list[Placement]:
        """One each for the best of the nodes with the fewest replicas, `count` at the most."""
        assert self._rooms is not None
        keys, best = self._best
        order = keys.argsort(kind="stable")
        members = int(keys[order[0]]) >> MEMBERS_SHIFT
        size = int(np.searchsorted(keys[order], (members + 1) << MEMBERS_SHIFT))
        rows = best[order[: min(size, count)]]
        draft = self.draft
        cpu, memory = shares_left(draft.traits[:, rows], draft.amounts[:, rows], self._shape.needed)
        is_full = self._rooms[rows] == 1
        fits = self._fit_count - is_full.cumsum() + is_full  # before each
        reasons = (fits << FIT_SHIFT) + (100 * np.minimum(cpu, memory) // MILLION << 1)
        reasons += cpu <= memory
        told = reasons.tolist()
        texts = {
            each: self._why(
                each >> 1 & PERCENT_MASK,
                "CPU" if each & 1 else "memory",
                members,
                each >> FIT_SHIFT,
            )
            for each in set(told)
        }
        draft.reserve_each(rows, self._request, self.need)
        cluster, names = self._request.cluster, draft.columns.names
        return [
            Placement(cluster, names[row], texts[each])
            for row, each in zip(rows.tolist(), told, strict=True)
        ]

    def _begin(self, count: int) -> None:
        """The `count` best nodes of those that fit."""
        shape = self._shape
        shape.refresh()
        self._fit_count = shape.fit_count
        self._seen = len(self.draft.placed_rows)
        self._spots: dict[int, Spot] = {}
        # For a single one it is enough to know where there is any room.
        self._rooms = shape.rooms() if count > 1 else None
        self._heap: list[tuple[int, int]] | None = None
        self._best = self._best_of(shape, count) if count > 1 else self._first(shape)
        self._is_levelled = bool(
            self.group and not self.draft.packs and count > 1 and self._fit_count >= LEVEL_MIN
        )

    def _heaped(self) -> list[tuple[int, int]]:
        """The best nodes as they are now, the very best first."""
        if self._heap is None:
            keys, rows = self._best
            self._heap = list(zip(keys.tolist(), rows.tolist(), strict=True))
            # All that is not in the heap comes after this one.
            self._horizon = max(self._heap, default=(NOWHERE, 0))
            heapify(self._heap)
        return self._heap

    def _best_of(self, shape: Shape, count: int) -> tuple[Numbers, Rows]:
        """The keys and rows of the best so many nodes; of equal keys the smaller rows first."""
        keys = shape.keys_for(self.draft.members(self.group)) if self.group else shape.keys
        best = _best_rows(keys, min(count, self._fit_count))
        return keys[best], best

    def _first(self, shape: Shape) -> tuple[Numbers, Rows]:
        """The best node. Members make a node worse: it is the best of all if it has none."""
        if not self._fit_count:
            return self._best_of(shape, 0)
        row = int(shape.keys.argmin())
        if self.group and self.draft.member_count(self.group, row):
            return self._best_of(shape, 1)
        return shape.keys[row : row + 1], np.array([row], np.intp)

    def _spot(self, row: int) -> Spot:
        return Spot(
            self.draft,
            row,
            need=self.need,
            members=self.draft.member_count(self.group, row) if self.group else 0,
            is_grouped=bool(self.group),
            room=1 if self._rooms is None else int(self._rooms[row]),
        )

    def _explained(self) -> Unplaced:
        if self._unplaced is None:
            self._unplaced = self.draft.explained(self._request)
        return self._unplaced

    def _why(self, percent: int, word: str, members: int, fit_count: int) -> str:
        """What speaks for a node; the same for many, so that it is written once."""
        told = (percent, word, members, fit_count)
        text = self._texts.get(told)
        if text is None:
            text = self._texts[told] = self._reasons(*told)
        return text

    def _reasons(self, percent: int, word: str, members: int, fit_count: int) -> str:
        reasons = f"{percent} % of {word} free"
        if self.draft.packs:
            reasons = f"the fullest that it fits on, {reasons}"
        elif self.group:
            reasons = f"fewest replicas of {self._deployment} ({members}), {reasons}"
        count = self.draft.node_count
        if fit_count == 1:
            others = f" of {count} that fits" if count > 1 else ""
            return f"{reasons}; the only node{others}"
        return f"{reasons}; {fit_count} of {count} nodes fit"


def _best_rows(keys: Numbers, count: int) -> Rows:
    """The rows of the `count` smallest keys; of equal keys those with the smaller rows."""
    if count <= 1:
        return np.array([keys.argmin()] if count else [], np.intp)
    last = np.partition(keys, count - 1)[count - 1]
    below = np.flatnonzero(keys < last)
    level = np.flatnonzero(keys == last)[: count - len(below)]
    return np.concatenate((below, level))


def _shape_of(request: Request) -> _ShapeOf:
    return (request.kind, request.need, request.constraints, request.stateful, request.ports)


def _class_of(request: Request) -> _ClassOf:
    return (
        *_shape_of(request),
        request.group,
        request.ties,
        request.preferences,
        request.is_counted,
    )
