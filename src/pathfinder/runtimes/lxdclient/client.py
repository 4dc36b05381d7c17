"""LXD's REST API: requests, their answers, and the operations that they begin."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.runtimes.http import (
    Answer,
    AnswerLost,
    AnswerTooLarge,
    CannotConnect,
    Endpoint,
    HttpPool,
    Request,
)
from pathfinder.runtimes.lxdclient.errors import (
    Answered,
    AnswerWrong,
    Changed,
    NotFound,
    OperationFailed,
    OutcomeOpen,
    Unreachable,
)
from pathfinder.runtimes.websocket import WebSocket, open_websocket
from pathfinder.wire.websocket import HandshakeRefused

REQUEST_S_MAX: Final = 30.0
OPERATION_S_MAX: Final = 120.0
CONNECTIONS_MAX: Final = 16
SUCCESS: Final = 200


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that LXD has begun. `metadata` is the operation's own (secrets, a fingerprint)."""

    path: str
    metadata: Mapping[str, Any]


class LxdClient:
    """One LXD daemon, for any number of threads. Errors are those of `errors`.

    Connections are kept and bounded. GET is repeated once when its connection breaks; nothing else
    is ever repeated: `OutcomeOpen` asks the caller to look.
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

    def get(self, path: str, *, timeout_s: float | None = None) -> Any:
        """The `metadata` of what is at `path`."""
        return self.request("GET", path, timeout_s=timeout_s)["metadata"]

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        etag: str = "",
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """LXD's whole answer to a request in JSON, within `timeout_s` (None: the client's bound).

        `etag`: refuse when what is there has changed since.
        """
        headers = {"If-Match": etag} if etag else {}
        content = None
        if body is not None:
            content = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        bound_s = self._request_s_max if timeout_s is None else timeout_s
        return _document(self.raw(Request(method, path, content, headers, bound_s)))

    def begin(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Operation:
        """Begin an operation and return at once."""
        return _operation(self.request(method, path, body))

    def run(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = OPERATION_S_MAX,
    ) -> dict[str, Any]:
        """A request and, when LXD makes an operation of it, its end; the operation's document.

        A request that is answered at once gives `{}`. OperationFailed when it ends in failure,
        OutcomeOpen when it has not ended in time or LXD forgot it.
        """
        answer = self.request(method, path, body)
        if answer.get("type") != "async":
            return {}
        return self.wait(_operation(answer), timeout_s=timeout_s)

    def wait(self, operation: Operation, *, timeout_s: float = OPERATION_S_MAX) -> dict[str, Any]:
        """The operation's document at its successful end.

        LXD forgets operations 5 s after their end, and all of them when it restarts.
        """
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            path = f"{operation.path}/wait?timeout={max(1, int(left_s))}"
            try:
                document: dict[str, Any] = self.get(path, timeout_s=left_s + 1)
            except NotFound:
                raise OutcomeOpen("LXD has forgotten the operation") from None
            except (Unreachable, OutcomeOpen) as error:
                raise OutcomeOpen(f"LXD went away during the operation: {error}") from error
            if document["status_code"] == SUCCESS:
                return document
            if document["status_code"] >= 400:
                raise OperationFailed(
                    document.get("err") or str(document.get("status")), document.get("metadata")
                )
        raise OutcomeOpen(f"the operation has not ended within {timeout_s:.0f} s")

    def operation(self, answer: Answer) -> Operation:
        """The operation that a `raw` request has begun."""
        return _operation(_document(answer))

    def raw(self, request: Request) -> Answer:
        """Any request; its answer when the status is below 400."""
        try:
            answer = self._pool.request(request)
        except CannotConnect as error:
            raise Unreachable(str(error)) from error
        except (AnswerLost, AnswerTooLarge) as error:
            raise OutcomeOpen(str(error)) from error
        if answer.status >= 400:
            raise _refusal(answer)
        return answer

    def websocket(self, path: str, *, message_bytes_max: int = 1 << 20) -> WebSocket:
        """A WebSocket at `path`, on a connection of its own."""
        try:
            connection = self.endpoint.connect(REQUEST_S_MAX)
        except OSError as error:
            raise Unreachable(f"{self.endpoint} does not answer: {error}") from error
        try:
            return open_websocket(
                connection,
                host=self.endpoint.host,
                path=path,
                timeout_s=REQUEST_S_MAX,
                message_bytes_max=message_bytes_max,
            )
        except HandshakeRefused as error:
            kind = NotFound if error.status == 404 else Answered
            raise kind(f"{path}: {error}", error.status) from None
        except OSError as error:
            raise Unreachable(f"{path}: {error}") from error

    def close(self) -> None:
        """Let go of the kept connections."""
        self._pool.close()


def _document(answer: Answer) -> dict[str, Any]:
    try:
        document = json.loads(answer.body)
    except ValueError:
        raise AnswerWrong(f"status {answer.status} without JSON") from None
    if not isinstance(document, dict):
        raise AnswerWrong(f"status {answer.status} with JSON that is no object")
    return document


def _operation(document: Mapping[str, Any]) -> Operation:
    if document.get("type") != "async":
        raise AnswerWrong("LXD made no operation of it")
    metadata = (document.get("metadata") or {}).get("metadata") or {}
    return Operation(str(document["operation"]), metadata)


def _refusal(answer: Answer) -> Answered:
    try:
        message = str(json.loads(answer.body)["error"])
    except (ValueError, KeyError, TypeError):
        message = f"status {answer.status}"
    kind = {404: NotFound, 412: Changed}.get(answer.status, Answered)
    return kind(message, answer.status)
