"""What the node and its containers use: from /proc, the file system and the daemon.

A round asks the daemon about at most `CONTAINERS_PER_ROUND` containers, in turn, so that a crowded
node costs no more than a small one; of the others the last known value is told.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pathfinder.agent.facts import memory_mib, memory_total_mib, read_text
from pathfinder.agent.looking import Running
from pathfinder.runtimes.port import Runtime, RuntimeFacts, RuntimeFailure, Usage
from pathfinder.runtimes.qualified import plain_name
from pathfinder.wire.messages import ContainerUsage, Measurements

CONTAINERS_PER_ROUND: Final = 50
IDLE_COLUMNS: Final = (3, 4)  # of /proc/stat: idle, waiting for the disk
COLUMNS: Final = 8  # the later ones (guest) are counted in the first already


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """One round: what the node tells the server, and what the daemon said of each container.

    event: of the `Running` that was asked about.
    """

    measurements: Measurements
    usages: Mapping[str, Usage]
    event: int


class Meter:
    """Measures in rounds; rates are differences between them. One thread uses it."""

    def __init__(
        self, runtime: Runtime, now_ns: Callable[[], int], *, cpu_count: int, root: str = ""
    ) -> None:
        self._runtime = runtime
        self._now_ns = now_ns
        self._cpu_count = cpu_count
        self._root = root
        self._ticks: tuple[int, int] | None = None  # busy, all
        self._cpu: dict[str, tuple[int, int]] = {}  # slot -> measured at ns, used ns
        self._usage: dict[str, ContainerUsage] = {}
        self._turn = 0

    def round(self, running: Running, facts: RuntimeFacts | None) -> Metered:
        """One round over the node and some of its `running` containers."""
        usages = self._containers(running.names)
        return Metered(measurements=self._measurements(facts), usages=usages, event=running.event)

    def _measurements(self, facts: RuntimeFacts | None) -> Measurements:
        memory = memory_mib(self._root)
        total_mib = memory_total_mib(self._root)
        loads = [*read_text(f"{self._root}/proc/loadavg").split(), "0", "0", "0"][:3]
        disk = os.statvfs(self._root or "/")
        return Measurements(
            cpu_used_millis=self._cpu_used_millis(),
            memory_total_mib=total_mib,
            memory_used_mib=max(0, total_mib - memory.get("MemAvailable", total_mib)),
            load_1m=float(loads[0]),
            load_5m=float(loads[1]),
            load_15m=float(loads[2]),
            disk_total_mib=disk.f_frsize * disk.f_blocks >> 20,
            disk_used_mib=disk.f_frsize * (disk.f_blocks - disk.f_bfree) >> 20,
            pool_total_mib=facts.pool_total_mib if facts else 0,
            pool_used_mib=facts.pool_used_mib if facts else 0,
            containers=tuple(self._usage[slot] for slot in sorted(self._usage)),
        )

    def _cpu_used_millis(self) -> int:
        row = read_text(f"{self._root}/proc/stat").partition("\n")[0].split()[1:]
        ticks = [int(number) for number in row[:COLUMNS]]
        if len(ticks) < COLUMNS:
            return -1
        every = sum(ticks)
        busy = every - sum(ticks[column] for column in IDLE_COLUMNS)
        before, self._ticks = self._ticks, (busy, every)
        if before is None or every <= before[1]:
            return -1
        share = (busy - before[0]) / (every - before[1])
        return max(0, round(share * 1000 * self._cpu_count))

    def _containers(self, running: Sequence[str]) -> dict[str, Usage]:
        """Measure those whose turn it is; what the daemon says of each."""
        for slot in self._cpu.keys() - set(running):
            del self._cpu[slot]
        self._usage = {slot: usage for slot, usage in self._usage.items() if slot in running}
        count = min(CONTAINERS_PER_ROUND, len(running))
        usages: dict[str, Usage] = {}
        for step in range(count):
            slot = running[(self._turn + step) % len(running)]
            try:
                usages[slot] = self._runtime.usage(slot)
            except RuntimeFailure:
                self._usage.pop(slot, None)
            else:
                self._take(slot, usages[slot])
        self._turn = (self._turn + count) % max(1, len(running))
        return usages

    def _take(self, slot: str, usage: Usage) -> None:
        now_ns, before = self._now_ns(), self._cpu.get(slot)
        cpu_millis = -1
        if usage.cpu_ns >= 0:
            self._cpu[slot] = (now_ns, usage.cpu_ns)
            if before is not None and now_ns > before[0] and usage.cpu_ns >= before[1]:
                cpu_millis = round(1000 * (usage.cpu_ns - before[1]) / (now_ns - before[0]))
        self._usage[slot] = ContainerUsage(
            slot=plain_name(slot),
            cpu_millis=cpu_millis,
            memory_mib=usage.memory_mib,
            disk_mib=usage.disk_mib,
            processes=usage.processes,
        )
