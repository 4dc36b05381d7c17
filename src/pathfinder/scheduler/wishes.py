"""What each wish of a request counts on a node, and which node came second: for people who ask.

The sum of the counts decides first among the nodes that fit. Placing itself works them out for all
nodes at once (`tied`), and a test holds the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pathfinder.scheduler.domains import Mask
from pathfinder.scheduler.fit import Request, candidates, refusals
from pathfinder.scheduler.fleet import Columns, Fleet
from pathfinder.scheduler.place import best
from pathfinder.scheduler.ties import Tie, counted, eligible, fewest, penalty

SECOND_NODES_MAX: Final = 2_000  # beyond, looking for it takes as long as placing does


@dataclass(frozen=True, slots=True)
class Counted:
    """A wish and what it counts on one node: 0 is the best."""

    wish: str
    count: int


def counts_of(fleet: Fleet, request: Request, nodes: Sequence[str]) -> list[tuple[Counted, ...]]:
    """For each node what each wish counts there, in the order of the definition."""
    columns = fleet.columns(request.cluster)
    wishes = list(dict.fromkeys(tie for tie in request.ties if tie.weight))
    is_open = candidates(columns, refusals(columns, request)) if wishes else None
    found = []
    for node in nodes:
        row = columns.rows[node]
        counts = [
            Counted(wish.text(), 0 if columns.meets(wish)[row] else weight)
            for wish, weight in request.preferences
        ]
        if is_open is not None:
            counts += [_counted(columns, tie, is_open, row) for tie in wishes]
        found.append(tuple(counts))
    return found


def _counted(columns: Columns, tie: Tie, is_open: Mask, row: int) -> Counted:
    domains = columns.domains(tie.over)
    members = counted(domains, columns.group_counts(tie.group))
    by_domain, unlabelled = penalty(tie, members, fewest(members, eligible(domains, is_open)))
    domain = int(domains.ids[row])
    return Counted(_text(tie), int(by_domain[domain]) if domain >= 0 else unlabelled)


def _text(tie: Tie) -> str:
    """As a wish: without the number that makes it a must."""
    return f"spread over {tie.over}" if tie.kind == "spread" else tie.text()


def second_best(fleet: Fleet, request: Request, node: str) -> str:
    """The node that comes after the best one, `node`, and what the wishes count on both.

    "" when there is none, when another is the best, or when the cluster is too large to look.
    """
    if not 2 <= len(fleet.columns(request.cluster).names) <= SECOND_NODES_MAX:
        return ""
    found = best(fleet, request, 2)
    if len(found) < 2 or found[0][0] != node:
        return ""
    (_, _), (second, why) = found
    counts, others = counts_of(fleet, request, [node, second])
    text = f"second: {second} ({why})"
    if counts:
        text += f"; wishes count {_summed(counts)} here, {_summed(others)} there"
    return text


def _summed(counts: tuple[Counted, ...]) -> str:
    total = sum(each.count for each in counts)
    told = ", ".join(f"{each.wish}: {each.count}" for each in counts if each.count)
    return f"{total} ({told})" if told else "0"
