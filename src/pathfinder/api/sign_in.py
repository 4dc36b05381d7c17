"""Routes by which a person signs in, asks who he is, and signs out."""

import secrets
from typing import Any, Final

import msgspec
import structlog
from litestar import Response, delete, get, post
from litestar.params import JSONBody

from pathfinder.api import bodies, cookies
from pathfinder.api.answers import answer
from pathfinder.api.asking import SECRET_BODY, AnyRequest, FromAsking, FromBackend
from pathfinder.control import access, queries
from pathfinder.control.access import Principal
from pathfinder.control.commands import Request as Asked
from pathfinder.control.commands import SignIn, SignOut
from pathfinder.model.errors import Conflict, Unauthorized

PATH: Final = "/api/v3/sign-in"
MS: Final = 1_000


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what he may. No clusters: all of them. `user`: "" for a token."""

    name: str
    user: str
    role: str
    clusters: tuple[str, ...]
    verbs: tuple[str, ...]


@post(PATH, status_code=200, tags=["sign-in"], opt=SECRET_BODY)
async def sign_in(
    request: AnyRequest, backend: FromBackend, data: JSONBody[bodies.SignInBody]
) -> Response[Caller]:
    """Sign in by name and password: the answer sets a cookie, for browsers.

    Needs the header `X-Pathfinder-Web: 1` and an `Origin` of this server, as changes by a cookie.
    """
    cookies.require_own_page(request)
    peer = request.client.host if request.client else ""
    hashed = await backend.look(lambda c, _: queries.password_hash_of_user(c, data.name))
    if not await backend.is_password(data.password, hashed, peer) or not hashed:
        # The name only where it is one: people type passwords into the wrong field.
        name = data.name if hashed else "(unknown)"
        structlog.get_logger("sign-in").warning("refused", user=name, peer=peer)
        raise Unauthorized(
            "name and password do not belong together",
            hint="an administrator sets another: pfi passwd NAME",
        )
    identifier, secret = secrets.token_hex(8), secrets.token_hex(32)
    life = backend.sign_in_life
    command = SignIn(
        id=identifier,
        secret_digest=access.digest(secret),
        password_hash=hashed,
        idle_ms=life.idle_ms,
        whole_ms=life.whole_ms,
        peer=peer,
    )
    await backend.submit(Asked(Principal(name=data.name, role="", user=data.name), command))
    credential = f"pfs.{identifier}.{secret}"
    headers = cookies.setting(request, credential, life.whole_ms // MS)
    return _answer(backend.authenticate(credential), headers)


@get(PATH, tags=["sign-in"])
async def who_am_i(asking: FromAsking) -> Response[Caller]:
    """Who asks, by a sign-in or by a token, and what he may."""
    return _answer(asking.caller, {"Cache-Control": "no-store"})


@delete(PATH, status_code=200, tags=["sign-in"])
async def sign_out(request: AnyRequest, asking: FromAsking) -> Response[Caller]:
    """End the sign-in by which this is asked: its cookie is good for nothing any more."""
    caller = asking.caller
    if not caller.user:
        raise Conflict(
            "this is a token, not a sign-in", hint=f"revoke it: pfi delete token {caller.token}"
        )
    await asking.backend.submit(Asked(caller, SignOut(caller.token)))
    return _answer(caller, cookies.setting(request, "", 0))


def _answer(caller: Principal, headers: dict[str, str]) -> Response[Caller]:
    verbs = tuple(sorted(access.VERBS_OF_ROLE.get(caller.role, ())))
    shown = Caller(
        name=caller.name,
        user=caller.user,
        role=caller.role,
        clusters=caller.clusters,
        verbs=verbs,
    )
    made = answer(msgspec.json.encode(shown), Caller)
    made.headers.update(headers)
    return made


ROUTES: Final[tuple[Any, ...]] = (sign_in, who_am_i, sign_out)
