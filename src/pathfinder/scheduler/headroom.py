"""What a cluster has left, and whether it could lose a node: for questions, not for placing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pathfinder.scheduler.draft import Draft, Placement
from pathfinder.scheduler.fit import Request, takers
from pathfinder.scheduler.fleet import COUNT, CPU, DISK, KNOWN, MEMORY, UNAVAILABLE, Fleet
from pathfinder.scheduler.place import Round
from pathfinder.scheduler.shapes import Shape

ROOMIEST_MAX: Final = 256  # nodes that are looked at for each shape
RESOURCES: Final = (("cpu_millis", CPU), ("memory_mib", MEMORY), ("disk_mib", DISK))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRoom:
    """Of one resource on the nodes that take containers. most_free: on a single node."""

    capacity: int
    reserved: int
    free: int
    most_free: int
    most_free_on: str


def head_room(fleet: Fleet, cluster: str) -> dict[str, HeadRoom]:
    """What there is of each resource, by its field's name."""
    columns = fleet.columns(cluster)
    rows = np.flatnonzero(takers(columns))
    found = {}
    for name, resource in RESOURCES:
        capacity, used = columns.traits[resource, rows], columns.amounts[resource, rows]
        free = np.maximum(capacity - used, 0)
        most = int(free.max(initial=0))
        found[name] = HeadRoom(
            capacity=int(capacity.sum()),
            reserved=int(used.sum()),
            free=int(free.sum()),
            most_free=most,
            most_free_on=columns.names[rows[free.argmax()]] if most else "",
        )
    return found


def fullest(fleet: Fleet, cluster: str) -> list[str]:
    """The nodes that take containers or have some, those with most reserved first."""
    columns = fleet.columns(cluster)
    is_used = (columns.amounts[COUNT] > 0) & (columns.traits[UNAVAILABLE] == 0)
    rows = np.flatnonzero(takers(columns) | (is_used & (columns.traits[KNOWN] != 0)))
    reserved = columns.amounts[CPU, rows] + columns.amounts[MEMORY, rows]
    return [columns.names[row] for row in rows[np.argsort(-reserved, kind="stable")]]


def without_each(
    fleet: Fleet, cluster: str, there: Iterable[tuple[str, Sequence[Request]]]
) -> dict[str, int]:
    """By node: how many of the requests that are on it would fit nowhere if it alone were lost.

    Each trial is taken back before the next, so that what was worked out for one serves all. They
    go from the one that costs least, and finds an arrangement where there is plenty of room, to the
    placing one by one that is what would happen.
    """
    columns = fleet.columns(cluster)
    draft = Draft(columns, placements_max=len(columns.names))
    draft.traits = draft.traits.copy()
    trial, missing = Round(draft), {}
    roomiest = _Roomiest(trial)
    for node, requests in there:
        row = columns.rows[node]
        if _fit_apart(roomiest, requests, row):
            missing[node] = 0
            continue
        capacity = draft.traits[CPU : MEMORY + 1, row].copy()
        draft.traits[CPU : MEMORY + 1, row] = 0  # what has none of these can take nothing
        draft.placed_rows.append(row)
        missing[node] = 0 if _all_fit(draft, trial, requests) else _unplaced(draft, trial, requests)
        draft.traits[CPU : MEMORY + 1, row] = capacity
        draft.placed_rows.append(row)
    return missing


class _Roomiest:
    """The nodes with most room for each shape, and for how many, as long as nothing is placed."""

    def __init__(self, trial: Round) -> None:
        self._trial = trial
        self._known: dict[Shape, list[tuple[int, int]]] = {}

    def shape(self, request: Request) -> Shape:
        """What the request has in common with others."""
        return self._trial.shape(request)

    def rows(self, shape: Shape) -> list[tuple[int, int]]:
        """Rows, and how many of the shape each has room for: most first."""
        if shape not in self._known:
            shape.refresh()
            rooms = shape.rooms()
            best = np.argsort(-rooms, kind="stable")[:ROOMIEST_MAX]
            self._known[shape] = list(zip(best.tolist(), rooms[best].tolist(), strict=True))
        return self._known[shape]


def _fit_apart(roomiest: _Roomiest, requests: Sequence[Request], lost: int) -> bool:
    """Whether they fit with each shape on nodes of its own: nothing need be reserved to know."""
    taken = {lost}
    for shape, count in Counter(map(roomiest.shape, requests)).items():
        left = count
        for row, room in roomiest.rows(shape):
            if left <= 0 or not room:
                break
            if row not in taken:
                taken.add(row)
                left -= room
        if left > 0:
            return False
    return True


def _all_fit(draft: Draft, trial: Round, requests: Sequence[Request]) -> bool:
    """Whether there certainly is an arrangement: equal ones are poured where there is most room."""
    poured: list[tuple[int, Request, int]] = []
    for request, count in Counter(requests).items():
        shape, left = trial.shape(request), count
        while left:
            shape.refresh()
            rooms = shape.rooms()
            row = int(rooms.argmax())
            taken = min(left, int(rooms[row]))
            if not taken:
                break
            draft.reserve(row, request, shape.need, count=taken)
            poured.append((row, request, taken))
            left -= taken
        if left:
            break
    else:
        left = 0
    for row, request, taken in poured:
        draft.release(row, request, count=taken)
    return not left


def _unplaced(draft: Draft, trial: Round, requests: Sequence[Request]) -> int:
    """How many fit nowhere when they are placed one by one, as they would be."""
    outcomes = trial.decide(requests)
    for request, outcome in zip(requests, outcomes, strict=True):
        if isinstance(outcome, Placement):
            draft.release(draft.columns.rows[outcome.node], request)
    return sum(not isinstance(outcome, Placement) for outcome in outcomes)
