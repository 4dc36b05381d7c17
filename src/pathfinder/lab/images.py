"""Images made on this machine, without any image server: a tiny busybox and a Debian with systemd.

Those for LXD are in its "unified" form: one tar.gz with `metadata.yaml`, `templates/` and
`rootfs/`. The one for Docker is a file as `docker save` writes it. Equal input gives equal bytes,
and so equal fingerprints: times and owners are fixed.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import re
import shlex
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from pathfinder.lab import programs
from pathfinder.lab.trouble import Trouble

MTIME_S: Final = 1  # 0 makes some tools complain of "implausibly old" files
COMPRESSION_LEVEL: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory in an image."""

    mode: int = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A regular file in an image."""

    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link in an image."""

    target: str


Tree = Mapping[str, Directory | File | Link]

INIT: Final = """#!/bin/sh
# Process 1: starts the services, reaps, and leaves at once on any stop signal. LXD stops with PWR,
# which a plain busybox init would leave unanswered until the daemon's patience ends.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
trap "exit 0" PWR TERM INT USR1 USR2
/etc/rc
while :; do sleep 1000000 & wait $!; done
"""
START: Final = """#!/bin/sh
[ -s /etc/hostname ] && hostname -F /etc/hostname 2>/dev/null
ip link set lo up 2>/dev/null
if ip link show eth0 >/dev/null 2>&1; then
    ip link set eth0 up
    udhcpc -i eth0 -b -S -T 1 -A 1 -t 15 -s /etc/udhcpc.sh >/dev/null 2>&1 &
fi
[ -e /var/www/index.html ] || echo "hello from $(hostname)" > /var/www/index.html
httpd -p 80 -h /var/www
echo "$(hostname) is up" > /dev/console 2>/dev/null
"""
LEASE: Final = """#!/bin/sh
case "$1" in
deconfig) ip addr flush dev $interface; ip link set $interface up ;;
bound|renew)
    ip addr replace $ip/$mask dev $interface
    for gateway in $router; do ip route replace default via $gateway dev $interface; break; done
    : > /etc/resolv.conf
    [ -n "$domain" ] && echo "search $domain" >> /etc/resolv.conf
    for server in $dns; do echo "nameserver $server" >> /etc/resolv.conf; done ;;
esac
"""
# An application: it serves until it is told to stop, and says so on its output.
APPLICATION: Final = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
trap "exit 0" TERM INT
[ -e /var/www/index.html ] || echo "hello from $(hostname)" > /var/www/index.html
httpd -p 80 -h /var/www
echo "$(hostname) is up"
while :; do sleep 1000000 & wait $!; done
"""
DOCKER_BUSYBOX: Final = "busybox:latest"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}  # in the words of images
DIRECTORIES: Final = (
    "bin", "sbin", "usr", "usr/bin", "usr/sbin", "etc", "dev", "proc", "sys", "run", "root", "mnt",
    "opt", "home", "srv", "var", "var/www", "var/log", "var/lib", "var/run",
)  # fmt: skip
# Applets that would shadow what we bring, or that pretend to be Debian's tools.
APPLETS_LEFT_OUT: Final = ("busybox", "init", "linuxrc", "dpkg", "dpkg-deb", "rpm")

# Without udev, networkd leaves eth0 "pending" for ever: LXD mounts /sys writable.
DEBIAN_PACKAGES: Final = (
    "systemd-sysv", "udev", "dbus", "systemd-resolved", "iproute2", "iputils-ping", "procps",
    "netbase",
)  # fmt: skip
NETWORK: Final = """[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
[DHCPv4]
ClientIdentifier=mac
"""
# $1 is the root of the new system. A container gets its time from the host and its machine-id at
# first boot, and must not wait for a network that it may not have.
DEBIAN_HOOKS: Final = (
    f'printf %s {shlex.quote(NETWORK)} > "$1/etc/systemd/network/10-eth0.network"',
    'chroot "$1" systemctl enable systemd-networkd systemd-resolved',
    'chroot "$1" systemctl mask systemd-networkd-wait-online.service',
    'chroot "$1" systemctl disable systemd-timesyncd || true',  # only where it is installed
    'ln -sf /run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"; : > "$1/etc/machine-id"',
)


def build_busybox(target: Path) -> None:
    """Write an image of static busybox: 1 MB, an address by DHCP, a web server on port 80."""
    with fresh(target) as archive:
        add_tree(archive, metadata("busybox", "busybox: DHCP and a web server on port 80"))
        add_tree(archive, {"rootfs": Directory(), **under("rootfs/", busybox_tree())})


def build_docker_busybox(target: Path) -> None:
    """Write an image of static busybox for Docker: 1 MB, a web server on port 80."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        tree = {"sbin/application": File(content=APPLICATION.encode(), mode=0o755)}
        add_tree(archive, {**busybox_tree(), **tree})
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": "1970-01-01T00:00:01Z",
            "config": {"Cmd": ["/sbin/application"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer.getvalue())}"]},
        }
    ).encode()
    config_name = f"{_sha256(config)}.json"
    manifest = [{"Config": config_name, "RepoTags": [DOCKER_BUSYBOX], "Layers": ["layer.tar"]}]
    with fresh(target) as archive:
        add_tree(
            archive,
            {
                config_name: File(content=config),
                "layer.tar": File(content=layer.getvalue()),
                "manifest.json": File(content=json.dumps(manifest).encode()),
            },
        )


