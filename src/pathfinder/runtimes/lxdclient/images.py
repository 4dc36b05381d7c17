"""Images in LXD's store: what is there, aliases, uploads, and copies from other servers."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from pathfinder.runtimes.http import Request
from pathfinder.runtimes.lxdclient.client import LxdClient, Operation
from pathfinder.runtimes.lxdclient.errors import Answered, OperationFailed
from pathfinder.runtimes.urls import quoted

UPLOAD_S_MAX: Final = 300.0
DOWNLOAD_S_MAX: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image in the store."""

    fingerprint: str
    aliases: tuple[str, ...]
    size_bytes: int
    public: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Another server with images. `certificate`: its PEM, pinned; "" for simplestreams."""

    server: str
    protocol: Literal["lxd", "simplestreams"]
    certificate: str = ""

    def document(self) -> dict[str, Any]:
        """What goes into an instance's or image's `source` beside alias or fingerprint."""
        document = {"mode": "pull", "server": self.server, "protocol": self.protocol}
        return {**document, "certificate": self.certificate} if self.certificate else document


def list_images(client: LxdClient) -> list[Image]:
    """All images in the store."""
    return [
        Image(
            fingerprint=document["fingerprint"],
            aliases=tuple(alias["name"] for alias in document.get("aliases") or ()),
            size_bytes=document["size"],
            public=document["public"],
        )
        for document in client.get("/1.0/images?recursion=1")
    ]


def alias_target(client: LxdClient, alias: str) -> str:
    """The fingerprint that an alias stands for; NotFound when there is none."""
    target: str = client.get(f"/1.0/images/aliases/{quoted(alias)}")["target"]
    return target


def set_alias(client: LxdClient, alias: str, fingerprint: str) -> None:
    """Make an alias, or point an existing one to another image."""
    body = {"name": alias, "target": fingerprint}
    try:
        client.request("POST", "/1.0/images/aliases", body)
    except Answered as error:
        if "exists" not in str(error):
            raise
        client.request("PUT", f"/1.0/images/aliases/{quoted(alias)}", body)


def upload(client: LxdClient, content: bytes, *, fingerprint: str, public: bool = False) -> None:
    """Put a unified image file into the store; being there already is success.

    `fingerprint` is the SHA-256 of the file: LXD finds the same.
    """
    headers = {"X-LXD-public": "true" if public else "false", "X-LXD-filename": "image.tar.gz"}
    request = Request("POST", "/1.0/images", content, headers, UPLOAD_S_MAX)
    _finish(client, client.operation(client.raw(request)), fingerprint)


def copy_from(client: LxdClient, source: Source, *, alias: str = "", fingerprint: str = "") -> str:
    """Copy an image from another server into the store; its fingerprint."""
    what = {"fingerprint": fingerprint} if fingerprint else {"alias": alias}
    body = {"source": {"type": "image", **source.document(), **what}}
    operation = client.begin("POST", "/1.0/images", body)
    return _finish(client, operation, fingerprint)


def delete(client: LxdClient, fingerprint: str) -> None:
    """Delete an image; NotFound when there is none."""
    client.run("DELETE", f"/1.0/images/{fingerprint}")


def _finish(client: LxdClient, operation: Operation, fingerprint: str) -> str:
    try:
        document = client.wait(operation, timeout_s=DOWNLOAD_S_MAX)
    except OperationFailed as error:
        # Two at once, or again: the store holds one copy of a file, by its fingerprint.
        if not fingerprint or "same fingerprint already exists" not in str(error):
            raise
        return fingerprint
    found: str = (document.get("metadata") or {}).get("fingerprint", fingerprint)
    return found
