"""Terminals and logs: frames pass between who asks and the node, unchanged, in both directions."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pathfinder.store.memory import MemoryStore
from tests.support.running import (
    ADMIN,
    READER,
    WAIT_S_MAX,
    DriverNode,
    RunningServer,
    running_server,
)

CONTAINERS = "/api/v3/clusters/default/containers"
SPEC = {"spec": {"image": "busybox"}}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(MemoryStore()) as running:
        node = running.node()
        node.join()
        running.api().put(f"{CONTAINERS}/box", SPEC)
        yield running


@pytest.fixture
def node(server: RunningServer) -> DriverNode:
    """The node again, in a session of its own."""
    again = server.node()
    again.exchange()
    return again


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def ask(server: RunningServer, query: str, token: str = ADMIN) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{server.port}{CONTAINERS}/box/exec?{query}",
        additional_headers={"Authorization": f"Bearer {token}"},
        open_timeout=WAIT_S_MAX,
        compression=None,
    )


def bring(server: RunningServer, node: DriverNode, stream_id: str) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{server.port}/api/v3/node/streams/{stream_id}",
        additional_headers={"Authorization": f"Bearer pfn.default.{node.name}.{node.secret}"},
        open_timeout=WAIT_S_MAX,
        compression=None,
    )


def send_all(connection: ClientConnection, chunks: list[bytes]) -> None:
    """Send all of them, in order."""
    for chunk in chunks:
        connection.send(chunk)


def asked_for(node: DriverNode) -> Any:
    """The stream that the node is asked to open."""
    while not (reply := node.exchange()).streams:
        pass
    return reply.streams[0]


def test_terminal_passes_frames_both_ways_and_ends_with_the_exit_code(
    server: RunningServer, node: DriverNode
) -> None:
    with ask(server, "command=echo&command=a+b&tty=1&columns=100&rows=40") as asker:
        stream = asked_for(node)
        with bring(server, node, stream.stream_id) as there:
            asker.send(b"\x00input")
            asker.send(json.dumps({"resize": {"columns": 90, "rows": 30}}))
            heard = [there.recv(WAIT_S_MAX), there.recv(WAIT_S_MAX)]
            there.send(b"\x01output")
            there.send(json.dumps({"exit": 3}))
        said = [asker.recv(WAIT_S_MAX), asker.recv(WAIT_S_MAX)]
        with pytest.raises(ConnectionClosed):
            asker.recv(WAIT_S_MAX)

    assert (stream.slot, stream.what) == ("box", "exec")
    assert stream.arguments == {
        "command": ["echo", "a b"],
        "tty": True,
        "columns": 100,
        "rows": 40,
    }
    assert heard == [b"\x00input", '{"resize": {"columns": 90, "rows": 30}}']
    assert said == [b"\x01output", '{"exit": 3}']


def test_node_is_told_when_the_asker_has_gone(server: RunningServer, node: DriverNode) -> None:
    with (
        ask(server, "command=cat") as asker,
        bring(server, node, asked_for(node).stream_id) as there,
    ):
        asker.close()
        with pytest.raises(ConnectionClosed):
            there.recv(WAIT_S_MAX)


def test_much_output_arrives_whole_and_in_order(
    server: RunningServer, node: DriverNode, pool: ThreadPoolExecutor
) -> None:
    chunks = [bytes((1,)) + bytes((number % 251,)) * 30_000 for number in range(300)]
    with (
        ask(server, "command=cat") as asker,
        bring(server, node, asked_for(node).stream_id) as there,
    ):
        sending = pool.submit(send_all, there, chunks)
        got = [asker.recv(WAIT_S_MAX) for _ in chunks]
        sending.result()

    assert got == chunks


def test_logs_are_the_nodes_output_as_text(
    server: RunningServer, node: DriverNode, pool: ThreadPoolExecutor
) -> None:
    answer = pool.submit(server.api().call, "GET", f"{CONTAINERS}/box/logs?tail=5")
    stream = asked_for(node)
    with bring(server, node, stream.stream_id) as there:
        there.send(b"\x01one\n")
        there.send(b"\x01two\n")
        there.send(json.dumps({"exit": 0}))
    logs = answer.result()

    assert (stream.what, stream.arguments) == ("logs", {"follow": False, "tail": 5})
    assert logs.headers["content-type"].startswith("text/plain")
    assert logs.body == b"one\ntwo\n"


def test_nodes_error_becomes_the_answer(
    server: RunningServer, node: DriverNode, pool: ThreadPoolExecutor
) -> None:
    answer = pool.submit(server.api().call, "GET", f"{CONTAINERS}/box/logs")
    with bring(server, node, asked_for(node).stream_id) as there:
        there.send(json.dumps({"error": {"code": "gone", "message": "no console", "hint": "h"}}))

    assert answer.result().status == 409
    assert answer.result().document["error"]["message"] == "no console"


def test_stream_is_opened_once_and_only_by_the_node_that_was_asked(
    server: RunningServer, node: DriverNode
) -> None:
    other = server.node("other")
    other.secret = "f" * 64
    other.register()
    with ask(server, "command=cat"):
        stream = asked_for(node)
        with pytest.raises(InvalidStatus, match="404"):
            bring(server, other, stream.stream_id)
        with (
            bring(server, node, stream.stream_id),
            pytest.raises(InvalidStatus, match="404"),
        ):
            bring(server, node, stream.stream_id)


@pytest.mark.parametrize(
    ("query", "token", "status"),
    [
        ("command=sh", "pft.no.one", 401),
        ("command=sh", READER, 403),
        ("", ADMIN, 400),
        ("command=sh&tty=1&rows=0", ADMIN, 400),
    ],
)
def test_terminal_is_refused_with_an_http_answer(
    server: RunningServer, query: str, token: str, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        ask(server, query, token)

    assert refused.value.response.status_code == status
    assert refused.value.response.body is not None
    assert json.loads(refused.value.response.body)["error"]["message"]


def test_log_ends_with_the_credential(
    server: RunningServer, node: DriverNode, pool: ThreadPoolExecutor
) -> None:
    made = server.api().call("POST", "/api/v3/tokens", {"name": "short", "role": "reader"}).document
    reader = server.api(made["token"])
    answer = pool.submit(reader.call, "GET", f"{CONTAINERS}/box/logs?follow=true")
    with bring(server, node, asked_for(node).stream_id) as there:
        there.send(b"\x01before")
        server.api().call("DELETE", f"/api/v3/tokens/{made['id']}")
        there.send(b"\x01after")
        with pytest.raises(ConnectionClosed):
            there.recv(WAIT_S_MAX)

    assert answer.result().status == 200
    assert answer.result().body == b"before"


def test_container_that_is_on_no_node_has_no_logs(server: RunningServer) -> None:
    api = server.api()
    big = {"spec": {"image": "busybox", "resources": {"memory": "900GiB"}}}
    api.put(f"{CONTAINERS}/nowhere", big)
    answer = api.call("GET", f"{CONTAINERS}/nowhere/logs")

    assert (answer.status, answer.code) == (409, "conflict")


@pytest.mark.slow
def test_node_that_does_not_come_is_reported(server: RunningServer) -> None:
    answer = server.api().call("GET", f"{CONTAINERS}/box/logs")

    assert (answer.status, answer.code) == (503, "node_silent")


def answer_snapshots(server: RunningServer, node: DriverNode, told: dict[str, Any]) -> Any:
    """The node is asked about snapshots, and says this; what it was asked."""
    stream = asked_for(node)
    with bring(server, node, stream.stream_id) as there:
        there.send(json.dumps(told))
        with pytest.raises(ConnectionClosed):
            there.recv(WAIT_S_MAX)
    return stream


MADE = {"name": "before", "made_ms": 1_700_000_000_000, "size_mib": 3}


@pytest.mark.parametrize(
    ("method", "path", "body", "arguments"),
    [
        ("GET", "", None, {"do": "list", "snapshot": ""}),
        ("POST", "", {"name": "before"}, {"do": "create", "snapshot": "before"}),
        ("POST", "/before/restore", None, {"do": "restore", "snapshot": "before"}),
        ("DELETE", "/before", None, {"do": "delete", "snapshot": "before"}),
        ("DELETE", "/before?dry_run=true", None, {"do": "list", "snapshot": "before"}),
    ],
)
def test_snapshots_are_asked_of_the_node(
    server: RunningServer,
    node: DriverNode,
    pool: ThreadPoolExecutor,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    arguments: dict[str, str],
) -> None:
    asking = pool.submit(
        lambda: server.api().call(method, f"{CONTAINERS}/box/snapshots{path}", body)
    )
    stream = answer_snapshots(server, node, {"snapshots": [MADE]})
    answer = asking.result(WAIT_S_MAX)

    assert (stream.slot, stream.what, stream.arguments) == ("box", "snapshots", arguments)
    assert answer.document == {"items": [{"kind": "Snapshot", **MADE}]}


def test_what_the_node_refuses_is_said_with_its_reason(
    server: RunningServer, node: DriverNode, pool: ThreadPoolExecutor
) -> None:
    error = {"code": "name_occupied", "message": "box has a snapshot before already", "hint": ""}
    asking = pool.submit(
        lambda: server.api().call("POST", f"{CONTAINERS}/box/snapshots", {"name": "before"})
    )
    answer_snapshots(server, node, {"error": error})
    answer = asking.result(WAIT_S_MAX)

    assert answer.status == 409
    assert answer.document["error"]["message"] == error["message"]
    actions = [each["action"] for each in server.api().get("/api/v3/events")["items"]]
    assert "snapshot_create" in actions


def test_snapshot_of_no_name_or_of_nothing_is_refused_before_the_node_is_asked(
    server: RunningServer,
) -> None:
    api = server.api()
    wrong = api.call("POST", f"{CONTAINERS}/box/snapshots", {"name": "a b"})
    nothing = api.call("POST", f"{CONTAINERS}/nothing/snapshots", {"name": "before"})

    assert (wrong.status, nothing.status) == (400, 404)
