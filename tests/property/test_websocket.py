"""Our WebSocket codec and the `websockets` library understand each other, whatever is said."""

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.frames import Opcode as TheirOpcode
from websockets.protocol import OPEN, Protocol, Side

from pathfinder.wire.websocket import Closed, Codec, Event, Message, Ping, Pong, ProtocolViolation

KEY = b"\xa5\x5a\x0f\xf0"
PAYLOADS = st.binary(max_size=300) | st.integers(0, 70_000).map(lambda size: b"\xc3" * size)
SMALL = st.binary(max_size=125)
MESSAGES = (
    PAYLOADS.map(Message)
    | st.text(max_size=200).map(lambda text: Message(text.encode(), text=True))
    | SMALL.map(Ping)
    | SMALL.map(Pong)
)
CLOSES = st.builds(Closed, st.sampled_from([1000, 1001, 1011, 3000, 4999]), st.text(max_size=30))
SIDES = pytest.mark.parametrize("we_are_client", [True, False], ids=["client", "server"])


def codec(*, client: bool) -> Codec:
    return Codec(mask_key=(lambda: KEY) if client else None)


def theirs(*, client: bool) -> Protocol:
    return Protocol(Side.CLIENT if client else Side.SERVER, state=OPEN, max_size=1 << 20)


def chunks(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """`data` cut at places that have nothing to do with frames."""
    position, index = 0, 0
    while position < len(data):
        size = sizes[index % len(sizes)] if sizes else len(data)
        yield data[position : position + size]
        position, index = position + size, index + 1


def sent_by_us(sender: Codec, event: Event) -> bytes:
    match event:
        case Message(data, text):
            return sender.message(data, text=text)
        case Ping(data):
            return sender.ping(data)
        case Pong(data):
            return sender.pong(data)
        case Closed(code, reason):
            return sender.close(code, reason)


def sent_by_them(sender: Protocol, event: Event, pieces: int) -> None:
    match event:
        case Message(data, text):
            size = len(data) // pieces + 1
            parts = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
            send = sender.send_text if text else sender.send_binary
            send(parts[0], fin=len(parts) == 1)
            for number, part in enumerate(parts[1:], start=2):
                sender.send_continuation(part, fin=number == len(parts))
        case Ping(data):
            sender.send_ping(data)
        case Pong(data):
            sender.send_pong(data)
        case Closed(code, reason):
            sender.send_close(code, reason)


def as_event(frame: Frame) -> Event:
    data = bytes(frame.data)
    match frame.opcode:
        case TheirOpcode.PING:
            return Ping(data)
        case TheirOpcode.PONG:
            return Pong(data)
        case TheirOpcode.CLOSE:
            return Closed(int.from_bytes(data[:2], "big"), data[2:].decode())
        case opcode:
            return Message(data, text=opcode is TheirOpcode.TEXT)


@SIDES
@given(events=st.lists(MESSAGES, max_size=6), close=CLOSES, sizes=st.lists(st.integers(1, 9_000)))
def test_what_we_send_is_understood(
    *, we_are_client: bool, events: list[Event], close: Closed, sizes: list[int]
) -> None:
    sender, receiver = codec(client=we_are_client), theirs(client=not we_are_client)

    for event in (*events, close):
        for chunk in chunks(sent_by_us(sender, event), sizes):
            receiver.receive_data(chunk)

    heard = [as_event(frame) for frame in receiver.events_received() if isinstance(frame, Frame)]
    assert heard == [*events, close]
    assert receiver.parser_exc is None


@SIDES
@given(
    events=st.lists(MESSAGES, max_size=6),
    close=CLOSES,
    sizes=st.lists(st.integers(1, 9_000)),
    pieces=st.integers(1, 5),
)
def test_what_they_send_is_understood(
    *, we_are_client: bool, events: list[Event], close: Closed, sizes: list[int], pieces: int
) -> None:
    sender, receiver = theirs(client=not we_are_client), codec(client=we_are_client)

    for event in (*events, close):
        sent_by_them(sender, event, pieces)
    wire = b"".join(sender.data_to_send())

    heard = [event for chunk in chunks(wire, sizes) for event in receiver.receive(chunk)]
    assert heard == [*events, close]


@SIDES
@given(garbage=st.binary(max_size=60))
def test_what_they_refuse_we_refuse(*, we_are_client: bool, garbage: bytes) -> None:
    judge, receiver = theirs(client=we_are_client), codec(client=we_are_client)
    judge.receive_data(garbage)
    refused = False

    try:
        receiver.receive(garbage)
    except ProtocolViolation:
        refused = True

    # The reverse does not hold: we also refuse lengths in a longer form than needed.
    assert refused or judge.parser_exc is None


@SIDES
@given(garbage=st.lists(st.binary(max_size=40), max_size=6))
def test_garbage_gives_events_or_a_violation_and_nothing_else(
    *, we_are_client: bool, garbage: list[bytes]
) -> None:
    receiver = codec(client=we_are_client)
    events: list[Event] = []

    with contextlib.suppress(ProtocolViolation):
        for chunk in garbage:
            events += receiver.receive(chunk)

    assert len(events) <= sum(map(len, garbage)) // 2
