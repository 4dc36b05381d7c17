"""Answers: JSON that was made elsewhere, and every error in the one form that the API has."""

from typing import Any, Final, TypeVar, cast

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, ValidationException

from pathfinder.model.errors import (
    Malformed,
    NotFound,
    PathfinderError,
    TooMuch,
    Unauthorized,
)

T = TypeVar("T")
RETRY_AFTER_S: Final = "1"


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong. `retry`: whether the same request may succeed later without a change."""

    code: str
    message: str
    hint: str
    retry: bool
    details: dict[str, Any]


class ErrorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to every request that failed."""

    error: ErrorBody


class MethodNotAllowed(PathfinderError):
    """This path exists, and not for this method."""

    code = "method_not_allowed"
    http_status = 405


class Internal(PathfinderError):
    """A bug. What it was stands in the server's log."""

    code = "internal"
    http_status = 500


def answer(
    body: bytes,
    kind: type[T],  # noqa: ARG001 - tells the type checker what the body is
    *,
    status: int = 200,
    etag: int | None = None,
) -> Response[T]:
    """JSON that is the encoded form of `kind` already."""
    headers = None if etag is None else {"ETag": f'"{etag}"'}
    made = Response(body, media_type=MediaType.JSON, status_code=status, headers=headers)
    return cast("Response[T]", made)


def encoded(value: T, *, etag: int | None = None) -> Response[T]:
    """A value as JSON."""
    return answer(msgspec.json.encode(value), type(value), etag=etag)


def error_parts(error: PathfinderError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error."""
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry:
        headers["Retry-After"] = RETRY_AFTER_S
    return error.http_status, headers, msgspec.json.encode(error.document(), enc_hook=repr)


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Any exception as the API's answer; what is not a person's mistake is logged as a bug."""
    headers_more = {}
    if isinstance(error, PathfinderError):
        expected: PathfinderError = error
    elif isinstance(error, RecursionError):
        expected = Malformed("body: is nested too deeply")
    elif isinstance(error, HTTPException) and error.status_code < 500:
        expected = _from_litestar(error)
        headers_more = {key: str(value) for key, value in (error.headers or {}).items()}
    else:
        expected = found_bug(error, request.method, request.url.path)
    status, headers, body = error_parts(expected)
    return Response(
        body, media_type=MediaType.JSON, status_code=status, headers={**headers_more, **headers}
    )


def found_bug(bug: Exception, method: str, path: str) -> PathfinderError:
    """Log what nobody expected; the error that is answered in its place."""
    structlog.get_logger("api").error(
        "a request met a bug",
        method=method,
        path=path,
        exc_info=(type(bug), bug, bug.__traceback__),
    )
    return Internal(
        "a bug in Pathfinder; nothing was changed",
        hint="the server's log has the details: please report them",
    )


def _from_litestar(error: HTTPException) -> PathfinderError:
    match error.status_code:
        case 404:
            return NotFound("there is nothing at this path", hint="see /api/v3/openapi.json")
        case 405:
            return MethodNotAllowed("this path does not know this method")
        case 413:
            return TooMuch("the request's body is larger than 4 MiB")
        case _:
            return Malformed(_what_is_wrong(error))


def _what_is_wrong(error: HTTPException) -> str:
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        first = error.extra[0]
        message, key = str(first.get("message", "")), str(first.get("key", ""))
        if key == "data":
            return f"body: {message}" if message != "'data'" else "body: is missing"
        return f"{key}: {message}" if key else message
    return str(error.detail)
