"""An answer that is read as it comes: the same whatever its pieces, and never more than is there.

Promise 11.
"""

from collections.abc import Callable

import pytest

from pathfinder.wire.http1 import AnswerReader, HttpWrong

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"
UNTIL_THE_END = b"HTTP/1.1 200 OK\r\n\r\nabcde"
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nabcde"
EARLY = b"HTTP/1.1 100 Continue\r\n\r\n" + COUNTED


def pieces(data: bytes, size: int) -> Callable[[], bytes]:
    """`data` in pieces, before each of which there is nothing once; then the end."""
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    waiting = [part for each in parts for part in (None, each)]

    def receive() -> bytes:
        if not waiting:
            return b""
        part = waiting.pop(0)
        if part is None:
            raise BlockingIOError
        return part

    return receive


def patiently(receive: Callable[[], bytes]) -> bytes:
    while True:
        try:
            return receive()
        except BlockingIOError:
            continue


def body(data: bytes, size: int, method: str = "GET") -> bytes:
    receive = pieces(data, size)
    is_reading_head = True

    def some() -> bytes:
        return patiently(receive) if is_reading_head else receive()

    reader = AnswerReader(some, method)
    reader.read_head()
    is_reading_head = False
    found = b""
    while part := patiently(reader.read):
        found += part
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("answer", [CHUNKED, COUNTED, UNTIL_THE_END, UPGRADED, EARLY])
def test_body_is_the_same_in_any_pieces(answer: bytes, size: int) -> None:
    assert body(answer, size) == b"abcde"


def test_answer_to_head_has_no_body() -> None:
    assert body(COUNTED, 1000, "HEAD") == b""


@pytest.mark.parametrize("answer", [CHUNKED[:-7], COUNTED[:-1]])
def test_body_that_ends_too_early_is_wrong(answer: bytes) -> None:
    with pytest.raises(HttpWrong, match="ended before"):
        body(answer, 1000)


@pytest.mark.parametrize(
    ("old", "new"), [(b"3\r\nabc", b"2\r\nabc"), (b"2\r\nde", b"x\r\nde"), (b"chunked", b"gzip")]
)
def test_what_breaks_the_rules_is_wrong(old: bytes, new: bytes) -> None:
    with pytest.raises(HttpWrong):
        body(CHUNKED.replace(old, new), 1000)
