"""Why a container has no node, how near it came, and what would help: kept with the container."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from pathfinder.scheduler.amounts import amount_text, amount_words
from pathfinder.scheduler.fit import (
    CONSTRAINT_CODE,
    QUOTA_CODE,
    RESOURCE_OF_CODE,
    Failure,
    Feasibility,
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
)
from pathfinder.scheduler.remedies import deficits, quota_words, remedies, smallest

NEAREST_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, the number of nodes that fail for it, and the predicate of a sentence about them.

    code: "cordoned", "unavailable", "memory_limit", "kind", "constraint:rack = r1", "cpu",
    "memory", "disk", "processes", "containers_max", "stateful_max", "port:80/tcp", "extra:gpu", or
    "quota:memory", which all nodes of the cluster fail for.
    """

    code: str
    count: int
    text: str


class NearNode(NamedTuple):
    """A node that almost fits, and the predicates of what it fails for."""

    node: str
    lacks: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What an examination of all nodes of a cluster came to.

    A node that fails for several reasons is counted in each of them. remedies: changes, each of
    which would make the request fit; empty when it fits.
    """

    nodes_total: int
    nodes_fitting: int = 0
    reasons: tuple[Reason, ...] = ()
    nearest: tuple[NearNode, ...] = ()
    remedies: tuple[str, ...] = ()

    def text(self) -> str:
        """One sentence without its full stop."""
        if not self.nodes_total:
            return "no node fits: the cluster has no nodes"
        clauses = [f"{reason.count} {reason.text}" for reason in self.reasons]
        if self.nodes_fitting:
            fitting = f"{self.nodes_fitting} of {self.nodes_total} nodes fit"
            if self.nodes_fitting == 1:
                fitting += "s"
            return "; ".join([fitting, ", ".join(clauses)]) if clauses else fitting
        first = self.reasons[0]
        clauses[0] = f"{first.count} of {self.nodes_total} {first.text}"
        return f"no node fits: {', '.join(clauses)}"

    def document(self) -> dict[str, Any]:
        """JSON-ready data with the text; `from_document` gives the explanation back."""
        return {
            "nodes_total": self.nodes_total,
            "nodes_fitting": self.nodes_fitting,
            "reasons": [{"code": r.code, "count": r.count, "text": r.text} for r in self.reasons],
            "nearest": [{"node": near.node, "lacks": near.lacks} for near in self.nearest],
            "remedies": list(self.remedies),
            "text": self.text(),
        }

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> "Explanation":
        """The reverse of `document`."""
        return Explanation(
            nodes_total=document["nodes_total"],
            nodes_fitting=document.get("nodes_fitting", 0),
            reasons=tuple(Reason(r["code"], r["count"], r["text"]) for r in document["reasons"]),
            nearest=tuple(NearNode(n["node"], n["lacks"]) for n in document["nearest"]),
            remedies=tuple(document["remedies"]),
        )


def explain(feasibility: Feasibility) -> Explanation:
    """The examination in words: for what was not placed, and for what-if questions."""
    reasons = [_reason(feasibility, failure) for failure in feasibility.failures]
    fits = feasibility.fit_count()
    return Explanation(
        nodes_total=feasibility.node_count(),
        nodes_fitting=fits,
        reasons=tuple(
            sorted(
                (reason for reason in reasons if reason.count),
                key=lambda reason: (-reason.count, reason.code),
            )
        ),
        nearest=_nearest(feasibility),
        remedies=() if fits else tuple(remedy.text() for remedy in remedies(feasibility)),
    )


def _reason(feasibility: Feasibility, failure: Failure) -> Reason:
    count = int(np.count_nonzero(failure.nodes))
    return Reason(failure.code, count, _reason_text(feasibility, failure, count) if count else "")


def _reason_text(feasibility: Feasibility, failure: Failure, count: int) -> str:
    row = int(failure.nodes.argmax())
    name = feasibility.columns.names[row]
    code = failure.code
    if code in RESOURCE_OF_CODE:
        return _shortage_text(feasibility, failure, count)
    if code == "cordoned":
        return "is cordoned" if count == 1 else "are cordoned"
    if code == "unavailable":
        view = feasibility.columns.views[name]
        why = view.why_silent(feasibility.request.kind) or "no reason known"
        return f"{'is' if count == 1 else 'are'} unavailable ({name}: {why})"
    if code == "containers_max":
        most = int(feasibility.columns.traits[CONTAINERS_MAX, row])
        verb = "holds" if count == 1 else "hold"
        return f"{verb} as many containers as allowed ({most} on {name})"
    if code == "stateful_max":
        most = int(feasibility.columns.traits[STATEFUL_MAX, row])
        verb = "holds" if count == 1 else "hold"
        return f"{verb} as many STATEFUL containers as allowed ({most} on {name})"
    if code == "memory_limit":
        why = feasibility.columns.views[name].why_full
        return f"{'is' if count == 1 else 'are'} above the memory limit ({name}: {why})"
    if code.startswith(PORT_CODE):
        port = code.removeprefix(PORT_CODE)
        return f"{'has' if count == 1 else 'have'} given host port {port} away already"
    if code.startswith(EXTRA_CODE):
        return _extra_text(feasibility, failure, count)
    if code.startswith(QUOTA_CODE):
        what = code.removeprefix(QUOTA_CODE)
        verb = "is" if count == 1 else "are"
        return f"{verb} in a cluster whose quota {quota_words(feasibility, what)}"
    verb = "does" if count == 1 else "do"
    if code == "kind":
        return f"{verb} not run {feasibility.request.kind} containers"
    return f"{verb} not meet {code.removeprefix(CONSTRAINT_CODE)}"


def _shortage_text(feasibility: Feasibility, failure: Failure, count: int) -> str:
    resource = RESOURCE_OF_CODE[failure.code]
    need = numbers(feasibility.request.need)[resource]
    capacity = feasibility.columns.traits[resource]
    word = "CPU" if failure.code == "cpu" else failure.code
    silent = int(np.count_nonzero(failure.nodes & (capacity == 0)))
    if silent == count:
        return f"reports no {word}" if count == 1 else f"report no {word}"
    left = capacity - feasibility.amounts[resource]
    row = smallest(failure.nodes & (capacity > 0), -left)
    detail = f"need {amount_text(failure.code, need)}, "
    if left[row] > 0:
        most = amount_text(failure.code, int(left[row]))
        detail += f"most free {most} on {feasibility.columns.names[row]}"
    else:
        detail += "nothing free"
    if silent:
        detail += f"; {silent} reports none" if silent == 1 else f"; {silent} report none"
    return f"{'lacks' if count == 1 else 'lack'} {word} ({detail})"


def _extra_text(feasibility: Feasibility, failure: Failure, count: int) -> str:
    name = failure.code.removeprefix(EXTRA_CODE)
    need = dict(feasibility.request.need.extra)[name]
    left = feasibility.claimable[failure.code]
    row = smallest(failure.nodes, -left)
    detail = f"need {need}, "
    if left[row] > 0:
        detail += f"most free {left[row]} on {feasibility.columns.names[row]}"
    else:
        detail += "nothing free"
    return f"{'lacks' if count == 1 else 'lack'} {name} ({detail})"


def _nearest(feasibility: Feasibility) -> tuple[NearNode, ...]:
    """The nodes that fail for the fewest reasons, then those that lack least."""
    faults = np.zeros(len(feasibility.fits), np.int64)
    for failure in feasibility.failures:
        faults += failure.nodes
    order = np.lexsort((deficits(feasibility), faults))
    candidates = (feasibility.columns.traits[KNOWN] != 0) & ~feasibility.fits
    rows = order[candidates[order]][:NEAREST_MAX]
    return tuple(
        NearNode(feasibility.columns.names[row], _lacks(feasibility, int(row))) for row in rows
    )


def _lacks(feasibility: Feasibility, row: int) -> str:
    return ", ".join(
        _fault(feasibility, failure.code, row)
        for failure in feasibility.failures
        if failure.nodes[row]
    )


def _fault(feasibility: Feasibility, code: str, row: int) -> str:
    columns = feasibility.columns
    resource = RESOURCE_OF_CODE.get(code)
    if resource is not None:
        if not columns.traits[resource, row]:
            return f"reports no {'CPU' if code == 'cpu' else code}"
        left = int(columns.traits[resource, row] - feasibility.amounts[resource, row])
        need = numbers(feasibility.request.need)[resource]
        return f"lacks {amount_words(code, need - left)}"
    if code == "unavailable":
        why = columns.views[columns.names[row]].why_silent(feasibility.request.kind)
        return f"is unavailable ({why})" if why else "is unavailable"
    if code == "cordoned":
        return "is cordoned"
    if code == "kind":
        return f"does not run {feasibility.request.kind} containers"
    if code == "containers_max":
        count = int(feasibility.amounts[COUNT, row])
        return f"holds {amount_words(code, count)} already"
    if code == "stateful_max":
        return f"holds {int(feasibility.amounts[STATEFUL, row])} STATEFUL containers already"
    if code == "memory_limit":
        return f"is above the memory limit ({columns.views[columns.names[row]].why_full})"
    if code.startswith(PORT_CODE):
        return f"has given host port {code.removeprefix(PORT_CODE)} away already"
    if code.startswith(EXTRA_CODE):
        name = code.removeprefix(EXTRA_CODE)
        need = dict(feasibility.request.need.extra)[name]
        return f"lacks {need - int(feasibility.claimable[code][row])} {name}"
    if code.startswith(QUOTA_CODE):
        return f"the cluster's quota {quota_words(feasibility, code.removeprefix(QUOTA_CODE))}"
    return f"does not meet {code.removeprefix(CONSTRAINT_CODE)}"
