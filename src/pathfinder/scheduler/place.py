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
from typing import Final

import numpy as np
import numpy.typing as npt

from pathfinder.model.resources import Resources
from pathfinder.model.selectors import Requirement
from pathfinder.scheduler.draft import (
    NOWHERE,
    Draft,
    Placement,
    Spot,
    Unplaced,
    preference,
)
from pathfinder.scheduler.fit import (
    Request,
    candidates,
    needs,
    refusals,
    room,
    shortages,
)
from pathfinder.scheduler.fleet import CPU, MEMORY, Fleet, Numbers
from pathfinder.scheduler.tied import TiedChooser
from pathfinder.scheduler.ties import Tie

CLASSES_MAX: Final = 256  # remembered at once: 20 MiB with 10,000 nodes

Index = npt.NDArray[np.intp]
RequestClass = tuple[
    str,
    str,
    Resources,
    tuple[Requirement, ...],
    str,
    bool,
    tuple[str, ...],
    tuple[Tie, ...],
    tuple[tuple[Requirement, int], ...],
]


def place(fleet: Fleet, requests: Sequence[Request]) -> list[Placement | Unplaced]:
    """A node for each request, in the given order, each seeing what those before it were given.

    The fleet stays as it is: the caller reserves what it accepts.
    """
    class_numbers: dict[RequestClass, int] = {}
    classes = [
        class_numbers.setdefault(_class_of(request), len(class_numbers)) for request in requests
    ]
    remaining = Counter(classes)
    rounds: dict[str, _Round] = {}
    outcomes: list[Placement | Unplaced] = []
    for request, class_number in zip(requests, classes, strict=True):
        each = rounds.get(request.cluster)
        if each is None:
            columns = fleet.columns(request.cluster)
            each = rounds[request.cluster] = _Round(Draft(columns, placements_max=len(requests)))
        remaining[class_number] -= 1
        outcomes.append(each.place(request, class_number, to_come=remaining[class_number]))
    return outcomes


def best(fleet: Fleet, request: Request, count: int) -> list[tuple[str, str]]:
    """The names of the `count` best nodes for one container, and what speaks for each."""
    draft = Draft(fleet.columns(request.cluster), placements_max=1)
    return TiedChooser(draft, request).best(count)


class _Round:
    """One cluster's placements, one after another."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._classes: dict[int, _Chooser | TiedChooser] = {}

    def place(self, request: Request, class_number: int, *, to_come: int) -> Placement | Unplaced:
        """Decide for one; `to_come`: so many more of its class will follow."""
        chooser = self._classes.pop(class_number, None) or self._chooser(request, to_come + 1)
        if to_come:
            if len(self._classes) == CLASSES_MAX:
                del self._classes[next(iter(self._classes))]
            self._classes[class_number] = chooser
        if not self._draft.is_within_quota(request):
            return self._draft.explained(request)
        return chooser.choose(request, to_come + 1)

    def _chooser(self, request: Request, count: int) -> "_Chooser | TiedChooser":
        if request.ties or request.preferences:
            return TiedChooser(self._draft, request)
        return _Chooser(self._draft, request, count)


class _Chooser:
    """What is computed once for all equal requests of a round.

    Every placement changes its own node alone, and fills up one at most. So of `count` equal
    requests in succession none goes beyond the `count` nodes that are best at the beginning: these
    stand in a heap, and beyond the worst of them nothing is looked at.
    """

    def __init__(self, draft: Draft, request: Request, count: int) -> None:
        self.draft = draft
        self.need = needs(request)
        self.members = draft.group_counts(request.group)
        self._needed: Numbers = np.array([[self.need[CPU]], [self.need[MEMORY]]], np.int64)
        self.group = request.group
        self._request = request
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
        """Compute everything: which nodes fit, and the heap of the `count` best of them."""
        draft = self.draft
        traits, amounts = draft.traits, draft.amounts
        claimed, claimable = self._request.claims, draft.claimable(self._request)
        self.room: Numbers | None  # for a single one it is enough to know where there is any
        if count > 1:
            self.room = np.where(
                self._open, room(traits, amounts, self.need, claimable, claimed), 0
            )
            shut = self.room < 1
        else:
            shut = ~self._open
            for failure in shortages(traits, amounts, self.need, claimable, claimed):
                shut |= failure.nodes
            self.room = None
        self.keys = preference(traits, amounts, self._needed, self.members, packs=draft.packs)
        self.keys[shut] = NOWHERE
        self._fit_count = len(shut) - int(np.count_nonzero(shut))
        self._seen = len(draft.placed_rows)
        self._spots: dict[int, Spot] = {}
        best = _best_rows(self.keys, min(count, self._fit_count))
        self._heap = list(zip(self.keys[best].tolist(), best.tolist(), strict=True))
        # All that is not in the heap comes after this one.
        self._horizon = max(self._heap, default=(NOWHERE, 0))
        heapify(self._heap)

    def _spot(self, row: int) -> Spot:
        return Spot(
            self.draft,
            row,
            need=self.need,
            members=int(self.members[row]),
            is_grouped=bool(self.group),
            room=1 if self.room is None else int(self.room[row]),
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


def _best_rows(keys: Numbers, count: int) -> Index:
    """The rows of the `count` smallest keys; of equal keys those with the smaller rows."""
    if count <= 1:
        return np.array([keys.argmin()] if count else [], np.intp)
    last = np.partition(keys, count - 1)[count - 1]
    below = np.flatnonzero(keys < last)
    level = np.flatnonzero(keys == last)[: count - len(below)]
    return np.concatenate((below, level))


def _class_of(request: Request) -> RequestClass:
    return (
        request.cluster,
        request.kind,
        request.need,
        request.constraints,
        request.group,
        request.stateful,
        request.ports,
        request.ties,
        request.preferences,
    )
