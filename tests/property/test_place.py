"""Placing and explaining over any small fleet, checked against placing in plain Python.

Promise 5.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.model.resources import NOTHING, Resources
from pathfinder.model.selectors import requirement
from pathfinder.scheduler.draft import Placement, Unplaced
from pathfinder.scheduler.explain import Explanation, explain
from pathfinder.scheduler.fit import QUOTA_CODES, Request, feasible
from pathfinder.scheduler.fleet import NO_RULES, Fleet, NodeView, Rules
from pathfinder.scheduler.place import place
from pathfinder.scheduler.remedies import (
    AddNode,
    AskLess,
    BringBack,
    Change,
    DropConstraints,
    Free,
    FreeExtra,
    FreePorts,
    RaiseQuota,
    Relieve,
    Uncordon,
    remedies,
)
from pathfinder.scheduler.ties import Tie
from tests.support.plain_placing import (
    PlainNode,
    Reservation,
    fleet_of,
    plain_nodes,
    plain_place,
    plus,
)

NODES_MAX = 5
CONSTRAINTS = st.lists(
    st.sampled_from(
        ["rack = a", "rack != a", "rack in (a, b)", "rack", "!rack", "cores > 4", "cores < 4"]
    ),
    max_size=2,
)
GROUPS = ("", "west/web", "west/db")
OVER = st.sampled_from(["rack", "rack", "node"])
WEIGHTS = st.sampled_from([0, 0, 1, 2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fleet as data, and what is asked of it."""

    views: tuple[NodeView, ...]
    reservations: tuple[Reservation, ...]
    requests: tuple[Request, ...]
    rules: Rules = NO_RULES

    def nodes(self) -> dict[str, PlainNode]:
        """The nodes for placing in plain Python."""
        return plain_nodes(self.views, self.reservations, self.rules)

    def fleet(self) -> Fleet:
        """The fleet, made in the order of the data."""
        return fleet_of(self.views, self.reservations, self.rules)


def amounts(cpu_millis: int, memory_mib: int, disk_mib: int = 0, processes: int = 0) -> Resources:
    """Amounts in one line."""
    return Resources(
        cpu_millis=cpu_millis, memory_mib=memory_mib, disk_mib=disk_mib, processes=processes
    )


# Few amounts, so that nodes are often exactly full: cpu_millis, memory_mib, disk_mib, processes.
EXTRAS = st.sampled_from([(), (), (), (("gpu", 1),), (("gpu", 2), ("tape", 1))])
LENT = st.sampled_from([NOTHING, NOTHING, amounts(3, 0), amounts(2, 5)])
RULES = st.sampled_from(
    [
        *(NO_RULES, NO_RULES, Rules(packs=True), Rules(quota=(9, 0, 0, 0, 0))),
        Rules(packs=True, quota=(0, 16, 4, 5, 4)),
    ]
)
CAPACITIES = st.sampled_from(
    [
        *((8, 8), (4, 16), (16, 7, 9), (5, 5, 3, 6), (9, 3, 0, 4)),
        *((0, 8, 8, 8), (8, 0), (0, 0)),
    ]
).map(lambda given_amounts: amounts(*given_amounts))
NEEDS = st.sampled_from(
    [
        *((0, 0), (1, 2), (2, 1), (0, 3), (3, 0), (0, 0, 2, 1), (0, 0, 1, 0)),
        *((4, 4, 3, 3), (9, 1), (1, 9), (6, 6, 9, 9)),
    ]
).map(lambda given_amounts: amounts(*given_amounts))
LABELS = st.sampled_from(
    [{}, {"rack": "a"}, {"rack": "b", "cores": "4"}, {"cores": "8"}, {"rack": "a", "cores": "many"}]
)
PORTS = st.sampled_from([(), (), (), (), ("80/tcp",), ("80/tcp", "53/udp")])
SILENT: st.SearchStrategy[dict[str, str]] = st.sampled_from(
    [{}, {}, {}, {"system": "LXD does not answer"}, {"application": "Docker does not answer"}]
)
FLAGS = st.sampled_from(
    ["", "", "", "", "", "cordoned", "unavailable", "cordoned unavailable", "full"]
)


