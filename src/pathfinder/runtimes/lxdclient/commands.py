"""Running commands inside instances: pipes or a terminal, over LXD's WebSockets.

LXD opens one WebSocket for each stream, and starts the command when it has those of its input and
output: the one for control comes first, or a short command has ended before it.
The end of a stream is an empty *text* message; LXD does not close after it.
"""

import json
import select
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from pathfinder.runtimes.lxdclient.client import LxdClient, Operation
from pathfinder.runtimes.lxdclient.errors import LxdError, OperationFailed
from pathfinder.runtimes.lxdclient.paths import instance_path
from pathfinder.runtimes.websocket import WebSocket
from pathfinder.wire.websocket import Closed

STDIN: Final = "0"
STDOUT: Final = 1
STDERR: Final = 2
STREAMS: Final = {"1": STDOUT, "2": STDERR}
CONTROL: Final = "control"
SIGKILL: Final = 9
SEND_BYTES: Final = 32 << 10
RESULT_S_MAX: Final = 10.0
NOT_KNOWN: Final = -1


class CommandSession:
    """A command that runs. One thread reads `frames`; any thread may write, resize or close."""

    def __init__(
        self, client: LxdClient, operation: Operation, sockets: Mapping[str, WebSocket]
    ) -> None:
        self._client = client
        self._operation = operation
        self._sockets = dict(sockets)
        self._exit_code = NOT_KNOWN

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """(1 stdout or 2 stderr, bytes) until both have ended; a terminal has stdout only."""
        names = STREAMS if "1" in self._sockets else {STDIN: STDOUT}
        open_streams = {stream: self._sockets[name] for name, stream in names.items()}
        while open_streams:
            for stream, websocket in _readable(open_streams):
                for message in websocket.receive(0) or ():
                    if isinstance(message, Closed) or (message.text and not message.data):
                        open_streams.pop(stream, None)
                    elif message.data:
                        yield stream, message.data
        # LXD does not end a terminal's operation before its client has hung up.
        self._sockets[STDIN].close()
        self._exit_code, failure = self._result()
        if failure:
            yield STDERR, f"{failure}\n".encode()

    def write(self, data: bytes) -> None:
        """Standard input; b"" ends it. BrokenPipeError when the command takes no more."""
        websocket = self._sockets[STDIN]
        try:
            if not data:
                websocket.send(b"", text=True)
            for start in range(0, len(data), SEND_BYTES):
                websocket.send(data[start : start + SEND_BYTES])
        except OSError as error:
            raise BrokenPipeError("the command takes no more input") from error

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's new size."""
        self._control("window-resize", args={"width": str(columns), "height": str(rows)})

    def signal(self, number: int) -> None:
        """Send a signal to the command."""
        self._control("signal", signal=number)

    def exit_code(self) -> int:
        """After `frames` has ended; -1 when LXD cannot say."""
        return self._exit_code

    def close(self) -> None:
        """End the command and let go of its connections."""
        self._control("signal", signal=SIGKILL)
        for websocket in self._sockets.values():
            websocket.close()

    def _control(self, command: str, **fields: Any) -> None:
        try:
            message = json.dumps({"command": command, **fields}).encode()
            self._sockets[CONTROL].send(message, text=True)
        except OSError:
            pass  # the command has ended: there is nothing left to tell it

    def _result(self) -> tuple[int, str]:
        """The exit code, and why the command could not even begin.

        Asked at once: LXD forgets the operation 5 s after its end.
        """
        metadata: Mapping[str, Any]
        try:
            metadata = self._client.wait(self._operation, timeout_s=RESULT_S_MAX)["metadata"]
            failure = ""
        except OperationFailed as error:
            metadata, failure = error.metadata, str(error)
        except LxdError:
            return NOT_KNOWN, ""
        value = metadata.get("return")
        return (value if isinstance(value, int) else NOT_KNOWN), failure


def open_command(  # noqa: PLR0913 - they are the command's parts, all by keyword
    client: LxdClient,
    name: str,
    command: tuple[str, ...],
    *,
    environment: Mapping[str, str] | None = None,
    tty: bool = False,
    columns: int = 80,
    rows: int = 24,
) -> CommandSession:
    """Run a command in a running instance; NotFound or Answered when it cannot begin."""
    body = {
        "command": list(command),
        "environment": dict(environment or {}),
        "wait-for-websocket": True,
        "interactive": tty,
        "width": columns if tty else 0,
        "height": rows if tty else 0,
    }
    operation = client.begin("POST", instance_path(name, "exec"), body)
    secrets: Mapping[str, str] = operation.metadata["fds"]
    sockets: dict[str, WebSocket] = {}
    try:
        for stream, secret in sorted(secrets.items(), key=lambda item: item[0] != CONTROL):
            path = f"{operation.path}/websocket?secret={secret}"
            sockets[stream] = client.websocket(path)
    except BaseException:
        for websocket in sockets.values():
            websocket.close()
        raise
    return CommandSession(client, operation, sockets)


def run_command(
    client: LxdClient, name: str, command: tuple[str, ...], *, output_bytes_max: int = 1 << 20
) -> tuple[int, bytes, bytes]:
    """(exit code, stdout, stderr) of a command without input; each cut at `output_bytes_max`."""
    session = open_command(client, name, command)
    output = {1: bytearray(), 2: bytearray()}
    try:
        with suppress(BrokenPipeError):  # it has ended already; what it has written is still there
            session.write(b"")
        for stream, data in session.frames():
            room = output_bytes_max - len(output[stream])
            output[stream] += data[:room]
    finally:
        session.close()
    return session.exit_code(), bytes(output[1]), bytes(output[2])


def _readable(streams: Mapping[int, WebSocket]) -> list[tuple[int, WebSocket]]:
    """Those that have something, waiting until one has; closed ones have their end."""
    ready = [item for item in streams.items() if item[1].fileno() < 0 or item[1].pending()]
    if ready:
        return ready
    poll = select.poll()
    by_descriptor = {
        websocket.fileno(): (stream, websocket) for stream, websocket in streams.items()
    }
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    return [by_descriptor[descriptor] for descriptor, _ in poll.poll()]
