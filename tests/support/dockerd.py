"""A private dockerd for tests: its own containerd, data, socket, bridge and busybox image.

It touches nothing of a Docker that the machine may already have, neither its bridge nor its rules
for packets, and takes everything away at the end. What a killed test run has left is taken away by
the next.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pathfinder.lab.images import build_docker_busybox
from pathfinder.runtimes.dockerclient.client import DockerClient
from pathfinder.runtimes.dockerclient.images import load
from pathfinder.runtimes.dockerclient.paths import container_path
from pathfinder.runtimes.dockerclient.volumes import delete_volume, list_volumes
from pathfinder.runtimes.http import UnixEndpoint
from tests.support.lxd import free_number, remove_directory
from tests.support.processes import end_processes, frozen, wait_until

ROOT: Final = Path("/var/tmp")  # not /tmp: that may be memory, or full
PREFIX: Final = "pathfinder-docker-"
PROGRAMS: Final = ("dockerd", "containerd", "runc", "docker-proxy", "ip", "busybox")
START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 30.0
ALIVE_S_MAX: Final = 5.0
# The machine's own rules for packets are left alone: ports go through docker-proxy. In a network of
# its own a daemon does as it does by default.
HANDS_OFF: Final = (
    "--iptables=false",
    "--ip6tables=false",
    "--ip-forward=false",
    "--ip-masq=false",
)


def why_not() -> str:
    """Why no private dockerd can run here; "" when it can."""
    if os.geteuid() != 0:
        return "a private dockerd needs root"
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    return f"not installed: {', '.join(missing)}" if missing else ""


class PrivateDocker:
    """One daemon, and the containerd that it uses. `kill` and `start` may be used at will."""

    def __init__(
        self, directory: Path, number: int, *, live_restore: bool, namespace: str = ""
    ) -> None:
        self.directory = directory
        self.bridge = f"pft{number}"
        self.subnet = f"10.{150 + number % 100}.{number // 100 % 250}"
        self.socket_path = str(directory / "docker.sock")
        self.client = DockerClient(UnixEndpoint(self.socket_path))
        self.live_restore = live_restore
        self.namespace = namespace
        self._containerd: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon, and return when it answers."""
        assert self._process is None, "it runs already"
        if self._containerd is None:
            self._containerd = self._run("containerd", *self._containerd_flags())
            socket_path = self.directory / "containerd.sock"
            wait_until(socket_path.exists, START_S_MAX, "containerd listens")
        self._process = self._run("dockerd", *self._flags())
        wait_until(self.answers, START_S_MAX, "Docker answers")

    def answers(self) -> bool:
        """Whether requests are answered; AssertionError when the daemon has ended."""
        if self._process is not None and self._process.poll() is not None:
            said = (self.directory / "dockerd.log").read_text()
            raise AssertionError(f"dockerd ended: {said[-2000:]}")
        return self.client.is_alive(ALIVE_S_MAX)

    def kill(self) -> None:
        """End the daemon as a power cut would, without its containers."""
        assert self._process is not None, "it does not run"
        self._process.kill()
        self._process.wait(STOP_S_MAX)
        self._process = None
        (self.directory / "docker.pid").unlink(missing_ok=True)

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Killed for the time of the block, and started again whatever happens in it."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the daemon hang for the time of the block."""
        assert self._process is not None, "it does not run"
        with frozen(self._process.pid):
            yield

    def document(self, name: str) -> dict[str, Any]:
        """A container as Docker tells it."""
        found: dict[str, Any] = self.client.get(container_path(name, "json"))
        return found

    def pid(self, name: str) -> int:
        """The first process of a container."""
        return int(self.document(name)["State"]["Pid"])

    def remove_containers(self) -> None:
        """Remove every container, whoever made it, and every volume."""
        for document in self.client.get("/containers/json?all=1"):
            self.client.request("DELETE", container_path(document["Id"], force="1", v="1"))
        for volume in list_volumes(self.client):
            delete_volume(self.client, volume.name)

    def remove_instances(self) -> None:
        """The same, by the name that all private daemons have for it."""
        self.remove_containers()

    def take_away(self) -> None:
        """Remove everything that the daemon has made, then the daemon."""
        if self._process is not None and self._process.poll() is None:
            self.remove_containers()
        self.client.close()
        for process in (self._process, self._containerd):
            if process is not None:
                process.terminate()
                process.wait(STOP_S_MAX)
        take_away_remains(self.directory, self.bridge)
        if self.namespace:
            subprocess.run(["ip", "netns", "delete", self.namespace], check=True)

    def _run(self, program: str, *flags: str) -> subprocess.Popen[bytes]:
        with (self.directory / f"{program}.log").open("ab") as output:
            return subprocess.Popen(
                [*inside(self.namespace), program, *flags],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _containerd_flags(self) -> tuple[str, ...]:
        directory = self.directory
        config = directory / "containerd.toml"
        config.write_text(
            'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[plugins."io.containerd.internal.v1.opt"]\npath = "{directory}/opt"\n'
        )
        return (
            f"--config={config}",
            f"--root={directory}/containerd",
            f"--state={directory}/containerd-run",
            f"--address={directory}/containerd.sock",
        )

    def _flags(self) -> tuple[str, ...]:
        directory = self.directory
        (directory / "daemon.json").write_text("{}")  # else the machine's own would be read
        return (
            f"--config-file={directory}/daemon.json",
            f"--data-root={directory}/data",
            f"--exec-root={directory}/run",
            f"--pidfile={directory}/docker.pid",
            f"--host=unix://{self.socket_path}",
            f"--containerd={directory}/containerd.sock",
            f"--bridge={self.bridge}",
            f"--live-restore={str(self.live_restore).lower()}",
            *(() if self.namespace else HANDS_OFF),
        )


@contextmanager
def private_docker(*, live_restore: bool = True, apart: bool = False) -> Iterator[PrivateDocker]:
    """A daemon with the busybox image, taken away at the end. apart: in a network of its own."""
    remove_remains()
    number = free_number()
    directory = ROOT / f"{PREFIX}{os.getpid()}-{number}"
    directory.mkdir(mode=0o711)
    namespace = f"pft{number}" if apart else ""
    docker = PrivateDocker(directory, number, live_restore=live_restore, namespace=namespace)
    try:
        if namespace:
            subprocess.run(["ip", "netns", "add", namespace], check=True)
            subprocess.run([*inside(namespace), "ip", "link", "set", "lo", "up"], check=True)
        add_bridge(docker.bridge, f"{docker.subnet}.1/24", namespace)
        docker.start()
        image = directory / "busybox.tar.gz"
        build_docker_busybox(image)
        load(docker.client, image.read_bytes())
        yield docker
    finally:
        docker.take_away()


def inside(namespace: str) -> tuple[str, ...]:
    """What a program is called with to run in a network namespace; "": in the machine's own."""
    # Not `ip netns exec`, which also gives its program another /sys, without control groups.
    return ("nsenter", f"--net=/run/netns/{namespace}") if namespace else ()


def add_bridge(name: str, address: str, namespace: str = "") -> None:
    """A bridge that dockerd is given: its own would be the machine's docker0."""
    for arguments in (
        ("link", "add", name, "type", "bridge"),
        ("addr", "add", address, "dev", name),
        ("link", "set", name, "up"),
    ):
        subprocess.run([*inside(namespace), "ip", *arguments], check=True)


def remove_remains() -> None:
    """Take away what test runs that were killed have left."""
    for directory in ROOT.glob(f"{PREFIX}*"):
        match = re.fullmatch(rf"{PREFIX}(\d+)-(\d+)", directory.name)
        if match is not None and not Path(f"/proc/{match[1]}").exists():
            take_away_remains(directory, f"pft{match[2]}")
            if Path(f"/run/netns/pft{match[2]}").exists():
                subprocess.run(["ip", "netns", "delete", f"pft{match[2]}"], check=True)


def take_away_remains(directory: Path, bridge: str) -> None:
    """Whatever still runs, is mounted or is kept for a daemon in `directory`."""
    end_processes(directory)
    if Path(f"/sys/class/net/{bridge}").exists():
        subprocess.run(["ip", "link", "delete", bridge], check=True)
    remove_directory(directory)
