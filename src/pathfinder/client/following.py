"""Events as they happen: one connection's, and across connections."""

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

from pathfinder.client.errors import NoAnswer, Unreachable
from pathfinder.client.events import EventLines
from pathfinder.client.kinds import EVENT
from pathfinder.client.transport import Request, Transport
from pathfinder.model.errors import NotLeading, TooBusy

HEARTBEAT_S_MAX: Final = 45.0  # three of the server's heartbeats
RECONNECT_S_FIRST: Final = 0.2
RECONNECT_S_MAX: Final = 5.0
RECONNECTS_MAX: Final = 20  # one after the other without an event: about a minute and a half


def follow(
    transport: Transport, *, last_id: str, query: Mapping[str, object]
) -> Iterator[dict[str, Any]]:
    """Events for ever; raises once RECONNECTS_MAX connections in a row have brought none."""
    failures = 0
    while True:
        try:
            with EventFollower(transport, last_id=last_id, query=query) as follower:
                for event in follower:
                    last_id, failures = follower.last_id, 0
                    yield event
        except (Unreachable, NoAnswer, NotLeading, TooBusy):
            if failures >= RECONNECTS_MAX:
                raise
        failures += 1
        time.sleep(min(RECONNECT_S_FIRST * 2 ** min(failures, 10), RECONNECT_S_MAX))


class EventFollower:
    """The event stream over one connection. Iterate in one thread; `interrupt` from any."""

    def __init__(self, transport: Transport, *, last_id: str, query: Mapping[str, object]) -> None:
        self.last_id = last_id
        headers = {"Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self._stream = transport.open(
            Request(
                method="GET",
                path=EVENT.path(""),
                query={**query, "follow": True},
                headers=headers,
            ),
            silence_s_max=HEARTBEAT_S_MAX,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        lines = EventLines()
        for line in self._stream.lines():
            event = lines.take(line)
            if event is not None:
                self.last_id = event.id
                yield dict(event.document())

    def interrupt(self) -> None:
        """End it: its reader finds the end, or NoAnswer."""
        self._stream.interrupt()
