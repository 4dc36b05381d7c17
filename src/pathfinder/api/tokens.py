"""Routes for credentials. A secret is made here, shown once, and never stored: only its digest."""

import hashlib
import hmac
import secrets
from typing import Any, Final

import msgspec
from litestar import Response, delete, get, post
from litestar.params import JSONBody

from pathfinder.api import bodies
from pathfinder.api import parameters as given
from pathfinder.api.answers import answer, encoded
from pathfinder.api.asking import Changing, FromAsking, FromChanging
from pathfinder.api.port import Backend
from pathfinder.control import access, commands, queries, views
from pathfinder.control.commands import CreateToken
from pathfinder.control.views import Plan
from pathfinder.model.errors import Conflict

# Makes the secret of a request that carries an idempotency key: repeated, it gets the same one.
# Ends with the process, so that nothing on disk can make secrets.
_KEY: Final = secrets.token_bytes(32)


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A credential with its secret, which is shown this once."""

    id: str
    token: str
    name: str
    role: str
    clusters: tuple[str, ...]
    expires_ms: int


class NewJoinToken(msgspec.Struct, frozen=True, kw_only=True):
    """What one node joins with, once."""

    id: str
    token: str
    cluster: str
    node: str
    expires_ms: int


@get("/api/v3/tokens", tags=["tokens"])
async def list_tokens(
    asking: FromAsking, after: given.After = "", limit: given.Limit = given.LIMIT_DEFAULT
) -> Response[queries.TokenPage]:
    """Credentials, without their secrets, ordered by identifier."""
    caller = asking.caller
    window = given.window(after, limit)
    scope = caller.clusters[0] if caller.clusters else ""
    return encoded(
        await asking.look(lambda c, _: queries.tokens(c, caller, window), "admin", scope)
    )


@get("/api/v3/tokens/{identifier:str}", tags=["tokens"])
async def get_token(identifier: given.TokenId, asking: FromAsking) -> Response[views.TokenView]:
    """One credential, without its secret."""
    caller = asking.caller
    scope = caller.clusters[0] if caller.clusters else ""
    view, clusters = await asking.look(
        lambda c, _: queries.one_token(c, identifier), "admin", scope
    )
    for cluster in clusters or ("",):
        caller.require("admin", cluster)
    return encoded(view, etag=view.revision)


@post("/api/v3/tokens", tags=["tokens"])
async def create_token(
    data: JSONBody[bodies.TokenBody], changing: FromChanging
) -> Response[NewToken | Plan]:
    """Make a credential for the API; its secret is shown this once."""
    identifier, secret = _mint(changing)
    command = CreateToken(
        id=identifier,
        role=data.role,
        secret_digest=access.digest(secret),
        name=data.name,
        clusters=data.clusters,
        expires_ms=_expiry(changing.backend, data.ttl_s),
    )
    body = await changing.run(command)
    if changing.dry_run:
        return answer(body, NewToken, status=200)
    made = _made(body, identifier)
    token = NewToken(
        id=made.id,
        token=f"pft.{made.id}.{secret}",
        name=made.name,
        role=made.role,
        clusters=made.clusters,
        expires_ms=made.expires_ms,
    )
    return answer(msgspec.json.encode(token), NewToken, status=201)


@post("/api/v3/clusters/{cluster:str}/join-tokens", tags=["tokens"])
async def create_join_token(
    cluster: given.ClusterName,
    changing: FromChanging,
    data: JSONBody[bodies.JoinTokenBody | None] = None,
) -> Response[NewJoinToken | Plan]:
    """Make what one node joins with, once."""
    asked = data or bodies.JoinTokenBody()
    identifier, secret = _mint(changing)
    command = CreateToken(
        id=identifier,
        role="join",
        secret_digest=access.digest(secret),
        clusters=(cluster,),
        node=asked.node or "",
        expires_ms=_expiry(changing.backend, asked.ttl_s),
    )
    body = await changing.run(command)
    if changing.dry_run:
        return answer(body, NewJoinToken, status=200)
    made = _made(body, identifier)
    token = NewJoinToken(
        id=made.id,
        token=f"pf1.{changing.backend.spki_digest}.{made.id}.{secret}",
        cluster=cluster,
        node=made.node,
        expires_ms=made.expires_ms,
    )
    return answer(msgspec.json.encode(token), NewJoinToken, status=201)


@delete("/api/v3/tokens/{identifier:str}", status_code=200, tags=["tokens"])
async def delete_token(
    identifier: given.TokenId, changing: FromChanging
) -> Response[views.TokenView | Plan]:
    """Revoke a credential, from the next request on."""
    return answer(await changing.run(commands.DeleteToken(identifier)), views.TokenView)


def _mint(changing: Changing) -> tuple[str, str]:
    """An identifier and a secret: random, or the same ones for the same idempotency key."""
    if not changing.idempotency_key:
        return secrets.token_hex(8), secrets.token_hex(32)
    origin = f"{changing.caller.name}\n{changing.idempotency_key}\n{changing.request_digest}"
    made = hmac.digest(_KEY, origin.encode(), hashlib.sha512).hex()
    return made[:16], made[16:80]


def _made(body: bytes, identifier: str) -> views.TokenView:
    made = msgspec.json.decode(body, type=views.TokenView)
    if made.id != identifier:
        # Answered by an earlier life of this server: the secret is not known here.
        raise Conflict(
            f"the token {made.id} was made by this request before the server restarted",
            hint=f"its secret is not kept: revoke it (pfi delete token {made.id}) and make another",
        )
    return made


def _expiry(backend: Backend, ttl_s: int | None) -> int:
    return backend.wall_ms() + ttl_s * 1000 if ttl_s else 0


ROUTES: Final[tuple[Any, ...]] = (
    list_tokens,
    get_token,
    create_token,
    create_join_token,
    delete_token,
)