@st.composite
def node_views(draw: st.DrawFn, name: str) -> NodeView:
    """A node, usually one that could take something."""
    flags = draw(FLAGS)
    return NodeView(
        cluster="west",
        name=name,
        capacity=replace(draw(CAPACITIES), extra=draw(EXTRAS)),
        lent=draw(LENT),
        kinds=draw(st.sampled_from([("system",), ("system", "application"), ()])),
        labels=draw(LABELS),
        cordoned="cordoned" in flags,
        available="unavailable" not in flags,
        why_unavailable="it is silent",
        silent_kinds=draw(SILENT),
        containers_max=draw(st.sampled_from([0, 0, 1, 3])),
        stateful_max=draw(st.sampled_from([0, 0, 1, 2])),
        why_full="uses 91 %, the limit is 80 %" if "full" in flags else "",
    )


@st.composite
def ties(draw: st.DrawFn, group: str) -> Tie:
    """A must or a wish, of its own group or another one."""
    kind: Literal["spread", "near", "far"] = draw(st.sampled_from(["spread", "near", "far"]))
    weight = draw(WEIGHTS)
    if kind == "spread":
        skew = 0 if weight else draw(st.integers(1, 2))
        return Tie(kind=kind, over=draw(OVER), group=group, skew=skew, weight=weight)
    return Tie(kind=kind, over=draw(OVER), group=draw(st.sampled_from(GROUPS[1:])), weight=weight)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A container; the choices are few, so that equal ones occur."""
    group = draw(st.sampled_from(GROUPS))
    wishes = st.sampled_from([("rack = a", 1), ("cores > 4", 2)])
    return Request(
        name="some",
        cluster="west",
        kind=draw(st.sampled_from(["system", "system", "application"])),
        need=replace(draw(NEEDS), extra=draw(EXTRAS)),
        constraints=tuple(requirement(text, "") for text in draw(CONSTRAINTS)),
        group=group,
        ties=tuple(draw(st.lists(ties(group), max_size=2))) if group else (),
        preferences=tuple(
            (requirement(text, ""), weight) for text, weight in draw(st.lists(wishes, max_size=1))
        ),
        stateful=draw(st.booleans()),
        ports=draw(PORTS),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A small fleet with something on it, and several requests, some of them equal."""
    names = [f"n{number}" for number in range(draw(st.integers(0, NODES_MAX)))]
    reservations: list[Reservation] = []
    if names:
        reservation = st.builds(
            Reservation,
            st.sampled_from(names),
            st.builds(lambda need, extra: replace(need, extra=extra), NEEDS, EXTRAS),
            st.sampled_from(GROUPS),
            st.booleans(),
            PORTS,
        )
        reservations = draw(st.lists(reservation, max_size=8))
    kinds = draw(st.lists(requests(), min_size=1, max_size=3))
    return Case(
        views=tuple(draw(node_views(name)) for name in names),
        reservations=tuple(reservations),
        requests=tuple(draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=10))),
        rules=draw(RULES),
    )


@st.composite
def crowds(draw: st.DrawFn) -> Case:
    """More nodes, most of which fit, and long rows of replicas of one deployment or two."""
    names = [f"n{number:02}" for number in range(draw(st.integers(4, 12)))]
    there = st.builds(
        Reservation, st.sampled_from(names), st.just(amounts(1, 1)), st.sampled_from(GROUPS)
    )
    capacity = st.sampled_from([amounts(8, 8), amounts(4, 16), amounts(3, 3), amounts(40, 80)])
    views = tuple(
        NodeView(
            cluster="west",
            name=name,
            capacity=draw(capacity),
            kinds=("system",),
            labels=draw(LABELS),
            containers_max=draw(st.sampled_from([0, 0, 5])),
        )
        for name in names
    )
    rows: list[Request] = []
    for group in draw(st.lists(st.sampled_from(GROUPS[1:]), min_size=1, max_size=3)):
        need = draw(st.sampled_from([amounts(1, 1), amounts(1, 3), amounts(0, 0), amounts(2, 1)]))
        one = Request(
            name="some",
            cluster="west",
            kind="system",
            need=need,
            group=group,
            ties=tuple(draw(st.lists(ties(group), max_size=2))),
        )
        rows += [one] * draw(st.integers(1, 30))
    return Case(
        views=views,
        reservations=tuple(draw(st.lists(there, max_size=8))),
        requests=tuple(rows),
        rules=draw(RULES),
    )


def node_names(outcomes: Sequence[Placement | Unplaced]) -> list[str]:
    """The nodes chosen, "" for none."""
    return [outcome.node if isinstance(outcome, Placement) else "" for outcome in outcomes]


@given(case=st.one_of(cases(), crowds()))
def test_every_placement_is_the_one_that_plain_python_makes(case: Case) -> None:
    expected = plain_place(case.nodes(), case.requests)

    assert node_names(place(case.fleet(), case.requests)) == expected