def build_debian(target: Path) -> None:
    """Write an image of this machine's Debian with systemd: 57 MB, in about a minute."""
    with fresh(target) as archive:
        add_tree(archive, metadata("debian", f"Debian {debian_suite()} with systemd"))
        with debian_root() as stream, tarfile.open(fileobj=stream, mode="r|") as root:
            for member in root:
                move_under(member, "rootfs")
                # The daemon makes the device nodes; an unprivileged container could not.
                if not member.isdev() and not member.name.startswith("rootfs/dev/"):
                    archive.addfile(member, root.extractfile(member) if member.isreg() else None)


@contextmanager
def fresh(target: Path) -> Iterator[tarfile.TarFile]:
    """A compressed tar that gets its name when it is complete: never half an image."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            partial.open("wb") as raw,
            gzip.GzipFile("", "wb", COMPRESSION_LEVEL, raw, mtime=MTIME_S) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            yield archive
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def metadata(system: str, description: str) -> Tree:
    """What LXD wants beside the root: properties, and the template of /etc/hostname."""
    machine = platform.machine()
    document = {
        "architecture": machine,
        "creation_date": MTIME_S,
        "properties": {"description": description, "os": system, "architecture": machine},
        "templates": {
            "/etc/hostname": {"when": ["create", "copy", "rename"], "template": "hostname.tpl"}
        },
    }
    return {
        "metadata.yaml": File(content=json.dumps(document, indent=1).encode()),  # JSON is YAML
        "templates": Directory(),
        "templates/hostname.tpl": File(content=b"{{ container.name }}\n"),
    }


def busybox_tree() -> Tree:
    """The busybox root file system."""
    busybox = programs.find("busybox")
    if not busybox or "statically linked" not in _linkage(busybox):
        raise Trouble("busybox-static is missing", hint="apt-get install busybox-static")
    tree: dict[str, Directory | File | Link] = {path: Directory() for path in DIRECTORIES}
    tree["tmp"] = Directory(mode=0o1777)
    tree["bin/busybox"] = File(content=Path(busybox).read_bytes(), mode=0o755)
    for applet in programs.run(busybox, "--list").split():
        if applet not in APPLETS_LEFT_OUT:
            tree[f"bin/{applet}"] = Link(target="/bin/busybox")
    for path, script in (("sbin/init", INIT), ("etc/rc", START), ("etc/udhcpc.sh", LEASE)):
        tree[path] = File(content=script.encode(), mode=0o755)
    for path, text in (
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        ("etc/profile", "export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("etc/hostname", "busybox\n"),
        ("etc/os-release", 'ID=busybox\nNAME="busybox"\n'),
    ):
        tree[path] = File(content=text.encode())
    return tree


def under(prefix: str, tree: Tree) -> Tree:
    """The same tree below `prefix`."""
    return {f"{prefix}{path}": entry for path, entry in tree.items()}


def add_tree(archive: tarfile.TarFile, tree: Tree) -> None:
    """Write a tree in the order of its paths, which puts parents first."""
    for path in sorted(tree):
        member = tarfile.TarInfo(path)
        member.mtime = MTIME_S
        match tree[path]:
            case Directory(mode=mode):
                member.type, member.mode = tarfile.DIRTYPE, mode
                archive.addfile(member)
            case Link(target=target):
                member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, target
                archive.addfile(member)
            case File(content=content, mode=mode):
                member.mode, member.size = mode, len(content)
                archive.addfile(member, io.BytesIO(content))


def move_under(member: tarfile.TarInfo, directory: str) -> None:
    """Rename a member `./x` to `directory/x`, and with it what a hard link names."""
    member.name = str(Path(directory) / member.name)
    if member.islnk():
        member.linkname = str(Path(directory) / member.linkname)
    member.pax_headers = {
        key: value for key, value in member.pax_headers.items() if key not in ("path", "linkpath")
    }


@contextmanager
def debian_root() -> Iterator[IO[bytes]]:
    """A new Debian root as a tar stream, from the sources that this machine's apt uses."""
    argv = debian_command()
    if not programs.find(argv[0]):
        raise Trouble("mmdebstrap is missing", hint="apt-get install mmdebstrap")
    with subprocess.Popen(
        argv,
        env=programs.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout, "asked for a pipe"
        assert process.stderr, "asked for a pipe"
        try:
            yield process.stdout
            process.stdout.read()  # the padding behind the tar's end
        except tarfile.TarError as broken:
            raise Trouble(_mmdebstrap_said(process), hint=_DEBIAN_HINT) from broken
        except BaseException:
            process.terminate()
            raise
        if said := _mmdebstrap_said(process):
            raise Trouble(said, hint=_DEBIAN_HINT)


_DEBIAN_HINT: Final = "does `apt-get update` work on this machine?"


def _mmdebstrap_said(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr, "asked for a pipe"
    said = process.stderr.read().decode(errors="replace")
    return f"mmdebstrap failed:\n{programs.tail(said)}" if process.wait() else ""


def debian_command() -> list[str]:
    """The mmdebstrap call that writes a tar to standard output."""
    options = [
        line
        for line in programs.run("apt-config", "dump").splitlines()
        if re.match(r"Acquire::(https?::|Check-|Retries)", line)
    ]
    left_out = ("doc", "man", "locale", "info")
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--mode={'root' if programs.is_root() else 'unshare'}",
        "--format=tar",
        "--dpkgopt=force-unsafe-io",  # a root that is thrown away needs no fsync for each file
        f"--include={','.join(DEBIAN_PACKAGES)}",
        *(f"--aptopt={option}" for option in options),
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in left_out),
        *(f"--customize-hook={hook}" for hook in DEBIAN_HOOKS),
        debian_suite(),
        "-",
        *debian_sources(),
    ]


def debian_suite() -> str:
    """This machine's release, as in "bookworm"."""
    found = re.search(r"VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text())
    if not found or not Path("/etc/debian_version").exists():
        raise Trouble("the Debian image is built from this machine's Debian, and this is none")
    return found[1]


def debian_sources() -> list[str]:
    """The file of apt that names Debian's mirror; none: mmdebstrap's own default."""
    candidates = (
        *sorted(Path("/etc/apt/sources.list.d").glob("debian*.sources")),
        Path("/etc/apt/sources.list"),
    )
    return [str(path) for path in candidates if path.exists() and path.stat().st_size][:1]


def _linkage(program: str) -> str:
    """What `ldd` says: a static program is the only one that it refuses."""
    ended = subprocess.run(
        ["ldd", program], env=programs.environment(), capture_output=True, text=True, check=False
    )
    return "statically linked" if ended.returncode or "statically" in ended.stdout else "dynamic"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fingerprint(image: Path) -> str:
    """What LXD calls an image: the SHA-256 of its file."""
    with image.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
