"""Thirty Docker containers at once, and one that is killed: beside bare requests and beside Swarm.

Thirty: from `apply` to the event `running` of the last, through server and agent as in life; the
floor is the best that bare create and start reach with 2, 4 or 8 workers, on the same daemon in
turns with ours. `docker service create --replicas 30` is measured in the same turns, as values of
its own whose floor is ours: until all thirty run, and until the command returns, which watches them
for 5 s more. A killed container: until the daemon says that it runs again. The floor is what bare
requests need for the same: LXD is busy for half a second with an instance that was killed. All have
run for longer than the 10 s after which a death is no crash loop.
"""

import http.client
import json
import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bench.lxd_runtime import _result, _spread
from pathfinder.client.client import Client
from pathfinder.client.kinds import CONTAINER, DEPLOYMENT
from pathfinder.runtimes.docker import DockerRuntime
from pathfinder.runtimes.http import UnixEndpoint
from pathfinder.runtimes.lxdclient.errors import Answered, OperationFailed
from tests.support.dockerd import PrivateDocker, private_docker, why_not
from tests.support.lxd import PrivateLxd, private_lxd
from tests.support.lxd import why_not as why_no_lxd
from tests.support.platform import Platform, running_platform, wait_for

THIRTY: Final = 30
ROUNDS: Final = 3
WORKERS: Final = (2, 4, 8)
KILLS: Final = 3
STEADY_S: Final = 11.0  # then a death is answered at once
PATIENCE_S: Final = 120.0
LOOK_S: Final = 0.005
LABELS: Final = {f"pathfinder.{key}": "1" for key in ("cluster", "slot", "generation", "digest")}
SWARM: Final = {"ListenAddr": "127.0.0.1:2377", "AdvertiseAddr": "127.0.0.1"}


def run() -> Iterator[dict[str, Any]]:
    """Results in milliseconds; none, with the reason printed, where a daemon cannot run."""
    if reason := why_not():
        print(f"docker: {reason}")
        return
    # A swarm has no live-restore, and brings networks with it: it gets a network of its own.
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as directory,
        private_docker(live_restore=False, apart=True) as docker,
        running_platform(Path(directory), docker) as platform,
        platform.client() as client,
    ):
        docker.client.request("POST", "/swarm/init", SWARM, timeout_s=PATIENCE_S)
        yield from _thirty(platform, client, docker)
        yield _killed_docker(client, docker)
    if reason := why_no_lxd():
        print(f"docker: {reason}")
        return
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as directory,
        private_lxd() as lxd,
        running_platform(Path(directory), lxd) as platform,
        platform.client() as client,
    ):
        yield _killed_lxd(client, lxd)


def _thirty(platform: Platform, client: Client, docker: PrivateDocker) -> Iterator[dict[str, Any]]:
    names = [f"bare-{number:02}" for number in range(THIRTY)]
    bare, runtime = _bare(docker.socket_path), DockerRuntime(docker.socket_path)
    ours_ms: list[float] = []
    swarm_ms: list[float] = []
    command_ms: list[float] = []
    bare_ms: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    for number in range(1 + ROUNDS):
        ours = _applied(platform, client)
        swarm, command = _service(docker)
        for workers, times_ms in bare_ms.items():
            began = time.perf_counter()
            _spread(bare, names, workers)
            if number:
                times_ms.append((time.perf_counter() - began) * 1000)
            docker.remove_containers()
        if number:  # the first round warms everybody up
            ours_ms.append(ours)
            swarm_ms.append(swarm)
            command_ms.append(command)
    runtime.close()
    best_ms = min(statistics.median(times_ms) for times_ms in bare_ms.values())
    yield _result("docker_apply_to_thirty_running", ours_ms, best_ms)
    yield _result("docker_swarm_thirty_running", swarm_ms, statistics.median(ours_ms))
    yield _result("docker_swarm_service_create", command_ms, statistics.median(ours_ms))


def _applied(platform: Platform, client: Client) -> float:
    """Milliseconds from sending the request to the last container's event; then remove them."""
    spec = {"kind": "application", "image": "busybox", "type": "STATELESS"}
    document = {"kind": "Deployment", "name": "web", "replicas": THIRTY, "spec": spec}
    since = client.version()["revision"]
    missing = {f"web-{number:02}" for number in range(1, 1 + THIRTY)}
    began = time.perf_counter()
    client.apply([document])
    with platform.client() as follower:
        for event in follower.follow_events(since=since):
            if event["action"] == "running":
                missing.discard(event["name"])
            if not missing:
                break
    took_ms = (time.perf_counter() - began) * 1000
    client.delete(DEPLOYMENT, "web")
    wait_for(lambda: not platform.items("container"), PATIENCE_S, "they are gone")
    return took_ms


