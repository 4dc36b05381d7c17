"""A private LXD daemon for tests: its own directory, socket, bridge, pool and busybox image.

It touches nothing of an LXD that the machine may already have, and takes everything away at the
end. What a killed test run has left is taken away by the next.
"""

import base64
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pathfinder.lab.images import build_busybox, fingerprint
from pathfinder.runtimes.http import UnixEndpoint
from pathfinder.runtimes.lxdclient.client import LxdClient
from pathfinder.runtimes.lxdclient.errors import LxdError
from pathfinder.runtimes.lxdclient.images import set_alias, upload
from tests.support.processes import end_processes, frozen, wait_until
from tools.container_daemon import raise_kernel_limits

ROOT: Final = Path("/var/tmp")  # not /tmp: that may be memory, or full
PREFIX: Final = "pathfinder-lxd-"
START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 30.0
POOL_SIZE: Final = "4GiB"


def why_not() -> str:
    """Why no private LXD can run here; "" when it can."""
    if os.geteuid() != 0:
        return "a private LXD needs root"
    missing = [program for program in ("lxd", "dnsmasq", "busybox") if not shutil.which(program)]
    return f"not installed: {', '.join(missing)}" if missing else ""


class PrivateLxd:
    """One daemon. `kill` and `start` may be used at will: containers survive the daemon."""

    def __init__(self, directory: Path, number: int) -> None:
        self.directory = directory
        self.bridge = f"pft{number}"
        self.subnet = f"10.{150 + number % 100}.{number // 100 % 250}"
        self.socket_path = str(directory / "unix.socket")
        self.client = LxdClient(UnixEndpoint(self.socket_path))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon, and return when it answers."""
        assert self._process is None, "it runs already"
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                ["lxd", "--group", "root", "--logfile", str(self.directory / "lxd.log")],
                env={**os.environ, "LXD_DIR": str(self.directory)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        (self.directory / "pid").write_text(str(self._process.pid))
        wait_until(self.answers, START_S_MAX, "LXD answers")

    def answers(self) -> bool:
        """Whether requests are answered; AssertionError when the daemon has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"LXD ended: {(self.directory / 'output').read_text()[-2000:]}")
        try:
            self.client.get("/1.0", timeout_s=5.0)
        except LxdError:
            return False
        return True

    def kill(self) -> None:
        """End the daemon as a power cut would, without its containers."""
        assert self._process is not None, "it does not run"
        self._process.kill()
        self._process.wait(STOP_S_MAX)
        self._process = None

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

    def set_up(self, driver: str) -> None:
        """Make pool, bridge, profile and image."""
        client = self.client
        size = {"size": POOL_SIZE} if driver == "btrfs" else {}
        plain = {"images.auto_update_interval": "0", "images.remote_cache_expiry": "0"}
        client.request("PATCH", "/1.0", {"config": plain})
        client.request(
            "POST", "/1.0/storage-pools", {"name": "default", "driver": driver, "config": size}
        )
        network = {
            "ipv4.address": f"{self.subnet}.1/24",
            "ipv4.nat": "false",
            "ipv4.firewall": "false",
            "ipv6.address": "none",
            "ipv6.firewall": "false",
        }
        body = {"name": self.bridge, "type": "bridge", "config": network}
        client.request("POST", "/1.0/networks", body)
        devices = {
            "root": {"type": "disk", "path": "/", "pool": "default"},
            "eth0": {"type": "nic", "name": "eth0", "network": self.bridge},
        }
        client.request("PATCH", "/1.0/profiles/default", {"devices": devices})
        build_busybox(self.directory / "busybox.tar.gz")
        self.provide_image()

    def provide_image(self) -> None:
        """Import the busybox image under its alias."""
        image = self.directory / "busybox.tar.gz"
        upload(self.client, image.read_bytes(), fingerprint=fingerprint(image))
        set_alias(self.client, "busybox", fingerprint(image))

    def listen(self) -> str:
        """Listen for HTTPS on the loopback; the address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.client.request("PATCH", "/1.0", {"config": {"core.https_address": address}})
        return f"https://{address}"

    @property
    def certificate(self) -> str:
        """The daemon's own certificate, in PEM."""
        return (self.directory / "server.crt").read_text()

    def trust(self, certificate: str) -> None:
        """Trust a client's certificate, given in PEM."""
        content = base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate)).decode()
        body = {"type": "client", "name": "test", "certificate": content}
        self.client.request("POST", "/1.0/certificates", body)

    def remove_instances(self) -> None:
        """Remove every instance, whoever made it."""
        for document in self.client.get("/1.0/instances?recursion=1"):
            path = f"/1.0/instances/{document['name']}"
            if document["status"] != "Stopped":
                self.client.run("PUT", f"{path}/state", {"action": "stop", "force": True})
            self.client.run("DELETE", path)

    def take_away(self) -> None:
        """Remove everything that the daemon has made, then the daemon."""
        if self._process is None:
            self.start()
        client = self.client
        self.remove_instances()
        client.request("PUT", "/1.0/profiles/default", {"devices": {}})
        for path in client.get("/1.0/images"):
            client.run("DELETE", path)
        client.run("DELETE", f"/1.0/networks/{self.bridge}")
        client.run("DELETE", "/1.0/storage-pools/default")
        client.close()
        assert self._process is not None, "started above"
        self._process.terminate()
        self._process.wait(STOP_S_MAX)
        remove_directory(self.directory)


@contextmanager
def private_lxd(driver: str = "") -> Iterator[PrivateLxd]:
    """A daemon with a pool of `driver` ("": btrfs where it can be had), taken away at the end."""
    remove_remains()
    raise_kernel_limits()
    number = free_number()
    directory = ROOT / f"{PREFIX}{os.getpid()}-{number}"
    directory.mkdir(mode=0o711)
    lxd = PrivateLxd(directory, number)
    try:
        lxd.start()
        lxd.set_up(driver or ("btrfs" if shutil.which("mkfs.btrfs") else "dir"))
        yield lxd
    finally:
        lxd.take_away()


def free_number() -> int:
    """A number that names a bridge and a subnet that nobody on this machine uses."""
    taken = subprocess.run(["ip", "-4", "addr"], capture_output=True, text=True, check=True).stdout
    start = os.getpid()
    for number in range(start, start + 1000):
        number_in_use = f" 10.{150 + number % 100}.{number // 100 % 250}." in taken
        if not number_in_use and not Path(f"/sys/class/net/pft{number}").exists():
            return number
    raise AssertionError("no free subnet")


def remove_remains() -> None:
    """Take away what test runs that were killed have left."""
    for directory in ROOT.glob(f"{PREFIX}*"):
        match = re.fullmatch(rf"{PREFIX}(\d+)-(\d+)", directory.name)
        if match is None or Path(f"/proc/{match[1]}").exists():
            continue
        end_processes(directory)
        bridge = f"pft{match[2]}"
        if Path(f"/sys/class/net/{bridge}").exists():
            subprocess.run(["ip", "link", "delete", bridge], check=True)
        remove_directory(directory)


def remove_directory(directory: Path) -> None:
    """Remove a daemon's directory with whatever is still mounted below it."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith(f"{directory}/"):
            subprocess.run(["umount", "-l", mount], check=True)
    shutil.rmtree(directory)
