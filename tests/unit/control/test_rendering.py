"""Definitions with calls: each replica gets its own, and the final addresses of the others."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pathfinder.control.commands import Apply, Delete, Scale
from pathfinder.control.objects import Deployment
from pathfinder.control.rendering import AWAIT_MS
from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.phases import Phase
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    RoomNode,
    deployment,
    held,
    picture,
)

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def node(room: ControlRoom) -> RoomNode:
    return RoomNode(room, "n1").join()


def steps(**attributes: Any) -> list[dict[str, Any]]:
    """One step of Chef with these attributes."""
    return [{"type": "chef-solo", "attributes": attributes}]


def addresses_of(name: str) -> str:
    """The call for the addresses of a deployment."""
    return f"$pf-meta:deployment_ip_addresses?deployment_name={name}"


def live(node: RoomNode, *, mute: tuple[str, ...] = ()) -> None:
    """Each container gets an address of its own, but for those named in `mute`."""
    for _ in range(20):
        node.exchange()
        node.holding = {
            slot: held(
                assignment,
                addresses=() if slot in mute else (address(slot),),
                bootstrap="done" if assignment.round and assignment.spec.get("bootstrap") else "",
            )
            for slot, assignment in node.wanted.items()
        }
    assert node.exchange() is None


def address(name: str) -> str:
    """The address of a container: one for each name."""
    return f"10.0.{sum(name.encode()) % 250}.{name[-2:].lstrip('0')}"


def attributes(room: ControlRoom, name: str) -> Any:
    """What a container's Chef is given."""
    return room.container(name).spec.bootstrap[0].attributes


def rounds(room: ControlRoom, name: str) -> int:
    """How often a container's bootstrap was asked for anew."""
    return room.actions(name).count("rebootstrapping")


def test_each_replica_has_its_own_number(room: ControlRoom, node: RoomNode) -> None:
    room.put(deployment("zk", 3, bootstrap=steps(id="$pf-meta:container_id")))
    live(node)

    assert [attributes(room, f"zk-0{number}")["id"] for number in (1, 2, 3)] == [1, 2, 3]
    assert all(each.ready for each in room.state.replicas("c/zk"))


def test_replicas_that_start_together_are_bootstrapped_once_with_all_addresses(
    room: ControlRoom, node: RoomNode
) -> None:
    web = deployment("web", 3, bootstrap=steps(db=addresses_of("db"), web=addresses_of("web")))
    database = deployment("db", 3, bootstrap=steps(web=addresses_of("web")))
    room.ask(Apply((web, database)))
    live(node)
    every = {name: [address(f"{name}-0{n}") for n in (1, 2, 3)] for name in ("web", "db")}

    assert all(attributes(room, f"web-0{n}") == every for n in (1, 2, 3))
    assert all(attributes(room, f"db-0{n}") == {"web": every["web"]} for n in (1, 2, 3))
    assert [rounds(room, f"web-0{n}") for n in (1, 2, 3)] == [1, 1, 1]
    assert all(each.phase == Phase.BOOTSTRAPPED for each in room.state.replicas("c/web"))


def test_bootstrap_waits_for_addresses_and_says_so(room: ControlRoom, node: RoomNode) -> None:
    web = deployment("web", 1, bootstrap=steps(db=addresses_of("db")))
    room.ask(Apply((deployment("db", 2), web)))
    live(node, mute=("db-02",))
    container = room.container("web-01")

    assert (container.phase, container.ready) == (Phase.PROVISIONED, False)
    assert container.why == "runs; waits for the addresses of db"
    assert room.plan(web)["web-01"]["why"] == "waits for the address of db-02"
    assert node.wanted["web-01"].round == 0


def test_bootstrap_does_not_wait_for_ever_and_is_made_anew_later(
    room: ControlRoom, node: RoomNode
) -> None:
    room.ask(
        Apply((deployment("db", 2), deployment("web", 1, bootstrap=steps(db=addresses_of("db")))))
    )
    live(node, mute=("db-02",))
    room.now_ms += AWAIT_MS
    live(node, mute=("db-02",))
    room.tick()
    live(node, mute=("db-02",))
    early = attributes(room, "web-01")
    live(node)
    room.tick(AWAIT_MS)
    live(node)

    assert early == {"db": [address("db-01")]}
    assert attributes(room, "web-01") == {"db": [address("db-01"), address("db-02")]}
    assert room.container("web-01").ready


