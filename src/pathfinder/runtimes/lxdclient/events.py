"""What happens in LXD, as it happens. LXD does not replay: whoever connects again lists again."""

import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pathfinder.runtimes.lxdclient.client import LxdClient
from pathfinder.runtimes.websocket import WebSocket
from pathfinder.wire.websocket import Closed

LOOK_S: Final = 0.5  # how soon `stopping` is noticed
QUIET_S_MAX: Final = 15.0  # then we ask for a sign of life
SILENCE_S_MAX: Final = 45.0  # then LXD, or the way to it, is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class LxdEvent:
    """One event. `kind` is lifecycle, operation or logging; `metadata` depends on it."""

    kind: str
    metadata: dict[str, Any] = field(default_factory=dict)


def events(
    client: LxdClient, *, kinds: tuple[str, ...], stopping: Callable[[], bool]
) -> Generator[LxdEvent | None, None, None]:
    """Events of `kinds`, None first: from then on nothing is missed.

    Ends when `stopping` says so, or when LXD goes away; Unreachable when it is not there at first.
    """
    websocket = client.websocket(f"/1.0/events?type={','.join(kinds)}")
    try:
        yield None
        yield from _received(websocket, stopping)
    finally:
        websocket.close()


def _received(websocket: WebSocket, stopping: Callable[[], bool]) -> Iterator[LxdEvent]:
    heard_s = asked_s = time.monotonic()
    while not stopping():
        messages = websocket.receive(LOOK_S)
        now_s = time.monotonic()
        if messages is not None:
            heard_s = now_s
        elif now_s - heard_s > SILENCE_S_MAX:
            return
        elif now_s - max(heard_s, asked_s) > QUIET_S_MAX:
            asked_s = now_s
            if not websocket.ping():
                return
        for message in messages or ():
            if isinstance(message, Closed):
                return
            if (event := _event(message.data)) is not None:
                yield event


def _event(data: bytes) -> LxdEvent | None:
    try:
        document = json.loads(data)
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        return None
    return LxdEvent(kind=str(document.get("type")), metadata=document["metadata"])
