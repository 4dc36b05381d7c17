"""A container daemon on this machine: the one that runs, or else LXD, installed and set up.

Docker is installed for the tests, which start daemons of their own.

What a person has set up is never changed: only what is missing is added.
"""

import ipaddress
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pathfinder.lab import images
from tools import commands, environment
from tools.console import Console, Step
from tools.lxd_rest import Lxd
from tools.processes import Program
from tools.trouble import Trouble

SOCKETS: Final = (
    Path("/var/lib/lxd/unix.socket"),
    Path("/var/snap/lxd/common/lxd/unix.socket"),
)
# Programs, and the Debian packages that bring them. btrfs clones an image in 42 ms where "dir"
# unpacks it for 140; the firewall programs are what LXD's bridge asks for.
PROGRAMS: Final = {
    "lxd": "lxd",
    "lxc": "lxd-client",
    "dnsmasq": "dnsmasq-base",
    "mkfs.btrfs": "btrfs-progs",
    "busybox": "busybox-static",
    "mmdebstrap": "mmdebstrap",
    "losetup": "mount",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
}
# What the tests' own dockerd, registry and PostgreSQL are.
TEST_PROGRAMS: Final = {
    "dockerd": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "docker-registry": "docker-registry",
    "pg_createcluster": "postgresql",
}
NO_PROGRAMS: Final[Mapping[str, str]] = {}
POLICY: Final = Path("/usr/sbin/policy-rc.d")  # asked by Debian before it starts a service
START_S_MAX: Final = 60.0
LOOK_AGAIN_S: Final = 0.1
POOL: Final = "default"
BRIDGE: Final = "pfbr0"
BRIDGE_NUMBERS: Final = range(148, 248)  # the second byte of its address, less used than others
POOL_GIB_MAX: Final = 20
IMAGES: Final = {"busybox": images.build_busybox, "debian": images.build_debian}
# All unprivileged containers share one user, whose kernel keys and inotify instances run out at
# about ten Debians with the kernel's defaults.
KERNEL_LIMITS: Final = {
    "fs/inotify/max_user_instances": 4096,
    "fs/inotify/max_user_watches": 1048576,
    "kernel/keys/maxkeys": 4000,
    "kernel/keys/maxbytes": 4000000,
}


def ensure(console: Console) -> Lxd:
    """A daemon that answers and has storage, a network and our images."""
    lxd = running()
    if lxd is None:
        install(console)
        lxd = start(console)
    with console.step("storage, network and profile"):
        set_up(lxd)
    for alias in IMAGES:
        with console.step(f"image {alias}") as step:
            provide_image(lxd, alias, step)
    return lxd


def running() -> Lxd | None:
    """The daemon that answers, as the `lxc` command would find it."""
    if chosen := os.environ.get("LXD_DIR"):
        lxd = Lxd(socket_path=Path(chosen) / "unix.socket")
        return lxd if lxd.answers() else None
    daemons = (Lxd(socket_path=path) for path in SOCKETS if path.exists())
    return next((lxd for lxd in daemons if lxd.answers()), None)


def install(console: Console) -> None:
    """Install LXD and what the images are made with, through apt, unless all is there."""
    if missing := missing_packages():
        with console.step(f"installing {' '.join(missing)}"):
            commands.apt_install(missing)


def install_if_allowed(console: Console, more: Mapping[str, str] = NO_PROGRAMS) -> None:
    """The same with what tests need, for those who can do without: they hear what is missing.

    more: Debian packages by their programs, which somebody needs besides.
    """
    needed = {**TEST_PROGRAMS, **more}
    if commands.is_root():
        install(console)
        if missing := missing_packages(needed):
            with console.step(f"installing {' '.join(missing)}"):
                _install_without_starting(missing)
    elif missing := missing_packages({**PROGRAMS, **needed}):
        console.say(f"What needs these is skipped: {', '.join(missing)} (install them as root)")


