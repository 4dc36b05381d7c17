"""What the node is: machine, kernel, addresses, and what its daemon has and can do.

Reads a few files under `root` ("" on a real machine), each bounded; what cannot be read is left
out.
"""

import os
from typing import Final

from pathfinder.agent.settings import VERSION
from pathfinder.runtimes.port import RuntimeFacts
from pathfinder.wire.messages import Facts

FILE_BYTES_MAX: Final = 1 << 16
IMAGES_MAX: Final = 1_000
# Where a control group tells its memory limit: version 2, then version 1.
MEMORY_LIMITS: Final = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


def read_text(path: str) -> str:
    """A small file's text without outer white space; "" when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(FILE_BYTES_MAX).decode(errors="replace").strip()
    except OSError:
        return ""


def boot_id(root: str = "") -> str:
    """Which boot of the machine this is."""
    return read_text(f"{root}/proc/sys/kernel/random/boot_id")


def node_facts(runtime: RuntimeFacts | None, address: str, root: str = "") -> Facts:
    """The node's facts. `runtime` None: its daemon does not answer; `address`: towards the server.

    What the daemon says it has counts: it may see less than the machine.
    """
    machine = os.uname()
    capacity = runtime.capacity if runtime else None
    disk_mib = capacity.disk_mib if capacity else 0
    return Facts(
        agent_version=VERSION,
        hostname=machine.nodename,
        addresses=(address,) if address else (),
        kernel=machine.release,
        os=_os_name(root),
        architecture=(runtime.architecture if runtime else "") or machine.machine,
        machine_id=read_text(f"{root}/etc/machine-id"),
        boot_id=boot_id(root),
        cpu_millis=(capacity.cpu_millis if capacity else 0) or 1000 * cpu_count(),
        memory_mib=_least(capacity.memory_mib if capacity else 0, memory_total_mib(root)),
        disk_mib=disk_mib or (runtime.pool_total_mib if runtime else 0) or _disk_mib(root),
        runtime=runtime.runtime if runtime else "",
        runtime_version=runtime.version if runtime else "",
        kinds=runtime.kinds if runtime else (),
        images=runtime.images[:IMAGES_MAX] if runtime else (),
        limits_missing=runtime.limits_missing if runtime else {},
        warnings=runtime.warnings if runtime else (),
        copies_at=copies_at(runtime, address),
        takes_copies=runtime is not None and runtime.takes_copies,
    )


def copies_at(runtime: RuntimeFacts | None, address: str) -> str:
    """Where other nodes' daemons reach this one's, which may listen at all addresses."""
    listens_at = runtime.copies_at if runtime else ""
    if not listens_at.startswith(":"):
        return listens_at
    host = f"[{address}]" if ":" in address else address
    return f"{host}{listens_at}" if host else ""


def _least(daemons: int, machines: int) -> int:
    """LXD counts memory modules, of which the kernel keeps a part; a daemon may see less."""
    return min(daemons, machines) if daemons and machines else daemons or machines


def cpu_count() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def memory_total_mib(root: str = "") -> int:
    """The machine's memory, or its control group's limit where that is less; 0: not known."""
    total_mib = memory_mib(root).get("MemTotal", 0)
    for path in MEMORY_LIMITS:
        limit = read_text(root + path)
        if limit.isdecimal() and 0 < int(limit) >> 20 < total_mib:
            total_mib = int(limit) >> 20
    return total_mib


def memory_mib(root: str = "") -> dict[str, int]:
    """/proc/meminfo in mebibytes."""
    amounts = {}
    for row in read_text(f"{root}/proc/meminfo").splitlines():
        name, _, amount = row.partition(":")
        number = amount.split()[:1]
        if number and number[0].isdecimal():
            amounts[name] = int(number[0]) >> 10
    return amounts


def _os_name(root: str) -> str:
    for row in read_text(f"{root}/etc/os-release").splitlines():
        key, _, value = row.partition("=")
        if key == "PRETTY_NAME":
            return value.strip('"')
    return ""


def _disk_mib(root: str) -> int:
    disk = os.statvfs(root or "/")
    return disk.f_frsize * disk.f_blocks >> 20
