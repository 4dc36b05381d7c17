"""Routes for logs and terminals, and the one by which a node brings them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, cast

from litestar import Response, WebSocket, get, websocket
from litestar.di import NamedDependency, Provide
from litestar.exceptions import WebSocketDisconnect
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from pathfinder.api import parameters as given
from pathfinder.api.answers import error_parts
from pathfinder.api.asking import AnyRequest, FromAsking, FromBackend, credential
from pathfinder.api.port import Backend, Frame, Pipe
from pathfinder.control import queries
from pathfinder.model.errors import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    PathfinderError,
    Unauthorized,
)

STDOUT: Final = 1
TAIL_MAX: Final = 100_000
COMMAND_MAX: Final = 128
SIZE_MAX: Final = 10_000

AnySocket = WebSocket[Any, Any, Any]
Follow = Annotated[bool, QueryParameter(description="Go on with what is written from now on.")]
Tail = Annotated[
    int,
    QueryParameter(
        gt=-2, le=TAIL_MAX, description="Only so many lines of what there is; -1: all of them."
    ),
]
OfBootstrap = Annotated[
    bool, QueryParameter(description="What its bootstraps have written, not its console.")
]
StreamId = Annotated[str, PathParameter(max_length=64)]


async def which_log(
    *, follow: Follow = False, tail: Tail = -1, bootstrap: OfBootstrap = False
) -> dict[str, Any]:
    """What a node is told about the log that is wanted."""
    arguments: dict[str, Any] = {"follow": follow}
    if bootstrap:
        arguments["bootstrap"] = True
    if tail >= 0:
        arguments["tail"] = tail
    return arguments


@get(
    "/api/v3/clusters/{cluster:str}/containers/{name:str}/logs",
    tags=["containers"],
    dependencies={"arguments": Provide(which_log)},
)
async def container_logs(
    request: AnyRequest,
    cluster: given.ClusterName,
    name: given.ThingName,
    asking: FromAsking,
    arguments: NamedDependency[dict[str, Any]],
) -> Response[str]:
    """What a container has written to its console, as plain text; with `follow`, as it comes.

    `bootstrap`: what its bootstraps have written instead; `follow` ends with the present round.
    """
    node = await asking.look(lambda c, _: queries.place_of(c, cluster, name), cluster=cluster)
    pipe = await opened(asking.backend, node, name, "logs", arguments)
    first = await pipe.receive()
    if (error := error_in(first)) is not None:
        pipe.close()
        raise error
    text = _text(pipe, first, asking.backend, credential(request))
    made: Any = Stream(text, media_type="text/plain; charset=utf-8")
    return cast("Response[str]", made)


@websocket("/api/v3/clusters/{cluster:str}/containers/{name:str}/exec")
async def container_exec(
    socket: AnySocket, cluster: given.ClusterName, name: given.ThingName, backend: FromBackend
) -> None:
    """Run a command in a container; the frames are described in `wire.messages`."""
    try:
        caller = backend.authenticate(_credential(socket))
        caller.require("exec", cluster)
        arguments = _arguments(socket)
        node = await backend.look(lambda c, _: queries.place_of(c, cluster, name))
    except PathfinderError as error:
        await _refuse(socket, error)
        return
    await socket.accept()
    try:
        pipe = await opened(backend, node, name, "exec", arguments)
    except PathfinderError as error:
        await socket.send_text(json.dumps(error.document()))
        await socket.close()
        return
    await _join(socket, pipe)


@websocket("/api/v3/node/streams/{stream_id:str}")
async def node_stream(socket: AnySocket, stream_id: StreamId, backend: FromBackend) -> None:
    """A node brings a stream that it was asked for."""
    try:
        caller = backend.authenticate(_credential(socket))
        if not caller.node:
            raise Forbidden("a stream needs the credential of a node")
        pipe = backend.join_stream(caller.node, stream_id)
    except PathfinderError as error:
        await _refuse(socket, error)
        return
    await socket.accept()
    await _join(socket, pipe)


async def opened(
    backend: Backend, node: str, slot: str, what: str, arguments: dict[str, Any]
) -> Pipe:
    """A stream that the node of `slot` has opened; Conflict when it has none."""
    if not node:
        raise Conflict(
            f"container {slot!r} is on no node", hint=f"why: pfi explain container {slot}"
        )
    return await backend.open_stream(node, slot, what, arguments)


async def _join(socket: AnySocket, pipe: Pipe) -> None:
    """Pass frames in both directions until either end closes."""
    inward = asyncio.create_task(_inward(socket, pipe))
    outward = asyncio.create_task(_outward(socket, pipe))
    try:
        # When this end has gone there is nothing to deliver; when the other has, all was delivered.
        await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
    finally:
        pipe.close()
        for task in (inward, outward):
            task.cancel()
        await asyncio.gather(inward, outward, return_exceptions=True)
    if socket.connection_state != "disconnect":
        await socket.close()


async def _inward(socket: AnySocket, pipe: Pipe) -> None:
    try:
        while True:
            message: Any = await socket.receive()
            if message["type"] != "websocket.receive":
                return
            frame: Frame | None = message.get("bytes")
            if frame is None:
                frame = message.get("text") or ""
            if not await pipe.send(frame):
                return
    except WebSocketDisconnect:
        return


async def _outward(socket: AnySocket, pipe: Pipe) -> None:
    while (frame := await pipe.receive()) is not None:
        if isinstance(frame, bytes):
            await socket.send_bytes(frame)
        else:
            await socket.send_text(frame)


async def _text(
    pipe: Pipe, first: Frame | None, backend: Backend, given: str
) -> AsyncIterator[bytes]:
    """What channel 1 carries, for as long as the credential that was given is good."""
    frame = first
    try:
        while frame is not None:
            backend.authenticate(given)
            if isinstance(frame, bytes) and frame[:1] == bytes((STDOUT,)):
                yield frame[1:]
            frame = await pipe.receive()
    except Unauthorized:
        return
    finally:
        pipe.close()


class NodeRefused(PathfinderError):
    """The node could not do it; code, message and hint are the node's."""

    code = "node_refused"
    http_status = 409


