"""Running commands inside containers: pipes or a terminal, over one hijacked connection.

Without a terminal Docker sends frames: a byte for the stream, three of nothing, four for the
length, then the data. With one, the bytes are the terminal's own.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pathfinder.runtimes.dockerclient.client import (
    REQUEST_S_MAX,
    UPGRADE,
    DockerClient,
    json_request,
)
from pathfinder.runtimes.dockerclient.errors import DockerError
from pathfinder.runtimes.dockerclient.paths import container_path
from pathfinder.runtimes.http import HttpStream
from pathfinder.wire.http1 import HttpWrong

STDOUT: Final = 1
STDERR: Final = 2
HEAD_BYTES: Final = 8
NOT_KNOWN: Final = -1
NOT_FOUND: Final = 127
CANNOT_RUN: Final = 126
# What Docker writes to the output of a command that could not begin, before it says so by its code.
NOT_BEGUN: Final = b"OCI runtime exec failed"


class Frames:
    """Bytes in, (stream, bytes) out. Pure: data is passed on as it comes, not frame by frame."""

    def __init__(self) -> None:
        self._bytes = b""
        self._stream = STDOUT
        self._left = 0

    def receive(self, data: bytes) -> list[tuple[int, bytes]]:
        """What `data` completes. ValueError: these are no frames."""
        self._bytes += data
        out = []
        while self._bytes:
            if self._left:
                part, self._bytes = self._bytes[: self._left], self._bytes[self._left :]
                self._left -= len(part)
                out.append((self._stream, part))
                continue
            if len(self._bytes) < HEAD_BYTES:
                break
            head, self._bytes = self._bytes[:HEAD_BYTES], self._bytes[HEAD_BYTES:]
            if head[0] > STDERR or head[1:4] != b"\0\0\0":
                raise ValueError("not a frame")
            self._stream = head[0] or STDOUT
            self._left = int.from_bytes(head[4:])
        return out


class CommandSession:
    """A command that runs. One thread reads `frames`; any thread may write, resize or close."""

    def __init__(
        self, client: DockerClient, command_id: str, stream: HttpStream, *, tty: bool
    ) -> None:
        self._client = client
        self._path = f"/exec/{command_id}"
        self._stream = stream
        self._tty = tty
        self._exit_code = NOT_KNOWN
        self._is_ended = False

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """(1 stdout or 2 stderr, bytes) until the command ends; a terminal has stdout only."""
        codec = Frames()
        try:
            while data := self._stream.receive():
                for stream, part in [(STDOUT, data)] if self._tty else codec.receive(data):
                    has_begun = not part.startswith(NOT_BEGUN) or self._has_begun()
                    yield (stream if has_begun else STDERR), part
        except (OSError, HttpWrong, ValueError):
            pass  # closed here, or Docker has gone: the exit code tells
        self._is_ended = True
        self._exit_code = self._asked().get("ExitCode", NOT_KNOWN)

    def write(self, data: bytes) -> None:
        """Standard input; b"" ends it. BrokenPipeError when the command takes no more."""
        try:
            if data:
                self._stream.send(data)
            else:
                self._stream.end_input()
        except OSError as error:
            raise BrokenPipeError("the command takes no more input") from error

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's new size."""
        try:
            self._client.request("POST", f"{self._path}/resize?h={rows}&w={columns}")
        except DockerError:
            pass  # the command has ended: there is nothing left to tell it

    def exit_code(self) -> int:
        """After `frames` has ended; -1 when Docker cannot say."""
        return self._exit_code

    def close(self) -> None:
        """End the command and let go of its connection.

        Docker has no call that ends a command, and one that does not read its input would go on for
        ever: its process is killed where it can be seen from here.
        """
        if not self._is_ended:
            document = self._asked()
            if document.get("Running"):
                kill(document.get("Pid", 0), document.get("ContainerID", ""))
        self._stream.close()

    def _has_begun(self) -> bool:
        return self._asked().get("ExitCode") not in (NOT_FOUND, CANNOT_RUN)

    def _asked(self) -> Mapping[str, Any]:
        try:
            document: Mapping[str, Any] = self._client.get(f"{self._path}/json")
        except DockerError:
            return {}
        if document.get("ExitCode") is None:
            return {**document, "ExitCode": NOT_KNOWN}
        return document


def open_command(  # noqa: PLR0913 - they are the command's parts, all by keyword
    client: DockerClient,
    name: str,
    command: tuple[str, ...],
    *,
    environment: Mapping[str, str] | None = None,
    tty: bool = False,
    columns: int = 80,
    rows: int = 24,
) -> CommandSession:
    """Run a command in a running container; NotFound or Conflict when it cannot begin."""
    body = {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": tty,
        "Cmd": list(command),
        "Env": [f"{key}={value}" for key, value in (environment or {}).items()],
    }
    command_id = client.request("POST", container_path(name, "exec"), body)["Id"]
    begin = json_request(
        "POST",
        f"/exec/{command_id}/start",
        {"Detach": False, "Tty": tty},
        timeout_s=REQUEST_S_MAX,
        headers=UPGRADE,
    )
    session = CommandSession(client, command_id, client.stream(begin), tty=tty)
    if tty:
        session.resize(columns, rows)
    return session


def run_command(
    client: DockerClient, name: str, command: tuple[str, ...], *, output_bytes_max: int = 1 << 20
) -> tuple[int, bytes, bytes]:
    """(exit code, stdout, stderr) of a command without input; each cut at `output_bytes_max`."""
    session = open_command(client, name, command)
    output = {STDOUT: bytearray(), STDERR: bytearray()}
    try:
        session.write(b"")
        for stream, data in session.frames():
            room = output_bytes_max - len(output[stream])
            output[stream] += data[:room]
    finally:
        session.close()
    return session.exit_code(), bytes(output[STDOUT]), bytes(output[STDERR])


def kill(pid: int, container_id: str) -> bool:
    """Kill a process if it certainly is one of the container's; whether it was.

    Docker tells process numbers of its own namespace, which may not be ours: the process must be in
    a control group that is named after the container.
    """
    if pid <= 0 or not container_id:
        return False
    try:
        with _process(pid) as process:
            with open(f"/proc/{pid}/cgroup") as file:
                if container_id not in file.read():
                    return False
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except OSError:
        return False
    return True


@contextmanager
def _process(pid: int) -> Iterator[int]:
    process = os.pidfd_open(pid)
    try:
        yield process
    finally:
        os.close(process)
