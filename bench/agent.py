"""What an agent costs its node: resident memory after an hour's exchanges over TLS, and idle CPU.

The hour is compressed: a server that never parks makes the agent exchange as fast as its own bound
allows (50 a second), 1,200 times, as an hour at the default heartbeat of 3 s would. The floor is a
bare interpreter that has imported ssl, json and threading, started in the same run.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from tests.support.agent_process import running_agent
from tests.support.agent_server import Certificate, StubServer, serving
from tests.support.lxd import private_lxd, why_not

HOUR_EXCHANGES: Final = 1_200
CONTAINERS: Final = ("web-01", "web-02", "web-03")
IDLE_S: Final = 20.0
HOUR_S_MAX: Final = 180.0
READY_S_MAX: Final = 60.0
BARE: Final = "import ssl, json, threading; print('ready', flush=True); input()"


def run() -> Iterator[dict[str, Any]]:
    """Memory after a few exchanges, after an hour's worth, the growth between; and idle CPU."""
    bare_mib = _bare_mib()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        socket = str(directory / "no.socket")
        wanted: tuple[str, ...] = ()
        if not why_not():
            socket, wanted = stack.enter_context(private_lxd()).socket_path, CONTAINERS
        certificate, stub = Certificate(directory), StubServer(heartbeat_ms=3_000)
        stub.keeps = 4
        stub.want(*wanted)
        url = stack.enter_context(serving(stub, certificate))
        token = certificate.join_token()
        agent = stack.enter_context(running_agent(directory, url, socket=socket, join_token=token))
        if wanted:
            stub.wait_until(lambda: set(stub.phases().values()) == {"running"}, READY_S_MAX)
        stub.wait_until(lambda: stub.exchange_count >= 10, READY_S_MAX)
        young_mib = _resident_mib(agent.pid)
        cpu_percent = _cpu_percent(agent.pid, IDLE_S)
        stub.parks = False
        begun = stub.exchange_count
        stub.wait_until(lambda: stub.exchange_count >= begun + HOUR_EXCHANGES // 2, HOUR_S_MAX)
        half_mib = _resident_mib(agent.pid)
        stub.wait_until(lambda: stub.exchange_count >= begun + HOUR_EXCHANGES, HOUR_S_MAX)
        old_mib = _resident_mib(agent.pid)
    yield _result("agent_memory_young", young_mib, "MiB", bare_mib)
    yield _result("agent_memory_hour", old_mib, "MiB", bare_mib)
    yield _result("agent_memory_growth", old_mib - half_mib, "MiB", None)
    yield _result("agent_idle_cpu", cpu_percent, "% of a core", None)


def _result(name: str, value: float, unit: str, floor: float | None) -> dict[str, Any]:
    ratio = round(value / floor, 2) if floor else None
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "floor": round(floor, 3) if floor else None,
        "ratio": ratio,
        "runs": 1,
    }


def _bare_mib() -> float:
    with subprocess.Popen(
        [sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as bare:
        assert bare.stdout is not None, "asked for above"
        bare.stdout.readline()
        resident_mib = _resident_mib(bare.pid)
        bare.kill()
    return resident_mib


def _resident_mib(pid: int) -> float:
    for row in Path(f"/proc/{pid}/status").read_text().splitlines():
        if row.startswith("VmRSS:"):
            return int(row.split()[1]) / 1024
    raise AssertionError("the kernel tells no resident memory")


def _cpu_percent(pid: int, for_s: float) -> float:
    before, began = _cpu_ticks(pid), time.monotonic()
    time.sleep(for_s)
    used_s = (_cpu_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
    return 100 * used_s / (time.monotonic() - began)


def _cpu_ticks(pid: int) -> int:
    columns = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(columns[11]) + int(columns[12])
