"""How long a container with 200 MiB is down while it moves, beside doing it by hand.

By hand: the bare requests to the same two LXD daemons, by somebody who has taken the first copy
already: stop, refresh, start. Down is what is seen from outside: from the last moment at which the
old daemon says that it runs to the first at which the new one does.
"""

import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from pathfinder.runtimes.http import UnixEndpoint
from pathfinder.runtimes.lxd_copies import travelling
from pathfinder.runtimes.lxdclient.client import LxdClient
from pathfinder.runtimes.lxdclient.commands import run_command
from pathfinder.runtimes.lxdclient.errors import NotFound
from pathfinder.runtimes.lxdclient.paths import instance_path
from tests.support.lab import Lab, running_lab, why_not

MIB: Final = 200
RUNS: Final = 5
LOOK_S: Final = 0.005
WAIT_S_MAX: Final = 120.0
STOP: Final = {"action": "stop", "force": False, "timeout": 10}
START: Final = {"action": "start", "timeout": 30}


@dataclass(frozen=True)
class Pair:
    """The LXD daemons of two nodes; the first one listens at `address`."""

    source: LxdClient
    target: LxdClient
    address: str


def run() -> Iterator[Mapping[str, Any]]:
    """Downtime beside that by hand; and how long the whole move takes."""
    if reason := why_not():
        print(f"relocation: {reason}")
        return
    with running_lab(nodes=2) as lab:
        layouts = [lab.layout.node(name) for name in ("n1", "n2")]
        source, target = (LxdClient(UnixEndpoint(str(each.socket("lxd")))) for each in layouts)
        pair = Pair(source, target, f"{layouts[0].address}:8443")
        lab.pfi("cordon", "n2")
        times = [(_by_hand(pair, f"h{run}"), _by_us(lab, pair, f"p{run}")) for run in range(RUNS)]
        source.close()
        target.close()
    floor = 1000 * statistics.median(hand for hand, _ in times)
    down = 1000 * statistics.median(ours for _, (ours, _) in times)
    whole = 1000 * statistics.median(whole for _, (_, whole) in times)
    yield _result(f"down while {MIB} MiB move to another node", down, floor)
    yield _result(f"the whole move of {MIB} MiB", whole, None)


def _result(name: str, value: float, floor: float | None) -> dict[str, Any]:
    ratio = None if floor is None else value / floor
    return {
        "name": name,
        "value": value,
        "unit": "ms",
        "floor": floor,
        "ratio": ratio,
        "runs": RUNS,
    }


def _by_hand(pair: Pair, name: str) -> float:
    source, target = pair.source, pair.target
    image = {"type": "image", "alias": "busybox"}
    source.run("POST", "/1.0/instances", {"name": name, "source": image})
    source.run("PUT", instance_path(name, "state"), START)
    _write(source, name)
    _copy(pair, name, refresh=False)
    with Watch(pair, name) as watch:
        source.run("PUT", instance_path(name, "state"), STOP)
        _copy(pair, name, refresh=True)
        target.run("PUT", instance_path(name, "state"), START)
    target.run("PUT", instance_path(name, "state"), {**STOP, "force": True})
    for client in (source, target):
        client.run("DELETE", instance_path(name))
    return watch.down_s


def _copy(pair: Pair, name: str, *, refresh: bool) -> None:
    """Pull mode: the target fetches what the source is ready to hand over."""
    document = pair.source.get(instance_path(name))
    certificate = pair.source.get("/1.0")["environment"]["certificate"]
    ready = {"name": name, "migration": True, "live": False, "allow_inconsistent": True}
    operation = pair.source.begin("POST", instance_path(name), ready)
    config = travelling(document["config"])
    fetching = {
        "type": "migration",
        "mode": "pull",
        "operation": f"https://{pair.address}{operation.path}",
        "certificate": certificate,
        "secrets": operation.metadata,
        "base-image": config.get("volatile.base_image", ""),
        "refresh": refresh,
    }
    body = {
        "name": name,
        "architecture": document["architecture"],
        "config": config,
        "profiles": ["default"],
        "source": fetching,
    }
    pair.target.run("POST", "/1.0/instances", body, timeout_s=WAIT_S_MAX)


def _by_us(lab: Lab, pair: Pair, name: str) -> tuple[float, float]:
    spec = {"type": "STATEFUL", "image": "busybox", "resources": {"memory": "32MiB"}}
    lab.apply({"kind": "Container", "name": name, "spec": spec})
    lab.pfi("wait", f"container/{name}")
    _write(pair.source, name)
    lab.pfi("uncordon", "n2")
    began_s = time.monotonic()
    with Watch(pair, name) as watch, lab.client() as client:
        client.relocate(name, "n2")
    whole_s = time.monotonic() - began_s
    lab.pfi("cordon", "n2")
    lab.pfi("delete", "container", name)
    lab.pfi("wait", f"container/{name}", "--for", "deleted")
    return watch.down_s, whole_s


def _write(client: LxdClient, name: str) -> None:
    command = ("dd", "if=/dev/urandom", "of=/root/data", "bs=1M", f"count={MIB}")
    code, _, error = run_command(client, name, command)
    assert code == 0, error


class Watch:
    """Looks where an instance runs, from the block's beginning until it runs on the target."""

    def __init__(self, pair: Pair, name: str) -> None:
        self._pair, self._name = pair, name
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.down_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        assert self.down_s, f"{self._name} did not move within {WAIT_S_MAX:.0f} s"

    def _runs_at(self, client: LxdClient) -> bool:
        try:
            return bool(client.get(instance_path(self._name))["status"] == "Running")
        except NotFound:
            return False

    def _look(self) -> None:
        last_s = time.monotonic()
        deadline_s = last_s + WAIT_S_MAX
        while time.monotonic() < deadline_s:
            if self._runs_at(self._pair.source):
                last_s = time.monotonic()
            elif self._runs_at(self._pair.target):
                self.down_s = time.monotonic() - last_s
                return
            time.sleep(LOOK_S)
