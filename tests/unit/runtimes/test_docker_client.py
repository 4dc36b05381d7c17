"""The parts of the Docker client that need no Docker: frames, archives, references."""

import io
import json
import socketserver
import tarfile
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pathfinder.runtimes.dockerclient.client import DockerClient
from pathfinder.runtimes.dockerclient.commands import Frames, kill
from pathfinder.runtimes.dockerclient.errors import AnswerWrong
from pathfinder.runtimes.dockerclient.files import archive_of, first_entry
from pathfinder.runtimes.dockerclient.images import split_reference
from pathfinder.runtimes.dockerclient.paths import container_path, image_path
from pathfinder.runtimes.http import UnixEndpoint

FRAMES = b"\1\0\0\0\0\0\0\3one" + b"\2\0\0\0\0\0\0\0" + b"\2\0\0\0\0\0\0\3two"


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_frames_are_the_same_in_any_pieces(size: int) -> None:
    frames = Frames()

    found = [
        frame
        for start in range(0, len(FRAMES), size)
        for frame in frames.receive(FRAMES[start : start + size])
    ]

    assert b"".join(data for stream, data in found if stream == 1) == b"one"
    assert b"".join(data for stream, data in found if stream == 2) == b"two"


@pytest.mark.parametrize("data", [b"hello, world", b"\1\1\0\0\0\0\0\1x", b"\3\0\0\0\0\0\0\1x"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a frame"):
        Frames().receive(data)


@pytest.mark.parametrize("path", ["srv/file", "srv/" + "deep/" * 60 + "fil\u00e9", "x" * 101])
def test_archive_is_what_tar_reads(path: str) -> None:
    content = bytes(range(256)) * 3

    archive = archive_of(path, content, 0o640, 1_700_000_000)

    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        (member,) = opened.getmembers()
        file = opened.extractfile(member)
        assert file is not None
        assert (member.name, member.mode, member.mtime) == (path, 0o640, 1_700_000_000)
        assert file.read() == content


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_first_entry_is_what_tar_wrote(form: int) -> None:
    member = tarfile.TarInfo("file")
    member.size, member.mode, member.uid, member.gid = 5, 0o4755, 1000, 2000
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form) as archive:
        archive.addfile(member, io.BytesIO(b"hello"))

    entry = first_entry(written.getvalue())

    assert (entry.kind, entry.content) == (b"0", b"hello")
    assert (entry.mode, entry.uid, entry.gid) == (0o4755, 1000, 2000)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("target", ["../usr/lib/x", "/" + "long/" * 50 + "way"])
def test_link_is_told_with_where_it_leads(form: int, target: str) -> None:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = tarfile.SYMTYPE, target
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form) as archive:
        archive.addfile(member)

    assert first_entry(written.getvalue()).link == target


@pytest.mark.parametrize("content", [b"", b"not a tar", b"z" * 1024])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(AnswerWrong):
        first_entry(content)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("busybox", ("busybox", "latest")),
        ("busybox:1.36", ("busybox", "1.36")),
        ("host:5000/team/web", ("host:5000/team/web", "latest")),
        ("host:5000/team/web:2", ("host:5000/team/web", "2")),
        ("web@sha256:" + "0" * 64, ("web", "sha256:" + "0" * 64)),
    ],
)
def test_reference_has_a_name_and_a_tag(reference: str, parts: tuple[str, str]) -> None:
    assert split_reference(reference) == parts


def test_paths_are_safe_for_any_name() -> None:
    assert container_path("a/../b", "archive", path="/x y") == (
        "/containers/a%2F..%2Fb/archive?path=%2Fx%20y"
    )
    assert (
        image_path("host:5000/web", "tag", repo="a&b") == "/images/host%3A5000/web/tag?repo=a%26b"
    )


def test_process_of_nobody_is_not_killed() -> None:
    assert not kill(1, "0" * 64)
    assert not kill(0, "")


class Versions(socketserver.UnixStreamServer):
    """A daemon that speaks some versions of the API, and remembers what it was asked for."""

    def __init__(self, path: Path, least: str, most: str) -> None:
        self.asked: list[str] = []
        self.said = json.dumps({"MinAPIVersion": least, "ApiVersion": most}).encode()
        super().__init__(str(path), VersionsHandler)


class VersionsHandler(BaseHTTPRequestHandler):
    server: Versions

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(self.server.said)))
        self.end_headers()
        self.wfile.write(self.server.said)


@pytest.mark.parametrize(
    ("least", "most", "version"),
    [("1.12", "1.41", "1.41"), ("1.12", "1.30", "1.30"), ("1.44", "1.52", "1.44")],
)
def test_version_is_ours_or_the_nearest_that_the_daemon_speaks(
    tmp_path: Path, least: str, most: str, version: str
) -> None:
    with Versions(tmp_path / "socket", least, most) as daemon:
        thread = threading.Thread(target=daemon.serve_forever, args=(0.01,))
        thread.start()
        client = DockerClient(UnixEndpoint(str(tmp_path / "socket")))
        client.get("/info")
        client.get("/info")
        client.close()
        daemon.shutdown()
        thread.join()

    assert daemon.asked == ["/version", f"/v{version}/info", f"/v{version}/info"]
