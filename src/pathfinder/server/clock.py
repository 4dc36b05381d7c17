"""Where the server's time comes from: a wall clock for people, and one that measures durations."""

import time
from typing import Protocol

from pathfinder.control.commands import Moment


class Clock(Protocol):
    """The present, as the shell hands it to the pure rooms."""

    def now(self) -> Moment:
        """Wall clock and uptime, both in milliseconds."""


class MachineClock:
    """This machine's clocks. Uptime counts while the machine sleeps, as leases do elsewhere."""

    def now(self) -> Moment:
        """As the port says."""
        uptime_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return Moment(wall_ms=time.time_ns() // 1_000_000, uptime_ms=uptime_ns // 1_000_000)
