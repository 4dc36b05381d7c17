"""What happens in Docker, as it happens."""

import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pathfinder.runtimes.dockerclient.client import REQUEST_S_MAX, DockerClient
from pathfinder.runtimes.http import HttpStream, Request
from pathfinder.runtimes.urls import path_of
from pathfinder.wire.http1 import HttpWrong

LOOK_S: Final = 0.5  # how soon `stopping` is noticed
QUIET_S_MAX: Final = 15.0  # then we ask for a sign of life
ALIVE_S_MAX: Final = 30.0  # and when none comes, Docker is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerEvent:
    """One event. `action` is create, start, die, ...; `attributes` depend on the type."""

    type: str
    action: str
    id: str
    attributes: dict[str, str] = field(default_factory=dict)


def events(
    client: DockerClient, *, filters: dict[str, list[str]], stopping: Callable[[], bool]
) -> Generator[DockerEvent | None, None, None]:
    """Events that pass `filters`, None first: from then on nothing is missed.

    Ends when `stopping` says so, or when Docker goes away; Unreachable when it is not there at
    first.
    """
    # Docker answers a moment before it listens: what happens in between is replayed from `since`.
    query = {"filters": json.dumps(filters), "since": f"{time.time():.9f}"}
    stream = client.stream(Request("GET", path_of("events", **query), timeout_s=REQUEST_S_MAX))
    try:
        yield None
        yield from _received(client, stream, stopping)
    finally:
        stream.close()


def _received(
    client: DockerClient, stream: HttpStream, stopping: Callable[[], bool]
) -> Iterator[DockerEvent]:
    known_s = time.monotonic()  # when Docker was last known to be there
    rest = b""
    while not stopping():
        try:
            data = stream.receive(LOOK_S)
        except (OSError, HttpWrong):
            return
        if data == b"":
            return
        if data is None:
            if time.monotonic() - known_s > QUIET_S_MAX:
                if not client.is_alive(ALIVE_S_MAX):
                    return
                known_s = time.monotonic()
            continue
        known_s = time.monotonic()
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if (event := _event(line)) is not None:
                yield event


def _event(line: bytes) -> DockerEvent | None:
    try:
        document: Any = json.loads(line)
        actor = document["Actor"]
        return DockerEvent(
            type=str(document["Type"]),
            action=str(document["Action"]),
            id=str(actor["ID"]),
            attributes=dict(actor.get("Attributes") or {}),
        )
    except (ValueError, KeyError, TypeError):
        return None
