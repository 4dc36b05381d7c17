"""A cable that is slow: frames are copied between the node's port and the bridge, late.

`tc netem` would do it, and many kernels, small ones above all, do not have it. So a process takes
the port off the bridge and carries each frame over by itself.

`python -m pathfinder.lab.delay PORT INNER MILLISECONDS` is that process.
"""

import heapq
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from pathfinder.lab import kernel, network, programs
from pathfinder.lab.layout import NodeLayout

# <linux/if_packet.h>, <linux/if_ether.h>, <asm-generic/socket.h>
SOL_PACKET: Final = 263
ADD_MEMBERSHIP: Final = 1
VNET_HEADER: Final = 15  # keeps offloaded segments whole: a frame may be 64 KiB of TCP
IGNORE_OUTGOING: Final = 23
PROMISCUOUS: Final = 1
ALL_FRAMES: Final = 3
BUFFER_FORCED: Final = 33
BUFFER_BYTES: Final = 8 << 20
FRAME_BYTES_MAX: Final = 70_000
FRAMES_MAX: Final = 20_000  # under way; more are lost, as on a real cable
FRAMES_AT_ONCE: Final = 64
READY: Final = "ready"


def slow_down(node: NodeLayout, delay_ms: float) -> None:
    """Let each frame take so long, each way; 0 takes the delay away."""
    speed_up(node)
    if not delay_ms:
        return
    outer, inner = f"{node.port}b", f"{node.port}s"
    network.ip(
        [
            f"link add {outer} type veth peer name {inner}",
            f"link set {node.port} nomaster",
            f"link set {inner} up",
            f"link set {outer} master {node.lab.bridge} up",
        ]
    )
    for device in (node.port, inner):  # the machine itself has nothing to say on these
        Path(f"/proc/sys/net/ipv4/conf/{device}/arp_ignore").write_text("8")
        with suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
    argv = [sys.executable, "-m", "pathfinder.lab.delay", node.port, inner, str(delay_ms)]
    with (node.directory / "log/delay.log").open("ab") as log:
        carrier = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    _pid_file(node).write_text(f"{carrier.pid} {delay_ms:g}")
    assert carrier.stdout is not None
    assert carrier.stdout.readline().strip() == READY, f"the delay of {node.name} has ended"
    carrier.stdout.close()


def speed_up(node: NodeLayout) -> None:
    """Take the delay away; again is the same."""
    with suppress(OSError, ValueError):
        pid = int(_pid_file(node).read_text().split()[0])
        if b"pathfinder.lab.delay" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            kernel.wait_until(lambda: kernel.state_of(pid) in "ZX", "the delay has ended")
    _pid_file(node).unlink(missing_ok=True)
    there = network.links()
    if f"{node.port}b" in there:
        programs.run("ip", "link", "del", f"{node.port}b")
    if node.port in there and "master" not in there[node.port]:
        network.ip([f"link set {node.port} master {node.lab.bridge}"])


def delay_of(node: NodeLayout) -> float:
    """In milliseconds, each way; 0: none."""
    try:
        return float(_pid_file(node).read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0


def _pid_file(node: NodeLayout) -> Path:
    return node.directory / "run" / "delay.pid"


def carry(devices: tuple[str, str], delay_s: float) -> None:
    """Copy frames between two devices, each so much later, until killed."""
    ends = [_opened(device) for device in devices]
    print(READY, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    peer = {ends[0]: ends[1], ends[1]: ends[0]}
    under_way: list[tuple[float, int, socket.socket, bytes]] = []
    number = 0
    while True:
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, end, frame = heapq.heappop(under_way)
            with suppress(OSError):
                end.send(frame)
        pause = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for end in select.select(ends, (), (), pause)[0]:
            for _ in range(FRAMES_AT_ONCE):
                try:
                    frame = end.recv(FRAME_BYTES_MAX)
                except OSError:
                    break
                if len(under_way) < FRAMES_MAX:
                    number += 1
                    due = time.monotonic() + delay_s
                    heapq.heappush(under_way, (due, number, peer[end], frame))


def _opened(device: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    end.setsockopt(SOL_PACKET, VNET_HEADER, 1)
    end.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, BUFFER_FORCED, BUFFER_BYTES)
    end.bind((device, ALL_FRAMES))
    wanted = struct.pack("iHH8s", socket.if_nametoindex(device), PROMISCUOUS, 0, b"")
    end.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, wanted)
    end.setblocking(False)
    return end


if __name__ == "__main__":
    carry((sys.argv[1], sys.argv[2]), float(sys.argv[3]) / 1_000)
