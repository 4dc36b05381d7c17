"""Whose place a container may take when it fits nowhere: the fewest of the lowest priority.

As kube-scheduler and Nomad do: on each node that would do but for what runs there, containers of
lower priority are taken until it fits, and those that prove unnecessary are put back; of all such
nodes the one where the highest priority taken is lowest, then the one with the fewest taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pathfinder.scheduler.domains import Mask, Numbers
from pathfinder.scheduler.fit import RESOURCE_OF_CODE, Feasibility, lefts, needs
from pathfinder.scheduler.fleet import EXTRA_CODE, KNOWN, PORT_CODE
from pathfinder.scheduler.holdings import CODES, TOO_MUCH, Holdings
from pathfinder.scheduler.occupants import Occupant
from pathfinder.scheduler.remedies import deficits

NODES_TRIED_MAX: Final = 100  # those that lack least
NOTHING_TAKEN: Final = (-1, 0, 0)  # highest priority, how many, their size
COUNT_CODES: Final = ("containers_max", "stateful_max")


@dataclass(frozen=True, slots=True)
class Preemption:
    """Where, and who goes; nobody, when what is on its way out already is enough."""

    node: str
    taken: tuple[Occupant, ...]


_Order = list[tuple[tuple[int, int, int], int]]
_Cost = tuple[int, int, int, str]  # highest priority, how many, size, node
Answer = tuple[_Cost, tuple[Occupant, ...]] | None


@dataclass(slots=True)
class Known:
    """What need not be worked out again; without it a search comes to the same, and takes longer.

    holdings: of those who are asked for, and others with them; all of theirs are below `priority`,
    or not asked. answers: of earlier searches for the same request, by node: None when nobody's
    going makes room there. order: that of the nodes, kept by the first search for the request.
    """

    holdings: Holdings
    priority: int
    answers: dict[str, Answer]
    order: _Order | None = None


def preempt(
    feasibility: Feasibility,
    occupants: Callable[[str], Sequence[Occupant]],
    spare: Callable[[str], int],
    known: Known | None = None,
) -> Preemption | None:
    """For a request that fits nowhere: the best node to make room on, or None.

    occupants: of a node by its name, those of lower priority that may go, and those that are going.
    spare: how many available replicas each group can do without.
    """
    best: Answer = None
    answers = known.answers if known is not None else {}
    for least, row in _cheapest_first(feasibility, known):
        node = feasibility.columns.names[row]
        if best is not None and (*least, node) > best[0]:
            break  # nor can any after it be better
        if node not in answers:
            taken = _taken(_shortages(feasibility, row), occupants(node), spare)
            answers[node] = None if taken is None else (_cost(node, taken), taken)
        answer = answers[node]
        if answer is not None and (best is None or answer[0] < best[0]):
            best = answer
    return Preemption(best[0][-1], best[1]) if best is not None else None


def _cost(node: str, taken: Sequence[Occupant]) -> _Cost:
    size = sum(one.need.cpu_millis + one.need.memory_mib for one in taken)
    return max((one.priority for one in taken), default=-1), len(taken), size, node


def _cheapest_first(feasibility: Feasibility, known: Known | None) -> _Order:
    """Rows with the least that each may cost; without those on which it cannot be had."""
    if known is not None and known.order is not None:
        return known.order
    names, rows = feasibility.columns.names, _rows_worth_trying(feasibility)
    least = [NOTHING_TAKEN] * len(rows)
    if known is not None:
        least = known.holdings.least(rows, _lacking(feasibility, rows), known.priority)
    found = [each for each in zip(least, rows, strict=True) if each[0][0] < TOO_MUCH]
    order = sorted(found, key=lambda each: (each[0], names[each[1]]))
    if known is not None:
        known.order = order
    return order


def _lacking(feasibility: Feasibility, rows: Sequence[int]) -> Numbers:
    """By row and code of `CODES`: how much has to become free."""
    found: Numbers = np.zeros((len(rows), len(CODES)), np.int64)
    request = feasibility.request
    every = lefts(
        feasibility.columns.traits[:, rows], feasibility.amounts[:, rows], needs(request), {}, ()
    )
    for code, left, each in every:
        found[:, CODES.index(code)] = np.maximum(each - left, 0)
    return found


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