@given(case=st.one_of(cases(), crowds()))
def test_no_placement_exceeds_what_a_node_has(case: Case) -> None:
    # A node may have been given too much before, as when its capacity was lowered: then nothing is
    # added to what is short.
    nodes = case.nodes()
    for name, request in zip(
        node_names(place(case.fleet(), case.requests)), case.requests, strict=True
    ):
        if not name:
            continue
        node = nodes[name]
        assert not any(node.ports[port] for port in request.ports)
        node.reserve(request)
        has, used, need = node.capacity(), node.used, request.need
        assert node.count <= (node.view.containers_max or node.count)
        assert not request.stateful or node.stateful_count <= (
            node.view.stateful_max or node.stateful_count
        )
        assert used.cpu_millis <= has.cpu_millis or not need.cpu_millis
        assert used.memory_mib <= has.memory_mib or not need.memory_mib
        assert used.disk_mib <= has.disk_mib or not (need.disk_mib and has.disk_mib)
        assert used.processes <= has.processes or not (need.processes and has.processes)


@given(case=cases())
def test_what_is_unplaced_fits_nowhere_and_every_reason_is_counted(case: Case) -> None:
    nodes = case.nodes()
    for outcome, request in zip(place(case.fleet(), case.requests), case.requests, strict=True):
        if isinstance(outcome, Placement):
            node = nodes[outcome.node]
            node.reserve(request)
            continue
        failures = [node.failures(request) for node in nodes.values()]
        counts = Counter(code for codes in failures for code in codes)
        assert all(failures)
        assert {reason.code: reason.count for reason in outcome.explanation.reasons} == counts
        assert outcome.explanation.nodes_total == len(nodes)
        assert Explanation.from_document(outcome.explanation.document()) == outcome.explanation


@given(case=cases())
def test_feasibility_says_of_each_node_what_plain_python_says(case: Case) -> None:
    nodes = case.nodes()
    fleet = case.fleet()
    for request in case.requests:
        fitting = tuple(name for name, node in nodes.items() if not node.failures(request))
        feasibility = feasible(fleet, request)

        assert feasibility.node_names() == fitting
        assert explain(feasibility).nodes_fitting == feasibility.fit_count() == len(fitting)


@given(case=cases())
def test_every_remedy_makes_the_request_fit(case: Case) -> None:
    for request in case.requests:
        feasibility = feasible(case.fleet(), request)
        if feasibility.fit_count():
            continue
        found = remedies(feasibility)
        assert explain(feasibility).remedies == tuple(remedy.text() for remedy in found)
        for remedy in found:
            changed, asked = case, request
            for change in remedy.changes:
                changed, asked = applied(change, remedy.node or "new", changed, asked)
            assert feasible(changed.fleet(), asked).fits_on(remedy.node or "new"), remedy.text()


def applied(change: Change, node: str, case: Case, request: Request) -> tuple[Case, Request]:
    """The case and the request after somebody has followed the advice."""
    match change:
        case Uncordon():
            return with_view(case, replace(view_of(case, node), cordoned=False)), request
        case BringBack():
            back = replace(view_of(case, node), available=True, silent_kinds={})
            return with_view(case, back), request
        case DropConstraints(texts):
            kept = tuple(r for r in request.constraints if r.text() not in texts)
            free = tuple(tie for tie in request.ties if tie.weight or tie.text() not in texts)
            return case, replace(request, constraints=kept, ties=free)
        case Relieve():
            return with_view(case, replace(view_of(case, node), why_full="")), request
        case Free(freed, containers, stateful):
            return with_freed(case, node, freed, containers, stateful), request
        case FreePorts(ports):
            freed_of = tuple(
                replace(one, ports=()) if one.node == node and set(one.ports) & set(ports) else one
                for one in case.reservations
            )
            return replace(case, reservations=freed_of), request
        case FreeExtra(freed_extras):
            return with_freed_extras(case, node, dict(freed_extras)), request
        case RaiseQuota(to):
            raised = dict(zip(QUOTA_CODES, case.rules.quota, strict=True)) | dict(to)
            return replace(case, rules=replace(case.rules, quota=tuple(raised.values()))), request
        case AskLess(at_most):
            return case, replace(request, need=lowered(request.need, at_most))
        case AddNode(kind, need, _, labels):
            capacity = replace(
                need, cpu_millis=max(need.cpu_millis, 1), memory_mib=max(need.memory_mib, 1)
            )
            new = NodeView(
                cluster="west", name=node, capacity=capacity, kinds=(kind,), labels=labels
            )
            return replace(case, views=(*case.views, new)), request


