"""Whose place a container may take when it fits nowhere: the fewest of the lowest priority.

As kube-scheduler and Nomad do: on each node that would do but for what runs there, containers of
lower priority are taken until it fits, and those that prove unnecessary are put back; of all such
nodes the one where the highest priority taken is lowest, then the one with the fewest taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pathfinder.model.resources import Resources
from pathfinder.scheduler.domains import Mask
from pathfinder.scheduler.fit import RESOURCE_OF_CODE, Feasibility, lefts, needs
from pathfinder.scheduler.fleet import (
    EXTRA_CODE,
    KNOWN,
    PORT_CODE,
    claims,
    numbers,
)
from pathfinder.scheduler.remedies import deficits

NODES_TRIED_MAX: Final = 100  # those that lack least
COUNT_CODES: Final = ("containers_max", "stateful_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """A container on a node. name "": it is on its way out already."""

    name: str
    priority: int
    need: Resources
    group: str = ""
    stateful: bool = False
    ports: tuple[str, ...] = ()
    is_available: bool = True

    def frees(self, code: str) -> int:
        """How much of what is short is there again when it has gone."""
        if code in RESOURCE_OF_CODE:
            return numbers(self.need)[RESOURCE_OF_CODE[code]]
        if code == "stateful_max":
            return int(self.stateful)
        if code == "containers_max":
            return 1
        return dict(claims(self.need, self.ports)).get(code, 0)


@dataclass(frozen=True, slots=True)
class Preemption:
    """Where, and who goes; nobody, when what is on its way out already is enough."""

    node: str
    taken: tuple[Occupant, ...]


def preempt(
    feasibility: Feasibility,
    occupants: Callable[[str], Sequence[Occupant]],
    spare: Callable[[str], int],
) -> Preemption | None:
    """For a request that fits nowhere: the best node to make room on, or None.

    occupants: of a node by its name, those of lower priority that may go, and those that are going.
    spare: how many available replicas each group can do without.
    """
    found: list[tuple[int, int, int, str, tuple[Occupant, ...]]] = []
    for row in _rows_worth_trying(feasibility):
        node = feasibility.columns.names[row]
        taken = _taken(_shortages(feasibility, row), occupants(node), spare)
        if taken is not None:
            size = sum(one.need.cpu_millis + one.need.memory_mib for one in taken)
            highest = max((one.priority for one in taken), default=-1)
            found.append((highest, len(taken), size, node, taken))
    if not found:
        return None
    *_, node, taken = min(found, key=lambda each: each[:4])
    return Preemption(node, taken)


def _rows_worth_trying(feasibility: Feasibility) -> list[int]:
    """The nodes that fail for nothing but what runs there, those that lack least first."""
    open_nodes: Mask = feasibility.columns.traits[KNOWN] != 0
    for failure in feasibility.failures:
        if not _depends_on_occupants(failure.code):
            open_nodes &= ~failure.nodes
    open_nodes &= ~feasibility.fits
    lacking = deficits(feasibility)
    rows = np.flatnonzero(open_nodes)
    order = rows[np.argsort(lacking[rows], kind="stable")]
    return [int(row) for row in order[:NODES_TRIED_MAX]]


def _depends_on_occupants(code: str) -> bool:
    is_claim = code.startswith((PORT_CODE, EXTRA_CODE))
    return is_claim or code in RESOURCE_OF_CODE or code in COUNT_CODES


def _shortages(feasibility: Feasibility, row: int) -> dict[str, int]:
    """By code: how much has to become free on one node."""
    request, here = feasibility.request, slice(row, row + 1)
    every = lefts(
        feasibility.columns.traits[:, here],
        feasibility.amounts[:, here],
        needs(request),
        {code: left[here] for code, left in feasibility.claimable.items()},
        request.claims,
    )
    return {code: each - int(left[0]) for code, left, each in every if each > left[0]}


def _taken(
    lacking: dict[str, int], occupants: Sequence[Occupant], spare: Callable[[str], int]
) -> tuple[Occupant, ...] | None:
    """Who has to go so that nothing is lacking; None when that does not do."""
    going = [one for one in occupants if not one.name]
    lacking = {
        code: amount - sum(one.frees(code) for one in going) for code, amount in lacking.items()
    }
    left: dict[str, int] = {}
    taken: list[Occupant] = []
    by_name = sorted((one for one in occupants if one.name), key=lambda one: one.name, reverse=True)
    for one in sorted(by_name, key=_readiness_to_go):
        if all(amount <= 0 for amount in lacking.values()):
            break
        if not any(amount > 0 and one.frees(code) for code, amount in lacking.items()):
            continue
        if one.group and one.is_available:
            left.setdefault(one.group, spare(one.group))
            if left[one.group] <= 0:
                continue
            left[one.group] -= 1
        taken.append(one)
        lacking = {code: amount - one.frees(code) for code, amount in lacking.items()}
    if any(amount > 0 for amount in lacking.values()):
        return None
    for one in reversed(taken[:]):  # the one whose going costs most is let off first
        if all(amount + one.frees(code) <= 0 for code, amount in lacking.items()):
            taken.remove(one)
            lacking = {code: amount + one.frees(code) for code, amount in lacking.items()}
    return tuple(taken)


def _readiness_to_go(one: Occupant) -> tuple[int, bool, bool, int]:
    """The lowest priority first; of equal ones what does not serve, then the largest.

    Of those the last of their names: of replicas the highest numbers, as when they are scaled down.
    """
    size = one.need.cpu_millis + one.need.memory_mib
    return (one.priority, one.is_available, one.stateful, -size)
