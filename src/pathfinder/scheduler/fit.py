"""Which nodes can take a container: the one function behind placing, committing and explaining."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from pathfinder.model.resources import Resources
from pathfinder.model.selectors import Requirement
from pathfinder.scheduler.domains import Mask, Numbers
from pathfinder.scheduler.fleet import (
    CONTAINERS_MAX,
    CORDONED,
    COUNT,
    CPU,
    DISK,
    FULL,
    KNOWN,
    MEMORY,
    NO_RULES,
    PROCESSES,
    STATEFUL,
    STATEFUL_MAX,
    UNAVAILABLE,
    Columns,
    Fleet,
    Rules,
    claims,
    numbers,
)
from pathfinder.scheduler.ties import Members, Tie, breaks

# Resource, its reason's code, and whether a capacity of 0 means "cannot be used" or "unlimited".
AMOUNT_CODES: Final = (
    (CPU, "cpu", True),
    (MEMORY, "memory", True),
    (DISK, "disk", False),
    (PROCESSES, "processes", False),
)
IS_STATEFUL: Final = len(AMOUNT_CODES)  # in `Needs`, after the resources
Needs = tuple[int, int, int, int, int]
RESOURCE_OF_CODE: Final = {code: resource for resource, code, _ in AMOUNT_CODES}
PLENTY: Final = 1 << 62  # as many as anybody asks for
CONSTRAINT_CODE: Final = "constraint:"  # followed by the requirement's text
QUOTA_CODE: Final = "quota:"  # followed by the code of what the cluster has used up
QUOTA_CODES: Final = (*(code for _, code, _ in AMOUNT_CODES), "containers_max")
Claims = Mapping[str, Numbers]  # host port or extra resource -> how much of it each node has left


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One container that wants a node of its cluster.

    group: "cluster/deployment", whose members are spread over nodes, or "". stateful: it counts as
    one of the STATEFUL containers that a cluster may limit. ports: those of its node that it takes,
    as `8080/tcp`, of which a node has one each. ties: to others, a must or a wish each.
    preferences: requirements that it would rather see met, and how much. is_counted: it is on a
    node already and only moves, so that its cluster has it no second time.
    """

    name: str
    cluster: str
    kind: str
    need: Resources
    constraints: tuple[Requirement, ...] = ()
    group: str = ""
    stateful: bool = False
    ports: tuple[str, ...] = ()
    ties: tuple[Tie, ...] = ()
    preferences: tuple[tuple[Requirement, int], ...] = ()
    is_counted: bool = False

    @property
    def claims(self) -> tuple[tuple[str, int], ...]:
        """How much of which host port, or extra resource, it takes."""
        return claims(self.need, self.ports)


class Failure(NamedTuple):
    """The nodes that fail for one reason. code: as in `Reason`."""

    code: str
    nodes: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """Which nodes of the request's cluster fit, and why the others do not.

    One place per node in every array, in the order of `columns.names`. A node may fail for several
    reasons. To be read before the fleet changes.
    """

    request: Request
    columns: Columns
    amounts: Numbers
    failures: tuple[Failure, ...]
    fits: Mask
    claimable: Claims = field(repr=False)
    members: Members = field(repr=False)

    def node_count(self) -> int:
        """How many nodes the cluster has."""
        return len(self.columns.views)

    def fit_count(self) -> int:
        """How many of them fit."""
        return int(np.count_nonzero(self.fits))

    def node_names(self) -> tuple[str, ...]:
        """The names of the nodes that fit, in order."""
        return tuple(self.columns.names[row] for row in np.flatnonzero(self.fits))

    def fits_on(self, node: str) -> bool:
        """Whether one node, by name, fits."""
        row = self.columns.rows.get(node, -1)
        return row >= 0 and bool(self.fits[row])


def takers(columns: Columns) -> Mask:
    """The nodes that take anything at all: described, heard and not cordoned."""
    traits = columns.traits
    open_nodes: Mask = (traits[KNOWN] != 0) & (traits[CORDONED] == 0) & (traits[UNAVAILABLE] == 0)
    return open_nodes


def names_of_takers(fleet: Fleet, cluster: str) -> list[str]:
    """Their names, in order."""
    columns = fleet.columns(cluster)
    return [columns.names[row] for row in np.flatnonzero(takers(columns))]


def feasible(fleet: Fleet, request: Request) -> Feasibility:
    """Which nodes can take the container as the fleet is now."""
    columns = fleet.columns(request.cluster)
    left = {code: columns.claim_left(code) for code, _ in request.claims}
    return examine(columns, columns.amounts, left, request, columns.group_counts)


def examine(
    columns: Columns, amounts: Numbers, left: Claims, request: Request, members: Members
) -> Feasibility:
    """The same over given amounts and members, as in the middle of a round of placements."""
    failures = refusals(columns, request)
    if request.ties:
        open_nodes = candidates(columns, failures)
        failures.extend(tie_failures(columns, members, request, open_nodes))
    known = columns.traits[KNOWN] != 0
    failures.extend(
        Failure(code, known & nodes)
        for code, nodes in shortages(columns.traits, amounts, needs(request), left, request.claims)
    )
    if columns.rules.quota != NO_RULES.quota and not request.is_counted:
        over = quota_shortages(columns.rules, totals(amounts), needs(request))
        failures.extend(Failure(QUOTA_CODE + code, known) for code in over)
    return Feasibility(
        request=request,
        columns=columns,
        amounts=amounts,
        failures=tuple(failures),
        fits=candidates(columns, failures),
        claimable=left,
        members=members,
    )


