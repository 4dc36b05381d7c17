"""Who asks and under which conditions: what most routes need, as two dependencies."""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter, QueryParameter, SkipValidation

from pathfinder.api import cookies
from pathfinder.api.port import Backend, Query
from pathfinder.control.access import Principal, Verb
from pathfinder.control.commands import Command, RenewSignIn
from pathfinder.control.commands import Request as Asked
from pathfinder.model.errors import Malformed, PathfinderError

T = TypeVar("T")
ETAG: Final = re.compile(r'(?:W/)?"(\d{1,18})"')

AnyRequest = Request[Any, Any, Any]
FromBackend = NamedDependency[SkipValidation[Backend]]


@dataclass(frozen=True, slots=True)
class Asking:
    """A request of somebody who is known."""

    backend: Backend
    caller: Principal

    async def look(self, query: Query[T], verb: Verb = "read", cluster: str = "") -> T:
        """What the query gives; Forbidden unless the caller may `verb` in the cluster."""
        self.caller.require(verb, cluster)
        return await self.backend.look(query)

    async def look_freely(self, query: Query[T]) -> T:
        """What the query gives, for queries that show each caller only what he may see."""
        return await self.backend.look(query)


@dataclass(frozen=True, slots=True)
class Changing(Asking):
    """A request for a change, with its conditions."""

    dry_run: bool
    if_match: int | None
    idempotency_key: str
    request_digest: str

    async def run(self, command: Command) -> bytes:
        """The JSON answer, once the change is durable."""
        return await self.backend.submit(
            Asked(
                principal=self.caller,
                command=command,
                idempotency_key=self.idempotency_key,
                request_digest=self.request_digest,
                if_match=self.if_match,
                dry_run=self.dry_run,
            )
        )


DryRun = Annotated[
    bool, QueryParameter(description="Answer what would change, and change nothing.")
]
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        pattern=r'^(W/)?"[0-9]{1,18}"$',
        description="The revision that the thing must have, in quotes, as in ETag; else 412.",
    ),
]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[!-~]+$",
        description="The same key and request within 24 hours has the effect and answer of one.",
    ),
]
FromAsking = NamedDependency[SkipValidation[Asking]]
FromChanging = NamedDependency[SkipValidation[Changing]]


# The body of such a route holds a password: no quick digest of it may be stored anywhere.
SECRET_BODY: Final = {"has_secret_body": True}


def credential(request: AnyRequest) -> str:
    """The credential of a request, "" when it has none.

    A sign-in's cookie comes with whatever the browser sends: Forbidden when the request would
    change something and is not certainly our own page's.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    if token := request.headers.get("x-auth-token"):
        return token
    if cookie := cookies.sign_in_of(request):
        cookies.require_own_page(request)
        return cookie
    return ""


async def asking(request: AnyRequest, backend: FromBackend) -> Asking:
    """Authenticate; Unauthorized."""
    return Asking(backend, await _caller(request, backend))


async def _caller(request: AnyRequest, backend: Backend) -> Principal:
    caller = backend.authenticate(credential(request))
    if caller.is_renewal_due:
        try:
            await backend.submit(Asked(principal=caller, command=RenewSignIn(caller.token)))
        except PathfinderError:
            pass  # what was asked is answered all the same: the sign-in is good
    return caller


async def changing(
    request: AnyRequest,
    backend: FromBackend,
    *,
    dry_run: DryRun = False,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Changing:
    """Authenticate and read the conditions; Unauthorized, Malformed."""
    caller = await _caller(request, backend)
    digest = ""
    if idempotency_key:
        parts = (request.method, request.url.path, request.url.query, "")
        is_secret = request.route_handler.opt.get("has_secret_body", False)
        body = b"" if is_secret else await request.body()
        digest = hashlib.sha256("\n".join(parts).encode() + body).hexdigest()
    return Changing(backend, caller, dry_run, _revision(if_match), idempotency_key or "", digest)


def _revision(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    match = ETAG.fullmatch(if_match)
    if match is None:
        raise Malformed('If-Match: must be a revision in quotes, as in If-Match: "17"')
    return int(match[1])


DEPENDENCIES: Final = {"asking": Provide(asking), "changing": Provide(changing)}
