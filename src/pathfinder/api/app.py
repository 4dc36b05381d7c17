"""The application: all routes on one backend."""

from typing import Any, Final

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp, Receive, Scope, Send

from pathfinder.api import conversation, events, health, routes, terminals, tokens
from pathfinder.api.answers import answer_error
from pathfinder.api.asking import DEPENDENCIES
from pathfinder.api.conversation import EXCHANGE_PATH, ExchangeRoute
from pathfinder.api.port import Backend
from pathfinder.wire.messages import BODY_BYTES_MAX

ROUTES: Final[tuple[Any, ...]] = (
    *health.ROUTES,
    *routes.ROUTES,
    *tokens.ROUTES,
    *events.ROUTES,
    *terminals.ROUTES,
    *conversation.ROUTES,
)


class Application:
    """The ASGI application: the exchange by a short way, everything else by the framework."""

    def __init__(self, backend: Backend) -> None:
        self._exchange = ExchangeRoute(backend)
        self._framework: ASGIApp = framework(backend)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        raw: Any = scope  # uvicorn gives plain words where the framework's types are enumerations
        if raw["path"] == EXCHANGE_PATH and raw.get("method") == "POST":
            await self._exchange(scope, receive, send)
        else:
            await self._framework(scope, receive, send)


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
