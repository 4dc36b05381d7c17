"""Events: lists of what happened, and streams that lose and repeat nothing. Promise 11."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from pathfinder.store.memory import MemoryStore
from pathfinder.wire.messages import Measurements
from tests.support.running import ADMIN, WAIT_S_MAX, Api, RunningServer, running_server

CONTAINERS = "/api/v3/clusters/default/containers"
SPEC = {"spec": {"image": "busybox"}}


class EventStream:
    """One connection to the event stream."""

    def __init__(self, port: int, query: str, **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S_MAX)
        sent = {"Authorization": f"Bearer {ADMIN}", "Accept": "text/event-stream", **headers}
        self.connection.request("GET", f"/api/v3/events?{query}", headers=sent)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()

    def next(self) -> dict[str, Any]:
        """The next event, with its id; raises EOFError at the end."""
        fields: dict[str, str] = {}
        while True:
            line = self.response.readline().decode()
            if not line:
                raise EOFError
            if line.startswith(":"):
                continue
            if line == "\n":
                if fields:
                    return _told(fields)
                continue
            key, _, value = line.rstrip("\n").partition(": ")
            fields[key] = value

    def next_or_none(self) -> dict[str, Any] | None:
        """The next event; None at the end."""
        try:
            return self.next()
        except EOFError:
            return None

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def _told(fields: dict[str, str]) -> dict[str, Any]:
    """An event with its id; what has none tells of several things at once."""
    data = json.loads(fields["data"])
    if "id" in fields:
        return {**data, "id": fields["id"]}
    return {"event": fields["event"], "items": data}


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server(MemoryStore()) as running:
        yield running


@pytest.fixture
def api(server: RunningServer) -> Api:
    return server.api()


def test_events_say_what_why_and_who(api: Api) -> None:
    api.put(f"{CONTAINERS}/told", SPEC)
    events = api.get("/api/v3/events?kind=container&name=told")["items"]

    assert [event["action"] for event in events] == ["created", "unplaced"]
    assert {event["who"] for event in events} == {"admin"}
    assert {event["cluster"] for event in events} == {"default"}


def test_without_since_the_last_events_come_and_with_it_the_first_after_it(api: Api) -> None:
    before = api.get("/api/v3/version")["revision"]
    for number in range(4):
        api.put(f"{CONTAINERS}/many-{number}", SPEC)
    last = api.get("/api/v3/events?limit=2")["items"]
    first = api.get(f"/api/v3/events?since={before}&limit=2")["items"]

    assert {event["name"] for event in last} == {"many-3"}
    assert {event["name"] for event in first} == {"many-0"}


def test_stream_continues_after_the_last_event_without_gap_or_repetition(
    server: RunningServer, api: Api
) -> None:
    for number in range(3):
        api.put(f"{CONTAINERS}/seen-{number}", SPEC)
    stream = EventStream(server.port, "since=0&kind=container")
    first = [stream.next() for _ in range(3)]
    stream.close()
    again = EventStream(server.port, "kind=container", **{"Last-Event-ID": first[-1]["id"]})
    api.put(f"{CONTAINERS}/later", SPEC)
    rest = [again.next() for _ in range(5)]
    again.close()

    names = [(event["name"], event["action"]) for event in first + rest]
    assert names == [
        (name, action)
        for name in ("seen-0", "seen-1", "seen-2", "later")
        for action in ("created", "unplaced")
    ]


def test_stream_without_a_place_begins_with_what_happens_now(
    server: RunningServer, api: Api
) -> None:
    api.put(f"{CONTAINERS}/old", SPEC)
    stream = EventStream(server.port, "follow=true")
    api.put(f"{CONTAINERS}/new", SPEC)
    event = stream.next()
    stream.close()

    assert event["name"] == "new"


@pytest.mark.slow
def test_stream_tells_what_nodes_use_when_asked(server: RunningServer, api: Api) -> None:
    node = server.node("n1")
    node.join()
    node.exchange(measurements=Measurements(cpu_used_millis=120, memory_used_mib=64))
    stream = EventStream(server.port, "follow=true&measurements=true&cluster=default")
    told = stream.next()
    stream.close()
    api.put("/api/v3/clusters/other", {})
    elsewhere = EventStream(server.port, "follow=true&measurements=true&cluster=other")
    nothing = elsewhere.next()
    elsewhere.close()

    assert told["event"] == nothing["event"] == "measured"
    assert [(one["name"], one["status"]) for one in told["items"]] == [("n1", "ready")]
    assert told["items"][0]["usage"]["cpu_used_millis"] == 120
    assert nothing["items"] == []


def test_stream_ends_when_the_server_stops() -> None:
    with running_server(MemoryStore()) as server:
        stream = EventStream(server.port, "follow=true")
    with pytest.raises(EOFError):
        stream.next()
    stream.close()
