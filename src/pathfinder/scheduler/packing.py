"""Filling nodes up: which of many containers comes first, and how good a node is for one.

Best fit for vectors: what is left of CPU and memory shall be as alike as can be, since what is left
of one alone is lost; of equals, the fullest node; an empty one only when no other will do. Large
containers come before small ones, and those that are heavy in CPU and those that are heavy in
memory by turns, so that each finds what the other has left (Panigrahy et al., "Heuristics for
Vector Bin Packing", 2011, compare such measures; by size alone is worse here than in no order).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from pathfinder.scheduler.domains import Numbers
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.fleet import (
    CPU,
    MEMORY,
    Fleet,
)

MILLION: Final = 1_000_000
LITTLE: Final = 20_000  # of what is left in millionths: less than that is not worth being alike
LEFT_BITS: Final = 11  # what is left of both together, in thousandths
EMPTY_BIT: Final = 21  # above unlikeness in thousandths and what is left


def unlikeness(cpu_left: int, memory_left: int, *, is_empty: bool) -> int:
    """How badly what is left of a node, in millionths, can be used: the smaller the better."""
    together = cpu_left + memory_left
    unlike = abs(cpu_left - memory_left) * 1_000 // (together + LITTLE)
    return (is_empty << EMPTY_BIT) + (unlike << LEFT_BITS) + together // 1_000


def unlikenesses(left: Numbers, is_empty: Numbers) -> Numbers:
    """The same of many nodes. left: of CPU and memory, one below the other."""
    together = left[0] + left[1]
    unlike = np.abs(left[0] - left[1]) * 1_000 // (together + LITTLE)
    found: Numbers = (is_empty << EMPTY_BIT) + (unlike << LEFT_BITS) + together // 1_000
    return found


def in_packing_order(fleet: Fleet, requests: Sequence[Request]) -> list[int]:
    """In which order requests of one cluster are best packed: their places."""
    traits = fleet.columns(requests[0].cluster).traits
    capacity = np.maximum(traits[CPU : MEMORY + 1].sum(axis=1), 1).tolist()
    by_weight: tuple[list[tuple[float, str, int]], list[tuple[float, str, int]]] = ([], [])
    shares = []
    for place, request in enumerate(requests):
        share = (request.need.cpu_millis / capacity[0], request.need.memory_mib / capacity[1])
        shares.append(share)
        by_weight[share[1] > share[0]].append((-max(share), request.name, place))
    turns = [sorted(each, reverse=True) for each in by_weight]  # the last is the next
    taken = [0.0, 0.0]
    order = []
    while turns[0] or turns[1]:
        # Of memory, while less of it is taken than of CPU.
        heavy = turns[1] if turns[1] and (taken[1] <= taken[0] or not turns[0]) else turns[0]
        place = heavy.pop()[2]
        order.append(place)
        taken = [taken[0] + shares[place][0], taken[1] + shares[place][1]]
    return order
