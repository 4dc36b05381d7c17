"""Explanations: why nothing fits, what came nearest, what would help; all of it exact."""

import json

import pytest

from pathfinder.model.resources import Resources
from pathfinder.scheduler.draft import Placement, Unplaced
from pathfinder.scheduler.explain import Explanation, NearNode, Reason, explain
from pathfinder.scheduler.fit import Request, feasible
from pathfinder.scheduler.fleet import Fleet
from pathfinder.scheduler.newcomers import labels_meeting
from pathfinder.scheduler.place import place
from tests.unit.scheduler.builders import fleet, node, request

ADD = ": start pathfinder-agent there with a join token of this cluster"


def explained(nodes: Fleet, asked: Request) -> Explanation:
    """The explanation of a request over a fleet."""
    return explain(feasible(nodes, asked))


def test_reasons_are_counted_over_nodes_the_most_frequent_first() -> None:
    nodes = fleet(node("n1"), node("n2"), node("n3", cordoned=True))
    nodes.reserve("west/n1", Resources(memory_mib=3072), "")
    nodes.reserve("west/n2", Resources(memory_mib=4096), "")
    explanation = explained(nodes, request(memory_mib=2048))

    assert explanation.reasons == (
        Reason("memory", 2, "lack memory (need 2GiB, most free 1GiB on n1)"),
        Reason("cordoned", 1, "is cordoned"),
    )
    assert explanation.text() == (
        "no node fits: 2 of 3 lack memory (need 2GiB, most free 1GiB on n1), 1 is cordoned"
    )


def test_a_node_that_fails_for_several_reasons_is_counted_in_each() -> None:
    nodes = fleet(node("n1", cordoned=True, kinds=("application",)))
    explanation = explained(nodes, request(cpu_millis=9000, constraints=("rack = r1", "!gpu")))

    assert [(reason.code, reason.count) for reason in explanation.reasons] == [
        ("constraint:rack = r1", 1),
        ("cordoned", 1),
        ("cpu", 1),
        ("kind", 1),
    ]


@pytest.mark.parametrize(
    ("capacity", "text"),
    [
        (Resources(cpu_millis=1000), "reports no memory"),
        (Resources(memory_mib=1024), "reports no CPU"),
    ],
)
def test_a_node_that_reports_nothing_is_no_candidate_and_says_so(
    capacity: Resources, text: str
) -> None:
    explanation = explained(fleet(node("n1", capacity)), request())

    assert explanation.text() == f"no node fits: 1 of 1 {text}"
    assert explanation.nearest == (NearNode("n1", text),)
    assert explanation.remedies == (f"add a node for system containers{ADD}",)


def test_silent_nodes_are_told_apart_from_those_that_lack() -> None:
    nodes = fleet(
        node("n1"), node("n2", Resources(cpu_millis=1)), node("n3", Resources(cpu_millis=1))
    )

    assert explained(nodes, request(memory_mib=8192)).text() == (
        "no node fits: 3 of 3 lack memory (need 8GiB, most free 4GiB on n1; 2 report none)"
    )


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (request(cpu_millis=4500), "lacks CPU (need 4.5, most free 4 on n1)"),
        (request(disk_mib=3072), "lacks disk (need 3GiB, most free 2GiB on n1)"),
        (request(processes=101), "lacks processes (need 101, most free 100 on n1)"),
        (request(kind="application"), "does not run application containers"),
        (request(constraints=("rack in (r1, r2)",)), "does not meet rack in (r1, r2)"),
    ],
)
def test_each_reason_has_its_sentence(asked: Request, text: str) -> None:
    capacity = Resources(cpu_millis=4000, memory_mib=4096, disk_mib=2048, processes=100)

    assert explained(fleet(node("n1", capacity)), asked).text() == f"no node fits: 1 of 1 {text}"


def test_a_node_without_anything_left_says_so() -> None:
    nodes = fleet(node("n1"))
    nodes.reserve("west/n1", Resources(memory_mib=5000), "")
    explanation = explained(nodes, request(memory_mib=8))

    assert explanation.text() == ("no node fits: 1 of 1 lacks memory (need 8MiB, nothing free)")
    assert explanation.remedies[0] == "free 912MiB of memory on n1"


