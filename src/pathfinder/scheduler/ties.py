"""What a container has to do with others: spread, affinity and anti-affinity over a node label.

The nodes with one value of the label are a *domain*; what counts are the members of a group (the
replicas of a deployment) in each. Written from Kubernetes' topology spread constraints and pod
affinity, with two differences: a domain is looked at only while it has a node that is open to the
request at all, so that a rack without power does not hold up the others; and the first replica of a
deployment that wants to be near its own replicas may go anywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from pathfinder.scheduler.domains import Domains, Mask, Numbers
from pathfinder.scheduler.fleet import (
    Columns,
)

UNLABELLED: Final = 100  # a node without the label counts as if it had so many members
Members = Callable[[str], Numbers]  # group -> how many of it each node has


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """One tie of a request. group: "cluster/deployment", for a spread its own.

    skew: of a spread that is a must. weight: of a wish; 0: a must.
    """

    kind: Literal["spread", "near", "far"]
    over: str
    group: str
    skew: int = 0
    weight: int = 0

    def text(self) -> str:
        """As a person would name it."""
        if self.kind == "spread":
            return f"spread over {self.over} (max_skew {self.skew})"
        deployment = self.group.rpartition("/")[2]
        word = "affinity" if self.kind == "near" else "anti-affinity"
        return f"{word} to {deployment} over {self.over}"


def counted(domains: Domains, members: Numbers) -> Numbers:
    """How many members each domain has."""
    counts = np.bincount(domains.of_rows, members[domains.rows], len(domains.names))
    return counts.astype(np.int64)


def eligible(domains: Domains, open_nodes: Mask) -> Mask:
    """The domains that have a node which is open to the request."""
    found: Mask = np.zeros(len(domains.names), np.bool_)
    found[domains.of_rows[open_nodes[domains.rows]]] = True
    return found


def fewest(counts: Numbers, among: Mask) -> int:
    """The members of the domain with the fewest: of all, when none is open; 0: there are none."""
    if among.any():
        return int(counts[among].min())
    return int(counts.min()) if len(counts) else 0


def broken_by(tie: Tie, counts: Numbers, least: int, *, is_own: bool) -> Mask:
    """The domains in which one more would break a must."""
    if tie.kind == "spread":
        broken: Mask = counts + 1 - least > tie.skew
    elif tie.kind == "far":
        broken = counts > 0
    elif is_own and not counts.any():
        broken = np.zeros(len(counts), np.bool_)  # the first of its kind
    else:
        broken = counts == 0
    return broken


def on_rows(domains: Domains, of_domain: Mask, *, unlabelled: bool) -> Mask:
    """What holds of domains as what holds of nodes."""
    rows: Mask = np.full(len(domains.ids), unlabelled, np.bool_)
    rows[domains.rows] = of_domain[domains.of_rows]
    return rows


def breaks(
    columns: Columns, members: Members, ties: Sequence[Tie], group: str, open_nodes: Mask
) -> list[tuple[Tie, Mask]]:
    """For each must: the nodes on which one more would break it."""
    found = []
    for tie in dict.fromkeys(ties):
        if tie.weight:
            continue
        domains = columns.domains(tie.over)
        counts = counted(domains, members(tie.group))
        least = fewest(counts, eligible(domains, open_nodes)) if tie.kind == "spread" else 0
        broken = broken_by(tie, counts, least, is_own=tie.group == group)
        # Anti-affinity says nothing of a node without the label; the others need one.
        found.append((tie, on_rows(domains, broken, unlabelled=tie.kind != "far")))
    return found


def penalty(tie: Tie, counts: Numbers, least: int) -> tuple[Numbers, int]:
    """How little a wish is met: for each domain, and for nodes without the label."""
    if tie.kind == "spread":
        return tie.weight * (counts - least), tie.weight * UNLABELLED
    if tie.kind == "far":
        return tie.weight * counts, 0
    return tie.weight * (counts == 0).astype(np.int64), tie.weight
