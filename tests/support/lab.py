"""A lab of real nodes for tests, driven by the same commands that people type.

It has a directory and a pfi configuration of its own, and is taken away at the end, also when the
test has left it half broken.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pathfinder.client.client import Client
from pathfinder.client.kinds import CONTAINER, NODE
from pathfinder.lab.layout import Layout
from pathfinder.lab.nodes import Node
from pathfinder.lab.platform import Server
from pathfinder.lab.records import read_layout
from tests.support import lxd

ROOT: Final = Path("/var/tmp")
WAIT_S_MAX: Final = 90.0
LOOK_S: Final = 0.05
NUMBERS: Final = itertools.count()


def why_not() -> str:
    """Why no lab can run here; "" when it can."""
    return lxd.why_not()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """One lab. `directory`: where labs are kept."""

    name: str
    directory: Path

    def run(self, command: str, *arguments: str) -> Ended:
        """`pathfinder lab COMMAND` on this lab."""
        argv = [sys.executable, "-m", "pathfinder.lab.main", command, "--name", self.name]
        ended = subprocess.run(
            [*argv, *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(code=ended.returncode, out=ended.stdout, err=ended.stderr)

    def must(self, command: str, *arguments: str) -> str:
        """What the command prints; AssertionError when it fails."""
        ended = self.run(command, *arguments)
        assert ended.code == 0, f"{command} {arguments}: {ended.out}{ended.err}"
        return ended.out

    def pfi(self, *arguments: str) -> str:
        """What `pfi` prints about this lab; AssertionError when it fails."""
        ended = subprocess.run(
            [sys.executable, "-m", "pathfinder.cli", *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"pfi {arguments}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def inside(self, container: str, *argv: str) -> str:
        """What a command in a container prints.

        By pfi: on a busy machine `lxc exec` of LXD 5.0 now and then loses what a command printed.
        """
        return self.pfi("exec", container, "--", *argv)

    def environment(self) -> dict[str, str]:
        """For programs that shall see this lab and no other, and its pfi context."""
        own = {
            "PFLAB_DIR": str(self.directory),
            "PFI_CONFIG": str(self.directory / "pfi.json"),
        }
        return {**os.environ, **own}

    @property
    def layout(self) -> Layout:
        """Where everything is."""
        return read_layout(self.directory / self.name)

    def client(self) -> Client:
        """The administrator's connection; close it after use."""
        return Server(self.layout).client()

    def node(self, name: str) -> Node:
        """One node as a machine."""
        return Node(self.layout.node(name))

    def status(self) -> dict[str, dict[str, Any]]:
        """`pathfinder lab status --json`, by node."""
        return {row["node"]: row for row in json.loads(self.must("status", "--json"))}

    def nodes(self) -> dict[str, str]:
        """Nodes and their status, as the server says."""
        with self.client() as client:
            return {node["name"]: node["status"] for node in client.items(NODE)}

    def node_facts(self, node: str) -> dict[str, Any]:
        """What a node says of itself."""
        with self.client() as client:
            return dict(client.get(NODE, node)["facts"])

    def silence_s(self, node: str) -> float:
        """For how long the server has not heard a node."""
        with self.client() as client:
            return float(client.get(NODE, node)["heard_ms_ago"]) / 1000

    def containers(self) -> dict[str, dict[str, Any]]:
        """All containers, as the server says."""
        with self.client() as client:
            return {each["name"]: each for each in client.items(CONTAINER)}

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """Make it so."""
        with self.client() as client:
            client.apply(documents)

    def wait_until(self, look: Callable[[], bool], promise: str) -> float:
        """Until it is so; the seconds that it took. AssertionError when it never is."""
        began = time.monotonic()
        while not look():
            took_s = time.monotonic() - began
            assert took_s < WAIT_S_MAX, f"not within {WAIT_S_MAX:.0f} s: {promise}"
            time.sleep(LOOK_S)
        return time.monotonic() - began


def _free_name() -> str:
    """A name that no lab of this machine has: of this process, and of how many it has had."""
    return f"t{os.getpid() % 46_656:04x}{next(NUMBERS) % 256:02x}"


@contextmanager
def running_lab(*, nodes: int, runtime: str = "lxd") -> Iterator[Lab]:
    """A lab that is up."""
    with tempfile.TemporaryDirectory(prefix="pfl-", dir=ROOT) as directory:
        Path(directory).chmod(0o711)
        lab = Lab(name=_free_name(), directory=Path(directory))
        try:
            lab.must("up", "--nodes", str(nodes), "--runtime", runtime)
            yield lab
        finally:
            lab.must("down")
