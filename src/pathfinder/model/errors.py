"""Errors that people meet, as one short tree.

    PathfinderError
    ├── Malformed            400  the request cannot be understood
    │   └── DefinitionWrong  400  a manifest or definition is wrong, with the place in it
    ├── Unauthorized         401  no credential, or one that is unknown, revoked or expired
    ├── Forbidden            403  the credential is good for other things
    ├── NotFound             404
    ├── Conflict             409  somebody else changed it, or the state does not allow it
    │   ├── RevisionStale    412  the revision that had to match does not
    │   └── NameTaken        409
    ├── TooMuch              413  larger, longer or more than a bound allows
    ├── TooBusy              429  a queue is full; try again
    ├── NotLeading           503  this server does not lead, or is starting
    ├── NodeSilent           503  the node has not done in time what it was asked for
    └── StoreFull            507  the disk is full: reads go on, changes are refused

A bug is an assertion, never one of these.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar


class PathfinderError(Exception):
    """Base of all expected errors: raise a subclass.

    `message` says what is wrong, `hint` what to do next, `details` carry machine-readable facts.
    `retry` tells whether the same request may succeed later without a change.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", **details: Any) -> None:
        assert type(self) is not PathfinderError, "raise a subclass"
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: Mapping[str, Any] = details

    def document(self) -> dict[str, Any]:
        """The error as the API answers it: `{"error": {code, message, hint, retry, details}}`."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
                "retry": self.retry,
                "details": dict(self.details),
            }
        }


class Malformed(PathfinderError):
    """The request cannot be understood."""

    code = "malformed"
    http_status = 400


class DefinitionWrong(Malformed):
    """A definition is wrong; `details["place"]` says where, as in `spec.resources.memory`."""

    code = "definition_wrong"

    def __init__(self, place: str, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(f"{place}: {message}", hint=hint, place=place, **details)


class Unauthorized(PathfinderError):
    """No credential, or one that is unknown, revoked or expired."""

    code = "unauthorized"
    http_status = 401


class Forbidden(PathfinderError):
    """The credential is good, but not for this."""

    code = "forbidden"
    http_status = 403


class NotFound(PathfinderError):
    """Nothing has this name."""

    code = "not_found"
    http_status = 404


class Conflict(PathfinderError):
    """The present state does not allow it."""

    code = "conflict"
    http_status = 409


class NameTaken(Conflict):
    """Something else has this name."""

    code = "name_taken"


class RevisionStale(Conflict):
    """The object has changed since the revision that the request names."""

    code = "revision_stale"
    http_status = 412


class TooMuch(PathfinderError):
    """Larger, longer or more than a bound allows; the message names the bound."""

    code = "too_much"
    http_status = 413


class TooBusy(PathfinderError):
    """A queue with a bound is full."""

    code = "too_busy"
    http_status = 429
    retry = True


class NotLeading(PathfinderError):
    """This server does not lead, or is starting or stopping."""

    code = "not_leading"
    http_status = 503
    retry = True


class NodeSilent(PathfinderError):
    """The node has not done in time what it was asked for: it may be busy, lost or cut off."""

    code = "node_silent"
    http_status = 503
    retry = True


class StoreFull(PathfinderError):
    """The store's disk is full: reads and leases go on, changes are refused until there is room."""

    code = "store_full"
    http_status = 507
    retry = True


ERRORS: tuple[type[PathfinderError], ...] = (
    Malformed,
    DefinitionWrong,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    RevisionStale,
    NameTaken,
    TooMuch,
    TooBusy,
    NotLeading,
    NodeSilent,
    StoreFull,
)


def revived(body: bytes) -> PathfinderError:
    """The error whose document this is; one of an unknown code becomes a Conflict."""
    told = json.loads(body)["error"]
    kind = next((kind for kind in ERRORS if kind.code == told["code"]), Conflict)
    error = kind.__new__(kind)
    PathfinderError.__init__(error, told["message"], hint=told["hint"], **told["details"])
    return error
