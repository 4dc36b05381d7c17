"""The platform as it is in life: server and agent as processes over a private LXD.

Each of the three can be killed and started again at any moment.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pathfinder.client.client import Client
from pathfinder.client.kinds import KINDS
from pathfinder.model.errors import PathfinderError
from tests.support.dockerd import PrivateDocker
from tests.support.lxd import PrivateLxd

START_S_MAX: Final = 30.0
LOOK_S: Final = 0.02
NODE: Final = "n1"
KIND_OF_NAME: Final = {kind.name: kind for kind in KINDS}


class Platform:
    """One server, one agent, one daemon."""

    def __init__(self, directory: Path, daemon: PrivateLxd | PrivateDocker) -> None:
        self.directory = directory
        self.daemon = daemon
        self.port = free_port()
        self.data = directory / "data"
        self.url = f"https://127.0.0.1:{self.port}"
        self.server: subprocess.Popen[bytes] | None = None
        self.agent: subprocess.Popen[bytes] | None = None
        self._initialise()

    @property
    def lxd(self) -> PrivateLxd:
        """The daemon, which must be an LXD."""
        assert isinstance(self.daemon, PrivateLxd)
        return self.daemon

    def start_server(self) -> None:
        """Start it, and return when it leads."""
        tls = self.data / "tls"
        self.server = self._spawn(
            "pathfinder.server.main", "server.log", "server", "--data-dir", str(self.data),
            "--listen", f"127.0.0.1:{self.port}",
            "--tls-cert", str(tls / "server.crt"), "--tls-key", str(tls / "server.key"),
        )  # fmt: skip

    def start_agent(self) -> None:
        """Start it; it joins by the cluster's password."""
        self.agent = self._spawn(
            "pathfinder.agent.main", "agent.log", "--server", self.url, "--cluster", "default",
            "--cluster-password-file", str(self.directory / "password"),
            "--ca-file", str(self.data / "tls" / "server.crt"), "--name", NODE,
            "--runtime", "lxd" if isinstance(self.daemon, PrivateLxd) else "docker",
            "--socket", self.daemon.socket_path,
            "--state-dir", str(self.directory / "agent"),
        )  # fmt: skip

    def kill_server(self) -> None:
        """`kill -9`."""
        assert self.server is not None
        _kill(self.server)
        self.server = None

    def kill_agent(self) -> None:
        """`kill -9`."""
        assert self.agent is not None
        _kill(self.agent)
        self.agent = None

    def restart_server(self) -> None:
        """`kill -9`, and another one."""
        self.kill_server()
        self.start_server()

    def restart_agent(self) -> None:
        """`kill -9`, and another one."""
        self.kill_agent()
        self.start_agent()

    def restart_daemon(self) -> None:
        """`kill -9`, and another one; containers run on."""
        self.daemon.kill()
        self.daemon.start()

    def client(self) -> Client:
        """A client with the administrator's token."""
        token = (self.directory / "admin").read_text().strip()
        return Client(self.url, token, ca_file=str(self.data / "tls" / "server.crt"))

    def items(self, kind: str) -> dict[str, dict[str, Any]]:
        """All things of a kind, by name."""
        with self.client() as client:
            return {item["name"]: item for item in client.items(KIND_OF_NAME[kind])}

    def wait_until_node_is_ready(self) -> None:
        """Return when the agent has joined and reported."""
        wait_for(
            lambda: any(node["status"] == "ready" for node in self._nodes()),
            START_S_MAX,
            "the node is ready",
        )

    def end(self) -> None:
        """Stop both programs as people would."""
        for process in (self.agent, self.server):
            if process is not None:
                process.send_signal(signal.SIGTERM)
                process.wait(START_S_MAX)
        self.agent = self.server = None

    def _nodes(self) -> list[dict[str, Any]]:
        try:
            return list(self.items("node").values())
        except PathfinderError:  # the server is not there yet
            return []

    def _initialise(self) -> None:
        argv = ["init", "--data-dir", str(self.data), "--cluster", "default"]
        argv += ["--cluster-password-file", str(self.directory / "password")]
        argv += ["--admin-token-file", str(self.directory / "admin")]
        subprocess.run(
            [sys.executable, "-m", "pathfinder.server.main", *argv], check=True, capture_output=True
        )

    def _spawn(self, module: str, log: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.directory / log).open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=os.environ.copy(),
                start_new_session=True,
            )


@contextmanager
def running_platform(directory: Path, daemon: PrivateLxd | PrivateDocker) -> Iterator[Platform]:
    """Server and agent, ready; taken away at the end together with their containers."""
    platform = Platform(directory, daemon)
    try:
        platform.start_server()
        platform.start_agent()
        platform.wait_until_node_is_ready()
        yield platform
    finally:
        for process in (platform.agent, platform.server):
            if process is not None:
                _kill(process)
        daemon.remove_instances()


def wait_for(holds: Callable[[], bool], patience_s: float, what: str) -> None:
    """Return when `holds`; AssertionError that names `what` after `patience_s`."""
    deadline_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {patience_s} s: {what}"
        time.sleep(LOOK_S)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(START_S_MAX)
