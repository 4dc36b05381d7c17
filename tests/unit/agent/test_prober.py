"""One health check against real sockets and a scripted runtime."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pathfinder.agent.health import Check, Verdict
from pathfinder.agent.inbox import Inbox, Probed
from pathfinder.agent.prober import Prober, probe
from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.model.health import Health
from pathfinder.runtimes.port import Labels, Wish
from pathfinder.runtimes.scripted import ScriptedRuntime


@pytest.fixture
def runtime() -> ScriptedRuntime:
    made = ScriptedRuntime()
    labels = Labels(cluster="c", slot="web", generation=1, digest="d")
    spec = ContainerSpec(image=ImageSource(alias="busybox"))
    made.create(Wish(name="web", labels=labels, spec=spec))
    made.start("web")
    return made


@contextmanager
def answering(content: bytes) -> Iterator[int]:
    """A port that answers one request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(content)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def asked(runtime: ScriptedRuntime, health: Health, name: str = "web") -> str | None:
    return probe(runtime, Check(name=name, life=0, health=health, address="127.0.0.1"))


@pytest.mark.parametrize(("status", "good"), [(200, True), (302, True), (404, False), (503, False)])
def test_get_is_good_below_400(runtime: ScriptedRuntime, status: int, *, good: bool) -> None:
    with answering(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n".encode()) as port:
        why_not = asked(runtime, Health(http_port=port, http_path="/up"))

    assert why_not == ("" if good else f"GET /up on port {port} gives status {status}")


def test_answer_that_is_no_http_is_said(runtime: ScriptedRuntime) -> None:
    with answering(b"hello\r\n") as port:
        assert "not HTTP" in str(asked(runtime, Health(http_port=port)))


def test_connection_that_is_taken_is_enough(runtime: ScriptedRuntime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert asked(runtime, Health(tcp_port=port)) == ""

    assert "refused" in str(asked(runtime, Health(tcp_port=port)))


def test_server_that_says_nothing_is_given_up_in_time(runtime: ScriptedRuntime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        health = Health(http_port=server.getsockname()[1], timeout_s=1)
        assert "no answer in time" in str(asked(runtime, health))


@pytest.mark.parametrize(
    ("command", "why_not"),
    [
        (("true",), ""),
        (("false",), "false: exit code 1"),
        (("nonesuch", "a"), "nonesuch a: exit code 127: Command not found"),
    ],
)
def test_command_is_good_when_it_ends_with_0(
    runtime: ScriptedRuntime, command: tuple[str, ...], why_not: str
) -> None:
    assert asked(runtime, Health(command=command)) == why_not


def test_nobody_to_ask_is_no_failure(runtime: ScriptedRuntime) -> None:
    runtime.is_down = True

    assert asked(runtime, Health(command=("true",))) is None


def test_prober_makes_the_checks_that_it_is_told_of_and_says_what_came_of_them(
    runtime: ScriptedRuntime,
) -> None:
    inbox, stopping = Inbox(), threading.Event()
    prober = Prober(runtime, inbox, lambda: time.monotonic_ns() // 1_000_000, stopping)
    before = threading.active_count()
    prober.tell(())
    without = threading.active_count()

    prober.tell((Check(name="web", life=0, health=Health(command=("true",))),))
    (said,) = inbox.take(20)
    stopping.set()

    assert without == before
    assert isinstance(said, Probed)
    assert said.verdict == Verdict(name="web", life=0, state="healthy")
