"""What Docker, or the way to it, can answer instead of what was asked.

DockerError
├── Unreachable      the request was certainly not sent
├── OutcomeOpen      it was sent, but what came of it is not known: look
├── Answered         Docker said no; `status` is HTTP's, str() its own words
│   ├── NotFound     404
│   └── Conflict     409  a name in use, a state that does not allow it, something under way
├── TransferFailed   a pull or a load had begun and failed; str() is why
└── AnswerWrong      what answers is not Docker, or one that this library does not understand
"""


class DockerError(Exception):
    """Base of all errors of this library: raise a subclass."""


class Unreachable(DockerError):
    """Docker does not answer; nothing was sent."""


class OutcomeOpen(DockerError):
    """The request may have happened, or may yet happen: look before asking again."""


class Answered(DockerError):
    """Docker refuses; the message is its own."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotFound(Answered):
    """There is no such thing."""


class Conflict(Answered):
    """A name is in use, a state does not allow it, or the same is under way."""


class TransferFailed(DockerError):
    """A pull or a load had begun and ended in failure; the message is Docker's."""


class AnswerWrong(DockerError):
    """What answers is not Docker, or a Docker that this library does not understand."""
