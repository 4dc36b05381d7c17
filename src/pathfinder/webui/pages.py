"""An ASGI application that gives browsers the built pages, in front of the one that has the API.

All files are in memory from the start, once plain and once compressed: there are few of them, and
no path of a request ever reaches the disk.
"""

import gzip
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

STATIC: Final = Path(__file__).with_name("static")
ROOT: Final = "/ui/"
INDEX: Final = "index.html"
HASHED: Final = "assets/"  # the build names these by their content
FOR_EVER: Final = b"public, max-age=31536000, immutable"
ASK_AGAIN: Final = b"no-cache"
TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}
# Scripts and styles from our own files alone; nothing is loaded from elsewhere, nobody frames us.
# `data:` for images: a few of the style sheet's masks.
POLICY: Final = (
    b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    b"form-action 'self'; frame-ancestors 'none'"
)
PROTECTION: Final = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

Headers = tuple[tuple[bytes, bytes], ...]
Scope = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a file, plain or compressed, with its own tag."""

    body: bytes
    etag: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Page:
    """One file."""

    plain: Form
    compressed: Form


class WebUi:
    """Pages below `/ui/`; everything else is `rest`'s."""

    def __init__(self, rest: Application, directory: Path = STATIC) -> None:
        self._rest = rest
        self._pages = {
            path.relative_to(directory).as_posix(): _page(path, directory)
            for path in sorted(directory.rglob("*"))
            if path.is_file()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        path = scope["path"] if scope["type"] == "http" else ""
        if path in ("/", "/ui"):
            await _answer(send, 307, ((b"location", ROOT.encode()),))
        elif not path.startswith(ROOT):
            await self._rest(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, ((b"allow", b"GET, HEAD"),))
        else:
            await self._give(path.removeprefix(ROOT), scope, send)

    async def _give(self, name: str, scope: Scope, send: Send) -> None:
        page = self._pages.get(name)
        if page is None and not name.startswith(HASHED):
            # The page itself reads the rest of the path: a link may lead anywhere in it.
            page = self._pages.get(INDEX)
        if page is None:
            await _answer(send, 404, ())
            return
        given = dict(scope["headers"])
        form = page.compressed if b"gzip" in given.get(b"accept-encoding", b"") else page.plain
        if form.etag in given.get(b"if-none-match", b""):
            await _answer(send, 304, form.headers)
            return
        is_head = scope["method"] == "HEAD"
        length = (b"content-length", str(len(form.body)).encode())
        await _answer(send, 200, (*form.headers, length), b"" if is_head else form.body)


async def _answer(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    if status not in (200, 304):
        headers = (*headers, (b"content-length", b"0"))
    start = {"type": "http.response.start", "status": status, "headers": [*headers, *PROTECTION]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _page(path: Path, directory: Path) -> Page:
    body = path.read_bytes()
    name = path.relative_to(directory).as_posix()
    digest = hashlib.sha256(body).hexdigest()[:32]
    common: Headers = (
        (b"content-type", TYPES[path.suffix]),
        (b"cache-control", FOR_EVER if name.startswith(HASHED) else ASK_AGAIN),
        (b"vary", b"accept-encoding"),
    )

    def form(content: bytes, tag: str, *more: tuple[bytes, bytes]) -> Form:
        etag = f'"{tag}"'.encode()
        return Form(content, etag, (*common, *more, (b"etag", etag)))

    small = gzip.compress(body, compresslevel=9, mtime=0)
    return Page(form(body, digest), form(small, f"{digest}-gz", (b"content-encoding", b"gzip")))
