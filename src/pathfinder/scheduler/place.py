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
from typing import Any, Final

import numpy as np

from pathfinder.model.resources import Resources
from pathfinder.model.selectors import Requirement
from pathfinder.scheduler.draft import NOWHERE, Draft, Placement, Spot, Unplaced
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.fleet import Fleet, Numbers, Rows
from pathfinder.scheduler.shapes import Shape
from pathfinder.scheduler.tied import TiedChooser

CLASSES_MAX: Final = 256  # remembered at once
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
        """For each in turn."""
        class_numbers: dict[_ClassOf, int] = {}
        classes = [
            class_numbers.setdefault(_class_of(request), len(class_numbers)) for request in requests
        ]
        remaining = Counter(classes)
        outcomes = []
        for request, class_number in zip(requests, classes, strict=True):
            remaining[class_number] -= 1
            outcomes.append(self._one(request, class_number, to_come=remaining[class_number]))
        self._classes.clear()
        return outcomes

    def _one(self, request: Request, class_number: int, *, to_come: int) -> Placement | Unplaced:
        """Decide for one; `to_come`: so many more of its class will follow."""
        chooser = self._classes.pop(class_number, None) or self._chooser(request, to_come + 1)
        if to_come:
            _make_room(self._classes, CLASSES_MAX)
            self._classes[class_number] = chooser
        if not self._draft.is_within_quota(request):
            return self._draft.explained(request)
        return chooser.choose(request, to_come + 1)

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
    """

    def __init__(self, shape: Shape, request: Request, count: int) -> None:
        self.draft = shape.draft
        self.need = shape.need
        self.group = request.group
        self._shape = shape
        self._members = self.draft.members(request.group) if request.group else {}
        self._deployment = request.group.rpartition("/")[2]
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
            spot = self._spots[row] = self._spot(row)
        name = self.draft.columns.names[row]
        placement = Placement(f"{request.cluster}/{name}", self._why(spot))
        self.draft.reserve(row, request, self.need)
        self._seen += 1
        spot.take()
        if spot.room:
            heapreplace(heap, (spot.key(), row))
        else:
            heappop(heap)
            self._fit_count -= 1
        return placement

    def _begin(self, count: int) -> None:
        """The heap of the `count` best nodes of those that fit."""
        shape = self._shape
        shape.refresh()
        # For a single one it is enough to know where there is any room.
        self._rooms = shape.rooms() if count > 1 else None
        keys = shape.keys_for(self._members)
        self._fit_count = shape.fit_count
        self._seen = len(self.draft.placed_rows)
        self._spots: dict[int, Spot] = {}
        best = _best_rows(keys, min(count, self._fit_count))
        self._heap = list(zip(keys[best].tolist(), best.tolist(), strict=True))
        # All that is not in the heap comes after this one.
        self._horizon = max(self._heap, default=(NOWHERE, 0))
        heapify(self._heap)

    def _spot(self, row: int) -> Spot:
        return Spot(
            self.draft,
            row,
            need=self.need,
            members=self._members.get(row, 0),
            is_grouped=bool(self.group),
            room=1 if self._rooms is None else int(self._rooms[row]),
        )

    def _explained(self, request: Request) -> Unplaced:
        if self._unplaced is None:
            self._unplaced = self.draft.explained(request)
        return self._unplaced

    def _why(self, spot: Spot) -> str:
        percent, word, members = spot.why()
        reasons = f"{percent} % of {word} free"
        if self.draft.packs:
            reasons = f"the fullest that it fits on, {reasons}"
        elif self.group:
            reasons = f"fewest replicas of {self._deployment} ({members}), {reasons}"
        count = self.draft.node_count
        if self._fit_count == 1:
            others = f" of {count} that fits" if count > 1 else ""
            return f"{reasons}; the only node{others}"
        return f"{reasons}; {self._fit_count} of {count} nodes fit"


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
