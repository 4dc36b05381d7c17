"""What would make a container fit: the smallest changes, each true when it alone is made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pathfinder.model.resources import NOTHING, Resources
from pathfinder.scheduler.amounts import amount_text, amount_words, joined, resources_words
from pathfinder.scheduler.domains import Mask, Numbers
from pathfinder.scheduler.fit import (
    CONSTRAINT_CODE,
    IS_STATEFUL,
    QUOTA_CODE,
    QUOTA_CODES,
    RESOURCE_OF_CODE,
    Failure,
    Feasibility,
    candidates,
    needs,
    totals,
)
from pathfinder.scheduler.fleet import (
    CONTAINERS_MAX,
    COUNT,
    EXTRA_CODE,
    KNOWN,
    PORT_CODE,
    STATEFUL,
    STATEFUL_MAX,
    numbers,
    resources,
)
from pathfinder.scheduler.newcomers import labels_for_ties, labels_meeting


@dataclass(frozen=True, slots=True)
class Uncordon:
    """Let the node take containers again."""


@dataclass(frozen=True, slots=True)
class BringBack:
    """Make the node available; `why` it is not."""

    why: str


@dataclass(frozen=True, slots=True)
class Relieve:
    """Bring the node's measured memory below its cluster's limit, or raise that; `why` it is."""

    why: str


@dataclass(frozen=True, slots=True)
class DropConstraints:
    """Ask without these constraints."""

    constraints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Free:
    """Release that much on the node, and that many of its containers: so many STATEFUL ones."""

    amounts: Resources
    containers: int
    stateful: int = 0


@dataclass(frozen=True, slots=True)
class FreePorts:
    """Have the node's containers that take these host ports go, or ask for others."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FreeExtra:
    """Release so much of these resources of people's own on the node."""

    amounts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class RaiseQuota:
    """Let the cluster as a whole have so much. to: by the code of what is used up."""

    to: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class AskLess:
    """Need at most these amounts; 0: as much as before."""

    at_most: Resources


@dataclass(frozen=True, slots=True)
class AddNode:
    """Join a machine that has at least this, with labels such as these."""

    kind: str
    need: Resources
    constraints: tuple[str, ...]
    labels: Mapping[str, str]


Change = (
    Uncordon
    | BringBack
    | Relieve
    | DropConstraints
    | Free
    | FreePorts
    | FreeExtra
    | RaiseQuota
    | AskLess
    | AddNode
)
COUNT_CODES: Final = (
    ("containers_max", CONTAINERS_MAX, COUNT),
    ("stateful_max", STATEFUL_MAX, STATEFUL),
)


@dataclass(frozen=True, slots=True)
class Remedy:
    """Changes which together make the request fit on `node` ("": on a new one)."""

    node: str
    changes: tuple[Change, ...]

    def text(self) -> str:
        """As a person would say it."""
        phrase = joined(_phrase(change, self.node) for change in self.changes)
        match self.changes:
            case (Uncordon(),):
                return f"{phrase}: pfi uncordon {self.node}"
            case (AddNode(),):
                return f"{phrase}: start pathfinder-agent there with a join token of this cluster"
            case (BringBack() | Relieve() | Free() | FreePorts() | FreeExtra() | RaiseQuota(),):
                return phrase
            case (*_, AddNode()):
                return phrase
            case _:
                return f"{phrase}: then {self.node} fits"


HARDEST: Final = np.iinfo(np.int64).max


def remedies(feasibility: Feasibility) -> tuple[Remedy, ...]:
    """For a request that fits nowhere: single changes, the easiest first; else one combination.

    The last is a new node, unless no node could ever meet the constraints.
    """
    quota = tuple(f for f in feasibility.failures if f.code.startswith(QUOTA_CODE))
    if quota:
        return _within_quota(feasibility, quota)
    hurdles = _Hurdles(feasibility)
    found = hurdles.single_changes() or hurdles.combination()
    request = feasibility.request
    labels = labels_meeting(request.constraints)
    tied = labels_for_ties(feasibility, labels) if labels is not None else None
    if labels is not None and tied is not None:
        constraints = [r.text() for r in dict.fromkeys(request.constraints)]
        for label, value in tied.items():
            is_known = value in feasibility.columns.domains(label).names
            constraints.append(f"{label} = {value}" if is_known else f"{label} is a new one")
        new = AddNode(request.kind, request.need, tuple(constraints), {**labels, **tied})
        found.append(Remedy("", (new,)))
    return tuple(found)