def error_in(frame: Frame | None) -> PathfinderError | None:
    """The error that a node's text frame carries."""
    if not isinstance(frame, str):
        return None
    try:
        error = json.loads(frame).get("error")
    except (ValueError, AttributeError):
        return None
    if not isinstance(error, dict):
        return None
    message, hint = str(error.get("message", "")), str(error.get("hint", ""))
    if error.get("code") == NotFound.code:
        return NotFound(message, hint=hint)
    return NodeRefused(message, hint=hint, code=str(error.get("code", "")))


def _arguments(socket: AnySocket) -> dict[str, Any]:
    """What to run, from the query."""
    query = socket.query_params
    command = query.getall("command", [])
    if not 1 <= len(command) <= COMMAND_MAX or any("\0" in word for word in command):
        raise Malformed(f"command: must be given 1 to {COMMAND_MAX} times, without NUL")
    arguments: dict[str, Any] = {"command": list(command)}
    if query.get("tty", "") in ("1", "true"):
        arguments["tty"] = True
        for side, usual in (("columns", 80), ("rows", 24)):
            text = query.get(side, str(usual))
            if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= SIZE_MAX:
                raise Malformed(f"{side}: must be a number from 1 to {SIZE_MAX}")
            arguments[side] = int(text)
    return arguments


def _credential(socket: AnySocket) -> str:
    scheme, _, text = socket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    return socket.headers.get("x-auth-token", "")


async def _refuse(socket: AnySocket, error: PathfinderError) -> None:
    """Say no before the connection becomes a WebSocket: with an HTTP answer."""
    status, headers, body = error_parts(error)
    raw = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    raw.append((b"content-type", b"application/json"))
    start: Any = {"type": "websocket.http.response.start", "status": status, "headers": raw}
    end: Any = {"type": "websocket.http.response.body", "body": body}
    await socket.send(start)
    await socket.send(end)


ROUTES: Final[tuple[Any, ...]] = (container_logs, container_exec, node_stream)
