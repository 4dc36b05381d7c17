"""Docker's Engine API: requests, their answers, and answers that come bit by bit."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pathfinder.runtimes.dockerclient.errors import (
    Answered,
    AnswerWrong,
    Conflict,
    NotFound,
    OutcomeOpen,
    Unreachable,
)
from pathfinder.runtimes.http import (
    Answer,
    AnswerLost,
    AnswerTooLarge,
    CannotConnect,
    Endpoint,
    HttpPool,
    HttpStream,
    Request,
    open_stream,
)
from pathfinder.wire.http1 import BodyTooLarge, HttpWrong

REQUEST_S_MAX: Final = 30.0
NEGOTIATION_S_MAX: Final = 10.0
CONNECTIONS_MAX: Final = 16
VERSION: Final = (1, 41)  # of the API that this library was written for: Docker 20.10
REFUSAL_BYTES_MAX: Final = 1 << 20
UPGRADE: Final = {"Connection": "Upgrade", "Upgrade": "tcp"}


class DockerClient:
    """One Docker daemon, for any number of threads. Errors are those of `errors`.

    Connections are kept and bounded. GET is repeated once when its connection breaks; nothing else
    is ever repeated: `OutcomeOpen` asks the caller to look. The version of the API is the one that
    this library was written for, or the nearest that the daemon still speaks.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connections_max: int = CONNECTIONS_MAX,
        request_s_max: float = REQUEST_S_MAX,
    ) -> None:
        self.endpoint = endpoint
        self._request_s_max = request_s_max
        self._pool = HttpPool(endpoint, connections_max=connections_max)
        self._prefix = ""  # of paths: the version of the API; "": not known yet

    def get(self, path: str, *, timeout_s: float | None = None) -> Any:
        """What is at `path`."""
        return self.request("GET", path, timeout_s=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Any:
        """Docker's answer to a request in JSON, within `timeout_s` (None: the client's bound).

        None where Docker answers without a body.
        """
        bound_s = self._request_s_max if timeout_s is None else timeout_s
        return _document(self.raw(json_request(method, path, body, timeout_s=bound_s)))

    def raw(self, request: Request) -> Answer:
        """Any request, its path without a version; its answer when the status is below 400."""
        answer = self._ask(self._versioned(request))
        if answer.status >= 400:
            raise _refusal(answer.status, answer.body)
        return answer

    def stream(self, request: Request) -> HttpStream:
        """A request whose answer is read as it comes, on a connection of its own."""
        try:
            stream = open_stream(self.endpoint, self._versioned(request))
        except CannotConnect as error:
            raise Unreachable(str(error)) from error
        except AnswerLost as error:
            raise OutcomeOpen(str(error)) from error
        if stream.status < 400:
            return stream
        try:
            raise _refusal(stream.status, stream.rest(REFUSAL_BYTES_MAX, request.timeout_s))
        except (OSError, HttpWrong, BodyTooLarge) as error:
            raise OutcomeOpen(f"{request.path}: {error}") from error
        finally:
            stream.close()

    def is_alive(self, timeout_s: float) -> bool:
        """Whether Docker answers within `timeout_s`."""
        try:
            return self._ask(Request("GET", "/_ping", timeout_s=timeout_s)).status < 400
        except (Unreachable, OutcomeOpen):
            return False

    def close(self) -> None:
        """Let go of the kept connections."""
        self._pool.close()

    def _versioned(self, request: Request) -> Request:
        # Two threads at once may both ask, which does no harm; to wait for each other would.
        prefix = self._prefix or self._negotiated(min(request.timeout_s, NEGOTIATION_S_MAX))
        self._prefix = prefix
        return Request(
            request.method,
            prefix + request.path,
            request.body,
            request.headers,
            request.timeout_s,
            request.answer_bytes_max,
        )

    def _negotiated(self, timeout_s: float) -> str:
        document = _document(self._ask(Request("GET", "/version", timeout_s=timeout_s)))
        try:
            least, most = _version(document["MinAPIVersion"]), _version(document["ApiVersion"])
        except (KeyError, TypeError, ValueError):
            raise AnswerWrong("what answers does not tell Docker's API versions") from None
        major, minor = min(max(VERSION, least), most)
        return f"/v{major}.{minor}"

    def _ask(self, request: Request) -> Answer:
        try:
            return self._pool.request(request)
        except CannotConnect as error:
            self._prefix = ""  # another version may answer next time
            raise Unreachable(str(error)) from error
        except (AnswerLost, AnswerTooLarge) as error:
            raise OutcomeOpen(str(error)) from error


def json_request(
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """A request with a body in JSON."""
    told = dict(headers or {})
    content = None
    if body is not None:
        content = json.dumps(body, separators=(",", ":")).encode()
        told["Content-Type"] = "application/json"
    return Request(method, path, content, told, timeout_s)


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def _document(answer: Answer) -> Any:
    if not answer.body.strip():
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        raise AnswerWrong(f"status {answer.status} with a body that is not JSON") from None


def _refusal(status: int, body: bytes) -> Answered:
    try:
        said = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        said = body.decode(errors="replace")[:500] or f"status {status}"
    kinds = {404: NotFound, 409: Conflict}
    return kinds.get(status, Answered)(said.strip(), status)
