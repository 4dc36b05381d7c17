"""A node's side of the API: it registers, and exchanges; both carry messages of the wire room.

The exchange is the one hot route: each node calls it every few seconds for ever. It is a plain ASGI
application beside the framework, which saves two thirds of what a request costs.
"""

from typing import Any, Final

import msgspec
from litestar import Response, post
from litestar.types import Receive, Scope, Send

from pathfinder.api.answers import answer, error_parts, found_bug
from pathfinder.api.asking import AnyRequest, FromBackend
from pathfinder.api.plain import read_body, send_answer
from pathfinder.api.port import Backend
from pathfinder.control import queries
from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import Register, Request
from pathfinder.control.views import NodeView
from pathfinder.model.errors import Forbidden, PathfinderError
from pathfinder.wire.codec import decode, encode
from pathfinder.wire.messages import (
    Exchange,
    Registered,
    Registration,
    Reply,
)

EXCHANGE_PATH: Final = "/api/v3/node/exchange"
JSON: Final = (b"content-type", b"application/json")


@post("/api/v3/node/register", status_code=200, tags=["node"])
async def register(request: AnyRequest, backend: FromBackend) -> Response[Registered]:
    """A node joins, by a join token or the cluster's password; again is the same."""
    asked = decode(Registration, await request.body())
    peer = request.client.host if request.client else ""
    is_good = False
    if asked.cluster_password and not asked.join_token:
        cluster = asked.cluster
        hashed = await backend.look(lambda c, _: queries.password_hash(c, cluster))
        # Without a hash the same work is done, so that the time does not tell what exists.
        is_good = await backend.is_password(asked.cluster_password, hashed, peer)
    command = Register(asked, peer, is_good)
    body = await backend.submit(Request(principal=SYSTEM, command=command))
    node = msgspec.json.decode(body, type=NodeView)
    made = Registered(cluster=node.cluster, node=node.name, revision=node.revision)
    return answer(encode(made), Registered)


class ExchangeRoute:
    """`POST /api/v3/node/exchange`, as an ASGI application."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one exchange, or say in the API's form why not."""
        status, headers = 200, dict[str, str]()
        try:
            reply = await self._reply(scope, receive)
            body = encode(reply)
        except PathfinderError as error:
            status, headers, body = error_parts(error)
        except Exception as bug:  # noqa: BLE001 - the outermost place: a bug has the API's form too
            status, headers, body = error_parts(found_bug(bug, "POST", EXCHANGE_PATH))
        raw = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
        await send_answer(send, status, (JSON, *raw), body)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        caller = self._backend.authenticate(_credential(scope))
        if not caller.node:
            raise Forbidden("an exchange needs the credential of a node")
        body = await read_body(receive, "an exchange")
        return await self._backend.exchange(caller.node, decode(Exchange, body))


def _credential(scope: Scope) -> str:
    for key, value in scope["headers"]:
        if key == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].decode("latin-1").strip()
    return ""


ROUTES: Final[tuple[Any, ...]] = (register,)
