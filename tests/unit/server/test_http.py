"""Lengths that count characters, found out from the bytes that are there."""

import pytest

from pathfinder.server.http import is_long_enough, with_real_length

HEAD = b"GET / HTTP/1.0\r\nContent-length: %d\r\nHost: x\r\n\r\n"


def request(text: str, length: int | None = None) -> bytes:
    return HEAD % (len(text) if length is None else length) + text.encode()


def test_plain_body_is_passed_on_as_it_is() -> None:
    whole = request('{"a":1}')

    assert with_real_length(whole) == whole
    assert (
        with_real_length(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        == b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"
    )


@pytest.mark.parametrize("text", ['{"a":"ü"}', '{"☕":"größte Straße 𝄞"}', '"é"'])
def test_length_in_characters_becomes_bytes(text: str) -> None:
    assert with_real_length(request(text)) == HEAD % len(text.encode()) + text.encode()


@pytest.mark.parametrize("text", ['{"a":"ü"}', '{"☕":"größte Straße 𝄞"}'])
def test_length_in_bytes_stays(text: str) -> None:
    whole = request(text, len(text.encode()))

    assert with_real_length(whole) == whole


def test_what_may_go_on_is_waited_for() -> None:
    whole = request('{"☕":"größte Straße 𝄞"}')

    assert [with_real_length(whole[:cut]) for cut in range(len(whole))] == [None] * len(whole)
    assert not is_long_enough(whole[:60])
    assert is_long_enough(whole[:-1])


def test_length_that_is_no_number_or_too_large_is_left_to_the_parser() -> None:
    for value in (b"-1", b"1x", b"999999999", b"99999999999999"):
        odd = b"GET / HTTP/1.0\r\nContent-Length: " + value + b"\r\n\r\nbody"

        assert with_real_length(odd) == odd


def test_bytes_that_are_no_text_are_passed_on() -> None:
    whole = HEAD % 3 + b"\xff\xfe\xfd\xfc"

    assert with_real_length(whole) is not None