@pytest.mark.parametrize("jump_ms", [2 * AWAIT_MS, -2 * AWAIT_MS])
def test_a_wall_clock_that_jumps_ends_no_waiting_for_addresses_and_prolongs_none(
    room: ControlRoom, node: RoomNode, jump_ms: int
) -> None:
    web = deployment("web", 1, bootstrap=steps(db=addresses_of("db")))
    room.ask(Apply((deployment("db", 2), web)))
    room.wall_ms += jump_ms
    room.tick(AWAIT_MS // 2)
    live(node, mute=("db-02",))
    waits = room.deployment("web").held
    room.tick(AWAIT_MS // 2)

    assert waits
    assert not room.deployment("web").held


def test_scaling_what_is_referred_to_bootstraps_again_within_min_available(
    room: ControlRoom, node: RoomNode
) -> None:
    """Promise 6."""
    web = deployment("web", 2, min_available=1, bootstrap=steps(db=addresses_of("db")))
    room.ask(Apply((deployment("db", 1), web)))
    live(node)
    generations = [each.generation for each in room.state.replicas("c/web")]
    room.ask(Scale(CLUSTER, "db", 2))
    for _ in range(10):
        assert sum(each.ready for each in room.state.replicas("c/web")) >= 1
        node.exchange()
        node.holding = {
            slot: held(assignment, addresses=(address(slot),))
            for slot, assignment in node.wanted.items()
        }
    live(node)

    assert attributes(room, "web-01") == {"db": [address("db-01"), address("db-02")]}
    assert attributes(room, "web-02") == attributes(room, "web-01")
    assert [each.generation for each in room.state.replicas("c/web")] == generations


def test_a_restart_changes_no_address_and_bootstraps_nothing(
    room: ControlRoom, node: RoomNode
) -> None:
    room.ask(
        Apply((deployment("db", 1), deployment("web", 1, bootstrap=steps(db=addresses_of("db")))))
    )
    live(node)
    before = rounds(room, "web-01")
    node.holding["db-01"] = held(node.wanted["db-01"], phase="stopped", addresses=())
    node.exchange()
    live(node)

    assert rounds(room, "web-01") == before


def test_deployment_that_refers_to_nothing_says_so_and_goes_on_when_it_is_there(
    room: ControlRoom, node: RoomNode
) -> None:
    view = room.put(deployment("web", 1, bootstrap=steps(db=addresses_of("db"))))
    waiting = room.state.replicas("c/web")
    room.put(deployment("db", 1))
    live(node)
    web = room.deployment("web")

    assert view["last_error"] == "its definition refers to deployment 'db', which is not there"
    assert view["last_error_ms"] > 0
    assert waiting == []
    assert (web.last_error, web.last_error_ms) == ("", 0)
    assert attributes(room, "web-01") == {"db": [address("db-01")]}
    assert [action for action in room.actions("web") if action in ("failed", "recovered")] == [
        "failed",
        "recovered",
    ]


def test_what_runs_stays_when_what_it_refers_to_is_deleted(
    room: ControlRoom, node: RoomNode
) -> None:
    room.ask(
        Apply((deployment("db", 1), deployment("web", 1, bootstrap=steps(db=addresses_of("db")))))
    )
    live(node)
    room.ask(Delete("deployment", CLUSTER, "db"))
    live(node)

    assert room.container("web-01").ready
    assert "refers to deployment 'db'" in room.deployment("web").last_error


def test_environment_and_command_may_call_too(room: ControlRoom, node: RoomNode) -> None:
    room.put(deployment("web", 1, environment={"ID": "$pf-meta:container_id", "PLAIN": "$HOME"}))
    live(node)

    assert room.container("web-01").spec.environment == {"ID": "1", "PLAIN": "$HOME"}


WRONG = [
    ({"bootstrap": steps(a=["$pf-meta:evil"])}, r"spec.bootstrap\[0\].attributes.a\[0\]"),
    (
        {"bootstrap": [{"type": "shell", "script": "$pf-meta:container_id"}]},
        r"bootstrap\[0\].script: must be a text",
    ),
    ({"environment": {"A": "$pf-meta:passthrough"}}, "spec.environment.A: passthrough needs value"),
]


@pytest.mark.parametrize(("spec", "message"), WRONG)
def test_calls_that_can_never_work_are_refused_when_applied(
    room: ControlRoom, spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(DefinitionWrong, match=message):
        room.put(deployment("web", 1, **spec))


def test_state_rebuilt_from_its_records_knows_who_refers_to_whom(
    room: ControlRoom, node: RoomNode
) -> None:
    room.ask(
        Apply((deployment("db", 1), deployment("web", 1, bootstrap=steps(db=addresses_of("db")))))
    )
    live(node)
    rebuilt = room.rebuilt()

    assert picture(rebuilt) == picture(room.state)
    assert rebuilt.referrers == room.state.referrers == {"c/db": {"c/web"}}
    assert rebuilt.held == room.state.held


def test_definition_may_be_taken_over_without_touching_what_runs(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 2, environment={"A": "1"}, bootstrap=steps(a=1)))
    live(node)
    before = {each.name: (each.generation, each.round) for each in room.state.replicas("c/web")}
    changed = deployment("web", 2, environment={"A": "2"}, bootstrap=steps(a=2))
    plan = room.ask(Apply((changed,), dirty=True))
    live(node)
    view = room.put(changed)

    assert {
        each.name: (each.generation, each.round) for each in room.state.replicas("c/web")
    } == before
    assert {item["action"] for item in plan["changes"]} == {"change"}
    assert (view["updated"], view["ready"]) == (2, 2)
    assert room.container("web-01").spec.environment == {"A": "2"}


def test_addresses_that_appear_one_by_one_render_once_and_not_with_each(
    room: ControlRoom, node: RoomNode
) -> None:
    web = deployment("web", 3, bootstrap=steps(web=addresses_of("web"), id="$pf-meta:container_id"))
    room.put(web)
    node.exchange()
    seen = []
    for names in (("web-01",), ("web-01", "web-02"), ("web-01", "web-02", "web-03")):
        node.holding = {n: held(node.wanted[n], addresses=(address(n),)) for n in names}
        node.exchange()
        seen.append(room.state.renderings["c/web"][2])
    every = tuple(address(f"web-0{n}") for n in (1, 2, 3))

    assert seen == [((),), ((),), (every,)]
    assert [rounds(room, f"web-0{n}") for n in (1, 2, 3)] == [1, 1, 1]
    assert attributes(room, "web-02") == {"web": list(every), "id": 2}


def test_stuck_replica_of_a_lost_node_that_blocks_a_rollout_is_named_with_its_remedy(
    room: ControlRoom, node: RoomNode
) -> None:
    """Promise 6."""
    other = RoomNode(room, "n2").join()
    room.put(deployment("web", 2, min_available=1))
    for each in (node, other):
        each.live()
    while room.controller.life.status(other.key) != "lost":
        room.tick(2_000)
        node.exchange()
    gone = next(each for each in room.state.replicas("c/web") if each.node == "n2")
    room.put(deployment("web", 2, min_available=1, environment={"A": "2"}))
    plan = room.plan(deployment("web", 2, min_available=1, environment={"A": "3"}))

    assert room.deployment("web").blocked == (
        f"web: the 1 ready must stay so (min_available 1) while {gone.name} is not ready "
        "(node n2 is lost: bring it back, or when it is dead for certain: "
        "pfi delete node n2 --force); or lower min_available to 0"
    )
    assert room.deployment("web").blocked in plan["web"]["warnings"]


def test_addresses_in_a_circle_of_environments_are_refused_as_they_would_never_rest(
    room: ControlRoom,
) -> None:
    web = deployment("web", 1, environment={"DB": addresses_of("db")})
    database = deployment("db", 1, command=["run", addresses_of("web")])
    itself = deployment("it", 2, environment={"PEERS": addresses_of("it")})

    with pytest.raises(DefinitionWrong, match="for ever: web needs db needs web in environment"):
        room.ask(Apply((web, database)))
    with pytest.raises(DefinitionWrong, match="it needs it"):
        room.put(itself)
    assert room.state.count(Deployment) == 0


def test_a_batch_may_turn_a_reference_of_environments_round(room: ControlRoom) -> None:
    room.ask(Apply((deployment("web", 1, environment={"DB": addresses_of("db")}),)))
    turned = deployment("db", 1, environment={"WEB": addresses_of("web")})
    plain = deployment("web", 1)
    room.ask(Apply((turned, plain)))

    assert room.deployment("db").refers == ("web",)


def test_deployments_that_refer_to_each_other_can_be_deleted_one_after_another(
    room: ControlRoom, node: RoomNode
) -> None:
    web = deployment("web", 2, bootstrap=steps(web=addresses_of("web"), db=addresses_of("db")))
    database = deployment("db", 1, bootstrap=steps(web=addresses_of("web")))
    room.ask(Apply((web, database)))
    live(node)
    for name in ("web", "db"):
        room.ask(Delete("deployment", CLUSTER, name))
        node.exchange()
    node.live()

    assert room.state.count(Deployment) == 0
    assert room.state.referrers == {}


def test_nobody_waits_for_the_address_of_what_has_no_network(
    room: ControlRoom, node: RoomNode
) -> None:
    web = deployment("web", 1, bootstrap=steps(db=addresses_of("db")))
    room.ask(Apply((deployment("db", 1, network="none"), web)))
    live(node, mute=("db-01",))

    assert attributes(room, "web-01") == {"db": []}
    assert room.container("web-01").ready


def test_example_of_a_logging_stack_is_bootstrapped_once_with_final_addresses(
    room: ControlRoom, node: RoomNode
) -> None:
    documents = yaml.safe_load_all((EXAMPLES / "logging-stack.yaml").read_text())
    room.ask(Apply(tuple({**document, "cluster": CLUSTER} for document in documents)))
    live(node)
    brokers = [address(f"kafka-0{number}") for number in (1, 2, 3)]

    assert all(each.ready for each in room.state.replicas("c/zookeeper"))
    assert attributes(room, "producer-02")["brokers"] == brokers
    assert attributes(room, "kafka-01")["kafka"]["brokers"] == brokers
    assert {rounds(room, name) for name in ("kafka-01", "kafka-03", "producer-01")} == {1}
