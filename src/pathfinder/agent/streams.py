"""Terminals, logs and snapshots: connections that the agent opens when asked, to the runtime.

On the connection: binary messages begin with a channel byte (0 standard input, 1 output, 2 errors;
the byte 0 alone ends standard input); text messages are JSON: {"resize": {"columns", "rows"}} to
the node, {"exit": code} and {"error": {"code", "message", "hint"}} from it. Whoever reads slowly
makes the other side wait: nothing is kept in between.
"""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.agent import snapshots
from pathfinder.agent.effects import Failed
from pathfinder.agent.log import say
from pathfinder.agent.membership import Membership
from pathfinder.agent.outputs import Outputs, has_ended
from pathfinder.agent.server import Server, ServerFailure
from pathfinder.agent.snapshots import Restorer
from pathfinder.agent.workers import spawn
from pathfinder.runtimes.port import Runtime, RuntimeFailure, Session, Terminal
from pathfinder.runtimes.websocket import WebSocket
from pathfinder.wire.messages import StreamRequest
from pathfinder.wire.websocket import Closed, Message

STDIN: Final = 0
STDOUT: Final = 1
FOLLOW_S: Final = 0.5
SILENCE_S_MAX: Final = 30.0  # then a ping; a second silence ends the stream
CHUNK_BYTES: Final = 64 << 10
OVERLAP_BYTES: Final = 256
COMMAND_MAX: Final = 128
SIZE_MAX: Final = 1_000


ReadLog = Callable[[], tuple[bytes, bool]]  # (all that is kept, whether nothing more will come)


class StreamWrong(Exception):
    """The request or a message on the stream makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where streams come from: the daemon, and what bootstraps have written."""

    runtime: Runtime
    outputs: Outputs
    restore: Restorer


class Streams:
    """Open streams, at most `streams_max`; each has threads of its own."""

    def __init__(
        self, sources: Sources, server: Server, membership: Membership, *, streams_max: int
    ) -> None:
        self._sources = sources
        self._server = server
        self._membership = membership
        self._places = threading.BoundedSemaphore(max(1, streams_max))

    def open(self, request: StreamRequest, *, round_awaited: int) -> None:
        """Serve the stream on a thread of its own; what is not here (-1) is refused on it."""
        if not self._places.acquire(blocking=False):
            say("stream_refused", slot=request.slot, error="too many streams are open")
            return
        spawn(f"stream-{request.slot}", lambda: self._serve(request, round_awaited=round_awaited))

    def _serve(self, request: StreamRequest, *, round_awaited: int) -> None:
        try:
            say("stream_opened", slot=request.slot, what=request.what)
            connection = self._server.open_stream(self._membership.identity, request.stream_id)
            try:
                bridge(self._sources, connection, request, round_awaited=round_awaited)
            finally:
                connection.close()
        except (ServerFailure, OSError) as error:
            say("stream_lost", slot=request.slot, error=error)
        finally:
            self._places.release()


def bridge(
    sources: Sources, connection: WebSocket, request: StreamRequest, *, round_awaited: int
) -> None:
    """Serve one stream to its end; OSError when the connection breaks."""
    try:
        if round_awaited < 0:
            raise StreamWrong(f"{request.slot} is not one of this node's containers")
        if request.what == "exec":
            terminal = _terminal(request.arguments)
            _run_command(connection, sources.runtime.open_session(request.slot, terminal))
        elif request.what == "logs" and request.arguments.get("bootstrap") is True:
            log = _bootstrap_log(sources.outputs, request, round_awaited)
            _send_log(connection, request, log)
        elif request.what == "logs":
            console = sources.runtime.console_log
            _send_log(connection, request, lambda: (console(request.slot), False))
        elif request.what == "snapshots":
            _answer_snapshots(connection, sources, request)
        else:
            raise StreamWrong(f"this agent has no stream {request.what!r}")
    except RuntimeFailure as failure:
        _tell_error(connection, failure.code, str(failure), failure.hint)
    except StreamWrong as error:
        _tell_error(connection, "malformed", str(error), "")


def _answer_snapshots(connection: WebSocket, sources: Sources, request: StreamRequest) -> None:
    found = snapshots.answer(sources.runtime, sources.restore, request.slot, request.arguments)
    if isinstance(found, Failed):
        _tell_error(connection, found.code, found.message, found.hint)
    else:
        _tell(connection, {"snapshots": found})


def _run_command(connection: WebSocket, session: Session) -> None:
    try:
        spawn("stream-output", lambda: _pump_output(connection, session))
        _pump_input(connection, session)
    finally:
        session.close()


