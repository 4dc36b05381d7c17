"""A daemon's socket with somebody in between who cuts the connection at the n-th request."""

import http.client
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal

from pathfinder.runtimes.http import UnixEndpoint

Moment = Literal["before", "after"]


class CuttingProxy(socketserver.ThreadingUnixStreamServer):
    """Passes requests on. The one with number `cut` is cut before or after the daemon has it."""

    daemon_threads = True

    def __init__(self, path: str, daemon_path: str, *, cut: int, moment: Moment) -> None:
        super().__init__(path, _Handler)
        self.daemon_path = daemon_path
        self.cut = cut
        self.moment = moment
        self.seen = 0
        self._lock = threading.Lock()

    def next_number(self) -> int:
        """Requests are counted from 1, over all connections."""
        with self._lock:
            self.seen += 1
            return self.seen

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that is cut is what this is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CuttingProxy

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        is_cut = self.server.next_number() == self.server.cut
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if is_cut and self.server.moment == "before":
            self.close_connection = True
            return
        answer = self._from_daemon(body)
        content = answer.read()
        if is_cut:
            self.close_connection = True
            return
        self.send_response_only(answer.status, answer.reason)
        self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _from_daemon(self, body: bytes) -> http.client.HTTPResponse:
        endpoint = UnixEndpoint(self.server.daemon_path)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = endpoint.connect(5.0)
        connection.sock.settimeout(60.0)
        headers = {"Connection": "close", "Content-Type": self.headers.get("Content-Type", "")}
        connection.request(self.command, self.path, body, headers)
        return connection.getresponse()


@contextmanager
def cutting_proxy(
    path: str, daemon_path: str, *, cut: int, moment: Moment
) -> Iterator[CuttingProxy]:
    """The proxy listening at `path`."""
    with CuttingProxy(path, daemon_path, cut=cut, moment=moment) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
