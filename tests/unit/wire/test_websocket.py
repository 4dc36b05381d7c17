"""The WebSocket codec: framing of both roles, its bounds, and the client's handshake."""

import pytest

from pathfinder.wire.websocket import (
    NO_CODE,
    TEXT_WRONG,
    TOO_LARGE,
    Closed,
    Codec,
    HandshakeRefused,
    Message,
    Ping,
    ProtocolViolation,
    accept_value,
    check_handshake,
    handshake_end,
    handshake_request,
    masked_with,
)

NONCE = bytes(range(16))


def client(message_bytes_max: int = 1 << 20) -> Codec:
    return Codec(mask_key=lambda: b"\x01\x02\x03\x04", message_bytes_max=message_bytes_max)


def server(message_bytes_max: int = 1 << 20) -> Codec:
    return Codec(mask_key=None, message_bytes_max=message_bytes_max)


def answer(**headers: str) -> bytes:
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": "Bz3qJYTGdOe8gUSpLosEdiLKDrk=",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode()


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20])
def test_message_of_any_length_arrives_in_both_directions(length: int) -> None:
    data = bytes(index % 251 for index in range(length))

    assert server().receive(client().message(data)) == [Message(data)]
    assert client().receive(server().message(data)) == [Message(data)]


def test_masking_twice_gives_the_data_back() -> None:
    data = b"seven b"

    assert masked_with(b"\x01\x02\x03\x04", data) == bytes(
        byte ^ (1, 2, 3, 4)[index % 4] for index, byte in enumerate(data)
    )
    assert masked_with(b"abcd", masked_with(b"abcd", data)) == data


def test_message_arrives_whole_when_its_bytes_arrive_one_by_one() -> None:
    receiver = server()
    frame = client().message(b"x" * 300, text=True)

    events = [event for byte in frame for event in receiver.receive(bytes((byte,)))]

    assert events == [Message(b"x" * 300, text=True)]


def test_fragments_are_joined_and_a_ping_may_stand_between_them() -> None:
    frames = b"\x01\x03abc" + b"\x89\x01!" + b"\x00\x02de" + b"\x80\x00"

    assert client().receive(frames) == [Ping(b"!"), Message(b"abcde", text=True)]


def test_nothing_is_taken_after_a_close() -> None:
    receiver = client()

    assert receiver.receive(server().close(1001, "bye") + server().message(b"late")) == [
        Closed(1001, "bye")
    ]
    assert receiver.receive(server().message(b"later")) == []


def test_close_without_a_code_is_told_as_such() -> None:
    assert client().receive(server().close(NO_CODE)) == [Closed(NO_CODE)]


def test_long_close_reason_is_cut_between_characters() -> None:
    (closed,) = client().receive(server().close(1000, "é" * 100))

    assert closed == Closed(1000, "é" * 61)


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (b"\xc2\x00", "reserved bits"),
        (b"\x83\x00", "opcode 3"),
        (b"\x82\x80\0\0\0\0", "masks"),
        (b"\x09\x00", "control frame"),
        (b"\x89\x7e\x00\x80", "control frame"),
        (b"\x80\x00", "fragment"),
        (b"\x01\x01a\x01\x01b", "fragment"),
        (b"\x82\x7e\x00\x05hello", "shortest"),
        (b"\x82\x7f\0\0\0\0\0\0\x01\x00", "shortest"),
        (b"\x88\x01\x03", "two bytes"),
        (b"\x88\x02\x03\xed", "close code 1005"),
    ],
)
def test_broken_rule_is_named(frame: bytes, what: str) -> None:
    with pytest.raises(ProtocolViolation, match=what) as caught:
        client().receive(frame)

    assert caught.value.code == 1002


def test_client_that_does_not_mask_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="masks"):
        server().receive(server().message(b"plain"))


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ProtocolViolation) as caught:
        client().receive(b"\x81\x01\xff")

    assert caught.value.code == TEXT_WRONG


@pytest.mark.parametrize(
    "frames",
    [b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x02\x7d" + b"x" * 125 + b"\x80\x04xxxx"],
    ids=["one frame", "together"],
)
def test_message_above_the_bound_is_refused_before_it_is_held(frames: bytes) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        client(message_bytes_max=128).receive(frames)

    assert caught.value.code == TOO_LARGE


def test_handshake_carries_the_callers_headers() -> None:
    request = handshake_request(
        host="lxd", path="/1.0/events", nonce=NONCE, headers={"Authorization": "Bearer x"}
    )

    assert request == (
        b"GET /1.0/events HTTP/1.1\r\nHost: lxd\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n"
        b"Authorization: Bearer x\r\n\r\n"
    )


def test_accept_value_is_the_one_of_the_rfc() -> None:
    assert accept_value(b"dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_right_answer_is_accepted_and_what_follows_is_left() -> None:
    received = answer() + b"\x81\x02hi"
    end = handshake_end(received)

    check_handshake(received[:end], NONCE)

    assert received[end:] == b"\x81\x02hi"
    assert handshake_end(answer()[:-1]) == -1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", 404),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 0),
        (answer(Sec_WebSocket_Accept="wrong"), 101),
        (answer(Upgrade=""), 101),
        (answer(Sec_WebSocket_Extensions="permessage-deflate"), 101),
    ],
)
def test_wrong_answer_is_refused_with_its_status(head: bytes, status: int) -> None:
    with pytest.raises(HandshakeRefused) as caught:
        check_handshake(head, NONCE)

    assert caught.value.status == status


def test_endless_head_is_refused() -> None:
    with pytest.raises(HandshakeRefused, match="longer"):
        handshake_end(b"x" * 20_000)
