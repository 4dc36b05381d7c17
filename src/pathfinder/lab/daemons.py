"""The container daemons of a node: started in it, and set up through their own APIs."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pathfinder.lab import images
from pathfinder.lab.layout import MIGRATION_PORT, NodeLayout
from pathfinder.lab.nodes import Node
from pathfinder.lab.trouble import Trouble
from pathfinder.runtimes.dockerclient import errors as docker_errors
from pathfinder.runtimes.dockerclient.client import DockerClient
from pathfinder.runtimes.dockerclient.images import list_images as docker_images
from pathfinder.runtimes.dockerclient.images import load
from pathfinder.runtimes.http import UnixEndpoint
from pathfinder.runtimes.lxdclient import errors as lxd_errors
from pathfinder.runtimes.lxdclient.client import LxdClient
from pathfinder.runtimes.lxdclient.images import alias_target, set_alias, upload

ANSWER_S_MAX: Final = 60.0
LOOK_S: Final = 0.05
BRIDGE: Final = "lxdbr0"
IMAGE: Final = "busybox"
POOL_SIZE: Final = "20GiB"


def start_all(node: Node, cache: Path) -> None:
    """Start the node's daemons with storage, a network and our image; again is the same."""
    for runtime in node.layout.lab.record.runtimes:
        START[runtime](node, cache)


def build_images(cache: Path, runtimes: tuple[str, ...]) -> None:
    """The images that nodes are given, made once for all labs."""
    cache.mkdir(parents=True, exist_ok=True)
    for runtime in runtimes:
        if not _archive(cache, runtime).exists():
            BUILD[runtime](_archive(cache, runtime))


def _archive(cache: Path, runtime: str) -> Path:
    return cache / f"busybox-{runtime}.tar.gz"


def lxd_client(node: NodeLayout) -> LxdClient:
    """LXD's API of a node, from the machine."""
    return LxdClient(UnixEndpoint(str(node.socket("lxd"))))


def docker_client(node: NodeLayout) -> DockerClient:
    """Docker's API of a node, from the machine."""
    return DockerClient(UnixEndpoint(str(node.socket("docker"))))


def _start_lxd(node: Node, cache: Path) -> None:
    layout = node.layout
    node.start("lxd", ["lxd", "--group", "root"])
    client = lxd_client(layout)
    try:
        _wait_for(node, "lxd", lambda: client.get("/1.0"), lxd_errors.LxdError)
        _set_up_lxd(layout, client)
        archive = _archive(cache, "lxd")
        fingerprint = images.fingerprint(archive)
        if not _has(lambda: alias_target(client, IMAGE) == fingerprint, lxd_errors.NotFound):
            upload(client, archive.read_bytes(), fingerprint=fingerprint, public=True)
            set_alias(client, IMAGE, fingerprint)
    except lxd_errors.LxdError as error:
        raise Trouble(f"{node.name}: LXD: {error}", hint=f"see {node.log('lxd')}") from None
    finally:
        client.close()


def _set_up_lxd(layout: NodeLayout, client: LxdClient) -> None:
    """The migration address, a pool, a bridge with the node's own subnet, and the profile."""
    wanted = {
        "core.https_address": f"{layout.address}:{MIGRATION_PORT}",
        "images.auto_update_interval": "0",
        "images.remote_cache_expiry": "0",
    }
    has: Mapping[str, Any] = client.get("/1.0")["config"]
    if any(has.get(key) != value for key, value in wanted.items()):
        client.request("PATCH", "/1.0", {"config": wanted})
    storage = layout.lab.record.storage
    if not client.get("/1.0/storage-pools"):
        # What is compressed between two nodes on one machine only costs time.
        config = {"rsync.compression": "false"} if storage == "dir" else {"size": POOL_SIZE}
        pool = {"name": "default", "driver": storage, "config": config}
        client.request("POST", "/1.0/storage-pools", pool)
    if f"/1.0/networks/{BRIDGE}" not in client.get("/1.0/networks"):
        network = {
            "ipv4.address": f"{layout.subnet('lxd', 1)}/24",
            "ipv4.nat": "false",
            "ipv4.firewall": "false",
            "ipv6.address": "none",
        }
        client.request(
            "POST", "/1.0/networks", {"name": BRIDGE, "type": "bridge", "config": network}
        )
    if not client.get("/1.0/profiles/default")["devices"]:
        devices = {
            "root": {"type": "disk", "path": "/", "pool": "default"},
            "eth0": {"type": "nic", "name": "eth0", "network": BRIDGE},
        }
        client.request("PATCH", "/1.0/profiles/default", {"devices": devices})


def _start_docker(node: Node, cache: Path) -> None:
    layout = node.layout
    home = layout.directory / "docker"
    node.start(
        "docker",
        [
            "dockerd",
            *("--host", f"unix://{layout.socket('docker')}"),
            *("--data-root", str(home), "--exec-root", "/run/docker"),
            *("--pidfile", "/run/docker.pid"),
            *("--bip", f"{layout.subnet('docker', 1)}/24", "--ip-masq=false"),
        ],
    )
    client = docker_client(layout)
    try:
        _wait_for(node, "docker", lambda: client.get("/info"), docker_errors.DockerError)
        tags = {tag for image in docker_images(client) for tag in image.tags}
        if f"{IMAGE}:latest" not in tags:
            load(client, _archive(cache, "docker").read_bytes())
    except docker_errors.DockerError as error:
        raise Trouble(f"{node.name}: Docker: {error}", hint=f"see {node.log('docker')}") from None
    finally:
        client.close()


def _wait_for(node: Node, program: str, ask: Callable[[], Any], silent: type[Exception]) -> None:
    deadline = time.monotonic() + ANSWER_S_MAX
    said = ""
    while time.monotonic() < deadline:
        if node.pid(program) is None:
            raise Trouble(f"{node.name}: {program} has ended", hint=f"see {node.log(program)}")
        try:
            ask()
        except silent as error:
            said = str(error)
            time.sleep(LOOK_S)
        else:
            return
    raise Trouble(
        f"{node.name}: {program} does not answer: {said}", hint=f"see {node.log(program)}"
    )


def _has(look: Callable[[], bool], missing: type[Exception]) -> bool:
    try:
        return look()
    except missing:
        return False


START: Final[Mapping[str, Callable[[Node, Path], None]]] = {
    "lxd": _start_lxd,
    "docker": _start_docker,
}
BUILD: Final[Mapping[str, Callable[[Path], None]]] = {
    "lxd": images.build_busybox,
    "docker": images.build_docker_busybox,
}
