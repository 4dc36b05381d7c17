"""Server-sent events from lines."""

import pytest

from pathfinder.client.events import EVENT_BYTES_MAX, EventLines, ServerEvent
from pathfinder.model.errors import Malformed


def taken(text: str) -> list[ServerEvent]:
    lines = EventLines()
    events = [lines.take(line) for line in text.encode().splitlines(keepends=True)]
    return [event for event in events if event is not None]


def test_an_event_is_complete_at_the_blank_line() -> None:
    text = 'id: 7.0\nevent: container.ready\ndata: {"a":\ndata: 1}\n\nid: 8.0\ndata: cut'

    (event,) = taken(text)

    assert (event.id, event.name) == ("7.0", "container.ready")
    assert event.document() == {"a": 1}


def test_heartbeats_and_unknown_fields_are_no_events() -> None:
    assert taken(": heartbeat\n\nretry: 500\n\n") == []


def test_an_id_stays_until_the_next_one() -> None:
    first, second = taken("id: 1.0\ndata: {}\n\ndata: {}\r\n\r\n")

    assert (first.id, second.id, second.name) == ("1.0", "1.0", "message")


def test_data_that_is_no_object_is_refused() -> None:
    with pytest.raises(Malformed, match=r"event 3\.1"):
        taken("id: 3.1\ndata: [1]\n\n")[0].document()


def test_an_event_without_end_is_refused() -> None:
    line = b"data: " + b"x" * 1000 + b"\n"

    with pytest.raises(Malformed, match="larger than"):
        taken((line * (EVENT_BYTES_MAX // len(line) + 1)).decode())