def _service(docker: PrivateDocker) -> tuple[float, float]:
    """Milliseconds until a service's thirty tasks run, and until the command ends; then remove."""
    client = docker.client
    argv = ["docker", "-H", f"unix://{docker.socket_path}", "service", "create", "--quiet"]
    argv += ["--replicas", str(THIRTY), "--stop-grace-period", "0s", "--name", "bench", "busybox"]
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        wait_for(lambda: len(client.get("/containers/json")) == THIRTY, PATIENCE_S, "all run")
        running_ms = (time.perf_counter() - began) * 1000
        assert command.wait(PATIENCE_S) == 0
    ended_ms = (time.perf_counter() - began) * 1000
    client.request("DELETE", "/services/bench")
    wait_for(lambda: not client.get("/containers/json?all=1"), PATIENCE_S, "they are gone")
    return running_ms, ended_ms


def _bare(socket_path: str) -> Callable[[str], None]:
    """The same container by nothing but requests, one kept connection for each thread."""
    kept = threading.local()

    def ask(path: str, body: dict[str, Any] | None = None) -> None:
        if not hasattr(kept, "connection"):
            kept.connection = http.client.HTTPConnection("localhost")
            kept.connection.sock = UnixEndpoint(socket_path).connect(5.0)
            kept.connection.sock.settimeout(PATIENCE_S)
        headers = {"Content-Type": "application/json"}
        kept.connection.request("POST", path, json.dumps(body) if body else None, headers)
        answer = kept.connection.getresponse()
        said = answer.read()
        assert answer.status < 300, said

    def make(name: str) -> None:
        host = {"RestartPolicy": {"Name": "no"}, "NetworkMode": "default"}
        body = {"Image": "busybox", "Hostname": name, "Labels": LABELS, "HostConfig": host}
        ask(f"/v1.41/containers/create?name={name}", body)
        ask(f"/v1.41/containers/{name}/start")

    return make


def _killed_docker(client: Client, docker: PrivateDocker) -> dict[str, Any]:
    spec = {"kind": "application", "image": "busybox"}
    client.apply([{"kind": "Container", "name": "one", "spec": spec}])
    _bare(docker.socket_path)("bare")
    wait_for(lambda: _docker_pid(docker, "one") > 0, PATIENCE_S, "it runs")
    ours_ms = _kills(lambda: _docker_pid(docker, "one"))
    bare_ms = []
    for _ in range(KILLS):
        began = _kill(docker.pid("bare"))
        wait_for(lambda: _docker_pid(docker, "bare") == 0, PATIENCE_S, "it has ended")
        docker.client.request("POST", "/containers/bare/start")
        bare_ms.append((time.perf_counter() - began) * 1000)
    client.delete(CONTAINER, "one")
    return _result("docker_killed_runs_again", ours_ms, statistics.median(bare_ms))


def _killed_lxd(client: Client, lxd: PrivateLxd) -> dict[str, Any]:
    client.apply([{"kind": "Container", "name": "one", "spec": {"image": "busybox"}}])
    wait_for(lambda: _lxd_pid(lxd, "one") > 0, PATIENCE_S, "it runs")
    ours_ms = _kills(lambda: _lxd_pid(lxd, "one"))
    source = {"type": "image", "alias": "busybox"}
    lxd.client.run("POST", "/1.0/instances", {"name": "bare", "source": source})
    start = {"action": "start"}
    lxd.client.run("PUT", "/1.0/instances/bare/state", start)
    bare_ms = []
    for _ in range(KILLS):
        began = _kill(_lxd_pid(lxd, "bare"))
        wait_for(lambda: _lxd_pid(lxd, "bare") == 0, PATIENCE_S, "it has ended")
        wait_for(lambda: _starts(lxd, "bare"), PATIENCE_S, "it can be started")
        bare_ms.append((time.perf_counter() - began) * 1000)
    client.delete(CONTAINER, "one")
    return _result("lxd_killed_runs_again", ours_ms, statistics.median(bare_ms))


def _starts(lxd: PrivateLxd, name: str) -> bool:
    """Whether LXD is not busy with it any more, and has started it."""
    try:
        lxd.client.run("PUT", f"/1.0/instances/{name}/state", {"action": "start"})
    except (Answered, OperationFailed):
        return False
    return True


def _kill(pid: int) -> float:
    """The moment."""
    began = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    return began


def _kills(pid_of: Callable[[], int]) -> list[float]:
    """Milliseconds from each of some kills to the next life."""
    times_ms = []
    for _ in range(KILLS):
        time.sleep(STEADY_S)
        pid = pid_of()
        began = _kill(pid)
        while pid_of() in (0, pid):
            assert time.perf_counter() - began < PATIENCE_S, "it does not run again"
            time.sleep(LOOK_S)
        times_ms.append((time.perf_counter() - began) * 1000)
    return times_ms


def _docker_pid(docker: PrivateDocker, name: str) -> int:
    """Its first process; 0: none."""
    found = docker.client.get("/containers/json?all=1")
    if not any(one["Names"] == [f"/{name}"] for one in found):
        return 0
    return docker.pid(name)


def _lxd_pid(lxd: PrivateLxd, name: str) -> int:
    """Its init; 0: none."""
    if f"/1.0/instances/{name}" not in lxd.client.get("/1.0/instances"):
        return 0
    state = lxd.client.get(f"/1.0/instances/{name}/state")
    return int(state["pid"]) if state["status"] == "Running" else 0
