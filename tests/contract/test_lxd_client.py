"""The LXD client over HTTPS, and images from other servers, against real daemons."""

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.runtimes.lxd import LxdRuntime
from pathfinder.runtimes.lxdclient.client import LxdClient
from pathfinder.runtimes.lxdclient.commands import open_command, run_command
from pathfinder.runtimes.lxdclient.endpoints import HttpsEndpoint, fingerprint_of
from pathfinder.runtimes.lxdclient.errors import Answered, Changed, OutcomeOpen, Unreachable
from pathfinder.runtimes.lxdclient.events import events
from pathfinder.runtimes.lxdclient.images import (
    Source,
    alias_target,
    copy_from,
    delete,
    list_images,
    upload,
)
from pathfinder.runtimes.port import ImageMissing, Labels, Remote, Wish
from tests.support.certificates import Certificate, self_signed
from tests.support.lxd import PrivateLxd, private_lxd

pytestmark = [pytest.mark.system, pytest.mark.slow]

NAME = "https-01"


@pytest.fixture(scope="module")
def other() -> Iterator[PrivateLxd]:
    """A second daemon, whose image is public."""
    with private_lxd() as daemon:
        (image,) = list_images(daemon.client)
        daemon.client.request("PATCH", f"/1.0/images/{image.fingerprint}", {"public": True})
        yield daemon


@pytest.fixture(scope="module")
def address(other: PrivateLxd) -> str:
    return other.listen()


