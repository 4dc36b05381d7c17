"""What a cluster has left, and whether it could lose a node: for questions, not for placing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pathfinder.scheduler.draft import Draft, Placement
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.fleet import (
    CORDONED,
    CPU,
    DISK,
    KNOWN,
    MEMORY,
    UNAVAILABLE,
    Columns,
    Fleet,
    Mask,
)
from pathfinder.scheduler.place import Round

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
    takers = np.flatnonzero(_takers(columns))
    found = {}
    for name, resource in RESOURCES:
        capacity, used = columns.traits[resource, takers], columns.amounts[resource, takers]
        free = np.maximum(capacity - used, 0)
        most = int(free.max(initial=0))
        found[name] = HeadRoom(
            capacity=int(capacity.sum()),
            reserved=int(used.sum()),
            free=int(free.sum()),
            most_free=most,
            most_free_on=columns.names[takers[free.argmax()]] if most else "",
        )
    return found


def fullest(fleet: Fleet, cluster: str) -> list[str]:
    """The nodes that take containers, those with most reserved first."""
    columns = fleet.columns(cluster)
    takers = np.flatnonzero(_takers(columns))
    reserved = columns.amounts[CPU, takers] + columns.amounts[MEMORY, takers]
    return [columns.names[row] for row in takers[np.argsort(-reserved, kind="stable")]]


def without_each(
    fleet: Fleet, cluster: str, there: Iterable[tuple[str, Sequence[Request]]]
) -> dict[str, int]:
    """By node: how many of the requests that are on it would fit nowhere if it alone were lost.

    Each trial is taken back before the next, so that what was worked out for one serves all.
    """
    draft = Draft(
        fleet.columns(cluster), placements_max=sum(1 for _ in fleet.columns(cluster).names)
    )
    draft.traits = draft.traits.copy()
    trial, missing = Round(draft), {}
    for node, requests in there:
        row = draft.columns.rows[node]
        capacity = draft.traits[CPU : MEMORY + 1, row].copy()
        draft.traits[CPU : MEMORY + 1, row] = 0  # what has none of these can take nothing
        draft.placed_rows.append(row)
        outcomes = trial.decide(requests)
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, Placement):
                taken = draft.columns.rows[outcome.node_key.partition("/")[2]]
                draft.release(taken, request)
        draft.traits[CPU : MEMORY + 1, row] = capacity
        draft.placed_rows.append(row)
        missing[node] = sum(not isinstance(outcome, Placement) for outcome in outcomes)
    return missing


def _takers(columns: Columns) -> Mask:
    traits = columns.traits
    takers: Mask = (traits[KNOWN] != 0) & (traits[CORDONED] == 0) & (traits[UNAVAILABLE] == 0)
    return takers
