"""What can go wrong between a client and its server, beside what the server itself answers.

PathfinderError
├── Unreachable            no conversation: refused, unknown name, no route, not TLS
│   └── CertificateRefused the server is not the one that was to be trusted
├── NoAnswer               the request was sent; whether it was carried out is not known
└── Unexpected             an answer that is not one of this API
"""

import json
from typing import Any

from pathfinder.model.errors import ERRORS, DefinitionWrong, PathfinderError


class Unreachable(PathfinderError):
    """No connection to the server."""

    code = "unreachable"
    http_status = 503
    retry = True


class CertificateRefused(Unreachable):
    """The server's certificate is not trusted."""

    code = "certificate_refused"
    retry = False


class NoAnswer(PathfinderError):
    """The request was sent and no answer came: it may have been carried out."""

    code = "no_answer"
    http_status = 504
    retry = True


class Unexpected(PathfinderError):
    """The answer is not one of this API; `details["status"]` is its HTTP status."""

    code = "unexpected"
    http_status = 502


BY_CODE = {kind.code: kind for kind in ERRORS}
BY_STATUS = {kind.http_status: kind for kind in reversed(ERRORS)}
EXCERPT_LENGTH_MAX = 200


def error_from_answer(status: int, content: bytes) -> PathfinderError:
    """The error that an answer with `status` describes, as an instance of its own class."""
    try:
        described = json.loads(content)["error"]
        code, message = described["code"], described["message"]
    except (ValueError, KeyError, TypeError):
        return _unexpected(status, content)
    hint, details = described.get("hint") or "", described.get("details") or {}
    return error_from_description(code, str(message), str(hint), details, status)


def error_from_description(
    code: str, message: str, hint: str, details: dict[str, Any], status: int = 0
) -> PathfinderError:
    """The error with this code; with an unknown code, the class that fits the status."""
    kind = BY_CODE.get(code) or BY_STATUS.get(status)
    details = {key: value for key, value in details.items() if key not in ("message", "hint")}
    if kind is DefinitionWrong:
        place = str(details.pop("place", ""))
        return DefinitionWrong(place, message.removeprefix(f"{place}: "), hint=hint, **details)
    if kind is None:
        return Unexpected(message, hint=hint, **{**details, "code": code, "status": status})
    return kind(message, hint=hint, **details)


def _unexpected(status: int, content: bytes) -> PathfinderError:
    kind = BY_STATUS.get(status)
    excerpt = content[:EXCERPT_LENGTH_MAX].decode("utf-8", "replace").strip()
    if kind is not None and not excerpt:
        return kind(f"the server answers {status} without saying why")
    return Unexpected(
        f"the answer {status} is not one of Pathfinder's: {excerpt!r}",
        hint="is this address the Pathfinder server's own, and not another program's?",
        status=status,
    )
