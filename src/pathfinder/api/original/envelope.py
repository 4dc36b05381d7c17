"""The one form of the original's answers: data with a version, or an error without a trace."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from pathfinder.model.errors import Malformed, NotFound, PathfinderError, Unauthorized

CONTENT_TYPE: Final = (b"content-type", b"application/json; charset=utf-8")
VERSION_OF_ERRORS: Final = "1.0"  # also of those that v2 answers


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: almost always 200, since these clients know no other success."""

    body: bytes
    status: int = 200


class Invalid(Malformed):
    """What was asked for is not valid. `fields`: which parameter, and what is wrong with it."""

    code = "invalid"
    http_status = 406

    def __init__(self, resource: str, *fields: tuple[str, str]) -> None:
        said = ", ".join(f"{_shown(name)} {what}" for name, what in fields)
        super().__init__(f"Validation failed: {said}", fields=fields, resource=resource)


def data(version: str, content: object) -> Answer:
    """A success."""
    document = {"api_version": version, "notifications": [], "data": content}
    return Answer(msgspec.json.encode(document))


def items(version: str, found: Sequence[object]) -> Answer:
    """A list; its clients have never been told how long it is."""
    return data(version, {"total_server_items": 0, "items": found})


def bare(content: object, *, status: int = 200) -> Answer:
    """One of the few answers without the envelope."""
    return Answer(msgspec.json.encode(content), status)


def error(problem: PathfinderError, now_ms: int) -> Answer:
    """An error as v1 says it, for v2 as well."""
    message = "Unauthorized access" if isinstance(problem, Unauthorized) else problem.message
    if problem.hint and not isinstance(problem, (Unauthorized, Invalid)):
        message = f"{message} ({problem.hint})"
    errors: list[Mapping[str, Any]] = [{"message": message}]
    if isinstance(problem, Invalid):
        errors = [{"field": field, "message": what} for field, what in problem.details["fields"]]
    told: dict[str, Any] = {
        "error_ident": _ident(),
        "message": message,
        "messages": [],
        "details": [],
        "errors": errors,
        "time": _moment(now_ms).isoformat(timespec="milliseconds"),
        "links": [],
    }
    resource = problem.details.get("resource", "")
    if resource:
        told["resource"] = resource
    document = {"api_version": VERSION_OF_ERRORS, "notifications": [], "error": told}
    return Answer(msgspec.json.encode(document), problem.http_status)


def missing(resource: str, name: str) -> NotFound:
    """There is no such thing; said in the original's words."""
    return NotFound(f"Couldn't find {resource} {name!r}", resource=resource)


def time_text(ms: int) -> str:
    """A moment in data: UTC, milliseconds."""
    return _moment(ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ident() -> str:
    """What a person can read out to find the request again."""
    made = secrets.token_hex(4).upper()
    return f"{made[:4]}-{made[4:]}"


def _shown(field: str) -> str:
    return field.replace("_", " ").capitalize()
