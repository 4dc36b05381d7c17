"""What a server answers becomes the error that it means."""

import json
from typing import Any

import pytest

from pathfinder.client.errors import Unexpected, error_from_answer
from pathfinder.model.errors import ERRORS, DefinitionWrong, Malformed, NotFound, PathfinderError


def answered(error: PathfinderError) -> bytes:
    return json.dumps(error.document()).encode()


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind is not DefinitionWrong])
def test_every_error_of_the_server_comes_back_as_itself(kind: type[PathfinderError]) -> None:
    sent = kind("it is so", hint="do this", name="web")

    received = error_from_answer(kind.http_status, answered(sent))

    assert type(received) is kind
    assert received.document() == sent.document()


def test_a_wrong_definition_keeps_its_place() -> None:
    sent = DefinitionWrong("documents[0].spec", "is missing", hint="write it")

    received = error_from_answer(400, answered(sent))

    assert isinstance(received, DefinitionWrong)
    assert received.document() == sent.document()


def test_an_unknown_code_gets_the_class_of_its_status() -> None:
    content = b'{"error": {"code": "vanished", "message": "gone", "hint": ""}}'

    assert type(error_from_answer(404, content)) is NotFound
    assert type(error_from_answer(400, content)) is Malformed
    assert type(error_from_answer(418, content)) is Unexpected


@pytest.mark.parametrize("content", [b"<html>Bad gateway</html>", b"[]", b'{"error": 5}', b"\xff"])
def test_what_is_not_from_pathfinder_is_said_to_be_so(content: bytes) -> None:
    received = error_from_answer(502, content)

    assert type(received) is Unexpected
    assert "not one of Pathfinder's" in received.message


def test_an_empty_refusal_is_told_by_its_status() -> None:
    assert type(error_from_answer(404, b"")) is NotFound


def test_details_cannot_take_the_place_of_the_message() -> None:
    document: dict[str, Any] = NotFound("no web").document()
    document["error"]["details"] = {"message": "x", "hint": "y", "name": "web"}

    received = error_from_answer(404, json.dumps(document).encode())

    assert (received.message, received.details) == ("no web", {"name": "web"})
