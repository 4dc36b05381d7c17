"""LXD's REST API over its UNIX socket, as far as setting up a machine needs it."""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.trouble import Trouble

# A storage pool takes seconds to make, a Debian image seconds to unpack.
REQUEST_S_MAX: Final = 300.0
PROBE_S_MAX: Final = 5.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, wait_s_max: float) -> None:
        super().__init__("lxd", timeout=wait_s_max)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lxd:
    """A daemon behind its socket."""

    socket_path: Path

    def answers(self) -> bool:
        """Whether a daemon that trusts us is listening."""
        try:
            status, document = self._request("GET", "/1.0", wait_s_max=PROBE_S_MAX)
        except (OSError, http.client.HTTPException):
            return False
        return status == 200 and document.get("metadata", {}).get("auth") == "trusted"

    def get(self, path: str) -> Any:
        """The metadata behind a path; None when there is nothing."""
        status, document = self._ask("GET", path)
        return None if status == 404 else self._metadata("GET", path, status, document)

    def post(self, path: str, body: Mapping[str, Any] | Path, **headers: str) -> Any:
        """Create something from a document or from a file's bytes, and wait until it is there."""
        return self._change("POST", path, body, headers)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change some fields, and wait until it is done."""
        return self._change("PATCH", path, body, {})

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Replace all fields, and wait until it is done."""
        return self._change("PUT", path, body, {})

    def delete(self, path: str) -> None:
        """Remove something; absent is success."""
        status, document = self._ask("DELETE", path)
        if status != 404:
            self._finished("DELETE", path, status, document)

    def _change(
        self, method: str, path: str, body: Mapping[str, Any] | Path, headers: Mapping[str, str]
    ) -> Any:
        status, document = self._ask(method, path, body, headers)
        return self._finished(method, path, status, document)

    def _finished(self, method: str, path: str, status: int, document: dict[str, Any]) -> Any:
        if document.get("type") != "async":
            return self._metadata(method, path, status, document)
        operation = document["operation"]
        _, answer = self._ask("GET", f"{operation}/wait?timeout={REQUEST_S_MAX - 10:.0f}")
        outcome = answer.get("metadata") or {}
        if outcome.get("status_code") != 200:
            raise Trouble(f"LXD, {method} {path}: {outcome.get('err') or outcome.get('status')}")
        return outcome.get("metadata")

    def _metadata(self, method: str, path: str, status: int, document: dict[str, Any]) -> Any:
        if status >= 400:
            raise Trouble(f"LXD, {method} {path}: {document.get('error', status)}")
        return document.get("metadata")

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Path | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        try:
            return self._request(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(f"LXD does not answer at {self.socket_path}: {error}") from error

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Path | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        wait_s_max: float = REQUEST_S_MAX,
    ) -> tuple[int, dict[str, Any]]:
        connection = _UnixConnection(self.socket_path, wait_s_max)
        try:
            if isinstance(body, Path):
                size = {"Content-Length": str(body.stat().st_size)}
                with body.open("rb") as content:
                    connection.request(method, path, content, {**(headers or {}), **size})
            else:
                content_type = {"Content-Type": "application/json"} if body is not None else {}
                text = None if body is None else json.dumps(body)
                connection.request(method, path, text, {**(headers or {}), **content_type})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()
