"""Cables: the bridge, a cable to each node, routes to all containers, and what cuts them."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pathfinder.lab import kernel, programs
from pathfinder.lab.layout import NETWORKS, Layout, NodeLayout
from pathfinder.lab.trouble import Trouble

CARRIER_S_MAX: Final = 5.0


def ip(commands: Sequence[str], namespace: str = "") -> None:
    """Several commands of iproute2 in one process."""
    where = ["-n", namespace] if namespace else []
    programs.run("ip", *where, "-batch", "-", given="".join(f"{each}\n" for each in commands))


def links(namespace: str = "") -> dict[str, dict[str, Any]]:
    """All links by name."""
    where = ["-n", namespace] if namespace else []
    listed = json.loads(programs.run("ip", *where, "-j", "link", "show") or "[]")
    return {link["ifname"]: link for link in listed if "ifname" in link}


def free_network() -> str:
    """A network that nothing on this machine has an address or a route in; Trouble."""
    taken = programs.run("ip", "-4", "route", "show", "table", "all")
    for network in NETWORKS:
        first, _, second = network.partition(".")
        all_three = [f"{first}.{int(second) + offset}." for offset in (0, 1, 2)]
        if not any(part in taken for part in all_three):
            return network
    raise Trouble("all networks of labs are taken", hint="name another: --network 10.200")


def lay_bridge(layout: Layout) -> None:
    """The bridge with the machine's own address; again is the same."""
    bridge = layout.bridge
    if bridge not in links():
        ip(
            [
                f"link add {bridge} type bridge forward_delay 0",
                f"link set {bridge} up",
                f"addr add {layout.address}/24 dev {bridge}",
            ]
        )
    # Bridged frames pass the machine's FORWARD chain where bridge-nf-call-iptables is on.
    if programs.find("iptables") and not programs.succeeds("iptables", "-w", "-C", *_rule(layout)):
        programs.run("iptables", "-w", "-I", *_rule(layout))


def take_bridge(layout: Layout) -> None:
    """Take the bridge and its rule away; again is the same."""
    programs.succeeds("ip", "link", "del", layout.bridge)
    if programs.find("iptables"):
        while programs.succeeds("iptables", "-w", "-D", *_rule(layout)):
            pass


def _rule(layout: Layout) -> tuple[str, ...]:
    bridge = layout.bridge
    return (
        *("FORWARD", "-i", bridge, "-o", bridge),
        *("-m", "comment", "--comment", bridge, "-j", "ACCEPT"),
    )


def lay_cable(node: NodeLayout) -> None:
    """The node's network namespace, its cable and its address; again is the same."""
    namespace = node.namespace
    if not Path("/run/netns", namespace).exists():
        programs.run("ip", "netns", "add", namespace)
    if "eth0" in links(namespace):
        return
    if node.port in links():
        programs.run("ip", "link", "del", node.port)
    cable = f"link add {node.port} type veth peer name eth0 address {node.mac} netns {namespace}"
    ip([cable, f"link set {node.port} master {node.lab.bridge} up"])
    ip(["link set lo up", "link set eth0 up", f"addr add {node.address}/24 dev eth0"], namespace)


def take_cable(node: NodeLayout) -> None:
    """Take namespace and cable away; again is the same."""
    programs.succeeds("ip", "netns", "del", node.namespace)
    programs.succeeds("ip", "link", "del", node.port)


def lay_routes(layout: Layout) -> None:
    """Each node, and the machine, reaches all containers through the nodes that have them."""

    def through(node: NodeLayout) -> list[str]:
        subnets = [node.subnet(runtime) for runtime in layout.record.runtimes]
        return [f"route replace {subnet} via {node.address}" for subnet in subnets]

    nodes = [each for each in layout.nodes() if Path("/run/netns", each.namespace).exists()]
    for node in nodes:
        others = [
            route for other in nodes if other.number != node.number for route in through(other)
        ]
        if others:
            ip(others, node.namespace)
    ip([route for node in nodes for route in through(node)])


def is_cut(node: NodeLayout) -> bool | None:
    """Whether the cable is cut; None when there is none."""
    port = links().get(node.port)
    return None if port is None else "UP" not in port["flags"]


def cut(node: NodeLayout) -> None:
    """Nothing passes between the node and all others, both ways."""
    ip([f"link set {node.port} down"])


def heal(node: NodeLayout) -> None:
    """Everything passes again, and nobody waits for an answer to an old question of ARP."""
    ip([f"link set {node.port} up"])
    kernel.wait_until(
        lambda: links(node.namespace)["eth0"]["operstate"] == "UP",
        f"the cable of {node.name} is up",
        CARRIER_S_MAX,
    )
    for other in node.lab.nodes():
        programs.succeeds("ip", "-n", other.namespace, "neigh", "flush", "dev", "eth0")
    programs.succeeds("ip", "neigh", "flush", "dev", node.lab.bridge)


def milliseconds(text: str) -> float:
    """The delay that a person writes: `50ms`, `1s`; Trouble."""
    match = re.fullmatch(r"(\d{1,5}(?:\.\d{1,3})?)(ms|s)", text)
    if match is None:
        raise Trouble(f"{text!r} is not a delay", hint="write it as 50ms or 1s; 0ms takes it away")
    return float(match[1]) * (1 if match[2] == "ms" else 1_000)
