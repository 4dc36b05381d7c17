"""Files inside containers, running or not, and their logs.

Docker gives and takes tar archives. What is needed of tar is written here: `tarfile` would bring
1 MB with it.
"""

import posixpath
import time
from dataclasses import dataclass
from typing import Final

from pathfinder.runtimes.dockerclient.client import DockerClient
from pathfinder.runtimes.dockerclient.commands import Frames
from pathfinder.runtimes.dockerclient.errors import Answered, AnswerWrong, NotFound
from pathfinder.runtimes.dockerclient.paths import container_path
from pathfinder.runtimes.http import Request

FILE_S_MAX: Final = 60.0
FILE_BYTES_MAX: Final = 64 << 20
LOG_LINES_MAX: Final = 5_000
LINKS_MAX: Final = 16
BLOCK: Final = 512
NAME_BYTES_MAX: Final = 100  # of a tar header without extensions
REGULAR: Final = (b"0", b"\0")
LINK: Final = b"2"
DIRECTORY: Final = b"5"
LONG_LINK: Final = b"K"
EXTENDED: Final = b"x"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file's content and its owner and permissions inside the container."""

    content: bytes
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a tar archive; `link`: where a symbolic link leads."""

    kind: bytes
    link: str
    content: bytes
    mode: int
    uid: int
    gid: int


def read_file(
    client: DockerClient, name: str, path: str, *, bytes_max: int = FILE_BYTES_MAX
) -> File:
    """One regular file, links followed; NotFound without it, Answered for a directory."""
    archive_bytes_max = bytes_max + 8 * BLOCK
    for _ in range(LINKS_MAX):
        where = container_path(name, "archive", path=path)
        request = Request("GET", where, None, {}, FILE_S_MAX, archive_bytes_max)
        entry = first_entry(client.raw(request).body)
        if entry.kind in REGULAR:
            return File(content=entry.content, mode=entry.mode, uid=entry.uid, gid=entry.gid)
        if entry.kind != LINK:
            what = "a directory" if entry.kind == DIRECTORY else "no regular file"
            raise Answered(f"{path} is {what}", 400)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.link))
    raise Answered(f"{path} is behind more than {LINKS_MAX} links", 400)


def write_file(
    client: DockerClient, name: str, path: str, content: bytes, *, mode: int = 0o644
) -> None:
    """Write one file as root; Docker makes the directories above it when they are missing."""
    archive = archive_of(posixpath.normpath(path).lstrip("/"), content, mode, int(time.time()))
    where = container_path(name, "archive", path="/")
    client.raw(Request("PUT", where, archive, {"Content-Type": "application/x-tar"}, FILE_S_MAX))


def container_log(client: DockerClient, name: str, *, lines_max: int = LOG_LINES_MAX) -> bytes:
    """The last lines that the container has written, both streams; b"" when nothing is kept."""
    has_terminal = client.get(container_path(name, "json"))["Config"]["Tty"]
    query = {"stdout": "1", "stderr": "1", "tail": str(lines_max)}
    try:
        body = client.raw(Request("GET", container_path(name, "logs", **query))).body
    except NotFound:
        raise
    except Answered as error:
        # A daemon whose log driver only sends says: "configured logging driver does not support
        # reading".
        if "does not support reading" in str(error):
            return b""
        raise
    return body if has_terminal else b"".join(part for _, part in Frames().receive(body))


def archive_of(path: str, content: bytes, mode: int, mtime_s: int) -> bytes:
    """A tar archive with one regular file of root's."""
    encoded = path.encode()
    extension = b""
    if len(encoded) > NAME_BYTES_MAX:
        record = _record(b"path", encoded)
        extension = _header(b"extended", EXTENDED, len(record), 0o644, mtime_s) + _padded(record)
    header = _header(encoded[:NAME_BYTES_MAX], b"0", len(content), mode, mtime_s)
    return extension + header + _padded(content) + bytes(2 * BLOCK)


def first_entry(archive: bytes) -> Entry:
    """The first entry of a tar archive, with what extensions say of it; AnswerWrong: it is none."""
    at, link = 0, ""
    try:
        while len(header := archive[at : at + BLOCK]) == BLOCK:
            size = _number(header[124:136])
            content = archive[at + BLOCK : at + BLOCK + size]
            kind = header[156:157]
            if kind == EXTENDED:
                link = _records(content).get("linkpath", link)
            elif kind == LONG_LINK:
                link = _text(content)
            else:
                return Entry(
                    kind=kind,
                    link=link or _text(header[157:257]),
                    content=content,
                    mode=_number(header[100:108]) & 0o7777,
                    uid=_number(header[108:116]),
                    gid=_number(header[116:124]),
                )
            at += BLOCK + -(-size // BLOCK) * BLOCK
    except ValueError:
        pass
    raise AnswerWrong("what Docker sent is not a tar archive")


def _header(name: bytes, kind: bytes, size: int, mode: int, mtime_s: int) -> bytes:
    fields = b"".join(
        (
            name.ljust(NAME_BYTES_MAX, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % 0,
            b"%07o\0" % 0,
            b"%011o\0" % size,
            b"%011o\0" % mtime_s,
            b" " * 8,  # the place of the sum, which counts as blanks
            kind,
            bytes(100),
            b"ustar\x0000",
        )
    ).ljust(BLOCK, b"\0")
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH key=value`, where the length counts its own digits."""
    rest = b" %b=%b\n" % (key, value)
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _records(content: bytes) -> dict[str, str]:
    found = {}
    while content:
        length = int(content.partition(b" ")[0])
        record, content = content[:length], content[max(1, length) :]
        key, _, value = record.partition(b" ")[2].rstrip(b"\n").partition(b"=")
        found[key.decode()] = value.decode()
    return found


def _number(field: bytes) -> int:
    """An octal number; numbers too big for it have the first bit set and are binary."""
    if field[0] & 0x80:
        return int.from_bytes(field) & ~(0x80 << 8 * (len(field) - 1))
    return int(field.strip(b" \0") or b"0", 8)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode()
