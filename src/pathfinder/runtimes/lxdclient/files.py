"""Files inside instances, running or not, and their console logs."""

from dataclasses import dataclass
from typing import Final

from pathfinder.runtimes.http import Request
from pathfinder.runtimes.lxdclient.client import LxdClient
from pathfinder.runtimes.lxdclient.errors import Answered, NotFound
from pathfinder.runtimes.lxdclient.paths import instance_path

FILE_S_MAX: Final = 60.0
FILE_BYTES_MAX: Final = 64 << 20
DEPTH_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file's content and its owner and permissions inside the instance."""

    content: bytes
    mode: int
    uid: int
    gid: int


def read_file(client: LxdClient, name: str, path: str, *, bytes_max: int = FILE_BYTES_MAX) -> File:
    """One regular file; NotFound when there is none, Answered when it is a directory."""
    answer = client.raw(_request("GET", name, path, bytes_max=bytes_max))
    if answer.headers.get("x-lxd-type") == "directory":
        raise Answered(f"{path} is a directory", 400)
    return File(
        content=answer.body,
        mode=int(answer.headers.get("x-lxd-mode", "0644"), 8),
        uid=int(answer.headers.get("x-lxd-uid", "0")),
        gid=int(answer.headers.get("x-lxd-gid", "0")),
    )


def write_file(
    client: LxdClient, name: str, path: str, content: bytes, *, mode: int = 0o644
) -> None:
    """Write one file as root, making the directories above it when they are missing."""
    headers = {"X-LXD-type": "file", "X-LXD-write": "overwrite", "X-LXD-mode": f"{mode:04o}"}
    try:
        client.raw(_request("POST", name, path, content=content, headers=headers))
    except NotFound:
        # LXD says 404 for a missing directory and for a missing instance: making the first
        # directory tells the two apart.
        _make_directories(client, name, path)
        client.raw(_request("POST", name, path, content=content, headers=headers))


def remove_file(client: LxdClient, name: str, path: str) -> None:
    """Remove a file or an empty directory; NotFound when there is none."""
    client.raw(_request("DELETE", name, path))


def console_log(client: LxdClient, name: str) -> bytes:
    """What the instance has written to its console; b"" when nothing is kept."""
    try:
        return client.raw(Request("GET", instance_path(name, "console"))).body
    except NotFound:
        raise
    except Answered as error:
        # An instance that has never started has no such file, which LXD 5.0 reports as its own
        # failure: 500 "open .../console.log: no such file or directory".
        if "no such file" in str(error):
            return b""
        raise


def _make_directories(client: LxdClient, name: str, path: str) -> None:
    parts = [part for part in path.split("/") if part][:-1]
    if len(parts) > DEPTH_MAX:
        raise Answered(f"{path} is deeper than {DEPTH_MAX} directories", 400)
    headers = {"X-LXD-type": "directory", "X-LXD-mode": "0755"}
    for depth in range(1, len(parts) + 1):
        above = "/" + "/".join(parts[:depth])
        client.raw(_request("POST", name, above, content=b"", headers=headers))


def _request(
    method: str,
    name: str,
    path: str,
    *,
    content: bytes | None = None,
    headers: dict[str, str] | None = None,
    bytes_max: int = FILE_BYTES_MAX,
) -> Request:
    where = instance_path(name, "files", path=path)
    return Request(method, where, content, headers or {}, FILE_S_MAX, bytes_max)