def test_an_unavailable_node_says_why() -> None:
    explanation = explained(fleet(node("n1", why_unavailable="not heard of for 14 s")), request())

    assert explanation.text() == "no node fits: 1 of 1 is unavailable (n1: not heard of for 14 s)"
    assert explanation.nearest == (NearNode("n1", "is unavailable (not heard of for 14 s)"),)
    assert explanation.remedies[0] == "bring n1 back (not heard of for 14 s)"


def test_a_full_node_says_how_many_it_holds() -> None:
    nodes = fleet(node("n1", containers_max=1))
    nodes.reserve("west/n1", Resources(), "")
    explanation = explained(nodes, request())

    assert explanation.text() == (
        "no node fits: 1 of 1 holds as many containers as allowed (1 on n1)"
    )
    assert explanation.nearest == (NearNode("n1", "holds 1 container already"),)
    assert explanation.remedies[0] == "remove 1 container from n1"


def test_nearest_are_the_nodes_that_fail_least() -> None:
    nodes = fleet(
        node("n1", cordoned=True, labels={"rack": "r1"}),
        node("n2", Resources(cpu_millis=4000, memory_mib=512), labels={"rack": "r1"}),
        node("n3", Resources(cpu_millis=4000, memory_mib=1000), labels={"rack": "r1"}),
        node("n4", Resources(cpu_millis=4000, memory_mib=1000), cordoned=True),
    )
    explanation = explained(nodes, request(memory_mib=1024, constraints=("rack = r1",)))

    assert explanation.nearest == (
        NearNode("n1", "is cordoned"),
        NearNode("n3", "lacks 24MiB of memory"),
        NearNode("n2", "lacks 512MiB of memory"),
    )


def test_a_cluster_without_nodes_says_so_and_how_to_add_one() -> None:
    explanation = explained(Fleet(), request(memory_mib=512, constraints=("rack = r1",)))

    assert explanation.text() == "no node fits: the cluster has no nodes"
    assert explanation.remedies == (
        f"add a node for system containers with at least 512MiB of memory, where rack = r1{ADD}",
    )


def test_remedies_are_single_changes_the_easiest_first() -> None:
    nodes = fleet(
        node("n1", labels={"rack": "r1"}),
        node("n2", cordoned=True, labels={"rack": "r1"}),
        node("n3", labels={"rack": "r3"}),
    )
    nodes.reserve("west/n1", Resources(memory_mib=3584), "")

    assert explained(nodes, request(memory_mib=1024, constraints=("rack = r1",))).remedies == (
        "uncordon n2: pfi uncordon n2",
        "drop the constraint rack = r1: then n3 fits",
        "free 512MiB of memory on n1",
        "ask for at most 512MiB of memory: then n1 fits",
        f"add a node for system containers with at least 1GiB of memory, where rack = r1{ADD}",
    )


def test_where_no_single_change_is_enough_the_nearest_node_needs_several() -> None:
    nodes = fleet(node("n1", cordoned=True), node("n2", cordoned=True, kinds=()))
    explanation = explained(
        nodes, request(cpu_millis=8000, memory_mib=1, constraints=("rack = r1", "gpu"))
    )

    assert explanation.remedies[0] == (
        "uncordon n1, drop the constraints rack = r1 and gpu and ask for at most 4 CPU:"
        " then n1 fits"
    )


def test_amounts_in_remedies_are_exact_also_where_people_would_round() -> None:
    nodes = fleet(node("n1"))
    nodes.reserve("west/n1", Resources(memory_mib=4096 - 1000), "")

    assert explained(nodes, request(memory_mib=2077)).remedies[0] == "free 1077MiB of memory on n1"


def test_constraints_that_no_node_could_meet_do_not_ask_for_one() -> None:
    explanation = explained(fleet(node("n1")), request(constraints=("rack = r1", "rack = r2")))

    assert explanation.remedies == ("drop the constraints rack = r1 and rack = r2: then n1 fits",)


