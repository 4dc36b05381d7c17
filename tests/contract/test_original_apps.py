"""Command lines, libraries and BaritoMarket of the original: containers from their making on."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pathfinder.control.commands import Put
from tests.support.original_clients.barito import Barito, container_definition
from tests.support.original_clients.go import GoPfi
from tests.support.original_clients.mruby import MrubyPfi
from tests.support.original_clients.platform import REMOTE, agent, original_server, pfi
from tests.support.running import APP, RunningServer

NULLS = {"id": None, "name": None, "server": None, "protocol": None, "auth_type": None}


def create_v2(server: RunningServer, body: dict[str, Any]) -> Any:
    return Barito(server.port, APP).request("POST", "containers", body)


def test_of_eight_creates_at_once_one_wins_and_seven_are_refused() -> None:
    """Promise 8."""
    with original_server() as server:

        def create(_: int) -> int:
            return GoPfi(server.port, token=APP).create("contested").status

        with ThreadPoolExecutor(8) as pool:
            found = sorted(pool.map(create, range(8)))

        assert found == [200] + [406] * 7
        assert len(pfi(server).containers().items) == 1


def test_v1_shows_exactly_its_fields() -> None:
    with original_server() as server:
        made = pfi(server).create("web", "18.04").data

    assert set(made) == {
        "id", "hostname", "ipaddress", "image", "node_hostname", "status", "last_status_update_at",
    }  # fmt: skip
    assert (made["ipaddress"], made["image"], made["node_hostname"]) == (None, "18.04", "")
    assert made["status"] == "PENDING"


def test_v2_shows_exactly_its_fields_and_source_is_always_an_object() -> None:
    with original_server() as server:
        made = create_v2(server, {"container": {"hostname": "web", "source": {"alias": "a"}}}).data

    assert set(made) == {
        "id", "hostname", "ipaddress", "source", "bootstrappers", "node_hostname", "status",
        "last_status_update_at",
    }  # fmt: skip
    assert set(made["source"]) == {
        "id", "source_type", "mode", "remote", "fingerprint", "alias",
    }  # fmt: skip
    assert made["source"]["remote"] == NULLS
    assert (made["source"]["source_type"], made["source"]["mode"]) == ("image", "local")
    assert made["bootstrappers"] == []


def test_wrapper_may_be_missing_and_container_type_too() -> None:
    with original_server() as server:
        first = create_v2(server, {"hostname": "one", "source": {"alias": "a"}})
        body = {"hostname": "two", "source": {"alias": "a"}, "container_type": "stateless"}
        second = create_v2(server, {"container": body})
        types = {
            name: server.api().get(f"/api/v3/clusters/default/containers/{name}")["spec"]["type"]
            for name in ("one", "two")
        }

    assert (first.status, second.status) == (200, 200)
    assert types == {"one": "STATEFUL", "two": "STATELESS"}


@pytest.mark.parametrize("source_type", ["migration", "copy"])
def test_other_source_types_are_kept_for_agents_that_know_them(source_type: str) -> None:
    with original_server() as server:
        server.node("ours").join()
        body = {"hostname": "web", "source": {"alias": "a", "source_type": source_type}}
        made = create_v2(server, body).data
        assert made["source"]["source_type"] == source_type
        assert made["status"] == "PENDING"

        agent(server, "old")

        assert pfi(server).container("web").data["node_hostname"] == "old"


def test_remote_that_a_source_describes_is_made_and_one_that_is_there_is_kept() -> None:
    described = {
        "name": "registry",
        "server": "https://images.example",
        "protocol": "simplestreams",
        "auth_type": "none",
    }
    other = {**described, "server": "https://elsewhere.example"}
    with original_server() as server:
        body = {"hostname": "one", "source": {"alias": "a", "remote": described}}
        first = create_v2(server, body).data
        second = create_v2(
            server, {"hostname": "two", "source": {"alias": "a", "remote": other}}
        ).data

    for made in (first, second):
        remote = made["source"]["remote"]
        assert isinstance(remote.pop("id"), int)
        assert remote == described


def test_remote_that_is_not_there_is_said_by_name() -> None:
    with original_server() as server:
        body = {"hostname": "one", "source": {"alias": "a", "remote": {"name": "nowhere"}}}
        answer = create_v2(server, body)

    assert answer.status == 406
    assert "nowhere" in answer.error["message"]


def test_container_deleted_before_it_was_scheduled_is_gone_at_once() -> None:
    with original_server() as server:
        person = pfi(server)
        person.create("web")

        assert person.delete("web").data["status"] == "DELETED"
        assert person.containers().items == []
        assert person.delete("web").status == 404


def test_reschedule_answers_the_new_container_and_deletes_the_old_one_first() -> None:
    with original_server() as server:
        node, barito = agent(server), Barito(server.port, APP)
        barito.request("POST", "containers", {"hostname": "web", "source": {"alias": "a"}})
        node.mark("provisioned", "web")

        assert barito.reprovision("web").data["status"] == "PENDING"
        (item,) = node.scheduled().items
        assert item["status"] == "SCHEDULE_DELETION"
        node.mark("deleted", "web")
        (item,) = node.scheduled().items
        assert item["status"] == "SCHEDULED"
        assert barito.reprovision("nothing").status == 404


def test_name_of_a_container_on_its_way_out_may_be_used_again() -> None:
    with original_server() as server:
        node, person = agent(server), pfi(server)
        first = person.create("web").data
        person.delete("web")
        second = person.create("web", "20.04").data

        assert second["status"] == "PENDING"
        assert second["id"] != first["id"]
        node.mark("deleted", "web")
        assert [(item["hostname"], item["status"]) for item in node.scheduled().items] == [
            ("web", "SCHEDULED")
        ]


def test_rebootstrap_replaces_the_steps_or_keeps_them() -> None:
    with original_server(Put(REMOTE)) as server:
        node, barito = agent(server), Barito(server.port, APP)
        definition = container_definition("consul", {"round": 1})
        barito.provision("web", definition)
        for mark in ("provisioned", "bootstrap_started", "bootstrapped"):
            node.mark(mark, "web")
        steps = container_definition("consul", {"round": 2})["bootstrappers"]

        again = barito.rebootstrap("web", steps).data
        assert again["status"] == "PROVISIONED"
        assert again["bootstrappers"][0]["bootstrap_attributes"] == {"round": 2}
        (item,) = node.bootstrap_scheduled().items
        assert item["bootstrappers"][0]["bootstrap_attributes"] == {"round": 2}
        node.mark("bootstrap_started", "web")
        node.mark("bootstrap_error", "web")
        kept = barito.rebootstrap("web", []).data
        assert kept["bootstrappers"][0]["bootstrap_attributes"] == {"round": 2}


def test_update_changes_the_definition_and_not_the_status() -> None:
    with original_server(Put(REMOTE)) as server:
        node, barito = agent(server), Barito(server.port, APP)
        barito.provision("web", container_definition("consul", {"round": 1}))
        node.mark("provisioned", "web")
        answer = barito.update("web", container_definition("yggdrasil", {"round": 2})).data

        assert answer["status"] == "PROVISIONED"
        assert answer["source"]["alias"] == "yggdrasil"
        assert answer["bootstrappers"][0]["bootstrap_attributes"] == {"round": 2}
        assert node.scheduled().items == []
        barito.reprovision("web")
        node.mark("deleted", "web")
        assert node.scheduled().items[0]["source"]["alias"] == "yggdrasil"


@pytest.mark.slow
def test_update_leaves_what_runs_on_our_own_nodes_as_it_is() -> None:
    """Promise 4."""
    with original_server(Put(REMOTE)) as server:
        node, barito = server.node(), Barito(server.port, APP)
        node.join()
        barito.request("POST", "containers", {"hostname": "web", "source": {"alias": "busybox"}})
        node.exchange()
        (before,) = node.wanted.values()
        node.exchange(*node.running())
        barito.update("web", {"source": {"alias": "other"}})
        node.revision = 0
        node.exchange(*node.running())
        (after,) = node.wanted.values()

        assert (after.generation, after.digest) == (before.generation, before.digest)
        assert barito.rebootstrap("web", []).status == 200


def test_nodes_are_shown_with_memory_or_null() -> None:
    with original_server() as server:
        agent(server)
        (node,) = MrubyPfi(server.port, token=APP).nodes().items
        one = pfi(server).node("n1").data
        missing = pfi(server).node("n9")

    assert node == one
    assert set(node) == {
        "id", "hostname", "ipaddress", "created_at", "mem_free_mb", "mem_used_mb", "mem_total_mb",
    }  # fmt: skip
    assert node["mem_total_mb"] is None
    assert missing.status == 404


def test_replicas_of_a_deployment_stand_without_the_envelope() -> None:
    with original_server() as server:
        body = {"replicas": 2, "spec": {"image": "busybox"}}
        server.api().put("/api/v3/clusters/default/deployments/web", body)
        barito = Barito(server.port, APP)
        answer = barito.deployment_containers("web")

        assert answer.status == 200
        assert set(answer.document) == {"containers"}
        names = [each["hostname"] for each in answer.document["containers"]]
        assert names == ["web-01", "web-02"]
        path = "deployments/web/containers"
        assert barito.request("GET", path, query={}).document == answer.document
        assert barito.deployment_containers("nothing").status == 404


def test_mruby_pfi_lists_creates_reschedules_and_deletes() -> None:
    with original_server() as server:
        node, person = agent(server), MrubyPfi(server.port, token=APP)

        assert person.create("web", "16.04").data["image"] == "16.04"
        assert person.container("web").data["hostname"] == "web"
        assert person.reschedule("web").status == 200
        assert person.delete("web").data["status"] == "SCHEDULE_DELETION"
        node.mark("deleted", "web")
        assert person.containers().items == []


def wanted(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "cluster_name": "default",
        "name": name,
        "desired_num_replicas": 2,
        "min_available_replicas": 1,
        "definition": container_definition("consul", {"of": name}),
        **fields,
    }


def test_batch_makes_deployments_and_answers_nothing() -> None:
    with original_server(Put(REMOTE)) as server:
        barito = Barito(server.port, APP)
        answer = barito.batch([wanted("consul"), wanted("kafka", desired_num_replicas=3)])
        shown = barito.deployment_containers("kafka").document["containers"]

    assert (answer.status, answer.body) == (204, b"")
    assert [each["hostname"] for each in shown] == ["kafka-01", "kafka-02", "kafka-03"]
    assert shown[0]["bootstrappers"][0]["bootstrap_attributes"] == {"of": "kafka"}


def test_batch_changes_what_it_says_and_leaves_the_rest() -> None:
    with original_server(Put(REMOTE)) as server:
        barito = Barito(server.port, APP)
        barito.batch([wanted("consul")])
        again = {"cluster_name": "default", "name": "consul", "desired_num_replicas": "4"}

        assert barito.batch([again]).status == 204
        view = server.api().get("/api/v3/clusters/default/deployments/consul")
        assert (view["replicas"], view["min_available"]) == (4, 1)
        assert view["spec"]["image"]["alias"] == "consul"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": "-bad"}, 406),
        ({"name": None}, 406),
        ({"desired_num_replicas": 100}, 406),
        ({"desired_num_replicas": -1}, 406),
        ({"desired_num_replicas": "many"}, 406),
        ({"definition": {}}, 406),
        ({"definition": {"source": {"alias": "a", "remote": {"name": "nowhere"}}}}, 406),
        ({"cluster_name": "nowhere"}, 404),
    ],
)
def test_batch_is_all_or_none(fields: dict[str, Any], status: int) -> None:
    with original_server(Put(REMOTE)) as server:
        barito = Barito(server.port, APP)

        assert barito.batch([wanted("good"), {**wanted("other"), **fields}]).status == status
        assert barito.deployment_containers("good").status == 404


@pytest.mark.parametrize("given", [None, "x", [1], {"a": 1}])
def test_batch_without_deployments_is_refused(given: object) -> None:
    with original_server() as server:
        body = {"deployments": given}
        answer = Barito(server.port, APP).request("POST", "deployments/batch", body, query={})

        assert answer.status == 406


def test_more_than_there_are_need_not_stay_available() -> None:
    with original_server(Put(REMOTE)) as server:
        barito = Barito(server.port, APP)

        assert barito.batch([wanted("web", min_available_replicas=5)]).status == 204
        assert barito.batch([wanted("web", desired_num_replicas=0)]).status == 204
        assert barito.deployment_containers("web").document == {"containers": []}
