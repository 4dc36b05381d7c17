"""The agent as a process, with a real Docker, and with a real LXD beside it.

Promises 4 and 7.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathfinder.runtimes.dockerclient.commands import run_command
from pathfinder.runtimes.dockerclient.errors import NotFound
from pathfinder.runtimes.dockerclient.paths import container_path
from pathfinder.wire.messages import Holding, StreamRequest
from pathfinder.wire.websocket import Message
from tests.support.agent_process import running_agent
from tests.support.agent_server import StubServer, serving
from tests.support.dockerd import PrivateDocker
from tests.support.lxd import PrivateLxd

pytestmark = [pytest.mark.system, pytest.mark.slow]
SLOW_S = 60.0


@pytest.fixture
def node(docker: PrivateDocker) -> Iterator[PrivateDocker]:
    """A daemon without containers, before and after."""
    docker.remove_containers()
    yield docker
    docker.remove_containers()


@pytest.fixture
def beside(lxd: PrivateLxd) -> Iterator[PrivateLxd]:
    """An LXD on the same node."""
    lxd.remove_instances()
    yield lxd
    lxd.remove_instances()


def names(node: PrivateDocker) -> set[str]:
    """The containers that there are."""
    return {one["Names"][0] for one in node.client.get("/containers/json?all=1")}


def runs(stub: StubServer, *slots: str) -> bool:
    """Whether these run; of others nothing is said."""
    return all(stub.phases().get(slot) == "running" for slot in slots)


def both(node: PrivateDocker, beside: PrivateLxd) -> str:
    """The agent's `--socket` for both daemons."""
    return f"lxd={beside.socket_path},docker={node.socket_path}"


def test_what_is_wanted_runs_with_its_address_and_what_is_not_goes(
    node: PrivateDocker, tmp_path: Path
) -> None:
    stub = StubServer()
    stub.want_kinds(web_01="application", web_02="application")

    with (
        serving(stub) as url,
        running_agent(tmp_path, url, runtime="docker", socket=node.socket_path),
    ):
        stub.wait_until_phases(SLOW_S, web_01="running", web_02="running")
        stub.wait_until(lambda: all(held.addresses for held in stub.exchanges[-1].holding), SLOW_S)
        stub.want_kinds(web_02="application")
        stub.wait_until_phases(SLOW_S, web_02="running")

    assert names(node) == {"/web-02"}


def test_container_that_is_killed_is_started_again_and_counted(
    node: PrivateDocker, tmp_path: Path
) -> None:
    stub = StubServer()
    stub.want_kinds(web_01="application")

    with (
        serving(stub) as url,
        running_agent(tmp_path, url, runtime="docker", socket=node.socket_path),
    ):
        stub.wait_until_phases(SLOW_S, web_01="running")
        os.kill(node.pid("web-01"), signal.SIGKILL)
        stub.wait_until(lambda: stub.exchanges[-1].holding[0].restarts == 1, SLOW_S)
        stub.wait_until_phases(SLOW_S, web_01="running")

    assert node.document("web-01")["State"]["Running"]


def test_restart_of_agent_and_daemon_touches_no_running_container(
    node: PrivateDocker, tmp_path: Path
) -> None:
    stub = StubServer()
    stub.want_kinds(web_01="application")

    with serving(stub) as url:
        with running_agent(tmp_path, url, runtime="docker", socket=node.socket_path):
            stub.wait_until_phases(SLOW_S, web_01="running")
            before = node.pid("web-01")
        with running_agent(tmp_path, url, runtime="docker", socket=node.socket_path):
            stub.wait_until_phases(SLOW_S, web_01="running")
            node.kill()
            stub.wait_until(lambda: stub.exchanges[-1].runtime_error != "", SLOW_S)
            node.start()
            stub.wait_until(lambda: stub.exchanges[-1].runtime_error == "", SLOW_S)
            stub.wait_until_phases(SLOW_S, web_01="running")

    assert node.pid("web-01") == before


