"""Each client of the original, through its whole life, against a server process that is killed.

Promises 1, 4 and 10.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.support.original_clients.barito import Barito, container_definition
from tests.support.original_clients.go import GoAgent, GoLibrary, GoPfi
from tests.support.original_clients.mruby import MrubyAgent, MrubyPfi
from tests.support.original_clients.platform import REMOTE
from tests.support.platform import free_port
from tests.support.server_process import ServerProcess, run_program, server_process

pytestmark = pytest.mark.system


class Served:
    """A data directory and the server on it, which may be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        ended = run_program(
            "init", "--data-dir", self.data,
            "--cluster-password-file", directory / "password",
            "--admin-token-file", directory / "admin",
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        self.password = (directory / "password").read_text().strip()
        self.token = (directory / "admin").read_text().strip()
        self.port = free_port()

    def serve(self) -> Any:
        """A server on the same port each time."""
        return server_process(self.data, self.token, "--listen", f"127.0.0.1:{self.port}")


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def statuses(answer: Any) -> dict[str, str]:
    return {item["hostname"]: item["status"] for item in answer.items}


def put_remote(server: ServerProcess) -> None:
    api = server.api()
    api.put("/api/v3/clusters/default/remotes/barito-registry", REMOTE)
    api.connection.close()


def test_go_agent_and_go_pfi(served: Served) -> None:
    with served.serve() as server:
        agent, person = GoAgent(served.port, "n1"), GoPfi(served.port, token=served.token)
        assert agent.register("wrong").status == 401
        assert agent.register(served.password).status == 200
        assert agent.metrics(memory={"free": 5, "used": 5, "total": 1000}).status == 200
        assert person.create("web").status == 200
        assert person.create("web").status == 406
        assert agent.ipaddress("web", "10.0.0.1").status == 200
        server.process.kill()
    token = agent.token
    written = [path for path in served.data.rglob("*") if path.is_file()]
    assert not [path for path in written if token.encode() in path.read_bytes()]

    with served.serve():
        agent, person = GoAgent(served.port, "n1"), GoPfi(served.port, token=served.token)
        agent.token = token
        assert statuses(agent.scheduled()) == {"web": "SCHEDULED"}
        assert agent.mark("provisioned", "web").data["ipaddress"] == "10.0.0.1"
        assert statuses(agent.bootstrap_scheduled()) == {"web": "PROVISIONED"}
        assert agent.mark("bootstrap_started", "web").status == 200
        assert agent.mark("bootstrapped", "web").data["status"] == "BOOTSTRAPPED"
        assert person.node("n1").data["mem_total_mb"] is None, "measurements are not stored"
        assert person.reschedule("web").data["status"] == "PENDING"
        assert agent.mark("deleted", "web").data["status"] == "DELETED"
        assert statuses(agent.scheduled()) == {"web": "SCHEDULED"}
        assert person.delete("web").data["status"] == "SCHEDULE_DELETION"
        assert agent.mark("deleted", "web").status == 200
        assert person.containers().items == []
        assert person.container("web").status == 404


def test_mruby_agent_and_mruby_pfi(served: Served) -> None:
    with served.serve() as server:
        agent, person = MrubyAgent(served.port), MrubyPfi(served.port, token=served.token)
        assert agent.register(served.password, "m1").status == 200
        assert agent.metrics(23334.836, 8654.9, 31989.736).data["mem_free_mb"] == 23334
        assert person.create("web", "16.04").data["image"] == "16.04"
        assert statuses(agent.scheduled()) == {"web": "SCHEDULED"}
        assert agent.ipaddress("web", None).data["ipaddress"] is None
        assert agent.ipaddress("web", "10.0.0.1").status == 200
        assert agent.mark("provisioned", "web").status == 200
        server.process.kill()

    with served.serve():
        assert agent.mark("provisioned", "web").data["status"] == "PROVISIONED"
        assert agent.mark("provision_error", "web").status == 409
        assert person.nodes().items[0]["hostname"] == "m1"
        assert person.delete("web").status == 200
        assert statuses(agent.scheduled()) == {"web": "SCHEDULE_DELETION"}
        assert agent.mark("deleted", "web").data["status"] == "DELETED"
        assert agent.mark("deleted", "web").data["status"] == "DELETED"
        assert person.containers().items == []


def test_barito_with_a_go_agent_and_the_go_library(served: Served) -> None:
    with served.serve() as server:
        put_remote(server)
        agent, other = GoAgent(served.port, "n1"), GoAgent(served.port, "n2")
        barito = Barito(served.port, served.token)
        assert agent.register(served.password).status == 200
        definition = container_definition("consul", {"run_list": ["x"] * 500})
        assert barito.provision("consul", definition).data["status"] == "SCHEDULED"
        for mark in ("provisioned", "bootstrap_started", "bootstrap_error"):
            assert agent.mark(mark, "consul").status == 200
        assert barito.rebootstrap("consul", []).data["status"] == "PROVISIONED"
        for mark in ("bootstrap_started", "bootstrapped"):
            assert agent.mark(mark, "consul").status == 200
        assert other.register(served.password).status == 200
        library = GoLibrary(served.port, token=served.token)
        assert library.relocate("consul", "n2").data["node_hostname"] == "n2"
        assert statuses(other.scheduled()) == {"consul": "SCHEDULE_RELOCATION"}
        assert other.mark("relocate_started", "consul").status == 200
        server.process.kill()
    token = other.token

    with served.serve():
        other = GoAgent(served.port, "n2")
        other.token = token
        assert other.ipaddress("consul", "10.0.0.2").status == 200
        assert other.mark("provisioned", "consul").data["node_hostname"] == "n2"
        assert barito.update("consul", container_definition("kafka", {})).status == 200
        deployment = {
            "cluster_name": "default",
            "name": "kafka",
            "desired_num_replicas": 3,
            "min_available_replicas": 1,
            "definition": definition,
        }
        assert barito.batch([deployment]).status == 204
        shown = barito.deployment_containers("kafka").document["containers"]
        assert [each["hostname"] for each in shown] == ["kafka-01", "kafka-02", "kafka-03"]
        assert barito.delete("consul").data["status"] == "SCHEDULE_DELETION"
        assert other.mark("deleted", "consul").status == 200
        assert barito.show("consul").status == 404
