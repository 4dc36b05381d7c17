"""HTTP/1.1 answers as a daemon or server may send them, in pieces of any size."""

from collections.abc import Iterator

import pytest

from pathfinder.wire.http1 import (
    BodyTooLarge,
    HttpAnswer,
    HttpWrong,
    read_answer,
    request_bytes,
)

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Kind: a\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """`data` in pieces, then the end again and again."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
    while True:
        yield b""


def read(data: bytes, *, method: str = "GET", size: int = 1 << 16, most: int = 100) -> HttpAnswer:
    """The answer in `data`."""
    arriving = pieces(data, size)
    return read_answer(lambda: next(arriving), method, most)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("data", [PLAIN, CHUNKED], ids=["counted", "chunked"])
def test_answer_is_the_same_in_pieces_of_any_size(data: bytes, size: int) -> None:
    answer = read(data, size=size)

    assert (answer.status, answer.body, answer.keep) == (200, b"hello", True)


def test_names_of_headers_are_in_lower_case() -> None:
    assert read(PLAIN).headers["x-kind"] == "a"


def test_interim_answer_is_passed_over() -> None:
    assert read(b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN).status == 200


@pytest.mark.parametrize(
    ("head", "method"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD"),
    ],
)
def test_answer_without_a_body_ends_with_its_head(head: bytes, method: str) -> None:
    answer = read(head, method=method)

    assert (answer.body, answer.keep) == (b"", True)


def test_answer_without_a_length_ends_with_the_connection() -> None:
    answer = read(b"HTTP/1.1 200 OK\r\n\r\nhello")

    assert (answer.body, answer.keep) == (b"hello", False)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.replace(b"X-Kind: a", b"Connection: close"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN + b"more than was asked for",
    ],
)
def test_connection_that_cannot_go_on_is_not_kept(data: bytes) -> None:
    assert read(data).keep is False


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        PLAIN[:-1],
        PLAIN.replace(b"Content-Length: 5", b"Content-Length: -5"),
        PLAIN.replace(b"X-Kind: a", b"Content-Length: 6"),
        PLAIN.replace(b"X-Kind: a", b"no colon"),
        PLAIN.replace(b"X-Kind: a", b"X-Kind : a"),
        PLAIN.replace(b"Content-Length: 5", b"Transfer-Encoding: gzip"),
        CHUNKED.replace(b"3\r\nhel", b"x\r\nhel"),
        CHUNKED.replace(b"3\r\nhel", b"4\r\nhel"),
        CHUNKED[:-2],
        b"HTTP/1.1 200 OK\r\n" + b"a" * 10_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000,
    ],
)
def test_answer_that_breaks_the_rules_is_refused(data: bytes) -> None:
    with pytest.raises(HttpWrong):
        read(data)


@pytest.mark.parametrize("data", [PLAIN, CHUNKED, b"HTTP/1.1 200 OK\r\n\r\nhello"])
def test_body_above_its_bound_is_refused(data: bytes) -> None:
    with pytest.raises(BodyTooLarge):
        read(data, most=4)


def test_request_is_written_as_it_goes_on_the_wire() -> None:
    written = request_bytes("POST", "/1.0/x?y=1", "host:1", {"Accept": "*/*"}, b"{}")

    assert written == (
        b"POST /1.0/x?y=1 HTTP/1.1\r\nHost: host:1\r\nAccept: */*\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("GET X", "/", "a"),
        ("GET", "/a b", "a"),
        ("GET", "/a\r\nX: y", "a"),
        ("GET", "/", "a\r\nX: y"),
    ],
)
def test_nothing_can_be_smuggled_into_a_request(method: str, path: str, value: str) -> None:
    with pytest.raises(AssertionError):
        request_bytes(method, path, "host", {"Header": value}, None)
