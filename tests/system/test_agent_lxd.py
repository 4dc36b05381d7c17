"""The agent as a process, with a real LXD and a server that can be made to vanish and forget.

Promises 4 and 7.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.runtimes.lxd import LxdRuntime
from pathfinder.runtimes.port import Labels, Wish
from pathfinder.wire.messages import StreamRequest
from pathfinder.wire.websocket import Message
from tests.support.agent_process import running_agent
from tests.support.agent_server import Certificate, StubServer, serving
from tests.support.lxd import PrivateLxd

pytestmark = pytest.mark.system
SLOW_S = 60.0


@pytest.fixture
def node(lxd: PrivateLxd) -> Iterator[PrivateLxd]:
    """A daemon without instances, before and after."""
    lxd.remove_instances()
    yield lxd
    lxd.remove_instances()


def started(node: PrivateLxd) -> dict[str, tuple[str, ...]]:
    """When each instance was started last: unchanged means, never touched."""
    instances = node.client.get("/1.0/instances?recursion=1")
    return {one["name"]: (one["last_used_at"], one["status"]) for one in instances}


def test_what_is_wanted_runs_with_its_address_and_what_is_not_goes(
    node: PrivateLxd, tmp_path: Path
) -> None:
    certificate, stub = Certificate(tmp_path), StubServer()
    stub.want("web-01", "web-02", "web-03")

    with (
        serving(stub, certificate) as url,
        running_agent(tmp_path, url, socket=node.socket_path, join_token=certificate.join_token()),
    ):
        stub.wait_until_phases(SLOW_S, web_01="running", web_02="running", web_03="running")
        stub.wait_until(lambda: all(held.addresses for held in stub.exchanges[-1].holding), SLOW_S)
        stub.want("web-02", generation=1)
        stub.wait_until_phases(SLOW_S, web_02="running")

    assert list(started(node)) == ["web-02"]


def test_restarts_of_agent_server_and_daemon_touch_no_running_container(
    node: PrivateLxd, tmp_path: Path
) -> None:
    certificate, stub = Certificate(tmp_path), StubServer()
    stub.want("web-01", "web-02")
    with serving(stub, certificate) as url:
        token, port = certificate.join_token(), int(url.rpartition(":")[2])
        with running_agent(tmp_path, url, socket=node.socket_path, join_token=token) as agent:
            stub.wait_until_phases(SLOW_S, web_01="running", web_02="running")
            before = started(node)
            agent.kill()
        with running_agent(tmp_path, url, socket=node.socket_path, join_token=token) as agent:
            seen = len(stub.exchanges)
            stub.wait_until(lambda: len(stub.exchanges) > seen + 2, SLOW_S)
            stub.wait_until_phases(SLOW_S, web_01="running", web_02="running")
            node.kill()
            stub.wait_until(lambda: stub.exchanges[-1].runtime_error != "", SLOW_S)
            node.start()
            stub.wait_until_phases(SLOW_S, web_01="running", web_02="running")
            stub.restart()
            stub.wait_until(lambda: stub.exchanges[-1].session.epoch == 2, SLOW_S)
            stub.wait_until_phases(SLOW_S, web_01="running", web_02="running")
    second = StubServer()
    second.want("web-01", "web-02")

    with (
        serving(second, certificate, port=port),
        running_agent(tmp_path, url, socket=node.socket_path, join_token=token),
    ):
        second.wait_until_phases(SLOW_S, web_01="running", web_02="running")

    assert started(node) == before


def test_what_pathfinder_did_not_make_is_not_touched_and_its_name_is_reported(
    node: PrivateLxd, tmp_path: Path
) -> None:
    other = Labels(cluster="east", slot="theirs", generation=1, digest="d")
    runtime = LxdRuntime(node.socket_path)
    spec = ContainerSpec(image=ImageSource(alias="busybox"))
    runtime.create(Wish(name="theirs", labels=other, spec=spec))
    runtime.close()
    node.client.run(
        "POST", "/1.0/instances", {"name": "mine", "source": {"type": "image", "alias": "busybox"}}
    )
    before, stub = started(node), StubServer()
    stub.want("mine", "theirs")

    with serving(stub) as url, running_agent(tmp_path, url, socket=node.socket_path):
        stub.wait_until_phases(SLOW_S, mine="failed", theirs="failed")

    assert {h.error_code for h in stub.exchanges[-1].holding} == {"name_occupied"}
    assert started(node) == before


def test_a_container_that_dies_is_started_again_and_counted(
    node: PrivateLxd, tmp_path: Path
) -> None:
    stub = StubServer()
    stub.want("web-01")

    with serving(stub) as url, running_agent(tmp_path, url, socket=node.socket_path):
        stub.wait_until_phases(SLOW_S, web_01="running")
        stop = {"action": "stop", "force": True}
        node.client.run("PUT", "/1.0/instances/web-01/state", stop)
        stub.wait_until(lambda: stub.exchanges[-1].holding[0].restarts == 1, SLOW_S)
        stub.wait_until_phases(SLOW_S, web_01="running")

    assert node.client.get("/1.0/instances/web-01")["status"] == "Running"


def test_an_address_that_changes_while_it_runs_is_told(node: PrivateLxd, tmp_path: Path) -> None:
    stub = StubServer()
    stub.want("web-01")
    add = {"command": ["ip", "address", "add", "10.9.9.9/32", "dev", "eth0"]}

    with serving(stub) as url, running_agent(tmp_path, url, socket=node.socket_path):
        stub.wait_until_phases(SLOW_S, web_01="running")
        stub.wait_until(lambda: bool(stub.exchanges[-1].holding[0].addresses), SLOW_S)
        node.client.run("POST", "/1.0/instances/web-01/exec", add)
        stub.wait_until(lambda: "10.9.9.9" in stub.exchanges[-1].holding[0].addresses, SLOW_S)

    assert len(stub.exchanges[-1].holding[0].addresses) > 1


def test_a_command_runs_in_a_container_over_the_agents_own_connection(
    node: PrivateLxd, tmp_path: Path
) -> None:
    certificate, stub = Certificate(tmp_path), StubServer()
    stub.want("web-01")
    run = StreamRequest(
        stream_id="s1",
        slot="web-01",
        what="exec",
        arguments={"command": ["sh", "-c", "cat; exit 7"]},
    )

    with (
        serving(stub, certificate) as url,
        running_agent(tmp_path, url, socket=node.socket_path, join_token=certificate.join_token()),
    ):
        stub.wait_until_phases(SLOW_S, web_01="running")
        stub.ask_for_stream(run, Message(b"\0hello\n"), Message(b"\0"))
        stub.wait_until(lambda: any(m.text for m in stub.streams.get("s1", ())), SLOW_S)

    heard = stub.streams["s1"]
    assert b"".join(m.data[1:] for m in heard if not m.text) == b"hello\n"
    assert json.loads(heard[-1].data) == {"exit": 7}
