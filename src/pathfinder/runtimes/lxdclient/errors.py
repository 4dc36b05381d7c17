"""What LXD, or the way to it, can answer instead of what was asked.

LxdError
├── Unreachable        the request was certainly not sent
├── OutcomeOpen        it was sent, but what came of it is not known: look
├── Answered           LXD said no; `status` is HTTP's, str() its own words
│   ├── NotFound       404
│   └── Changed        412  the ETag that had to match does not
├── OperationFailed    LXD accepted the request and failed later; str() is why
└── AnswerWrong        what answers is not LXD, or one that this library does not understand
"""

from collections.abc import Mapping
from typing import Any


class LxdError(Exception):
    """Base of all errors of this library: raise a subclass."""


class Unreachable(LxdError):
    """LXD does not answer, or the certificate is not the pinned one; nothing was sent."""


class OutcomeOpen(LxdError):
    """The request may have happened, or may yet happen: look before asking again."""


class Answered(LxdError):
    """LXD refuses; the message is its own."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotFound(Answered):
    """There is no such thing."""


class Changed(Answered):
    """Somebody else changed it: its ETag is another now."""


class OperationFailed(LxdError):
    """The operation ended in failure, or was cancelled. `metadata` is the operation's own."""

    def __init__(self, message: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.metadata = metadata or {}


class AnswerWrong(LxdError):
    """What answers is not LXD, or an LXD that this library does not understand."""
