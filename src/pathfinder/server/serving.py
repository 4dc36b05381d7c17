"""`pathfinder server`: the process around the backend, from the first socket to the last answer."""

import asyncio
import gc
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import uvicorn

from pathfinder.api.app import Application
from pathfinder.api.port import SignInLife
from pathfinder.server.backend import Server
from pathfinder.server.clock import MachineClock
from pathfinder.server.http import Protocol
from pathfinder.server.journal import HOUR_MS, Retention
from pathfinder.server.trouble import Trouble
from pathfinder.store.port import Store, StoreFailure
from pathfinder.webui.pages import WebUi

FINISH_S_MAX: Final = 3  # for what is in flight when the server is told to stop
BACKLOG: Final = 2_048
KEEP_ALIVE_S: Final = 75
WEBSOCKET_BYTES_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where to listen, with which certificate (None: plain HTTP), and whether to log requests."""

    host: str
    port: int
    certificate: Path | None
    key: Path | None
    logs_requests: bool = False


class Http(uvicorn.Server):
    """uvicorn, with the signals left to us: it would end the process by the signal, not with 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class Process:
    """One run of the server."""

    def __init__(
        self, store: Store, listening: Listening, settings: dict[str, int], spki_digest: str
    ) -> None:
        self._listening = listening
        self._settings = settings
        self._failure = ""
        self._stopping = asyncio.Event()
        self._log = structlog.get_logger("server")
        self._server = Server(
            store,
            clock=MachineClock(),
            retention=Retention(
                records_max=settings["PATHFINDER_SNAPSHOT_RECORDS_MAX"],
                bytes_max=settings["PATHFINDER_SNAPSHOT_MIB_MAX"] << 20,
                history_ms=settings["PATHFINDER_HISTORY_DAYS"] * 24 * HOUR_MS,
            ),
            spki_digest=spki_digest,
            on_failure=self._fail,
            sign_in_life=SignInLife(
                whole_ms=settings["PATHFINDER_SIGN_IN_HOURS"] * HOUR_MS,
                idle_ms=settings["PATHFINDER_SIGN_IN_IDLE_HOURS"] * HOUR_MS,
            ),
        )

    async def run(self) -> int:
        """Serve until told to stop; the exit code. Trouble when it cannot begin."""
        bound = bind(self._listening)
        try:
            await self._server.begin()
        except StoreFailure as error:
            raise Trouble(str(error)) from None
        http = self._http()
        settle_memory()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        serving = asyncio.create_task(http.serve(sockets=[bound]))
        scheme = "http" if self._listening.certificate is None else "https"
        host, port = bound.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"pathfinder {self._server.version} listens on {scheme}://{shown}:{port}", flush=True)
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        http.should_exit = True
        self._server.end_conversations()
        await serving
        await self._server.stop()
        self._log.info("stopped", why=self._failure or "told to")
        return 1 if self._failure else 0

    def _http(self) -> uvicorn.Server:
        listening = self._listening
        config = uvicorn.Config(
            WebUi(Application(self._server, logs_requests=self._listening.logs_requests)),
            loop="none",
            http=Protocol,
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # anybody could claim to be another peer
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=FINISH_S_MAX,
            limit_concurrency=self._settings["PATHFINDER_CONNECTIONS_MAX"],
            ws_max_size=WEBSOCKET_BYTES_MAX,
            ws_per_message_deflate=False,
            ssl_certfile=str(listening.certificate) if listening.certificate else None,
            ssl_keyfile=str(listening.key) if listening.key else None,
        )
        try:
            config.load()
        except (ssl.SSLError, OSError) as error:
            raise Trouble(
                f"cannot use {listening.certificate} with {listening.key}: {error.strerror}",
                hint="is it the certificate of this key, in PEM? pathfinder init makes both",
            ) from None
        return Http(config)

    def _on_signal(self, number: int) -> None:
        if self._stopping.is_set():
            os._exit(128 + number)
        self._log.info("stopping", signal=signal.Signals(number).name)
        self._stopping.set()

    def _fail(self, why: str) -> None:
        self._failure = why
        self._stopping.set()


def settle_memory() -> None:
    """What is there now stays: the collector need not look at it again, nor look often.

    The state's objects refer to no cycles, and a request leaves next to none.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def bind(listening: Listening) -> socket.socket:
    """A socket on the address; Trouble with what to do when that is not possible."""
    where = f"{listening.host}:{listening.port}"
    try:
        family, _, protocol, _, address = socket.getaddrinfo(
            listening.host, listening.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With its protocol named: on others, asyncio (not uvloop) leaves Nagle's algorithm on, and
        # an answer's body waits 40 ms for the acknowledgement of its head.
        bound = socket.socket(family, socket.SOCK_STREAM, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # Listening is part of the test: two programs may both be bound, only one listens.
        bound.listen(BACKLOG)
    except OSError as error:
        raise Trouble(
            f"cannot listen on {where}: {error.strerror}",
            hint=f"who has it: ss -ltnp 'sport = :{listening.port}'; or choose another --listen",
        ) from None
    return bound
