"""The OpenAPI 3.1 document: made from the routes, completed by what only this room knows."""

from functools import cache
from typing import Any, Final

import msgspec

from pathfinder.api import bodies
from pathfinder.api.answers import ERROR_STATUSES, ErrorDocument
from pathfinder.wire.messages import Exchange, Registration, Reply

REFERENCE: Final = "#/components/schemas/{name}"
# Documents are read by `control.manifests`; these types describe them.
BODY_OF_OPERATION: Final[dict[str, type]] = {
    "put_container": bodies.ContainerBody,
    "put_deployment": bodies.DeploymentBody,
    "put_image": bodies.ImageBody,
    "put_remote": bodies.RemoteBody,
    "register": Registration,
}


@cache
def document(version: str) -> bytes:
    """The document as JSON."""
    return b"{}"