def _pump_output(connection: WebSocket, session: Session) -> None:
    try:
        for channel, data in session.frames():
            connection.send(bytes((channel,)) + data)
        _tell(connection, {"exit": session.exit_code()})
    except RuntimeFailure as failure:
        _tell_error(connection, failure.code, str(failure), failure.hint)
    except OSError:
        pass  # the reader has gone; the input side notices too, and ends the session
    finally:
        connection.close()


def _pump_input(connection: WebSocket, session: Session) -> None:
    is_asked = False
    while True:
        heard = connection.receive(SILENCE_S_MAX)
        if heard is None:
            if is_asked or not connection.ping():
                return
            is_asked = True
            continue
        is_asked = False
        for message in heard:
            if isinstance(message, Closed):
                return
            _take_input(session, message)


def _take_input(session: Session, message: Message) -> None:
    if message.text:
        size = _document(message.data).get("resize")
        if isinstance(size, Mapping):
            session.resize(_size(size, "columns", 80), _size(size, "rows", 24))
    elif message.data[:1] == bytes((STDIN,)):
        # What takes no more input may still have output: that is sent to its end.
        with suppress(BrokenPipeError):
            session.write(message.data[1:])


def _send_log(connection: WebSocket, request: StreamRequest, read: ReadLog) -> None:
    content, is_over = read()
    _send_output(connection, last_lines(content, request.arguments.get("tail")))
    while request.arguments.get("follow") is True and not is_over:
        heard = connection.receive(FOLLOW_S)
        if heard is not None and any(isinstance(message, Closed) for message in heard):
            return
        before = content
        content, is_over = read()
        _send_output(connection, appended(before, content))
    _tell(connection, {"exit": 0})


def _bootstrap_log(outputs: Outputs, request: StreamRequest, round_awaited: int) -> ReadLog:
    """Reads what bootstraps of the container have written, until the awaited round has ended."""
    slot = request.slot
    kept = (outputs.stamp(slot), outputs.read(slot))
    if not kept[1] and not (round_awaited and request.arguments.get("follow") is True):
        raise StreamWrong(f"{slot} has not been bootstrapped on this node")

    def read() -> tuple[bytes, bool]:
        nonlocal kept
        stamp = outputs.stamp(slot)
        if stamp != kept[0]:
            kept = (stamp, outputs.read(slot))
        return kept[1], not round_awaited or has_ended(kept[1], round_awaited)

    return read


def last_lines(content: bytes, count: object) -> bytes:
    """The last `count` lines; all of them when `count` is no whole number."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        return content
    return b"".join(content.splitlines(keepends=True)[-count:]) if count else b""


def appended(before: bytes, after: bytes) -> bytes:
    """What a log that forgets its beginning has gained since it was `before`."""
    if after.startswith(before):
        return after[len(before) :]
    known = before[-OVERLAP_BYTES:]
    found = after.rfind(known)
    return after if found < 0 else after[found + len(known) :]


def _send_output(connection: WebSocket, data: bytes) -> None:
    for start in range(0, len(data), CHUNK_BYTES):
        connection.send(bytes((STDOUT,)) + data[start : start + CHUNK_BYTES])


def _tell(connection: WebSocket, document: Mapping[str, Any]) -> None:
    connection.send(json.dumps(document).encode(), text=True)


def _tell_error(connection: WebSocket, code: str, message: str, hint: str) -> None:
    try:
        _tell(connection, {"error": {"code": code, "message": message, "hint": hint}})
    except OSError:
        pass  # nobody is there to be told


def _terminal(arguments: Mapping[str, Any]) -> Terminal:
    command, environment = arguments.get("command"), arguments.get("environment") or {}
    if not isinstance(command, list) or not 0 < len(command) <= COMMAND_MAX:
        raise StreamWrong(f"command: must be a list of 1 to {COMMAND_MAX} strings")
    if not isinstance(environment, Mapping):
        raise StreamWrong("environment: must be an object")
    for text in (*command, *environment.values()):
        if not isinstance(text, str) or "\0" in text:
            raise StreamWrong("command and environment: must be strings without NUL")
    return Terminal(
        command=tuple(command),
        environment=dict(environment),
        tty=arguments.get("tty") is True,
        columns=_size(arguments, "columns", 80),
        rows=_size(arguments, "rows", 24),
    )


def _size(document: Mapping[str, Any], key: str, default: int) -> int:
    value = document.get(key, default)
    is_size = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= SIZE_MAX
    return value if is_size else default


def _document(data: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        return {}
    return document if isinstance(document, Mapping) else {}
