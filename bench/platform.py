"""From `apply` to running: server, agent and LXD as in life, beside bare requests in the same run.

One at a time, and ten at once. The time ends when the event `running` arrives at whoever waits, as
for a person. The floor is create and start by nothing but requests; of ten at once,
the best that these reach with 2, 4 or 8 workers. Both alternate; removing is not measured.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.lxd_runtime import TEN, WORKERS, _bare, _result, _spread
from pathfinder.client.client import Client
from pathfinder.client.kinds import CONTAINER
from pathfinder.runtimes.lxd import LxdRuntime
from tests.support.lxd import PrivateLxd, private_lxd, why_not
from tests.support.platform import Platform, running_platform, wait_for

SINGLE_RUNS: Final = 20
TEN_RUNS: Final = 5
WARM_UP: Final = 2
GONE_S_MAX: Final = 60.0


def run() -> Iterator[dict[str, Any]]:
    """Results in milliseconds; none, with the reason printed, where LXD cannot run."""
    if reason := why_not():
        print(f"platform: {reason}")
        return
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as directory,
        private_lxd() as lxd,
        running_platform(Path(directory), lxd) as platform,
        platform.client() as client,
    ):
        yield _one_at_a_time(platform, client, lxd)
        yield _ten_at_once(platform, client, lxd)


def _one_at_a_time(platform: Platform, client: Client, lxd: PrivateLxd) -> dict[str, Any]:
    bare, runtime = _bare(lxd.socket_path), LxdRuntime(lxd.socket_path)
    ours_ms: list[float] = []
    bare_ms: list[float] = []
    for number in range(WARM_UP + SINGLE_RUNS):
        took_ms = _applied(platform, client, ["one"])
        began = time.perf_counter()
        bare("bare")
        if number >= WARM_UP:
            ours_ms.append(took_ms)
            bare_ms.append((time.perf_counter() - began) * 1000)
        runtime.remove("bare")
    runtime.close()
    return _result("apply_to_running", ours_ms, statistics.median(bare_ms))


def _ten_at_once(platform: Platform, client: Client, lxd: PrivateLxd) -> dict[str, Any]:
    bare, runtime = _bare(lxd.socket_path), LxdRuntime(lxd.socket_path)
    ours_ms: list[float] = []
    bare_ms: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    names = [f"ten-{number:02}" for number in range(TEN)]
    for _ in range(TEN_RUNS):
        ours_ms.append(_applied(platform, client, names))
        for workers, times_ms in bare_ms.items():
            began = time.perf_counter()
            _spread(bare, names, workers)
            times_ms.append((time.perf_counter() - began) * 1000)
            _spread(runtime.remove, names, TEN)
    runtime.close()
    best_ms = min(statistics.median(times_ms) for times_ms in bare_ms.values())
    return _result("apply_to_ten_running", ours_ms, best_ms)


def _applied(platform: Platform, client: Client, names: list[str]) -> float:
    """Milliseconds from sending the request to the last container's event; then remove them."""
    spec = {"image": "busybox", "type": "STATELESS"}
    documents = [{"kind": "Container", "name": name, "spec": spec} for name in names]
    since = client.version()["revision"]
    missing = set(names)
    began = time.perf_counter()
    client.apply(documents)
    with platform.client() as follower:
        for event in follower.follow_events(since=since):
            if event["action"] == "running":
                missing.discard(event["name"])
            if not missing:
                break
    took_ms = (time.perf_counter() - began) * 1000
    for name in names:
        client.delete(CONTAINER, name)
    wait_for(lambda: not platform.items("container"), GONE_S_MAX, "they are gone")
    return took_ms
