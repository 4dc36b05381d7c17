"""Images in Docker's store: what is there, tags, files with images, and pulls from registries."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.runtimes.dockerclient.client import DockerClient
from pathfinder.runtimes.dockerclient.errors import OutcomeOpen, TransferFailed
from pathfinder.runtimes.dockerclient.paths import image_path
from pathfinder.runtimes.http import HttpStream, Request
from pathfinder.runtimes.urls import path_of
from pathfinder.wire.http1 import HttpWrong

TRANSFER_S_MAX: Final = 600.0
LINE_BYTES_MAX: Final = 1 << 20
NO_TAG: Final = "<none>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image in the store; `id` is `sha256:` and 64 hex digits, tags are NAME:TAG."""

    id: str
    tags: tuple[str, ...]
    size_bytes: int


def list_images(client: DockerClient) -> list[Image]:
    """All images in the store."""
    return [
        Image(
            id=document["Id"],
            tags=tuple(tag for tag in document.get("RepoTags") or () if NO_TAG not in tag),
            size_bytes=document["Size"],
        )
        for document in client.get("/images/json")
    ]


def load(client: DockerClient, content: bytes) -> None:
    """Put the images of a file (as `docker save` writes it) into the store, with their tags."""
    path = path_of("images", "load", quiet="1")
    headers = {"Content-Type": "application/x-tar"}
    _transfer(client, Request("POST", path, content, headers, TRANSFER_S_MAX), TRANSFER_S_MAX)


def pull(client: DockerClient, reference: str, *, timeout_s: float = TRANSFER_S_MAX) -> None:
    """Fetch an image from its registry: `HOST/NAME:TAG`, `HOST/NAME@sha256:...`, or Docker Hub's.

    NotFound and Answered when the registry says no, TransferFailed when that comes later.
    """
    name, tag = split_reference(reference)
    path = path_of("images", "create", fromImage=name, tag=tag)
    _transfer(client, Request("POST", path, timeout_s=timeout_s), timeout_s)


def push(client: DockerClient, reference: str, *, timeout_s: float = TRANSFER_S_MAX) -> None:
    """Bring an image to the registry that its reference names."""
    name, tag = split_reference(reference)
    path = image_path(name, "push", tag=tag)
    # Docker insists on this header; what is in it is for registries with a password.
    headers = {"X-Registry-Auth": "e30="}
    _transfer(client, Request("POST", path, b"", headers, timeout_s), timeout_s)


def set_tag(client: DockerClient, reference: str, new: str) -> None:
    """Give an image another name; one that has that name loses it."""
    name, tag = split_reference(new)
    client.request("POST", image_path(reference, "tag", repo=name, tag=tag))


def delete(client: DockerClient, reference: str) -> None:
    """Take a name from an image, and with its last name the image; NotFound without it."""
    client.request("DELETE", image_path(reference))


def split_reference(reference: str) -> tuple[str, str]:
    """A reference's name, and its tag or digest; "latest" where there is none."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    head, slash, last = reference.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{head}{slash}{last}", tag or "latest"


def _transfer(client: DockerClient, request: Request, timeout_s: float) -> None:
    """Follow a transfer to its end. Docker answers 200 first, and tells a failure in a line."""
    stream = client.stream(request)
    try:
        for document in _lines(stream, time.monotonic() + timeout_s):
            if "error" in document:
                raise TransferFailed(str(document["error"]))
    except (OSError, HttpWrong) as error:
        raise OutcomeOpen(f"{request.path}: {str(error) or type(error).__name__}") from error
    finally:
        stream.close()


def _lines(stream: HttpStream, deadline: float) -> Iterator[dict[str, Any]]:
    rest = b""
    while (data := stream.receive(max(0.0, deadline - time.monotonic()))) != b"":
        if data is None:
            raise TimeoutError("not finished in time")
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            raise HttpWrong("a line of the answer is too long")
        for line in lines:
            if document := _document(line):
                yield document
    if document := _document(rest):
        yield document


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line) if line.strip() else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
