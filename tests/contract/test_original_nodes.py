"""Agents of the original: they register, poll and mark, and the state follows."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pathfinder.control.commands import Put
from tests.support.original_clients.barito import Barito, container_definition
from tests.support.original_clients.go import GoAgent, GoLibrary
from tests.support.original_clients.mruby import MrubyAgent
from tests.support.original_clients.platform import PASSWORD, REMOTE, agent, original_server, pfi
from tests.support.platform import wait_for
from tests.support.running import APP, WAIT_S_MAX, RunningServer


def statuses(answer: Any) -> list[tuple[str, str]]:
    return [(item["hostname"], item["status"]) for item in answer.items]


def test_registration_answers_everything_that_agents_read() -> None:
    with original_server() as server:
        told = GoAgent(server.port, "n1").register(PASSWORD).data

    assert set(told) == {
        "id", "cluster_id", "cluster_name", "hostname", "authentication_token",
        "authentication_token_generated_at",
    }  # fmt: skip
    assert told["cluster_name"] == "default"
    assert len(told["authentication_token"]) == 64
    assert isinstance(told["id"], int)
    assert isinstance(told["cluster_id"], int)


def test_registration_without_an_address_takes_that_of_the_peer() -> None:
    with original_server() as server:
        GoAgent(server.port, "n1").register(PASSWORD, address="")

        assert pfi(server).node("n1").data["ipaddress"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("cluster", "password", "status"),
    [("default", "wrong", 401), ("default", "", 401), ("nowhere", PASSWORD, 404)],
)
def test_registration_is_refused_by_password_and_by_cluster(
    cluster: str, password: str, status: int
) -> None:
    with original_server() as server:
        assert GoAgent(server.port, "n1", cluster=cluster).register(password).status == status


def test_token_is_good_for_its_own_cluster_alone() -> None:
    with original_server() as server:
        node = agent(server)
        node.cluster = "nowhere"

        assert node.scheduled().status == 401
        node.cluster = "default"
        node.token = "x" * 64
        assert node.scheduled().status == 401


def test_node_that_is_alive_keeps_its_name_from_others() -> None:
    with original_server() as server:
        first = agent(server)
        token = first.token

        assert GoAgent(server.port, "n1").register(PASSWORD).status == 409
        assert first.scheduled().status == 200
        # Its own agent, started anew, proves itself with the token that it had.
        assert first.register(PASSWORD).status == 200
        assert first.token != token
        assert first.scheduled().status == 200
        first.token = token
        assert first.scheduled().status == 401


def test_fifty_agents_register_at_once() -> None:
    with original_server() as server:

        def register(number: int) -> int:
            return GoAgent(server.port, f"n{number}").register(PASSWORD).status

        with ThreadPoolExecutor(50) as pool:
            assert list(pool.map(register, range(50))) == [200] * 50
        assert len(pfi(server).nodes().items) == 50


def test_container_of_v1_lives_its_whole_life_on_a_go_agent() -> None:
    with original_server() as server:
        node, person = agent(server), pfi(server)
        made = person.create("web").data
        assert (made["status"], made["node_hostname"]) == ("SCHEDULED", "n1")

        assert statuses(node.scheduled()) == [("web", "SCHEDULED")]
        assert node.ipaddress("web", "10.0.0.9").data["ipaddress"] == "10.0.0.9"
        assert node.mark("provisioned", "web").data["status"] == "PROVISIONED"
        assert node.scheduled().items == []
        assert statuses(node.bootstrap_scheduled()) == [("web", "PROVISIONED")]
        assert node.mark("bootstrap_started", "web").data["status"] == "BOOTSTRAP_STARTED"
        assert node.bootstrap_scheduled().items == []
        assert node.mark("bootstrapped", "web").data["status"] == "BOOTSTRAPPED"
        assert person.container("web").data["id"] == made["id"]

        assert person.delete("web").data["status"] == "SCHEDULE_DELETION"
        assert statuses(node.scheduled()) == [("web", "SCHEDULE_DELETION")]
        assert node.mark("deleted", "web").data["status"] == "DELETED"
        assert node.scheduled().items == []
        assert person.containers().items == []


def test_container_lives_its_life_on_an_mruby_agent() -> None:
    with original_server() as server:
        node = MrubyAgent(server.port)
        assert node.register(PASSWORD, "m1").status == 200
        pfi(server).create("web", "16.04")

        (item,) = node.scheduled().items
        assert (item["image"], item["status"]) == ("16.04", "SCHEDULED")
        assert node.ipaddress("web", "10.0.0.9").status == 200
        assert node.mark("provisioned", "web").data["status"] == "PROVISIONED"
        pfi(server).delete("web")
        assert statuses(node.scheduled()) == [("web", "SCHEDULE_DELETION")]
        assert node.mark("deleted", "web").status == 200


def test_node_of_v2_is_told_the_source_with_its_remote_and_the_bootstrappers() -> None:
    attributes = {"consul": {"hosts": []}, "run_list": ["recipe[consul]"], "pi": 3.5, "no": None}
    with original_server(Put(REMOTE)) as server:
        node = agent(server)
        barito = Barito(server.port, APP)
        shown = barito.provision("consul-01", container_definition("consul", attributes)).data
        (item,) = node.scheduled().items

    remote = item["source"]["remote"]
    assert remote["certificate"] == REMOTE["certificate"]
    assert (remote["name"], remote["server"]) == ("barito-registry", REMOTE["server"])
    assert (remote["protocol"], remote["auth_type"]) == ("lxd", "tls")
    assert "certificate" not in shown["source"]["remote"]
    assert (item["source"]["source_type"], item["source"]["mode"]) == ("image", "pull")
    assert (item["source"]["alias"], item["source"]["fingerprint"]) == ("consul", "")
    assert item["bootstrappers"][0]["bootstrap_attributes"] == attributes
    assert item["source"]["id"] == shown["source"]["id"]


def test_deletions_come_first_and_each_in_order_of_time() -> None:
    with original_server() as server:
        node, person = agent(server), pfi(server)
        for name in ("c", "a", "b", "d"):
            person.create(name)
        person.delete("d")
        person.delete("a")

        assert statuses(node.scheduled()) == [
            ("d", "SCHEDULE_DELETION"),
            ("a", "SCHEDULE_DELETION"),
            ("c", "SCHEDULED"),
            ("b", "SCHEDULED"),
        ]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_repeated_marks_are_answered_like_the_first(version: str) -> None:
    """Promise 8."""
    with original_server() as server:
        node, person = agent(server), pfi(server)
        person.create("web")
        first = node.mark("provisioned", "web", version=version)

        assert node.mark("provisioned", "web", version=version).body == first.body
        person.delete("web")
        gone = node.mark("deleted", "web", version=version)
        assert node.mark("deleted", "web", version=version).body == gone.body
        assert gone.data["status"] == "DELETED"


def test_wrong_state_is_a_conflict_and_a_missing_container_not_found() -> None:
    with original_server() as server:
        node, other, person = agent(server), agent(server, "n2"), pfi(server)
        person.create("web")
        owner = person.container("web").data["node_hostname"]
        mine, not_mine = (node, other) if owner == "n1" else (other, node)

        for what in ("bootstrap_started", "bootstrapped", "bootstrap_error", "deleted"):
            answer = mine.mark(what, "web", version="v2")
            assert answer.status == 409, what
            assert "SCHEDULED" in answer.error["message"]
        for what in ("provisioned", "provision_error", "deleted"):
            assert not_mine.mark(what, "web").status == 404, what
            assert mine.mark(what, "nothing").status == 404, what
        assert not_mine.ipaddress("web", "10.0.0.1").status == 404
        assert mine.ipaddress("web", "no address").status == 406
        assert person.container("web").data["status"] == "SCHEDULED"


def test_failures_are_kept_with_what_helps() -> None:
    with original_server() as server:
        node, person = agent(server), pfi(server)
        person.create("web")

        assert node.mark("provision_error", "web").data["status"] == "PROVISION_ERROR"
        view = server.api().get("/api/v3/clusters/default/containers/web")
        assert "could not create" in view["why"]
        assert view["hint"] == "pfi reschedule web"
        assert person.reschedule("web").data["status"] == "PENDING"
        assert statuses(node.scheduled()) == [("web", "SCHEDULE_DELETION")]
        node.mark("deleted", "web")
        assert statuses(node.scheduled()) == [("web", "SCHEDULED")]


def test_metrics_may_be_fractions_or_null_and_come_back_whole() -> None:
    with original_server() as server:
        node = agent(server)
        first = node.metrics(memory={"free": 600, "used": 400, "total": 1000}).data
        mruby = MrubyAgent(server.port)
        mruby.register(PASSWORD, "m1")
        second = mruby.metrics(23334.836, 8654.9, 31989.736).data
        third = node.metrics().data

        assert (first["mem_free_mb"], first["mem_used_mb"], first["mem_total_mb"]) == (
            600,
            400,
            1000,
        )
        assert set(first) == {
            "id", "hostname", "ipaddress", "mem_free_mb", "mem_used_mb", "mem_total_mb",
            "updated_at",
        }  # fmt: skip
        assert (second["mem_free_mb"], second["mem_total_mb"]) == (23334, 31989)
        assert third["mem_total_mb"] is None
        assert '"mem_free_mb":23334,' in json.dumps(
            pfi(server).nodes().document, separators=(",", ":")
        )


def test_node_that_reports_no_memory_is_no_candidate_and_says_so() -> None:
    with original_server() as server:
        node = agent(server)
        node.metrics(memory={"free": 0, "used": 0, "total": 0})
        made = pfi(server).create("web").data
        view = server.api().get("/api/v3/clusters/default/nodes/n1")
        why = server.api().get("/api/v3/clusters/default/containers/web")["why"]

        assert made["status"] == "PENDING"
        assert "total memory of 0" in view["runtime_error"]
        assert "total memory of 0" in why
        node.metrics(memory={"free": 500, "used": 500, "total": 1000})
        assert pfi(server).container("web").data["status"] == "SCHEDULED"


def test_metrics_bound_what_is_placed() -> None:
    """Promise 5."""
    with original_server() as server:
        node = agent(server)
        node.metrics(
            memory={"free": 900, "used": 100, "total": 1000},
            load={"capacity": 4.0, "load_avg_1m": 0.5, "load_avg_5m": 0.4, "load_avg_15m": None},
        )
        api = server.api()
        spec = {"image": "busybox", "resources": {"memory": "600MiB"}}
        first = api.put("/api/v3/clusters/default/containers/one", {"spec": spec})
        second = api.put("/api/v3/clusters/default/containers/two", {"spec": spec})

        assert (first["phase"], second["phase"]) == ("SCHEDULED", "PENDING")
        view = api.get("/api/v3/clusters/default/nodes/n1")
        assert view["capacity"]["cpu_millis"] == 4000


def test_old_and_new_agents_serve_one_cluster() -> None:
    with original_server() as server:
        old = agent(server, "old")
        new = server.node("new")
        new.join()
        person = pfi(server)
        for number in range(6):
            person.create(f"web-{number}")

        placed = {item["hostname"]: item["node_hostname"] for item in person.containers().items}
        assert set(placed.values()) == {"old", "new"}
        assert len(old.scheduled().items) == list(placed.values()).count("old")
        views = server.api().get("/api/v3/clusters/default/nodes")["items"]
        assert {view["name"]: view["protocol"] for view in views} == {
            "old": "poll",
            "new": "exchange",
        }


def test_name_of_a_node_of_our_own_agent_is_not_taken_over() -> None:
    with original_server() as server:
        server.node("n1").join()

        assert GoAgent(server.port, "n1").register(PASSWORD).status == 409


def whole(server: RunningServer, name: str) -> Any:
    return server.api().get(f"/api/v3/clusters/default/containers/{name}")


def test_container_without_steps_is_ready_as_soon_as_it_runs() -> None:
    with original_server() as server:
        node = agent(server)
        pfi(server).create("web")
        node.mark("provisioned", "web")
        assert whole(server, "web")["ready"] is False

        node.ipaddress("web", "10.0.0.3")

        assert whole(server, "web")["ready"] is True
        assert node.mark("bootstrap_error", "web").data["status"] == "BOOTSTRAP_ERROR"
        assert whole(server, "web")["ready"] is True


def test_relocation_is_the_target_s_and_what_cannot_be_has_a_form_of_its_own() -> None:
    with original_server() as server:
        source, person = agent(server), GoLibrary(server.port, token=APP)
        person.create("web")
        refused = person.relocate("web", "n1")
        assert (refused.status, refused.document["success"], refused.document["code"]) == (
            400,
            False,
            400,
        )
        assert isinstance(refused.document["errors"], str)
        for what in ("provisioned", "bootstrap_started", "bootstrapped"):
            source.mark(what, "web")
        assert person.relocate("web", "nowhere").status == 404
        assert person.relocate("nothing", "n1").status == 404
        assert person.relocate("web", "n1").status == 400
        target = agent(server, "n2")
        asked = person.relocate("web", "n2").data
        assert (asked["status"], asked["node_hostname"]) == ("SCHEDULE_RELOCATION", "n2")
        assert "source" in asked

        assert statuses(target.scheduled()) == [("web", "SCHEDULE_RELOCATION")]
        assert source.scheduled().items == []
        started = target.mark("relocate_started", "web").data
        assert started["status"] == "RELOCATE_STARTED"
        assert target.ipaddress("web", "10.0.0.77").status == 200
        # The Go agent says so by v1, also here.
        assert target.mark("provisioned", "web", version="v1").data["status"] == "PROVISIONED"
        assert statuses(target.bootstrap_scheduled()) == [("web", "PROVISIONED")]
        assert source.mark("bootstrap_started", "web").status == 404
        for what in ("bootstrap_started", "bootstrapped"):
            assert target.mark(what, "web").status == 200
        shown = person.container("web").data
        assert (shown["node_hostname"], shown["ipaddress"]) == ("n2", "10.0.0.77")


def test_relocation_that_fails_leaves_the_container_where_it_was() -> None:
    with original_server() as server:
        source, person = agent(server), GoLibrary(server.port, token=APP)
        person.create("web")
        source.ipaddress("web", "10.0.0.1")
        for what in ("provisioned", "bootstrap_started", "bootstrap_error"):
            source.mark(what, "web")
        target = agent(server, "n2")
        person.relocate("web", "n2")
        target.mark("relocate_started", "web")
        failed = target.mark("relocate_error", "web")

        assert failed.data["status"] == "RELOCATE_ERROR"
        assert failed.data["node_hostname"] == "n1"
        assert target.mark("relocate_error", "web").data["status"] == "RELOCATE_ERROR"
        assert target.mark("relocate_started", "web").status == 404
        again = Barito(server.port, APP).rebootstrap("web", [])
        assert again.data["status"] == "PROVISIONED"


def test_measured_memory_limit_of_a_cluster_holds_for_polling_nodes_exactly() -> None:
    limited = {"kind": "Cluster", "name": "default", "limits": {"memory_percent": 80}}
    with original_server() as server:
        node, person = agent(server), pfi(server)
        assert server.api().call("POST", "/api/v3/apply", {"documents": [limited]}).status == 200
        node.metrics(memory={"free": 199, "used": 801, "total": 1000})
        assert person.create("web").data["status"] == "PENDING"

        node.metrics(memory={"free": 200, "used": 800, "total": 1000})

        wait_for(
            lambda: person.container("web").data["status"] == "SCHEDULED",
            WAIT_S_MAX,
            "it is placed",
        )
        node.metrics(memory={"free": 199, "used": 801, "total": 1000})
        assert person.create("other").data["status"] == "PENDING"
