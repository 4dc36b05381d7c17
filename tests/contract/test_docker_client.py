"""What docs/docker-client.md promises beyond its examples, against a real daemon and a registry."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.runtimes.docker import DockerRuntime
from pathfinder.runtimes.dockerclient.client import DockerClient
from pathfinder.runtimes.dockerclient.commands import open_command, run_command
from pathfinder.runtimes.dockerclient.errors import (
    Answered,
    NotFound,
    TransferFailed,
    Unreachable,
)
from pathfinder.runtimes.dockerclient.files import read_file, write_file
from pathfinder.runtimes.dockerclient.images import delete, pull, push, set_tag
from pathfinder.runtimes.dockerclient.paths import container_path
from pathfinder.runtimes.http import UnixEndpoint
from pathfinder.runtimes.port import ImageMissing, Labels, Remote, Wish
from tests.support.dockerd import PrivateDocker
from tests.support.processes import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

NAME = "client-01"


@pytest.fixture
def daemon(docker: PrivateDocker) -> Iterator[PrivateDocker]:
    yield docker
    docker.remove_containers()


@pytest.fixture
def client(daemon: PrivateDocker) -> DockerClient:
    return daemon.client


@pytest.fixture
def running(daemon: PrivateDocker) -> PrivateDocker:
    daemon.client.request("POST", f"/containers/create?name={NAME}", {"Image": "busybox"})
    daemon.client.request("POST", container_path(NAME, "start"))
    return daemon


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry on the loopback, which Docker trusts without TLS; its host and port."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("not installed: docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    process = subprocess.Popen(
        [program, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    host, port = address.split(":")

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    wait_until(listens, 20, "the registry listens")
    yield address
    process.terminate()
    process.wait(20)


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    client = DockerClient(UnixEndpoint(str(tmp_path / "nobody")))

    with pytest.raises(Unreachable):
        client.get("/info")
    assert not client.is_alive(1.0)


def test_what_docker_refuses_is_told_in_its_words(client: DockerClient) -> None:
    with pytest.raises(Answered, match="Range of CPUs"):
        client.request(
            "POST",
            "/containers/create",
            {"Image": "busybox", "HostConfig": {"NanoCpus": 10**15}},
        )


def test_command_that_reads_nothing_ends_when_its_session_is_closed(
    running: PrivateDocker,
) -> None:
    session = open_command(running.client, NAME, ("sleep", "1000"))

    def sleepers() -> int:
        return run_command(running.client, NAME, ("ps",))[1].count(b"sleep 1000\n")

    wait_until(lambda: sleepers() == 1, 20, "the command runs")
    session.close()

    wait_until(lambda: sleepers() == 0, 20, "the command has ended")


def test_closing_wakes_who_reads_the_output(running: PrivateDocker) -> None:
    session = open_command(running.client, NAME, ("cat",))
    reader = threading.Thread(target=lambda: list(session.frames()))
    reader.start()

    session.close()

    reader.join(20)
    assert not reader.is_alive()


def test_much_output_arrives_whole(running: PrivateDocker) -> None:
    session = open_command(running.client, NAME, ("head", "-c", "3000000", "/dev/zero"))
    session.write(b"")

    length = sum(len(data) for _, data in session.frames())

    assert (length, session.exit_code()) == (3_000_000, 0)
    session.close()


def test_link_is_followed_and_a_directory_is_said_to_be_one(running: PrivateDocker) -> None:
    write_file(running.client, NAME, "/srv/a/file", b"one")
    run_command(running.client, NAME, ("ln", "-s", "../a/file", "/srv/link"))
    run_command(running.client, NAME, ("mkdir", "/srv/b"))
    run_command(running.client, NAME, ("mv", "/srv/link", "/srv/b/link"))

    assert read_file(running.client, NAME, "/srv/b/link").content == b"one"
    with pytest.raises(Answered, match="is a directory"):
        read_file(running.client, NAME, "/srv/a")
    with pytest.raises(NotFound):
        read_file(running.client, NAME, "/srv/nothing")


def test_directories_that_exist_keep_their_mode(running: PrivateDocker) -> None:
    write_file(running.client, NAME, "/tmp/deep/file", b"one")

    _, output, _ = run_command(running.client, NAME, ("stat", "-c", "%a", "/tmp", "/tmp/deep"))

    assert output == b"1777\n755\n"


def test_name_that_begins_an_id_is_not_that_container(running: PrivateDocker) -> None:
    runtime = DockerRuntime(running.socket_path)
    beginning = running.document(NAME)["Id"][:12]

    assert runtime.inspect(beginning) is None
    runtime.remove(beginning)

    assert running.document(NAME)["State"]["Status"] == "running"
    runtime.close()


def test_image_is_fetched_from_its_registry_when_it_is_not_there(
    daemon: PrivateDocker, registry: str
) -> None:
    reference = f"{registry}/team/web:2"
    set_tag(daemon.client, "busybox", reference)
    push(daemon.client, reference)
    delete(daemon.client, reference)
    runtime = DockerRuntime(daemon.socket_path)
    remote = Remote(name="hub", server=f"https://{registry}", protocol="registry")

    def wish(alias: str) -> Wish:
        return Wish(
            name=NAME,
            labels=Labels(cluster="c", slot=NAME, generation=1, digest="d"),
            spec=ContainerSpec(kind="application", image=ImageSource(alias=alias, remote="hub")),
            remote=remote,
        )

    with pytest.raises(ImageMissing, match="hub:team/web:3") as missing:
        runtime.create(wish("team/web:3"))
    runtime.create(wish("team/web:2"))

    assert registry in missing.value.hint
    assert daemon.document(NAME)["Config"]["Image"] == reference
    runtime.close()
    daemon.remove_containers()
    delete(daemon.client, reference)


def test_pull_that_fails_says_why(client: DockerClient) -> None:
    with pytest.raises((TransferFailed, Answered), match="connection refused"):
        pull(client, "127.0.0.1:1/nothing", timeout_s=60)
