"""Kept HTTP connections: when they are used again, what is repeated, and every bound.

Promise 11.
"""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from pathfinder.runtimes.http import (
    AnswerLost,
    AnswerTooLarge,
    CannotConnect,
    HttpPool,
    Request,
    UnixEndpoint,
    open_stream,
)
from pathfinder.wire.http1 import HttpWrong

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
HANG_UP = b""


class Daemon:
    """Answers from a script: for each connection in turn, an answer for each of its requests."""

    def __init__(self, path: Path, script: Sequence[Sequence[bytes]]) -> None:
        self.endpoint = UnixEndpoint(str(path))
        self.requests: list[tuple[int, str]] = []
        self.hung_up = threading.Semaphore(0)
        self._script = script
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for number, answers in enumerate(self._script):
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                for answer in answers:
                    received = b""
                    while b"\r\n\r\n" not in received:
                        data = connection.recv(4096)
                        if not data:
                            break
                        received += data
                    if not received:
                        break
                    self.requests.append((number, received.split(b" ")[0].decode()))
                    connection.sendall(answer)
            self.hung_up.release()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator["DaemonMaker"]:
    maker = DaemonMaker(tmp_path)
    yield maker
    maker.close()


class DaemonMaker:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Daemon] = []

    def __call__(self, *script: Sequence[bytes]) -> Daemon:
        self._made.append(Daemon(self._folder / f"{len(self._made)}.socket", script))
        return self._made[-1]

    def close(self) -> None:
        for daemon in self._made:
            daemon.close()


def test_connection_is_used_again(daemons: DaemonMaker) -> None:
    daemon = daemons([OK, CHUNKED])

    with closing(HttpPool(daemon.endpoint)) as pool:
        bodies = [pool.request(Request("GET", "/")).body for _ in range(2)]

    assert bodies == [b"ok", b"abcde"]
    assert daemon.requests == [(0, "GET"), (0, "GET")]


@pytest.mark.parametrize("answer", [OK, LAST], ids=["without a word", "with notice"])
def test_connection_that_the_daemon_closed_is_not_used_again(
    daemons: DaemonMaker, answer: bytes
) -> None:
    daemon = daemons([answer], [OK])

    with closing(HttpPool(daemon.endpoint)) as pool:
        pool.request(Request("POST", "/"))
        assert daemon.hung_up.acquire(timeout=10)
        pool.request(Request("POST", "/"))

    assert daemon.requests == [(0, "POST"), (1, "POST")]


def test_get_whose_connection_breaks_is_repeated_once(daemons: DaemonMaker) -> None:
    daemon = daemons([HANG_UP], [OK])

    with closing(HttpPool(daemon.endpoint)) as pool:
        answer = pool.request(Request("GET", "/"))

    assert answer.body == b"ok"
    assert daemon.requests == [(0, "GET"), (1, "GET")]


def test_get_is_not_repeated_twice(daemons: DaemonMaker) -> None:
    daemon = daemons([HANG_UP], [HANG_UP], [OK])

    with closing(HttpPool(daemon.endpoint)) as pool, pytest.raises(AnswerLost):
        pool.request(Request("GET", "/"))

    assert daemon.requests == [(0, "GET"), (1, "GET")]


@pytest.mark.parametrize("broken", [HANG_UP, OK[:-1], b"HTTP/1.1 2"], ids=["none", "cut", "head"])
def test_what_changes_something_is_never_repeated(daemons: DaemonMaker, broken: bytes) -> None:
    daemon = daemons([broken], [OK])

    with closing(HttpPool(daemon.endpoint)) as pool, pytest.raises(AnswerLost, match="POST /x"):
        pool.request(Request("POST", "/x"))

    assert daemon.requests == [(0, "POST")]


def test_answer_above_its_bound_is_refused(daemons: DaemonMaker) -> None:
    daemon = daemons([CHUNKED])

    with closing(HttpPool(daemon.endpoint)) as pool, pytest.raises(AnswerTooLarge, match="4 bytes"):
        pool.request(Request("GET", "/", answer_bytes_max=4))


def test_nobody_listens(tmp_path: Path) -> None:
    pool = HttpPool(UnixEndpoint(str(tmp_path / "nothing")))

    with pytest.raises(CannotConnect, match="nothing does not answer"):
        pool.request(Request("POST", "/"))


def test_daemon_that_never_answers_is_left_in_time(tmp_path: Path) -> None:
    path = str(tmp_path / "silent")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        pool = HttpPool(UnixEndpoint(path))

        with pytest.raises(AnswerLost, match="no answer in time"):
            pool.request(Request("POST", "/", timeout_s=0.05))


def test_request_waits_for_a_free_connection_within_its_bound(tmp_path: Path) -> None:
    path = str(tmp_path / "silent")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        pool = HttpPool(UnixEndpoint(path), connections_max=1)
        first = threading.Thread(target=lambda: lost(pool))
        first.start()
        held, _ = listener.accept()
        held.recv(4096)

        with pytest.raises(CannotConnect, match=r"all connections .* are busy"):
            pool.request(Request("POST", "/", timeout_s=0.05))

        held.close()
        first.join()


def lost(pool: HttpPool) -> None:
    with pytest.raises(AnswerLost):
        pool.request(Request("POST", "/"))


def test_stream_is_read_as_it_comes_and_ends(daemons: DaemonMaker) -> None:
    daemon = daemons([CHUNKED])

    with closing(open_stream(daemon.endpoint, Request("GET", "/"))) as stream:
        read = [stream.receive(10), stream.receive(10), stream.receive(10)]

    assert read == [b"abc", b"de", b""]


def test_stream_that_says_nothing_gives_none(daemons: DaemonMaker) -> None:
    daemon = daemons([CHUNKED.partition(b"3\r\n")[0], b""])

    with closing(open_stream(daemon.endpoint, Request("GET", "/"))) as stream:
        assert stream.receive(0) is None


def test_stream_that_breaks_before_its_head_is_lost(daemons: DaemonMaker) -> None:
    daemon = daemons([HANG_UP])

    with pytest.raises(AnswerLost):
        open_stream(daemon.endpoint, Request("GET", "/"))


def test_stream_to_nobody_cannot_connect(tmp_path: Path) -> None:
    with pytest.raises(CannotConnect):
        open_stream(UnixEndpoint(str(tmp_path / "nobody")), Request("GET", "/"))


def test_closing_a_stream_wakes_who_reads_it(daemons: DaemonMaker) -> None:
    daemon = daemons([CHUNKED.partition(b"3\r\n")[0], b""])
    stream = open_stream(daemon.endpoint, Request("GET", "/"))
    timer = threading.Timer(0.05, stream.close)
    timer.start()

    with pytest.raises((OSError, HttpWrong)):
        stream.receive(30)

    timer.join()