def test_one_agent_runs_both_daemons_and_either_goes_on_without_the_other(
    node: PrivateDocker, beside: PrivateLxd, tmp_path: Path
) -> None:
    stub = StubServer()
    stub.want_kinds(app="application", sys="system")

    with (
        serving(stub) as url,
        running_agent(tmp_path, url, runtime="lxd,docker", socket=both(node, beside)),
    ):
        stub.wait_until_phases(SLOW_S, app="running", sys="running")
        beside.kill()
        stub.wait_until(lambda: "system" in stub.exchanges[-1].silent_kinds, SLOW_S)
        stub.want_kinds(app="application", sys="system", app_2="application")
        stub.wait_until(lambda: runs(stub, "app", "app-2"), SLOW_S)
        beside.start()
        stub.wait_until(lambda: not stub.exchanges[-1].silent_kinds, SLOW_S)
        node.kill()
        stub.wait_until(lambda: "application" in stub.exchanges[-1].silent_kinds, SLOW_S)
        stub.want_kinds(app="application", sys_2="system", app_2="application")
        stub.wait_until(lambda: runs(stub, "sys-2"), SLOW_S)
        node.start()
        stub.wait_until(lambda: stub.exchanges[-1].complete, SLOW_S)
        stub.wait_until_phases(SLOW_S, app="running", app_2="running", sys_2="running")

    facts = stub.registrations[0].facts
    assert (facts.runtime, facts.kinds) == ("lxd,docker", ("system", "application"))


def test_command_and_log_find_the_daemon_by_the_containers_name(
    node: PrivateDocker, beside: PrivateLxd, tmp_path: Path
) -> None:
    stub = StubServer()
    stub.want_kinds(app="application", sys="system")
    run = StreamRequest(
        stream_id="s1", slot="app", what="exec", arguments={"command": ["sh", "-c", "cat; exit 7"]}
    )

    with (
        serving(stub) as url,
        running_agent(tmp_path, url, runtime="lxd,docker", socket=both(node, beside)),
    ):
        stub.wait_until_phases(SLOW_S, app="running", sys="running")
        stub.ask_for_stream(run, Message(b"\0hello\n"), Message(b"\0"))
        stub.wait_until(lambda: any(m.text for m in stub.streams.get("s1", ())), SLOW_S)
        stub.ask_for_stream(StreamRequest(stream_id="s2", slot="app", what="logs"))
        stub.wait_until(lambda: any(m.text for m in stub.streams.get("s2", ())), SLOW_S)

    heard, log = stub.streams["s1"], stub.streams["s2"]
    assert b"".join(m.data[1:] for m in heard if not m.text) == b"hello\n"
    assert json.loads(heard[-1].data) == {"exit": 7}
    assert b"app is up" in b"".join(m.data for m in log)


def test_kind_that_changes_moves_to_the_other_daemon(
    node: PrivateDocker, beside: PrivateLxd, tmp_path: Path
) -> None:
    stub = StubServer()
    stub.want_kinds(one="application")

    with (
        serving(stub) as url,
        running_agent(tmp_path, url, runtime="lxd,docker", socket=both(node, beside)),
    ):
        stub.wait_until_phases(SLOW_S, one="running")
        stub.want_kinds(one="system")
        stub.wait_until(lambda: names(node) == set(), SLOW_S)
        stub.wait_until_phases(SLOW_S, one="running")

    assert beside.client.get("/1.0/instances/one")["status"] == "Running"
    with pytest.raises(NotFound, match="No such container"):
        node.client.get(container_path("one", "json"))


def test_health_is_told_and_so_is_how_a_program_ended(node: PrivateDocker, tmp_path: Path) -> None:
    stub = StubServer()
    web = {"kind": "application", "health": {"http": {"port": 80}, "interval_s": 1, "retries": 2}}
    file = {"kind": "application", "health": {"command": ["test", "-e", "/up"], "interval_s": 1}}
    brief = {"kind": "application", "command": ["sh", "-c", "exit 3"]}
    stub.want_specs(web=web, file=file, brief=brief)

    with (
        serving(stub) as url,
        running_agent(tmp_path, url, runtime="docker", socket=node.socket_path),
    ):
        stub.wait_until(lambda: health(stub, "web") == "healthy", SLOW_S)
        stub.wait_until(lambda: health(stub, "file") == "unhealthy", SLOW_S)
        run_command(node.client, "file", ("touch", "/up"))
        stub.wait_until(lambda: health(stub, "file") == "healthy", SLOW_S)
        run_command(node.client, "web", ("killall", "httpd"))
        stub.wait_until(lambda: health(stub, "web") == "unhealthy", SLOW_S)
        stub.wait_until(lambda: held(stub, "brief").restarts > 0, SLOW_S)

    assert "refused" in held(stub, "web").health_error
    assert held(stub, "brief").ended == "ended with exit code 3"


def held(stub: StubServer, slot: str) -> Holding:
    """What the newest exchange says of a slot."""
    found = (each for each in stub.exchanges[-1].holding if each.slot == slot)
    return next(found, Holding(slot=slot, generation=0, phase="waiting"))


def health(stub: StubServer, slot: str) -> str:
    """How it stands by its checks."""
    return held(stub, slot).health if stub.exchanges else ""
