"""Names, addresses and places of a lab and its nodes. Pure: everything follows from the record.

For the network 10.90: the machine is 10.90.0.1 on the bridge, node K is 10.90.0.(10+K), and its
containers get 10.91.K.0/24 (LXD) and 10.92.K.0/24 (Docker), routed between all nodes and from the
machine, without NAT: what reaches a node has its real source address. Nodes have no default route.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pathfinder.lab.trouble import Trouble

NAME: Final = re.compile(r"[a-z][a-z0-9]{0,7}")  # the bridge's and the ports' names begin with it
NODES_MAX: Final = 100
SUBNET_OFFSET: Final = {"lxd": 1, "docker": 2}
RUNTIMES: Final[Mapping[str, tuple[str, ...]]] = {
    "lxd": ("lxd",),
    "docker": ("docker",),
    "mixed": ("lxd", "docker"),
}
NETWORKS: Final = tuple(f"10.{second}" for second in range(90, 120, 3))  # tried in this order
SERVER_PORT: Final = 8480
MIGRATION_PORT: Final = 8443


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What `up` has decided, kept in the lab's directory. capacity: what each agent grants."""

    name: str
    network: str
    node_count: int
    runtimes: tuple[str, ...]
    capacity: str
    storage: str = "dir"

    def document(self) -> dict[str, Any]:
        """The record as JSON-ready data; `record_from` gives it back."""
        return {
            "name": self.name,
            "network": self.network,
            "node_count": self.node_count,
            "runtimes": list(self.runtimes),
            "capacity": self.capacity,
            "storage": self.storage,
        }


def record_from(document: Mapping[str, Any]) -> Record:
    """The record of a document."""
    fields = {key: document[key] for key in ("name", "network", "node_count", "capacity")}
    return Record(
        **fields, runtimes=tuple(document["runtimes"]), storage=document.get("storage", "dir")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything of one lab is."""

    record: Record
    root: Path

    @property
    def directory(self) -> Path:
        """All files of the lab."""
        return self.root / self.record.name

    @property
    def bridge(self) -> str:
        """The bridge between the nodes, on the machine."""
        return f"pfl-{self.record.name}"

    @property
    def address(self) -> str:
        """The machine's own address on the bridge."""
        return f"{self.record.network}.0.1"

    @property
    def cgroup(self) -> PurePosixPath:
        """The control group of everything that the lab runs, below each hierarchy's root."""
        return PurePosixPath(f"pathfinder-lab-{self.record.name}")

    @property
    def url(self) -> str:
        """Where the lab's server answers."""
        return f"https://{self.address}:{SERVER_PORT}"

    def nodes(self) -> list["NodeLayout"]:
        """All nodes, by number."""
        return [self.node(f"n{number}") for number in range(1, self.record.node_count + 1)]

    def node(self, name: str) -> "NodeLayout":
        """One node by name; Trouble with the names that there are."""
        match = re.fullmatch(r"n([1-9]\d{0,2})", name)
        count = self.record.node_count
        if match is None or int(match[1]) > count:
            raise Trouble(
                f"the lab {self.record.name} has no node {name!r}",
                hint="its only node is n1" if count == 1 else f"nodes are n1 to n{count}",
            )
        return NodeLayout(lab=self, number=int(match[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLayout:
    """Where everything of one node is."""

    lab: Layout
    number: int

    @property
    def name(self) -> str:
        """n1, n2, ...: its host name, and its name in the cluster."""
        return f"n{self.number}"

    @property
    def directory(self) -> Path:
        """All files of the node."""
        return self.lab.directory / self.name

    @property
    def address(self) -> str:
        """Its address on the bridge."""
        return f"{self.lab.record.network}.0.{10 + self.number}"

    @property
    def mac(self) -> str:
        """Of its end of the cable: the same after a power cut."""
        second = int(self.lab.record.network.partition(".")[2])
        return f"02:{second:02x}:00:00:00:{self.number:02x}"

    @property
    def namespace(self) -> str:
        """The name of its network namespace, as `ip netns` shows it."""
        return f"pfl-{self.lab.record.name}-{self.name}"

    @property
    def port(self) -> str:
        """The machine's end of its cable."""
        return f"pfl{self.lab.record.name}{self.number}"

    @property
    def cgroup(self) -> PurePosixPath:
        """Its control group."""
        return self.lab.cgroup / self.name

    def subnet(self, runtime: str, host: int | None = None) -> str:
        """Of its containers: `10.91.2.0/24`, or one address in it."""
        first, _, second = self.lab.record.network.partition(".")
        base = f"{first}.{int(second) + SUBNET_OFFSET[runtime]}.{self.number}"
        return f"{base}.0/24" if host is None else f"{base}.{host}"

    def socket(self, runtime: str) -> Path:
        """Of one of its container daemons, as the machine sees it."""
        return self.directory / ("lxd/unix.socket" if runtime == "lxd" else "docker.sock")


def checked_name(name: str) -> str:
    """A name that a lab can have; Trouble otherwise."""
    if not NAME.fullmatch(name):
        raise Trouble(
            f"{name!r} cannot be the name of a lab",
            hint="a letter, then letters and digits, at most 8 together",
        )
    return name


def checked_count(count: int) -> int:
    """A number of nodes that a lab can have; Trouble otherwise."""
    if not 1 <= count <= NODES_MAX:
        raise Trouble(f"{count} nodes are not possible", hint=f"from 1 to {NODES_MAX}")
    return count
