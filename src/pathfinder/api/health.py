"""Routes about the server itself: they need no credential, except the version."""

from typing import Any, Final, Literal

import msgspec
from litestar import Response, get

from pathfinder.api.answers import answer, encoded
from pathfinder.api.asking import AnyRequest, FromAsking, FromBackend
from pathfinder.api.document import document
from pathfinder.control.controller import Controller
from pathfinder.model.errors import NotLeading


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The server answers."""

    status: Literal["ok"] = "ok"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Which Pathfinder this is, who leads, and how far the state is."""

    version: str
    api: Literal["v3"] = "v3"
    epoch: int
    revision: int


@get("/healthz", tags=["server"])
async def healthz() -> Response[Health]:
    """Whether the process lives."""
    return encoded(Health())


@get("/readyz", tags=["server"])
async def readyz(backend: FromBackend) -> Response[Health]:
    """Whether this server leads; 503 until it does."""
    if not backend.is_leading:
        raise NotLeading("this server does not lead")
    return encoded(Health())


@get("/api/v3/version", tags=["server"])
async def get_version(asking: FromAsking) -> Response[Version]:
    """Which Pathfinder this is."""
    version = asking.backend.version

    def look(controller: Controller, _: int) -> Version:
        return Version(
            version=version,
            epoch=controller.life.epoch,
            revision=controller.state.revision,
        )

    return encoded(await asking.look_freely(look))


@get("/api/v3/openapi.json", tags=["server"])
async def get_document(request: AnyRequest, backend: FromBackend) -> Response[dict[str, Any]]:
    """This API as an OpenAPI 3.1 document."""
    return answer(document(backend.version, request.app.state.routes), dict[str, Any])


ROUTES: Final[tuple[Any, ...]] = (healthz, readyz, get_version, get_document)
