"""Makes health checks: a command inside the container, a GET, or a connection to its address."""

import socket
import threading
from collections.abc import Callable
from typing import Final

from pathfinder.agent.health import Check, Standings
from pathfinder.agent.inbox import Inbox, Probed
from pathfinder.agent.workers import Crew, spawn
from pathfinder.runtimes.port import Runtime, RuntimeFailure, Terminal
from pathfinder.wire.http1 import AnswerReader, HttpWrong, request_bytes

AT_ONCE_MAX: Final = 4
WAIT_S_MAX: Final = 30.0
SAID_BYTES_MAX: Final = 200
GOOD_BELOW: Final = 400


class Prober:
    """One thread that knows when, and a few that ask. Verdicts go to the inbox.

    A node on which nothing is checked has none of these threads.
    """

    def __init__(
        self,
        runtime: Runtime,
        inbox: Inbox,
        now_ms: Callable[[], int],
        stopping: threading.Event,
    ) -> None:
        self._runtime = runtime
        self._inbox = inbox
        self._now_ms = now_ms
        self._stopping = stopping
        self._has_begun = False
        self._standings = Standings()
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._told: tuple[Check, ...] = ()
        self._crew = Crew("probe", AT_ONCE_MAX)

    def tell(self, checks: tuple[Check, ...]) -> None:
        """What runs and shall be checked; called by one thread."""
        if checks and not self._has_begun:
            self._has_begun = True
            spawn("prober", self._run)
        if checks != self._told:
            self._told = checks
            with self._lock:
                self._standings.update(checks, self._now_ms())
            self._news.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            with self._lock:
                now_ms = self._now_ms()
                due, wake_ms = self._standings.due(now_ms), self._standings.wake_ms()
            for check in due:
                self._submit(check)
            wait_s = WAIT_S_MAX if wake_ms is None else max(0.0, (wake_ms - now_ms) / 1000)
            self._news.wait(min(WAIT_S_MAX, wait_s))

    def _submit(self, check: Check) -> None:
        def make() -> None:
            why_not = probe(self._runtime, check)
            with self._lock:
                verdict = self._standings.result(check, why_not, self._now_ms())
            if verdict is not None:
                self._inbox.put(Probed(verdict=verdict))
            self._news.set()

        self._crew.submit(make)


def probe(runtime: Runtime, check: Check) -> str | None:
    """Make one check: "" when it succeeds, else why not; None when nobody could be asked."""
    health = check.health
    if health.command:
        return _command(runtime, check)
    port = health.http_port or health.tcp_port
    try:
        with socket.create_connection((check.address, port), health.timeout_s) as connection:
            return _get(connection, check) if health.http_port else ""
    except HttpWrong as error:
        return f"port {port}: {error}"
    except OSError as error:
        what = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        return f"port {port}: {what}"


def _get(connection: socket.socket, check: Check) -> str:
    health = check.health
    host = f"{check.address}:{health.http_port}"
    headers = {"Connection": "close", "User-Agent": "pathfinder-agent"}
    connection.settimeout(health.timeout_s)
    connection.sendall(request_bytes("GET", health.http_path, host, headers, None))
    reader = AnswerReader(lambda: connection.recv(4096), "GET")
    reader.read_head()
    if reader.status < GOOD_BELOW:
        return ""
    return f"GET {health.http_path} on port {health.http_port} gives status {reader.status}"


def _command(runtime: Runtime, check: Check) -> str | None:
    said = bytearray()
    try:
        session = runtime.open_session(check.name, Terminal(command=check.health.command))
    except RuntimeFailure:
        return None  # the daemon is silent, or the container has just stopped
    is_late = threading.Event()

    def give_up() -> None:
        is_late.set()
        session.close()

    timer = threading.Timer(check.health.timeout_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        session.write(b"")
        for _, data in session.frames():
            said += data[: SAID_BYTES_MAX - len(said)]
    except OSError:
        pass  # it takes no input, or has just ended: its exit code tells
    finally:
        timer.cancel()
        session.close()
    words = " ".join(check.health.command[:3])
    if is_late.is_set():
        return f"{words}: no answer in {check.health.timeout_s} s"
    code = session.exit_code()
    text = said.decode(errors="replace").strip()
    return f"{words}: exit code {code}{': ' if text else ''}{text}" if code else ""