def missing_packages(programs: Mapping[str, str] = PROGRAMS) -> list[str]:
    """The Debian packages whose programs are not there."""
    return [package for program, package in programs.items() if not commands.find(program)]


def _install_without_starting(packages: list[str]) -> None:
    """Install packages whose services nobody has asked for: the tests start their own."""
    POLICY.parent.mkdir(exist_ok=True)
    is_ours = not POLICY.exists()
    if is_ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        commands.apt_install(packages)
    finally:
        if is_ours:
            POLICY.unlink()


def start(console: Console) -> Lxd:
    """Start the installed daemon, by systemd where that runs; it outlives us in any case."""
    _require_root()
    socket_path = Path(os.environ.get("LXD_DIR", "/var/lib/lxd")) / "unix.socket"
    lxd = Lxd(socket_path=socket_path)
    with console.step("starting LXD"):
        raise_kernel_limits()
        if Path("/run/systemd/system").is_dir() and "LXD_DIR" not in os.environ:
            commands.run("systemctl", "start", "lxd")
            program = None
        else:
            environment.STATE.mkdir(exist_ok=True)
            program = _by_hand()
            program.start()
        _wait_until_it_answers(lxd, program)
    return lxd


def set_up(lxd: Lxd) -> None:
    """Add a storage pool, a bridge and the default profile's devices where there are none."""
    devices = lxd.get("/1.0/profiles/default")["devices"]
    wanted: dict[str, dict[str, str]] = {}
    if not any(
        device["type"] == "disk" and device.get("path") == "/" for device in devices.values()
    ):
        wanted["root"] = {"type": "disk", "path": "/", "pool": _pool(lxd)}
    if not any(device["type"] == "nic" for device in devices.values()):
        wanted["eth0"] = {"type": "nic", "name": "eth0", "network": _network(lxd)}
    if wanted:
        lxd.patch("/1.0/profiles/default", {"devices": {**devices, **wanted}})


def provide_image(lxd: Lxd, alias: str, step: Step) -> None:
    """Import one of our images under its alias, building it when it is not in the cache."""
    if lxd.get(f"/1.0/images/aliases/{alias}"):
        return
    cached = environment.STATE / "images" / f"{alias}.tar.gz"
    if not cached.exists():
        step.note = "building"
        IMAGES[alias](cached)
    step.note = "importing"
    try:
        fingerprint = lxd.post("/1.0/images", cached, **{"X-LXD-filename": cached.name})[
            "fingerprint"
        ]
    except Trouble as trouble:
        fingerprint = _known_fingerprint(trouble, cached)
    lxd.post("/1.0/images/aliases", {"name": alias, "target": fingerprint})
    step.note = ""


def raise_kernel_limits() -> None:
    """Lift what limits the number of containers, where the machine lets us; never lower it."""
    for name, wanted in KERNEL_LIMITS.items():
        path = Path("/proc/sys") / name
        try:
            if int(path.read_text()) < wanted:
                path.write_text(str(wanted))
        except (OSError, ValueError):
            continue


def remove_pathfinders_instances(lxd: Lxd, cluster: str) -> list[str]:
    """Remove the instances that carry our label of `cluster`; their names."""
    instances = lxd.get("/1.0/instances?recursion=1") or []
    ours = [each for each in instances if each["config"].get("user.pathfinder.cluster") == cluster]
    for instance in ours:
        path = f"/1.0/instances/{instance['name']}"
        if instance["status"] != "Stopped":
            lxd.put(f"{path}/state", {"action": "stop", "force": True, "timeout": 30})
        lxd.delete(path)
    return [instance["name"] for instance in ours]