def test_what_fits_is_explained_too() -> None:
    nodes = fleet(node("n1"), node("n2"), node("n3", cordoned=True))
    explanation = explained(nodes, request())

    assert explanation.text() == "2 of 3 nodes fit; 1 is cordoned"
    assert explanation.nearest == (NearNode("n3", "is cordoned"),)
    assert explanation.remedies == ()


def test_what_fits_everywhere_or_once_is_said_in_as_many_words() -> None:
    assert explained(fleet(node("n1"), node("n2")), request()).text() == "2 of 2 nodes fit"
    assert explained(fleet(node("n1")), request()).text() == "1 of 1 nodes fits"


def test_an_explanation_survives_being_stored() -> None:
    nodes = fleet(node("n1"), node("n2", cordoned=True))
    explanation = explained(nodes, request(memory_mib=8192))
    stored = json.loads(json.dumps(explanation.document()))

    assert Explanation.from_document(stored) == explanation
    assert stored["text"] == explanation.text()


@pytest.mark.parametrize(
    "texts",
    [
        ("rack",),
        ("rack != r1", "rack"),
        ("cores > 4", "cores < 5"),
        ("cores > 4", "cores != 5", "cores != 6"),
        ("cores < 4", "cores > 3", "cores != 3.5"),
        ("zone in (a, b)", "zone != a", "!rack"),
    ],
)
def test_labels_that_meet_constraints_are_found(texts: tuple[str, ...]) -> None:
    constraints = request(constraints=texts).constraints
    labels = labels_meeting(constraints)

    assert labels is not None
    assert all(constraint.holds(labels) for constraint in constraints)


@pytest.mark.parametrize(
    "texts",
    [
        ("rack", "!rack"),
        ("rack = r1", "rack = r2"),
        ("cores > 5", "cores < 5"),
        ("cores > nan",),
        ("cores > 4", "cores in (1, 2)"),
    ],
)
def test_constraints_that_contradict_each_other_are_met_by_nothing(texts: tuple[str, ...]) -> None:
    assert labels_meeting(request(constraints=texts).constraints) is None


def test_kind_whose_daemon_is_silent_is_unavailable_there_and_the_other_is_not() -> None:
    silent = {"system": "LXD does not answer"}
    view = node("n1", kinds=("system", "application"), silent_kinds=silent)

    system = explain(feasible(fleet(view), request()))
    application = explain(feasible(fleet(view), request(kind="application")))

    assert "1 of 1 is unavailable (n1: LXD does not answer)" in system.text()
    assert system.remedies[0] == "bring n1 back (LXD does not answer)"
    assert application.nodes_fitting == 1


def test_host_port_that_is_given_away_is_a_reason_with_its_remedy() -> None:
    nodes = fleet(node("n1"), node("n2"))
    for name in ("n1", "n2"):
        nodes.reserve(f"west/{name}", request().need, "", ports=("8080/tcp", "9/udp"))

    two = explain(feasible(nodes, request(ports=("8080/tcp",))))
    both = explain(feasible(nodes, request(ports=("8080/tcp", "9/udp"))))
    other = explain(feasible(nodes, request(ports=("8080/udp",))))

    assert two.text() == "no node fits: 2 of 2 have given host port 8080/tcp away already"
    assert two.nearest[0].lacks == "has given host port 8080/tcp away already"
    assert two.remedies[0] == "free host port 8080/tcp on n1, or ask for another"
    assert both.remedies[0] == "free host port 8080/tcp and 9/udp on n1, or ask for another"
    assert other.nodes_fitting == 2


def test_two_of_one_round_that_want_the_same_host_port_do_not_meet() -> None:
    nodes = fleet(node("n1"), node("n2"))

    outcomes = place(nodes, [request(f"w-{n}", ports=("8080/tcp",)) for n in range(3)])

    assert [type(outcome) for outcome in outcomes] == [Placement, Placement, Unplaced]
    assert {outcome.node_key for outcome in outcomes[:2] if isinstance(outcome, Placement)} == {
        "west/n1",
        "west/n2",
    }
