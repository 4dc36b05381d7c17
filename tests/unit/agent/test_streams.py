"""Terminals and logs over a real socket pair, with a runtime in memory."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pathfinder.agent.effects import Done, Failed, Result
from pathfinder.agent.notes import Note
from pathfinder.agent.outputs import Outputs
from pathfinder.agent.snapshots import Restorer
from pathfinder.agent.streams import Sources, appended, bridge, last_lines
from pathfinder.model.bootstrap import BootstrapStep
from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.runtimes.port import Labels, Session, Terminal, Wish
from pathfinder.runtimes.scripted import ScriptedRuntime
from pathfinder.runtimes.websocket import WebSocket
from pathfinder.wire.messages import StreamRequest
from pathfinder.wire.websocket import Closed, Codec, Message

PATIENCE_S = 5.0


@pytest.fixture
def runtime() -> ScriptedRuntime:
    """A daemon in memory that runs web-01."""
    runtime = ScriptedRuntime()
    labels = Labels(cluster="west", slot="web-01", generation=1, digest="d")
    spec = ContainerSpec(image=ImageSource(alias="busybox"))
    runtime.create(Wish(name="web-01", labels=labels, spec=spec))
    runtime.start("web-01")
    return runtime


@pytest.fixture
def ends() -> Iterator[tuple[WebSocket, WebSocket]]:
    """The node's and the server's end of a stream."""
    left, right = socket.socketpair()
    node = WebSocket(left, Codec(mask_key=lambda: b"mask"))
    server = WebSocket(right, Codec(mask_key=None))
    yield node, server
    node.close()
    server.close()


def never(slot: str, snapshot: str) -> Result:
    """Nothing is restored here."""
    raise AssertionError(f"{slot} goes back to {snapshot}")


def converse(
    runtime: ScriptedRuntime,
    ends: tuple[WebSocket, WebSocket],
    what: str,
    arguments: Mapping[str, Any],
    *says: Message,
    round_awaited: int = 0,
    outputs: Outputs | None = None,
    restore: Restorer | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """(output, last control message) of one stream on which `says` is said."""
    node, server = ends
    sources = Sources(
        runtime=runtime,
        outputs=outputs or Outputs("/nonexistent"),
        restore=restore or never,
    )
    request = StreamRequest(stream_id="s1", slot="web-01", what=what, arguments=arguments)

    def serve() -> None:
        bridge(sources, node, request, round_awaited=round_awaited)
        node.close()

    thread = threading.Thread(target=serve)
    thread.start()
    for message in says:
        server.send(message.data, text=message.text)
    heard: list[Message] = []
    while True:
        events = server.receive(PATIENCE_S)
        assert events is not None, heard
        heard += [event for event in events if isinstance(event, Message)]
        if any(isinstance(event, Closed) for event in events):
            break
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    controls = [json.loads(message.data) for message in heard if message.text]
    return b"".join(m.data[1:] for m in heard if not m.text), controls[-1]


def test_command_gives_its_output_and_exit_code(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket]
) -> None:
    said = converse(runtime, ends, "exec", {"command": ["echo", "hello"]})

    assert said == (b"hello\n", {"exit": 0})


class Deaf(ScriptedRuntime):
    """Its commands take no input, and print something after that was tried."""

    def open_session(self, name: str, terminal: Terminal) -> Session:
        """One of those."""
        return DeafSession()


class DeafSession:
    """A command that has closed its standard input."""

    def __init__(self) -> None:
        self._is_tried = threading.Event()

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """What it prints at the end."""
        assert self._is_tried.wait(PATIENCE_S)
        yield 1, b"the end"

    def write(self, data: bytes) -> None:
        """It takes none."""
        self._is_tried.set()
        raise BrokenPipeError("the command takes no more input")

    def resize(self, columns: int, rows: int) -> None:
        """It has no terminal."""

    def exit_code(self) -> int:
        """All was well."""
        return 0

    def close(self) -> None:
        """It has ended."""


def test_command_that_takes_no_input_still_gives_its_output(
    ends: tuple[WebSocket, WebSocket],
) -> None:
    end_of_input = Message(b"\0")

    said = converse(Deaf(), ends, "exec", {"command": ["true"]}, end_of_input)

    assert said == (b"the end", {"exit": 0})


@pytest.mark.parametrize(
    ("what", "arguments", "code"),
    [
        ("exec", {}, "malformed"),
        ("exec", {"command": []}, "malformed"),
        ("exec", {"command": ["a\0b"]}, "malformed"),
        ("exec", {"command": ["true"], "environment": ["x"]}, "malformed"),
        ("console", {}, "malformed"),
    ],
)
def test_request_that_makes_no_sense_is_refused_on_the_stream(
    runtime: ScriptedRuntime,
    ends: tuple[WebSocket, WebSocket],
    what: str,
    arguments: Mapping[str, Any],
    code: str,
) -> None:
    _, control = converse(runtime, ends, what, arguments)

    assert control["error"]["code"] == code


def test_what_is_not_ours_is_not_opened(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket]
) -> None:
    said = converse(runtime, ends, "exec", {"command": ["echo", "hello"]}, round_awaited=-1)

    assert said[0] == b""
    assert "not one of this node's containers" in said[1]["error"]["message"]


def test_stopped_container_says_so_on_the_stream(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket]
) -> None:
    runtime.stop("web-01")

    _, control = converse(runtime, ends, "exec", {"command": ["true"]})

    assert control["error"]["code"] == "not_there"


def test_log_is_sent_whole_or_its_last_lines(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket]
) -> None:
    output, control = converse(runtime, ends, "logs", {})

    assert output == runtime.console_log("web-01")
    assert control == {"exit": 0}


def test_bootstrap_log_is_followed_until_the_awaited_round_has_ended(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket], tmp_path: Path
) -> None:
    outputs, step = Outputs(str(tmp_path)), BootstrapStep(type="shell", script="echo hello")
    earlier = outputs.open("web-01", Note(round=6, state="running"), step, 1)
    earlier.end_round(Note(round=6, state="done"))
    output = outputs.open("web-01", Note(round=7, state="running"), step, 1)

    def write() -> None:
        output.take(b"hello")
        output.end_round(Note(round=7, state="done"))

    threading.Timer(0.01, write).start()
    follow = {"bootstrap": True, "follow": True}

    text, control = converse(runtime, ends, "logs", follow, round_awaited=7, outputs=outputs)

    assert text.decode().splitlines() == [
        "== round 6, step 1, try 1 (shell; steps: 1, tries: 3) ==",
        "== round 6 ends: done ==",
        "== round 7, step 1, try 1 (shell; steps: 1, tries: 3) ==",
        "hello",
        "== round 7 ends: done ==",
    ]
    assert control == {"exit": 0}


@pytest.mark.parametrize("follow", [False, True])
def test_bootstrap_log_of_a_container_that_had_none_says_so(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket], *, follow: bool
) -> None:
    _, control = converse(runtime, ends, "logs", {"bootstrap": True, "follow": follow})

    assert "has not been bootstrapped" in control["error"]["message"]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(None, b"a\nb\nc\n"), (2, b"b\nc\n"), (0, b""), (9, b"a\nb\nc\n"), (-1, b"a\nb\nc\n")],
)
def test_last_lines(count: int | None, expected: bytes) -> None:
    assert last_lines(b"a\nb\nc\n", count) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (b"", b"one\n", b"one\n"),
        (b"one\n", b"one\n", b""),
        (b"one\n", b"one\ntwo\n", b"two\n"),
        (b"one\ntwo\n", b"two\nthree\n", b"two\nthree\n"),
        (b"x" * 300 + b"end\n", b"x" * 280 + b"end\nnew\n", b"new\n"),
        (b"one\n", b"", b""),
    ],
)
def test_what_a_log_has_gained(before: bytes, after: bytes, expected: bytes) -> None:
    assert appended(before, after) == expected


def test_snapshots_are_made_listed_and_forgotten(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket]
) -> None:
    _, made = converse(runtime, ends, "snapshots", {"do": "create", "snapshot": "before"})

    assert made == {"snapshots": [{"name": "before", "made_ms": -1, "size_mib": -1}]}
    assert [one.name for one in runtime.list_snapshots("web-01")] == ["before"]


def test_restore_is_the_cores_and_its_refusal_is_told(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket]
) -> None:
    asked: list[tuple[str, str]] = []

    def refuse(slot: str, snapshot: str) -> Result:
        asked.append((slot, snapshot))
        return Failed(code="not_there", message="there is no snapshot", hint="pfi snapshot list")

    arguments = {"do": "restore", "snapshot": "before"}
    _, told = converse(runtime, ends, "snapshots", arguments, restore=refuse)

    assert asked == [("web-01", "before")]
    assert told["error"] == {
        "code": "not_there",
        "message": "there is no snapshot",
        "hint": "pfi snapshot list",
    }


def test_restored_container_has_its_snapshots_still(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket]
) -> None:
    runtime.make_snapshot("web-01", "before")
    arguments = {"do": "restore", "snapshot": "before"}

    _, told = converse(runtime, ends, "snapshots", arguments, restore=lambda *_: Done())

    assert [each["name"] for each in told["snapshots"]] == ["before"]


def test_what_cannot_be_done_with_a_snapshot_is_said(
    runtime: ScriptedRuntime, ends: tuple[WebSocket, WebSocket]
) -> None:
    _, told = converse(runtime, ends, "snapshots", {"do": "paint", "snapshot": "before"})

    assert told["error"]["code"] == "malformed"