def _pool(lxd: Lxd) -> str:
    """The name of a storage pool: the first there is, or a new one on btrfs, or on a directory."""
    if existing := lxd.get("/1.0/storage-pools"):
        return str(existing[0].rpartition("/")[2])
    room = os.statvfs(lxd.socket_path.parent)
    size_gib = min(POOL_GIB_MAX, room.f_bavail * room.f_frsize // 2 // 1024**3)
    attempts: list[dict[str, Any]] = [
        {"name": POOL, "driver": "btrfs", "config": {"size": f"{size_gib}GiB"}},
        {"name": POOL, "driver": "dir", "config": {}},
    ]
    return _first_that_works(lxd, "/1.0/storage-pools", attempts)


def _network(lxd: Lxd) -> str:
    """The name of a bridge: the first that LXD manages, or a new one, with NAT where possible."""
    for network in lxd.get("/1.0/networks?recursion=1"):
        if network["managed"] and network["type"] == "bridge":
            return str(network["name"])
    plain = {
        "ipv4.address": free_address(Path("/proc/net/route").read_text()),
        "ipv6.address": "none",
    }
    attempts: list[dict[str, Any]] = [
        {"name": BRIDGE, "type": "bridge", "config": {**plain, "ipv4.nat": "true"}},
        {
            "name": BRIDGE,
            "type": "bridge",
            "config": {**plain, "ipv4.nat": "false", "ipv4.firewall": "false"},
        },
    ]
    return _first_that_works(lxd, "/1.0/networks", attempts)


def free_address(routes: str) -> str:
    """A bridge's address and prefix that no route of this machine (/proc/net/route) goes to.

    LXD's own "auto" pings its candidates, and gives up where something answers for all of them.
    """
    taken = [_destination(line) for line in routes.splitlines()[1:]]
    for number in BRIDGE_NUMBERS:
        subnet = ipaddress.IPv4Network(f"10.{number}.1.0/24")
        if not any(subnet.overlaps(network) for network in taken if network.prefixlen):
            return f"{subnet[1]}/{subnet.prefixlen}"
    raise Trouble("no subnet 10.*.1.0/24 is free for a bridge", hint="lxc network create")


def _destination(route: str) -> ipaddress.IPv4Network:
    """Where a line of /proc/net/route leads; the kernel writes addresses in its own byte order."""
    fields = route.split()
    address, mask = (int(fields[at], 16).to_bytes(4, sys.byteorder) for at in (1, 7))
    return ipaddress.IPv4Network((address, int.from_bytes(mask).bit_count()))


def _first_that_works(lxd: Lxd, path: str, attempts: list[dict[str, Any]]) -> str:
    """Create the first of `attempts` that the daemon can make, and give its name."""
    *better, last = attempts
    for attempt in better:
        try:
            lxd.post(path, attempt)
        except Trouble:
            # What half of it remains would have the name of the next attempt.
            lxd.delete(f"{path}/{attempt['name']}")
        else:
            return str(attempt["name"])
    lxd.post(path, last)
    return str(last["name"])


def _known_fingerprint(trouble: Trouble, cached: Path) -> str:
    """The fingerprint of an image that the daemon has already, under another alias or none."""
    if "fingerprint already exists" not in str(trouble):
        raise trouble
    return images.fingerprint(cached)


def _by_hand() -> Program:
    log = environment.STATE / "lxd.log"
    return Program(name="lxd", argv=("lxd", "--group", "root", "--logfile", str(log)))


def _wait_until_it_answers(lxd: Lxd, program: Program | None) -> None:
    deadline_s = time.monotonic() + START_S_MAX
    while not lxd.answers():
        if program:
            program.require_running()
        if time.monotonic() > deadline_s:
            raise Trouble(
                "LXD was started and does not answer",
                hint=f"see {program.log}" if program else "journalctl -u lxd -n 50",
            )
        time.sleep(LOOK_AGAIN_S)


def _require_root() -> None:
    if not commands.is_root():
        raise Trouble(
            "no LXD daemon answers, and starting one needs root",
            hint="sudo systemctl start lxd, and add yourself to the group lxd",
        )
