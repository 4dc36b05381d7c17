"""The cookie of a sign-in, and what makes sure that a change by it comes from our own page.

A browser sends cookies along with requests that other sites have made it send. So a change needs
what no other site can add: a header of our own, and the Origin that the browser itself writes.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request

from pathfinder.model.errors import Forbidden

NAME: Final = "pathfinder"
OWN_HEADER: Final = "x-pathfinder-web"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
HINT: Final = "programs use a token: Authorization: Bearer TOKEN"

AnyRequest = Request[Any, Any, Any]


def sign_in_of(request: AnyRequest) -> str:
    """The credential in the cookie, "" without one."""
    cookies = request.cookies
    secure = cookies.get(_name(request, is_secure=True), "")
    if secure or request.url.scheme == "https":
        # A cookie of the plain name could have been planted by a neighbour of this host.
        return secure
    return cookies.get(_name(request, is_secure=False), "")


def require_own_page(request: AnyRequest) -> None:
    """Forbidden for a change that another site may have made the browser send."""
    if request.method in SAFE_METHODS:
        return
    if not request.headers.get(OWN_HEADER):
        raise Forbidden("a change by a sign-in needs the header X-Pathfinder-Web: 1", hint=HINT)
    origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
    if not origin or _place(origin) != host.lower():
        raise Forbidden(
            f"a change by a sign-in comes from {host}, not from {origin[:200] or 'nowhere'}",
            hint="a proxy in front of this server has to pass the header Host on",
        )
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forbidden("a change by a sign-in comes from this server's own page", hint=HINT)


def setting(request: AnyRequest, credential: str, lasts_s: int) -> dict[str, str]:
    """Headers that make the browser keep a sign-in; with "" and 0: forget it."""
    # Behind a proxy that ends TLS we see plain HTTP: then the browser's own word counts.
    origin = request.headers.get("origin", "")
    is_secure = request.url.scheme == "https" or origin.startswith("https://")
    name = _name(request, is_secure=is_secure)
    parts = [f"{name}={credential}", "Path=/", f"Max-Age={lasts_s}", "HttpOnly", "SameSite=Strict"]
    if is_secure:
        parts.append("Secure")
    return {"Set-Cookie": "; ".join(parts), "Cache-Control": "no-store"}


def _name(request: AnyRequest, *, is_secure: bool) -> str:
    """With the port: cookies do not know ports, and two servers may share a host."""
    _, _, port = request.headers.get("host", "").rpartition(":")
    name = f"{NAME}-{port}" if port.isascii() and port.isdigit() and len(port) < 6 else NAME
    return f"__Host-{name}" if is_secure else name


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