def tie_failures(
    columns: Columns, members: Members, request: Request, open_nodes: Mask
) -> list[Failure]:
    """The musts among its ties, each as a constraint. open_nodes: without any other refusal."""
    known = columns.traits[KNOWN] != 0
    return [
        Failure(CONSTRAINT_CODE + tie.text(), known & nodes)
        for tie, nodes in breaks(columns, members, request.ties, request.group, open_nodes)
    ]


def candidates(columns: Columns, failures: list[Failure]) -> Mask:
    """The known nodes without any of the failures."""
    remaining: Mask = columns.traits[KNOWN] != 0
    for failure in failures:
        remaining &= ~failure.nodes
    return remaining


def refusals(columns: Columns, request: Request) -> list[Failure]:
    """Reasons that do not depend on what else runs there."""
    traits = columns.traits
    known = traits[KNOWN] != 0
    failures = [
        Failure("cordoned", traits[CORDONED] != 0),
        Failure("unavailable", (traits[UNAVAILABLE] != 0) | columns.silent(request.kind)),
        Failure("memory_limit", traits[FULL] != 0),
        Failure("kind", known & ~columns.offers(request.kind)),
    ]
    failures.extend(
        Failure(CONSTRAINT_CODE + requirement.text(), known & ~columns.meets(requirement))
        for requirement in dict.fromkeys(request.constraints)
    )
    return failures


def needs(request: Request) -> Needs:
    """What one container takes: the four resources, and whether it counts as STATEFUL."""
    return (*numbers(request.need), int(request.stateful))


def totals(amounts: Numbers) -> list[int]:
    """What all containers of a cluster reserve together: four resources, and how many they are."""
    summed: list[int] = amounts[: len(QUOTA_CODES)].sum(axis=1).tolist()
    return summed


def quota_shortages(rules: Rules, used: Sequence[int], need: Needs) -> list[str]:
    """The codes of what the cluster as a whole may not be given more of."""
    each = (*need[:IS_STATEFUL], 1)
    return [
        code
        for code, most, total, amount in zip(QUOTA_CODES, rules.quota, used, each, strict=True)
        if most and amount and total + amount > most
    ]


def quota_room(rules: Rules, used: Sequence[int], need: Needs, count: int) -> int:
    """How many of `count` such containers, one after another, the cluster may be given."""
    each = (*need[:IS_STATEFUL], 1)
    rooms = (
        max(most - total, 0) // amount
        for most, total, amount in zip(rules.quota, used, each, strict=True)
        if most and amount
    )
    return min((count, *rooms))


def shortages(
    traits: Numbers,
    amounts: Numbers,
    need: Needs,
    claimable: Claims,
    claimed: Sequence[tuple[str, int]],
) -> list[Failure]:
    """Reasons that depend on what runs there: less is left than what one container takes."""
    every = lefts(traits, amounts, need, claimable, claimed)
    return [Failure(code, left < each) for code, left, each in every]


def room(
    traits: Numbers,
    amounts: Numbers,
    need: Needs,
    claimable: Claims,
    claimed: Sequence[tuple[str, int]],
) -> Numbers:
    """How many such containers each node has room for, one after another."""
    least: Numbers = np.full(traits.shape[1], PLENTY, np.int64)
    for _, left, each in lefts(traits, amounts, need, claimable, claimed):
        np.minimum(least, left // each if each > 1 else left, out=least)
    return least


def lefts(
    traits: Numbers,
    amounts: Numbers,
    need: Needs,
    claimable: Claims,
    claimed: Sequence[tuple[str, int]],
) -> Iterator[tuple[str, Numbers, int]]:
    """For each reason that depends on what runs there: what is left, and what one takes of it.

    Works on any part of the columns, also on one node's. What asks for nothing of a resource fits
    even where others have taken too much of it. Says nothing meaningful about nodes that are not
    known.
    """
    for resource, code, must_be_known in AMOUNT_CODES:
        capacity = traits[resource]
        if need[resource]:
            left = capacity - amounts[resource]
            yield (
                code,
                left if must_be_known else np.where(capacity > 0, left, PLENTY),
                need[resource],
            )
        elif must_be_known:
            yield code, np.where(capacity > 0, PLENTY, 0), 1
    most = traits[CONTAINERS_MAX]
    yield "containers_max", np.where(most > 0, most - amounts[COUNT], PLENTY), 1
    if need[IS_STATEFUL]:
        most = traits[STATEFUL_MAX]
        yield "stateful_max", np.where(most > 0, most - amounts[STATEFUL], PLENTY), 1
    for code, each in claimed:
        yield code, claimable[code], each
