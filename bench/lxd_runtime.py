"""From a wish to a running container: LxdRuntime beside the bare requests, in the same run.

One at a time, and ten at once with 2, 4 and 8 workers; the floor of the latter is the best that
bare requests reach with any of these numbers of workers. Runs of both alternate, since the daemon's
own time wanders; removing is not measured.
"""

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, Final

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.runtimes.http import UnixEndpoint
from pathfinder.runtimes.lxd import LxdRuntime
from pathfinder.runtimes.port import Labels, Wish
from tests.support.lxd import private_lxd, why_not

SINGLE_RUNS: Final = 15
TEN_RUNS: Final = 3
TEN: Final = 10
WORKERS: Final = (2, 4, 8)
WARM_UP: Final = 2
CLUSTER: Final = "bench"

Make = Callable[[str], None]


def run() -> Iterator[dict[str, Any]]:
    """Results in milliseconds; none, with the reason printed, where LXD cannot run."""
    if reason := why_not():
        print(f"lxd_runtime: {reason}")
        return
    with private_lxd() as daemon:
        runtime = LxdRuntime(daemon.socket_path)
        ours, bare = _ours(runtime), _bare(daemon.socket_path)
        yield _one_at_a_time(runtime, ours, bare)
        yield from _ten_at_once(runtime, ours, bare)
        runtime.close()


def _one_at_a_time(runtime: LxdRuntime, ours: Make, bare: Make) -> dict[str, Any]:
    times: dict[Make, list[float]] = {ours: [], bare: []}
    for number in range(WARM_UP + SINGLE_RUNS):
        for make in (ours, bare):
            began = time.perf_counter()
            make("one")
            if number >= WARM_UP:
                times[make].append((time.perf_counter() - began) * 1000)
            runtime.remove("one")
    return _result("lxd_create_start", times[ours], statistics.median(times[bare]))


def _ten_at_once(runtime: LxdRuntime, ours: Make, bare: Make) -> Iterator[dict[str, Any]]:
    names = [f"ten-{number:02}" for number in range(TEN)]
    times: dict[tuple[Make, int], list[float]] = {}
    for _ in range(TEN_RUNS):
        for workers in WORKERS:
            for make in (ours, bare):
                began = time.perf_counter()
                _spread(make, names, workers)
                took_ms = (time.perf_counter() - began) * 1000
                times.setdefault((make, workers), []).append(took_ms)
                _spread(runtime.remove, names, TEN)
    floor = min(statistics.median(times[bare, workers]) for workers in WORKERS)
    for workers in WORKERS:
        yield _result(f"lxd_ten_at_once_{workers}_workers", times[ours, workers], floor)


def _spread(make: Make, names: list[str], workers: int) -> None:
    """Call `make` for each name, `workers` at a time."""
    waiting: SimpleQueue[str | None] = SimpleQueue()
    for name in (*names, *[None] * workers):
        waiting.put(name)

    def work() -> None:
        while (name := waiting.get()) is not None:
            make(name)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ours(runtime: LxdRuntime) -> Make:
    def make(name: str) -> None:
        labels = Labels(cluster=CLUSTER, slot=name, generation=1, digest="0" * 16)
        spec = ContainerSpec(image=ImageSource(alias="busybox"))
        runtime.create(Wish(name=name, labels=labels, spec=spec))
        runtime.start(name)

    return make


def _bare(socket_path: str) -> Make:
    """The same container by nothing but requests, one kept connection for each thread."""
    kept = threading.local()

    def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        if not hasattr(kept, "connection"):
            kept.connection = http.client.HTTPConnection("localhost")
            kept.connection.sock = UnixEndpoint(socket_path).connect(5.0)
            kept.connection.sock.settimeout(120.0)
        kept.connection.request(method, path, json.dumps(body) if body else None)
        return json.loads(kept.connection.getresponse().read())

    def finish(method: str, path: str, body: dict[str, Any]) -> None:
        operation = ask(method, path, body)["operation"]
        document = ask("GET", f"{operation}/wait?timeout=120")["metadata"]
        assert document["status_code"] == 200, document

    def make(name: str) -> None:
        config = {  # labels, so that the runtime may remove it
            f"user.pathfinder.{key}": value
            for key, value in (
                ("cluster", CLUSTER), ("slot", name), ("generation", "1"), ("digest", "0" * 16),
            )
        }  # fmt: skip
        source = {"type": "image", "alias": "busybox"}
        finish("POST", "/1.0/instances", {"name": name, "source": source, "config": config})
        finish("PUT", f"/1.0/instances/{name}/state", {"action": "start", "timeout": 30})

    return make


def _result(name: str, times_ms: list[float], floor_ms: float) -> dict[str, Any]:
    value = statistics.median(times_ms)
    return {
        "name": name,
        "value": round(value, 1),
        "unit": "ms",
        "floor": round(floor_ms, 1),
        "ratio": round(value / floor_ms, 3),
        "runs": len(times_ms),
    }
