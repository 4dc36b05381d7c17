"""How a node that is not there yet would have to be labelled to take a request."""

import math
from collections.abc import Mapping, Sequence
from itertools import count, pairwise

from pathfinder.model.selectors import Requirement
from pathfinder.scheduler.domains import Domains, Mask, Numbers
from pathfinder.scheduler.fit import Feasibility, candidates, refusals
from pathfinder.scheduler.ties import Tie, counted, eligible, fewest


def labels_meeting(requirements: Sequence[Requirement]) -> dict[str, str] | None:
    """Labels that meet them all; None when there are none, or none were found."""
    labels: dict[str, str] = {}
    by_key: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        by_key.setdefault(requirement.key, []).append(requirement)
    for key, demands in sorted(by_key.items()):
        if all(demand.holds({}) for demand in demands):
            continue
        for value in _values_worth_trying(demands):
            if all(demand.holds({key: value}) for demand in demands):
                labels[key] = value
                break
        else:
            return None
    return labels


def _values_worth_trying(demands: Sequence[Requirement]) -> list[str]:
    named = sorted({value for demand in demands for value in demand.values})
    excluded = len(named)
    invented = [f"any-{number}" for number in range(excluded + 1)]
    bounds = sorted({float(d.values[0]) for d in demands if d.operator in ("<", ">")})
    parts = excluded + 2
    between = [
        low + (high - low) * part / parts
        for low, high in pairwise(bounds)
        for part in range(1, parts)
    ]
    steps = [bound + step for bound in bounds for step in range(-excluded - 1, excluded + 2)]
    tried = [number for number in (*between, *steps) if math.isfinite(number)]
    return [*named, *invented, *(f"{number:.12g}" for number in tried)]


def labels_for_ties(feasibility: Feasibility, labels: Mapping[str, str]) -> dict[str, str] | None:
    """Labels besides those with which no must among the ties is broken there.

    None when there are none: the one that it has to be near is nowhere, say.
    """
    request, columns = feasibility.request, feasibility.columns
    musts = [tie for tie in dict.fromkeys(request.ties) if not tie.weight]
    open_nodes = candidates(columns, refusals(columns, request))
    found: dict[str, str] = {}
    for label in sorted({tie.over for tie in musts}):
        domains = columns.domains(label)
        over = [
            _Place(tie, domains, counted(domains, feasibility.members(tie.group)), open_nodes)
            for tie in musts
            if tie.over == label
        ]
        fresh = next(name for number in count() if (name := f"new-{number}") not in domains.names)
        demands = [each for each in request.constraints if each.key == label]
        tried = [labels[label]] if label in labels else []
        for value in (*tried, fresh, *domains.names):
            meets = label == "node" or all(demand.holds({label: value}) for demand in demands)
            if meets and all(one.takes(value, request.group) for one in over):
                if label != "node":
                    found[label] = value
                break
            if label == "node":
                return None  # it has a name of its own
        else:
            if label in labels or any(one.tie.kind != "far" for one in over):
                return None  # without the label only anti-affinity holds
    return found


class _Place:
    """One must, and the domains there are."""

    def __init__(self, tie: Tie, domains: Domains, counts: Numbers, open_nodes: Mask) -> None:
        self.tie = tie
        self._domains = domains
        self._counts = counts
        self._least = fewest(counts, eligible(domains, open_nodes))

    def takes(self, value: str, group: str) -> bool:
        """Whether a new node in this domain, old or new, would not break it."""
        names = self._domains.names
        members = int(self._counts[names.index(value)]) if value in names else 0
        if self.tie.kind == "far":
            return members == 0
        if self.tie.kind == "near":
            return members > 0 or (self.tie.group == group and not self._counts.any())
        return members + 1 - min(self._least, members) <= self.tie.skew