@pytest.fixture(scope="module")
def credential(other: PrivateLxd, tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    certificate = self_signed(tmp_path_factory.mktemp("client"), "client")
    other.trust(certificate.pem)
    return certificate


@pytest.fixture
def https(other: PrivateLxd, address: str, credential: Certificate) -> Iterator[LxdClient]:
    endpoint = HttpsEndpoint(
        address,
        fingerprint=fingerprint_of(other.certificate),
        certificate_file=credential.certificate_file,
        key_file=credential.key_file,
    )
    with closing(LxdClient(endpoint)) as client:
        yield client
    other.remove_instances()


@pytest.fixture
def emptied(lxd: PrivateLxd) -> Iterator[PrivateLxd]:
    """The first daemon without images, as a new node is."""
    (image,) = list_images(lxd.client)
    delete(lxd.client, image.fingerprint)
    yield lxd
    lxd.remove_instances()
    for left in list_images(lxd.client):
        delete(lxd.client, left.fingerprint)
    lxd.provide_image()


def wish(remote: Remote, **image: str) -> Wish:
    return Wish(
        name=NAME,
        labels=Labels(cluster="c", slot=NAME, generation=1, digest="d"),
        spec=ContainerSpec(image=ImageSource(remote=remote.name, **image)),
        remote=remote,
    )


def running(client: LxdClient) -> None:
    source = {"type": "image", "alias": "busybox"}
    client.run("POST", "/1.0/instances", {"name": NAME, "source": source})
    client.run("PUT", f"/1.0/instances/{NAME}/state", {"action": "start"})


def test_trusted_client_may_do_everything(https: LxdClient) -> None:
    running(https)

    code, output, _ = run_command(https, NAME, ("head", "-c", "700000", "/dev/zero"))

    assert https.get("/1.0")["auth"] == "trusted"
    assert (code, output) == (0, bytes(700_000))


def test_output_of_a_short_command_is_whole(https: LxdClient) -> None:
    """It may have ended before its input is closed, or before every line to it is open."""
    running(https)
    heard: list[tuple[int, bytes, bytes]] = []

    def ask() -> None:
        heard.extend(run_command(https, NAME, ("echo", "x")) for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert heard == [(0, b"x\n", b"")] * 200


def test_much_goes_through_a_command_in_both_directions_over_tls(https: LxdClient) -> None:
    running(https)
    session = open_command(https, NAME, ("cat",))
    sent = bytes(range(256)) * 8_000

    def write() -> None:
        session.write(sent)
        session.write(b"")

    writer = threading.Thread(target=write)
    writer.start()
    received = b"".join(data for _, data in session.frames())
    writer.join()
    session.close()

    assert received == sent


def test_events_arrive_over_tls(https: LxdClient) -> None:
    with closing(events(https, kinds=("lifecycle",), stopping=lambda: False)) as happening:
        first = next(happening)
        running(https)
        second = next(happening)

    assert first is None
    assert second is not None
    assert second.metadata["source"] == f"/1.0/instances/{NAME}"


def test_server_with_another_certificate_is_never_asked(address: str, lxd: PrivateLxd) -> None:
    endpoint = HttpsEndpoint(address, fingerprint=fingerprint_of(lxd.certificate))

    with closing(LxdClient(endpoint)) as client, pytest.raises(Unreachable, match="fingerprint"):
        client.get("/1.0")


def test_stranger_sees_public_images_only(address: str, other: PrivateLxd) -> None:
    endpoint = HttpsEndpoint(address, fingerprint=fingerprint_of(other.certificate))

    with closing(LxdClient(endpoint)) as client:
        assert alias_target(client, "busybox")
        with pytest.raises(Answered) as caught:
            client.get("/1.0/instances")

    assert caught.value.status == 403


def test_stale_etag_is_told_as_changed(https: LxdClient) -> None:
    running(https)

    with pytest.raises(Changed):
        https.request("PATCH", f"/1.0/instances/{NAME}", {"description": "x"}, etag="stale")


def test_answer_that_never_comes_is_an_open_outcome(other: PrivateLxd) -> None:
    with closing(LxdClient(other.client.endpoint, request_s_max=0.3)) as client:
        client.get("/1.0")
        with other.frozen(), pytest.raises(OutcomeOpen, match="in time"):
            client.request("POST", "/1.0/profiles", {"name": "late"})


def test_uploading_twice_is_uploading_once(lxd: PrivateLxd) -> None:
    (image,) = list_images(lxd.client)
    content = (lxd.directory / "busybox.tar.gz").read_bytes()

    upload(lxd.client, content, fingerprint=image.fingerprint)

    assert list_images(lxd.client) == [image]


def test_image_comes_from_another_daemon(
    emptied: PrivateLxd, other: PrivateLxd, address: str
) -> None:
    remote = Remote(name="hub", server=address, certificate=other.certificate)

    with closing(LxdRuntime(emptied.socket_path)) as runtime:
        runtime.create(wish(remote, alias="busybox"))
        runtime.start(NAME)
        instance = runtime.inspect(NAME)

    assert instance is not None
    assert instance.state == "running"


def test_image_that_the_other_daemon_does_not_have_is_missing(
    emptied: PrivateLxd, other: PrivateLxd, address: str
) -> None:
    remote = Remote(name="hub", server=address, certificate=other.certificate)

    with (
        closing(LxdRuntime(emptied.socket_path)) as runtime,
        pytest.raises(ImageMissing, match="hub:nothing") as caught,
    ):
        runtime.create(wish(remote, alias="nothing"))

    assert address in caught.value.hint


def test_image_is_copied_into_the_store(
    emptied: PrivateLxd, other: PrivateLxd, address: str
) -> None:
    source = Source(server=address, protocol="lxd", certificate=other.certificate)

    fingerprint = copy_from(emptied.client, source, alias="busybox")

    assert [image.fingerprint for image in list_images(emptied.client)] == [fingerprint]


def test_image_comes_from_simplestreams(emptied: PrivateLxd, tmp_path: Path) -> None:
    image = emptied.directory / "busybox.tar.gz"
    publish(image, tmp_path)

    with simplestreams(tmp_path) as (server, certificate):
        remote = Remote(
            name="images", server=server, protocol="simplestreams", certificate=certificate
        )
        with closing(LxdRuntime(emptied.socket_path)) as runtime:
            runtime.create(wish(remote, alias="tiny"))
            runtime.start(NAME)
            instance = runtime.inspect(NAME)

    assert instance is not None
    assert instance.state == "running"


def publish(image: Path, root: Path) -> None:
    """A simplestreams tree with one image in LXD's unified form, under the alias `tiny`."""
    content = image.read_bytes()
    item: dict[str, Any] = {
        "ftype": "lxd_combined.tar.gz",
        "path": "image.tar.gz",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
    product = {
        "aliases": "tiny",
        "arch": "amd64",
        "os": "busybox",
        "release": "1",
        "release_title": "1",
        "versions": {"20260101_0000": {"items": {"lxd_combined.tar.gz": item}}},
    }
    products = {"content_id": "images", "datatype": "image-downloads", "format": "products:1.0"}
    index = {
        "format": "index:1.0",
        "index": {
            "images": {
                "datatype": "image-downloads",
                "path": "streams/v1/images.json",
                "products": ["tiny:1:amd64:default"],
            }
        },
    }
    streams = root / "streams" / "v1"
    streams.mkdir(parents=True)
    (root / "image.tar.gz").write_bytes(content)
    (streams / "index.json").write_text(json.dumps(index))
    (streams / "images.json").write_text(
        json.dumps({**products, "products": {"tiny:1:amd64:default": product}})
    )


@contextmanager
def simplestreams(root: Path) -> Iterator[tuple[str, str]]:
    """A server of the tree: its address and its certificate in PEM."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(root))

        def log_message(self, format: str, *args: object) -> None:
            """Tests are silent."""

    certificate = self_signed(root, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}", certificate.pem
        finally:
            server.shutdown()
            thread.join()
