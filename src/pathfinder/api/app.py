"""The application: all routes on one backend."""

import time
from typing import Any, Final

import structlog
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from pathfinder.api import (
    conversation,
    events,
    health,
    questions,
    routes,
    sign_in,
    snapshots,
    terminals,
    tokens,
    users,
)
from pathfinder.api.answers import answer_error
from pathfinder.api.asking import DEPENDENCIES
from pathfinder.api.conversation import EXCHANGE_PATH, ExchangeRoute
from pathfinder.api.original.app import PREFIXES, OriginalApi
from pathfinder.api.port import Backend
from pathfinder.wire.messages import BODY_BYTES_MAX

ROUTES: Final[tuple[Any, ...]] = (
    *health.ROUTES,
    *routes.ROUTES,
    *questions.ROUTES,
    *tokens.ROUTES,
    *users.ROUTES,
    *sign_in.ROUTES,
    *events.ROUTES,
    *terminals.ROUTES,
    *snapshots.ROUTES,
    *conversation.ROUTES,
)
NOSNIFF: Final = (b"x-content-type-options", b"nosniff")


class Application:
    """The ASGI application: exchange, v1 and v2 by a short way; the rest by the framework."""

    def __init__(self, backend: Backend, *, logs_requests: bool = False) -> None:
        """`logs_requests`: a line for each at level debug, without its query and its headers."""
        self._logs_requests = logs_requests
        self._exchange = ExchangeRoute(backend)
        self._original = OriginalApi(backend)
        self._framework: ASGIApp = framework(backend)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if self._logs_requests:
            send = _logged(scope, send)
        raw: Any = scope  # uvicorn gives plain words where the framework's types are enumerations
        if raw["path"] == EXCHANGE_PATH and raw.get("method") == "POST":
            await self._exchange(scope, receive, send)
        elif raw["path"].startswith(PREFIXES) and raw["type"] == "http":
            await self._original(scope, receive, send)
        else:
            await self._framework(scope, receive, _unsniffed(send))


def _unsniffed(send: Send) -> Send:
    """`send` whose answers are what they say they are: a log is no page, whatever it holds."""

    async def saying_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], NOSNIFF]
        await send(message)

    return saying_send


def _logged(scope: Scope, send: Send) -> Send:
    """`send` that also logs what is answered, and after how long."""
    began_ns = time.monotonic_ns()
    raw: Any = scope

    async def logging_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            structlog.get_logger("api").debug(
                "answered",
                method=raw["method"],
                path=raw["path"],
                status=message["status"],
                took_ms=(time.monotonic_ns() - began_ns) // 1_000_000,
            )
        await send(message)

    return logging_send


def framework(backend: Backend) -> Litestar:
    """All routes but the exchange."""
    return Litestar(
        list(ROUTES),
        dependencies={
            **DEPENDENCIES,
            "backend": Provide(lambda: backend, sync_to_thread=False, use_cache=True),
        },
        exception_handlers={Exception: answer_error},
        request_max_body_size=BODY_BYTES_MAX,
        state=State({"routes": ROUTES}),
        openapi_config=None,
        logging_config=None,
    )
