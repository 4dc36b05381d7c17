"""The route for events: a list of what happened, or a stream of what happens."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final, cast

import msgspec
from litestar import Response, get
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from pathfinder.api.answers import encoded
from pathfinder.api.asking import AnyRequest, FromAsking, credential
from pathfinder.api.port import Backend, Following, Query
from pathfinder.control import queries
from pathfinder.control.access import Principal
from pathfinder.control.objects import Event
from pathfinder.model.errors import Malformed, PathfinderError

HEARTBEAT_S: Final = 15.0
MEASURED_S: Final = 5.0  # a silent node is suspect after 6.5 s
EVENTS_DEFAULT: Final = 200
EVENTS_MAX: Final = 5_000
WHOLE_REVISION: Final = 1 << 62
EVENT_ID: Final = re.compile(r"(\d{1,18})(?:\.(\d{1,9}))?")

Since = Annotated[
    int,
    # Greater than, since the framework forgets a bound of 0.
    QueryParameter(
        gt=-2,
        le=WHOLE_REVISION,
        description="Only what happened after this revision; -1: the last.",
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        max_length=32,
        pattern=r"^[0-9]{1,18}([.][0-9]{1,9})?$",
        description="With a stream: go on after this event.",
    ),
]
Follow = Annotated[bool, QueryParameter(description="A stream of server-sent events.")]
Measurements = Annotated[
    bool,
    QueryParameter(
        description="With a stream: what the nodes use as well, each 5 s, as the event `measured`."
    ),
]
Limit = Annotated[
    int, QueryParameter(ge=1, le=EVENTS_MAX, description="How many at most, in a list.")
]
Word = Annotated[str, QueryParameter(max_length=63, description="Only events with this value.")]


@get("/api/v3/events", tags=["events"])
async def list_events(  # noqa: PLR0913 - each is a filter of the list
    request: AnyRequest,
    asking: FromAsking,
    *,
    since: Since = -1,
    last_event_id: LastEventId = None,
    limit: Limit = EVENTS_DEFAULT,
    cluster: Word = "",
    kind: Word = "",
    name: Word = "",
    follow: Follow = False,
    measurements: Measurements = False,
) -> Response[queries.EventPage]:
    """What happened, newest last: with `since` the first after it, without it the last.

    With `follow=true` or `Accept: text/event-stream`: server-sent events (`id: revision.index`,
    `event: kind.action`, `data:` the event) until either side closes, a comment each 15 s.
    """
    after = since if since >= 0 else None
    caller = asking.caller
    caller.require("read", cluster or (caller.clusters[0] if caller.clusters else ""))
    wants = _filter(caller, cluster, kind, name)
    if not follow and "text/event-stream" not in request.headers.get("accept", ""):
        return encoded(
            await asking.look_freely(lambda c, _: queries.events(c, after, limit, wants))
        )
    place = _place(after, last_event_id)
    following = await asking.backend.follow(
        wants, lambda c, _: queries.events_after(c, place, wants) if place else []
    )
    look = _measured(caller, cluster) if measurements else None
    return _stream(_lines(asking.backend, following, credential(request), look))


def _measured(caller: Principal, cluster: str) -> Query[tuple[queries.Measured, ...]]:
    return lambda controller, now_ms: queries.measured(controller, caller, cluster, now_ms)


def _stream(lines: AsyncIterator[bytes]) -> Response[queries.EventPage]:
    """A stream in the place of a page, as the document says."""
    made: Any = Stream(
        lines,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
    return cast("Response[queries.EventPage]", made)


async def _lines(
    backend: Backend,
    following: Following,
    credential: str,
    measured: Query[tuple[queries.Measured, ...]] | None,
) -> AsyncIterator[bytes]:
    """Events as text; ends when the server stops, the credential does, or the reader is slow."""
    clock = asyncio.get_running_loop().time
    measured_at_s = clock()
    try:
        yield b": events\n\n"
        while True:
            wait_s_max = HEARTBEAT_S
            if measured is not None:
                if clock() >= measured_at_s:
                    measured_at_s = clock() + MEASURED_S
                    found = msgspec.json.encode(await backend.look(measured))
                    yield b"event: measured\ndata: " + found + b"\n\n"
                wait_s_max = max(0.0, measured_at_s - clock())
            events = await following.take(wait_s_max)
            backend.authenticate(credential)
            if events:
                yield b"".join(_lines_of(event) for event in events)
            elif following.is_over:
                yield f": {following.why}\n\n".encode()
                return
            else:
                yield b": still here\n\n"
    except PathfinderError as over:
        yield f": {over.message}\n\n".encode()
    finally:
        backend.leave(following)


def _lines_of(event: Event) -> bytes:
    head = f"id: {event.revision}.{event.index}\nevent: {event.kind}.{event.action}\ndata: "
    return head.encode() + msgspec.json.encode(queries.event_view(event)) + b"\n\n"


def _place(since: int | None, last_event_id: str | None) -> tuple[int, int] | None:
    """After which event the stream begins; None: with what happens from now on."""
    if last_event_id:
        match = EVENT_ID.fullmatch(last_event_id)
        if match is None:
            raise Malformed("Last-Event-ID: must be the id of an event, as in 17.0")
        return int(match[1]), int(match[2]) if match[2] else WHOLE_REVISION
    return None if since is None else (since, WHOLE_REVISION)


def _filter(caller: Principal, cluster: str, kind: str, name: str) -> Callable[[Event], bool]:
    def wants(event: Event) -> bool:
        where = event.name if event.kind == "cluster" else event.cluster
        return (
            caller.sees(where)
            and (not cluster or where == cluster)
            and (not kind or event.kind == kind)
            and (not name or event.name == name)
        )

    return wants


ROUTES: Final[tuple[Any, ...]] = (list_events,)