def _within_quota(feasibility: Feasibility, quota: tuple[Failure, ...]) -> tuple[Remedy, ...]:
    """The quota first, and then what else it takes."""
    others = tuple(failure for failure in feasibility.failures if failure not in quota)
    fits = candidates(feasibility.columns, list(others))
    need = (*needs(feasibility.request)[:IS_STATEFUL], 1)
    used = totals(feasibility.amounts)
    more = RaiseQuota(
        tuple(
            (code, total + amount)
            for code, total, amount in zip(QUOTA_CODES, used, need, strict=True)
            if any(failure.code == QUOTA_CODE + code for failure in quota)
        )
    )
    if (row := first(fits)) >= 0:
        return (Remedy(feasibility.columns.names[row], (more,)),)
    rest = remedies(replace(feasibility, failures=others, fits=fits))
    return tuple(Remedy(each.node, (more, *each.changes)) for each in rest)


def quota_words(feasibility: Feasibility, code: str) -> str:
    """How much of a cluster's quota is used, and what is asked for."""
    place = QUOTA_CODES.index(code)
    used = totals(feasibility.amounts)[place]
    most = feasibility.columns.rules.quota[place]
    need = (*needs(feasibility.request)[:IS_STATEFUL], 1)[place]
    word = {"cpu": "CPU", "containers_max": "containers"}.get(code, code)
    return (
        f"of {word} is used up ({amount_text(code, used)} of {amount_text(code, most)}, "
        f"{amount_text(code, need)} more asked for)"
    )


def _free_phrase(change: Free, node: str) -> str:
    verb, place = ("remove", "from") if change.amounts == NOTHING else ("free", "on")
    phrases = [text for text in (resources_words(change.amounts, change.containers),) if text]
    if change.stateful:
        phrases.append(f"{change.stateful} STATEFUL container{'s' * (change.stateful > 1)}")
    return f"{verb} {joined(phrases)} {place} {node}"


def _phrase(change: Change, node: str) -> str:
    match change:
        case Uncordon():
            return f"uncordon {node}"
        case BringBack(why):
            return f"bring {node} back ({why})" if why else f"bring {node} back"
        case Relieve(why):
            return f"use less memory on {node} or raise the cluster's memory_percent ({why})"
        case DropConstraints(constraints):
            return f"drop the constraint{'s' * (len(constraints) > 1)} {joined(constraints)}"
        case Free():
            return _free_phrase(change, node)
        case FreePorts(ports):
            return f"free host port {joined(ports)} on {node}, or ask for another"
        case FreeExtra(amounts):
            return f"free {joined(f'{amount} {name}' for name, amount in amounts)} on {node}"
        case RaiseQuota(to):
            words = joined(amount_words(code, amount) for code, amount in to)
            return f"raise the cluster's quota to {words}, or delete what it need not have"
        case AskLess(at_most):
            return f"ask for at most {resources_words(at_most)}"
        case AddNode(kind, need, constraints):
            demands = f" with at least {words}" if (words := resources_words(need)) else ""
            demands += f", where {joined(constraints)}" if constraints else ""
            return f"add a node for {kind} containers{demands}"