def with_freed_extras(case: Case, node: str, freed: dict[str, int]) -> Case:
    """The case with so much less of extra resources taken on a node; there has to be so much."""
    left = dict(freed)
    reservations = []
    for one in case.reservations:
        extra = dict(one.need.extra)
        for name in extra if one.node == node else ():
            taken = min(extra[name], left.get(name, 0))
            extra[name] -= taken
            left[name] = left.get(name, 0) - taken
        kept = tuple((name, amount) for name, amount in extra.items() if amount)
        reservations.append(replace(one, need=replace(one.need, extra=kept)))
    assert not any(amount > 0 for amount in left.values())
    return replace(case, reservations=tuple(reservations))


def view_of(case: Case, node: str) -> NodeView:
    """One node of the case."""
    return next(view for view in case.views if view.name == node)


def with_view(case: Case, changed: NodeView) -> Case:
    """The case with one node changed."""
    views = (changed if view.name == changed.name else view for view in case.views)
    return replace(case, views=tuple(views))


def with_freed(case: Case, node: str, freed: Resources, containers: int, stateful: int) -> Case:
    """The case with so much less on a node; there has to be so much."""
    used = NOTHING
    there = [reservation for reservation in case.reservations if reservation.node == node]
    for reservation in there:
        used = plus(used, reservation.need)
    left = Resources(
        cpu_millis=used.cpu_millis - freed.cpu_millis,
        memory_mib=used.memory_mib - freed.memory_mib,
        disk_mib=used.disk_mib - freed.disk_mib,
        processes=used.processes - freed.processes,
    )
    assert min(left.cpu_millis, left.memory_mib, left.disk_mib, left.processes) >= 0
    staying = len(there) - max(containers, stateful)
    exclusive = sum(each.stateful for each in there) - stateful
    assert staying >= 0
    assert exclusive >= 0
    rest = [reservation for reservation in case.reservations if reservation.node != node]
    needs = [left, *[NOTHING] * (staying - 1)][:staying]
    rest.extend(
        Reservation(
            node,
            replace(need, extra=there[number].need.extra),
            there[number].group,
            stateful=number < exclusive,
        )
        for number, need in enumerate(needs)
    )
    return replace(case, reservations=tuple(rest))


def lowered(need: Resources, at_most: Resources) -> Resources:
    """What is needed, cut where there is a bound."""
    return replace(
        need,
        cpu_millis=min(need.cpu_millis, at_most.cpu_millis or need.cpu_millis),
        memory_mib=min(need.memory_mib, at_most.memory_mib or need.memory_mib),
        disk_mib=min(need.disk_mib, at_most.disk_mib or need.disk_mib),
        processes=min(need.processes, at_most.processes or need.processes),
    )


@given(case=cases(), data=st.data())
def test_the_order_in_which_things_came_does_not_matter(case: Case, data: st.DataObject) -> None:
    shuffled = replace(
        case,
        views=tuple(data.draw(st.permutations(case.views))),
        reservations=tuple(data.draw(st.permutations(case.reservations))),
    )

    assert place(shuffled.fleet(), case.requests) == place(case.fleet(), case.requests)


@given(case=cases(), passing=st.lists(st.sampled_from(["n0", "n1", "n2", "m", "z"]), max_size=6))
def test_what_came_and_went_leaves_no_trace(case: Case, passing: list[str]) -> None:
    fleet = case.fleet()
    for name in passing:
        fleet.reserve(f"west/{name}", Resources(memory_mib=3), "west/web")
        if name not in {view.name for view in case.views}:
            fleet.set_node(
                f"west/{name}",
                NodeView(
                    cluster="west", name=name, capacity=Resources(cpu_millis=1), kinds=("system",)
                ),
            )
            place(fleet, case.requests)
            fleet.remove_node(f"west/{name}")
    for name in passing:
        fleet.release(f"west/{name}", Resources(memory_mib=3), "west/web")
    for view in case.views:  # measured anew: what was lent for those that went has been called in
        fleet.set_node(f"west/{view.name}", view)

    assert place(fleet, case.requests) == place(case.fleet(), case.requests)


@given(case=st.one_of(cases(), crowds()))
def test_all_together_and_one_by_one_come_to_the_same(case: Case) -> None:
    fleet = case.fleet()
    together = place(fleet, case.requests)
    for outcome, request in zip(together, case.requests, strict=True):
        assert place(fleet, [request]) == [outcome]
        if isinstance(outcome, Placement):
            fleet.reserve(
                outcome.node_key,
                request.need,
                request.group,
                stateful=request.stateful,
                ports=request.ports,
            )
