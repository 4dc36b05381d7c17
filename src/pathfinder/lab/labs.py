"""A whole lab: made, repaired, looked at, and taken away without a trace."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pathfinder.client.kinds import NODE
from pathfinder.lab import daemons, delay, kernel, network, platform, programs, records
from pathfinder.lab.layout import RUNTIMES, Layout, NodeLayout, Record, checked_count, checked_name
from pathfinder.lab.nodes import Node, detach_loops
from pathfinder.lab.platform import Server
from pathfinder.lab.trouble import Trouble
from pathfinder.model.errors import PathfinderError

AT_ONCE: Final = 4
CAPACITY: Final = "cpu=4,memory=4GiB,disk=20GiB"
NEEDED: Final = {
    "lxd": {"lxd": "lxd", "dnsmasq": "dnsmasq-base"},
    "docker": {"dockerd": "docker.io", "containerd": "containerd", "runc": "runc"},
    "": {
        "ip": "iproute2", "nsenter": "util-linux", "losetup": "mount", "iptables": "iptables",
        "busybox": "busybox-static",
    },
}  # fmt: skip
# All containers of all nodes share one user, whose kernel keys and inotify instances run out soon.
KERNEL_LIMITS: Final = {
    "fs/inotify/max_user_instances": 8192,
    "fs/inotify/max_user_watches": 1048576,
    "kernel/keys/maxkeys": 20000,
    "kernel/keys/maxbytes": 2000000,
    "net/ipv4/neigh/default/gc_thresh3": 8192,
}
Say = Callable[[str], None]


def up(wanted: Record, say: Say, *, root: Path = records.ROOT) -> Layout:
    """Make the lab, or repair and extend the one that is there."""
    layout = _decided(wanted, root)
    _require(layout.record.runtimes)
    records.write_record(layout)
    with records.alone(layout.directory):
        _make(layout, say)
    return layout


def _make(layout: Layout, say: Say) -> None:
    _raise_limits(layout)
    cache = layout.root / "images"
    say("images")
    daemons.build_images(cache, layout.record.runtimes)
    network.lay_bridge(layout)
    server = Server(layout)
    say(f"server on {layout.url}")
    server.start()
    start(layout, [node.name for node in layout.nodes()], say, cache=cache)
    platform.remember_context(server)


def start(layout: Layout, names: Iterable[str], say: Say, *, cache: Path | None = None) -> None:
    """Switch nodes on, with their daemons and agents, and wait until the server has heard them."""
    server, cache = Server(layout), cache or layout.root / "images"
    chosen = [layout.node(name) for name in names]
    for layout_of_node in chosen:
        network.lay_cable(layout_of_node)
    say(f"nodes {', '.join(node.name for node in chosen)}")
    kernel.Group(layout.cgroup).make()  # before several begin at once to make groups in it
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(lambda node: _switch_on(node, cache), map(Node, chosen)):
            pass
    network.lay_routes(layout)
    say("agents")
    since = time.monotonic()
    for node in map(Node, chosen):
        platform.start_agent(server, node)
    platform.wait_until_ready(server, chosen, since=since)


def _switch_on(node: Node, cache: Path) -> None:
    node.switch_on()
    daemons.start_all(node, cache)


def down(name: str, *, root: Path = records.ROOT) -> bool:
    """Take everything away, whatever state it is in; whether there was anything."""
    layout = _remains(checked_name(name), root)
    was_there = layout.directory.exists()
    with records.alone(layout.directory):
        _take_away(layout)
    return was_there


def _take_away(layout: Layout) -> None:
    with suppress(Trouble):
        Server(layout).stop()
    Server(layout).stop(by_force=True)
    kernel.end_all(platform.helpers(layout))
    for node in map(Node, layout.nodes()):
        if (pid := node.pid("init")) is not None:  # first all at once, then one by one to the end
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
    for node in map(Node, layout.nodes()):
        node.switch_off()
    group = kernel.Group(layout.cgroup)
    group.kill()
    group.remove()
    network.take_bridge(layout)
    platform.forget_context(layout)
    _restore_limits(layout)
    detach_loops(layout.directory)
    platform.remove_files(layout)


def _remains(name: str, root: Path) -> Layout:
    """The lab as its record says, or as what is left of it allows to guess."""
    directory = root / name
    with suppress(Trouble):
        return records.read_layout(directory)
    traces = [*directory.glob("n[0-9]*"), *Path("/run/netns").glob(f"pfl-{name}-n*")]
    found = [re.search(r"n(\d+)$", path.name) for path in traces]
    numbers = [int(match[1]) for match in found if match] or [0]
    record = Record(
        name=name,
        network="10.90",
        node_count=max(numbers),
        runtimes=("lxd", "docker"),
        capacity=CAPACITY,
    )
    return Layout(record=record, root=root)


def _decided(wanted: Record, root: Path) -> Layout:
    """What is there already stays as it is; more nodes may be added to it."""
    checked_name(wanted.name)
    checked_count(wanted.node_count)
    if not (root / wanted.name / records.RECORD).exists():
        chosen = wanted.network or network.free_network()
        return Layout(record=replace(wanted, network=chosen), root=root)
    there = records.read_layout(root / wanted.name).record
    if there.runtimes != wanted.runtimes or wanted.network not in ("", there.network):
        names = {value: key for key, value in RUNTIMES.items()}
        raise Trouble(
            f"there is a lab {there.name!r} already, with --runtime {names[there.runtimes]} on "
            f"{there.network}",
            hint=f"pathfinder lab down --name {there.name}, or choose another --name",
        )
    count = max(there.node_count, wanted.node_count)
    return Layout(record=replace(there, node_count=count), root=root)


def _require(runtimes: tuple[str, ...]) -> None:
    if not programs.is_root():
        raise Trouble("a lab needs root: namespaces, mounts and cables", hint="sudo pathfinder lab")
    needed = {**NEEDED[""], **{k: v for each in runtimes for k, v in NEEDED[each].items()}}
    missing = sorted({package for name, package in needed.items() if not programs.find(name)})
    if missing:
        raise Trouble(
            f"these packages are missing: {', '.join(missing)}",
            hint=f"apt-get install --no-install-recommends {' '.join(missing)}",
        )


def _raise_limits(layout: Layout) -> None:
    """Raise what many containers run into, and keep what it was."""
    kept = _limits_file(layout)
    before: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
    for knob, value in KERNEL_LIMITS.items():
        path = Path("/proc/sys", knob)
        if path.exists() and int(path.read_text()) < value:
            before.setdefault(knob, path.read_text().strip())
            kept.write_text(json.dumps(before))
            path.write_text(str(value))


def _restore_limits(layout: Layout) -> None:
    """Put back what it was, when no other lab needs it."""
    kept = _limits_file(layout)
    if not kept.exists():
        return
    others = [each for each in records.known(layout.root) if each.name != layout.record.name]
    if not others:
        for knob, value in json.loads(kept.read_text()).items():
            Path("/proc/sys", knob).write_text(value)
    kept.unlink()


def _limits_file(layout: Layout) -> Path:
    # Outside the lab's directory, which may get lost; gone with the machine's next start, as they.
    return Path(f"/run/pathfinder-lab-{layout.record.name}.limits")


def status(layout: Layout) -> list[dict[str, Any]]:
    """Each node: on or off, its cable, its programs, and what Pathfinder says of it."""
    said: dict[str, str] = {}
    with suppress(PathfinderError, OSError), Server(layout).client() as client:
        said = {node["name"]: node["status"] for node in client.items(NODE)}
    return [_status_of(node, said.get(node.name, "unknown")) for node in layout.nodes()]


def _status_of(layout: NodeLayout, said: str) -> dict[str, Any]:
    node = Node(layout)
    is_cut = network.is_cut(layout)
    running = {name: node.pid(name) is not None for name in (*layout.lab.record.runtimes, "agent")}
    return {
        "node": node.name,
        "address": layout.address,
        "power": "on" if node.is_on else "off",
        "cable": "none" if is_cut is None else "cut" if is_cut else "up",
        "delay_ms": delay.delay_of(layout),
        "programs": running,
        "status": said,
    }


def run_seconds(began: float) -> str:
    """How long it took, for people."""
    return f"{time.monotonic() - began:.1f} s"


def installation() -> str:
    """The directory of the programs, for a PATH."""
    return str(Path(sys.executable).parent)