class _Hurdles:
    """What stands between each node and the request, by the kind of change that would help."""

    def __init__(self, feasibility: Feasibility) -> None:
        self._columns = feasibility.columns
        self._kind = feasibility.request.kind
        self._amounts = feasibility.amounts
        self._need = numbers(feasibility.request.need)
        self._extra_needs = dict(feasibility.request.claims)
        self._claimable = feasibility.claimable
        self._failed = {failure.code: failure.nodes for failure in feasibility.failures}
        self._constraints = [code for code in self._failed if code.startswith(CONSTRAINT_CODE)]
        self._dropped: Numbers = np.zeros(len(feasibility.fits), np.int64)
        for code in self._constraints:
            self._dropped += self._failed[code]
        self._ports = [code for code in self._failed if code.startswith(PORT_CODE)]
        self._taken: Numbers = np.zeros(len(feasibility.fits), np.int64)
        for code in self._ports:
            self._taken += self._failed[code]
        self._extras = [code for code in self._failed if code.startswith(EXTRA_CODE)]
        self._claimed: Numbers = np.zeros(len(feasibility.fits), np.int64)
        lacking: Mask = np.zeros(len(feasibility.fits), np.bool_)
        for code in self._extras:
            self._claimed += self._failed[code]
            has = feasibility.columns.claim_capacity(code)
            lacking |= self._failed[code] & (has < self._extra_needs[code])
        self._short: Mask = np.zeros(len(feasibility.fits), np.bool_)
        for code, _, _ in COUNT_CODES:
            if code in self._failed:
                self._short |= self._failed[code]
        for code in RESOURCE_OF_CODE.keys() & self._failed.keys():
            self._short |= self._failed[code]
        self._missing = deficits(feasibility)
        self._freeable = self._short & self._can_free()
        if any(tie.kind == "near" and not tie.weight for tie in feasibility.request.ties):
            # Whoever went might be the one that it has to be near.
            for code in self._failed.keys() & {code for code, _, _ in COUNT_CODES}:
                self._freeable &= ~self._failed[code]
        self._askable = self._short & self._can_ask_less()
        known = feasibility.columns.traits[KNOWN] != 0
        self._possible: Mask = (
            known
            & ~self._failed["kind"]
            & ~lacking
            & (~self._short | self._freeable | self._askable)
        )
        self._steps: Numbers = (
            self._failed["cordoned"].astype(np.int64)
            + self._failed["unavailable"]
            + self._failed["memory_limit"]
            + (self._dropped > 0)
            + (self._taken > 0)
            + (self._claimed > 0)
            + self._short
        )

    def single_changes(self) -> list[Remedy]:
        """The best node for each kind of change that is enough there."""
        single = self._possible & (self._steps == 1)
        found: list[Remedy] = []
        if (row := first(single & self._failed["cordoned"])) >= 0:
            found.append(self._remedy(row, Uncordon()))
        if (row := first(single & self._failed["unavailable"])) >= 0:
            found.append(self._remedy(row, self._bring_back(row)))
        if (row := first(single & self._failed["memory_limit"])) >= 0:
            found.append(self._remedy(row, self._relieve(row)))
        if (row := smallest(single & (self._dropped > 0), self._dropped)) >= 0:
            found.append(self._remedy(row, self._drop(row)))
        if (row := smallest(single & (self._taken > 0), self._taken)) >= 0:
            found.append(self._remedy(row, self._free_ports(row)))
        if (row := smallest(single & (self._claimed > 0), self._claimed)) >= 0:
            found.append(self._remedy(row, self._free_extra(row)))
        if (row := smallest(single & self._freeable, self._missing)) >= 0:
            found.append(self._remedy(row, self._free(row)))
        if (row := smallest(single & self._askable, self._missing)) >= 0:
            found.append(self._remedy(row, self._ask_less(row)))
        return found

    def combination(self) -> list[Remedy]:
        """All changes that the node with the fewest of them needs."""
        fewest = smallest(self._possible, self._steps)
        if fewest < 0:
            return []
        row = smallest(self._possible & (self._steps == self._steps[fewest]), self._missing)
        changes: list[Change] = []
        if self._failed["cordoned"][row]:
            changes.append(Uncordon())
        if self._failed["unavailable"][row]:
            changes.append(self._bring_back(row))
        if self._failed["memory_limit"][row]:
            changes.append(self._relieve(row))
        if self._dropped[row]:
            changes.append(self._drop(row))
        if self._taken[row]:
            changes.append(self._free_ports(row))
        if self._claimed[row]:
            changes.append(self._free_extra(row))
        if self._freeable[row]:
            changes.append(self._free(row))
        elif self._askable[row]:
            changes.append(self._ask_less(row))
        return [self._remedy(row, *changes)]

    def _remedy(self, row: int, *changes: Change) -> Remedy:
        return Remedy(self._columns.names[row], changes)

    def _free_ports(self, row: int) -> FreePorts:
        failed = (code for code in self._ports if self._failed[code][row])
        return FreePorts(tuple(code.removeprefix(PORT_CODE) for code in failed))

    def _free_extra(self, row: int) -> FreeExtra:
        return FreeExtra(
            tuple(
                (
                    code.removeprefix(EXTRA_CODE),
                    self._extra_needs[code] - int(self._claimable[code][row]),
                )
                for code in self._extras
                if self._failed[code][row]
            )
        )

    def _can_free(self) -> Mask:
        """Where the failing amounts would be there if enough others went."""
        can: Mask = np.ones(len(self._short), np.bool_)
        for code, resource in RESOURCE_OF_CODE.items():
            if code in self._failed:
                capacity = self._columns.traits[resource]
                can &= ~self._failed[code] | ((capacity > 0) & (self._need[resource] <= capacity))
        return can

    def _can_ask_less(self) -> Mask:
        """Where there is something left of all failing amounts; never where none is reported."""
        can: Mask = np.ones(len(self._short), np.bool_)
        for code, _, _ in COUNT_CODES:
            if code in self._failed:
                can &= ~self._failed[code]
        for code, resource in RESOURCE_OF_CODE.items():
            if code in self._failed:
                left = self._columns.traits[resource] - self._amounts[resource]
                can &= ~self._failed[code] | (left > 0)
        return can

    def _bring_back(self, row: int) -> BringBack:
        name = self._columns.names[row]
        return BringBack(self._columns.views[name].why_silent(self._kind))

    def _relieve(self, row: int) -> Relieve:
        return Relieve(self._columns.views[self._columns.names[row]].why_full)

    def _drop(self, row: int) -> DropConstraints:
        failed = (code for code in self._constraints if self._failed[code][row])
        return DropConstraints(tuple(code.removeprefix(CONSTRAINT_CODE) for code in failed))

    def _free(self, row: int) -> Free:
        lacking = [0] * len(self._need)
        for code, resource in RESOURCE_OF_CODE.items():
            if code in self._failed and self._failed[code][row]:
                lacking[resource] = self._need[resource] - self._left(resource, row)
        return Free(resources(tuple(lacking)), *(self._surplus(row, *code) for code in COUNT_CODES))

    def _surplus(self, row: int, code: str, bound: int, count: int) -> int:
        """How many containers must go so that one more may come."""
        if code not in self._failed or not self._failed[code][row]:
            return 0
        return int(self._amounts[count, row]) + 1 - int(self._columns.traits[bound, row])

    def _ask_less(self, row: int) -> AskLess:
        at_most = [0] * len(self._need)
        for code, resource in RESOURCE_OF_CODE.items():
            if code in self._failed and self._failed[code][row]:
                at_most[resource] = self._left(resource, row)
        return AskLess(resources(tuple(at_most)))

    def _left(self, resource: int, row: int) -> int:
        return int(self._columns.traits[resource, row] - self._amounts[resource, row])


def deficits(feasibility: Feasibility) -> Numbers:
    """How far each node is from having the amounts: millionths of what is needed, summed up."""
    need = numbers(feasibility.request.need)
    total: Numbers = np.zeros(len(feasibility.fits), np.int64)
    for failure in feasibility.failures:
        resource = RESOURCE_OF_CODE.get(failure.code)
        if resource is None:
            if any(failure.code == code for code, _, _ in COUNT_CODES):
                total += failure.nodes
            continue
        left = feasibility.columns.traits[resource] - feasibility.amounts[resource]
        # Beyond four times too little no node is nearer than another: the product is in 64 bits.
        missing = np.minimum(need[resource] - left, 4 * need[resource]) * 1_000_000
        total += np.where(failure.nodes, missing // max(need[resource], 1), 0)
    return total


def first(nodes: Mask) -> int:
    """The first row that is set, or -1."""
    return int(nodes.argmax()) if nodes.any() else -1


def smallest(nodes: Mask, values: Numbers) -> int:
    """The first of the rows that are set with the smallest value, or -1."""
    return int(np.where(nodes, values, HARDEST).argmin()) if nodes.any() else -1
