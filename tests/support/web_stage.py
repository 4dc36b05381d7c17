"""A platform to look at: a server process with played nodes, and things in every state."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.support.played_nodes import Failure, PlayedNode, stop_all
from tests.support.running import Api
from tests.support.server_process import ServerProcess, run_program, server_process

PASSWORD: Final = "correct horse battery"
CLUSTER: Final = "/api/v3/clusters/default"
PATIENCE_S: Final = 30.0
LOOK_S: Final = 0.05
LOG: Final = (
    "2026-03-01 09:14:02 INFO  configuration read from /etc/shop/shop.conf",
    "2026-03-01 09:14:02 INFO  database at 10.20.1.10:5432 answers",
    "2026-03-01 09:14:03 WARN  cache is cold: 0 of 512 entries",
    "2026-03-01 09:14:03 INFO  listening on 0.0.0.0:80",
    '2026-03-01 09:14:11 INFO  10.20.2.1 "GET /basket?id=<b>42</b>" 200 3ms',
)
SET_UP: Final = {"type": "shell", "script": "apt-get install -y postgresql\n"}
FACTS: Final = {
    "runtime": "lxd",
    "runtime_version": "5.0.2",
    "kernel": "6.1.0-28-amd64",
    "os": "Debian GNU/Linux 12",
    "architecture": "x86_64",
    "agent_version": "0.1.0",
    "images": ("busybox", "debian"),
}


def prepared(directory: Path) -> str:
    """A data directory whose administrator has PASSWORD; the administrator's token."""
    token, password = directory / "admin-token", directory / "admin-password"
    password.write_text(f"{PASSWORD}\n")
    ended = run_program(
        *("init", "--data-dir", directory),
        *("--admin-token-file", token, "--admin-password-file", password),
    )
    assert ended.returncode == 0, ended.stderr
    return token.read_text().strip()


def wait_until_listed(api: Api, path: str, wanted: Any, what: str) -> None:
    """Return when `wanted(items)` of a list holds; AssertionError that names `what`."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not wanted(api.get(path)["items"]):
        assert time.monotonic() < deadline_s, f"not within {PATIENCE_S} s: {what}"
        time.sleep(LOOK_S)


def nodes_of(api: Api) -> list[PlayedNode]:
    """A rack of three, and one more that has fallen silent."""
    racks = ("r1", "r1", "r2", "r2")
    nodes = [
        PlayedNode(
            api=api,
            name=f"rack-{number:02}",
            number=number,
            facts={
                **FACTS,
                "cpu_millis": 16_000 if number < 3 else 8_000,
                "memory_mib": 32_768,
                "copies_at": f"10.20.0.{number}:8443",
                "takes_copies": True,
            },
            log=LOG,
        )
        for number in range(1, len(racks) + 1)
    ]
    nodes[1].failures["mail"] = Failure(
        code="image_missing",
        text="image debian:13 is not on this node",
        hint="name one of its images: pfi get images",
    )
    return nodes


PRIORITIES: Final = {"postgres": 100}
POLICY: Final = {
    "quota": {"cpu": 60, "memory": "512GiB", "containers": 200},
    "reserved": {"cpu": 0.5, "memory": "1GiB"},
}


def set_scene(api: Api, nodes: list[PlayedNode]) -> None:
    """A cluster with a policy; deployments and containers in every state that people meet."""
    cluster = {"kind": "Cluster", "name": "default", **POLICY}
    assert api.call("POST", "/api/v3/apply", {"documents": [cluster]}).status == 200
    for node, rack in zip(nodes, ("r1", "r1", "r2", "r2"), strict=True):
        node.start()
        api.call("PATCH", f"{CLUSTER}/nodes/{node.name}", {"labels": {"rack": rack}})
    large = {"cpu": 4, "memory": "12GiB"}
    small = {"cpu": 0.5, "memory": "1GiB", "disk": "4GiB"}
    deployments = {
        "web": (6, 5, {"image": "busybox", "type": "STATELESS", "resources": small}),
        "api": (4, 3, {"image": "debian", "type": "STATELESS", "resources": small}),
        "postgres": (1, 0, {"image": "debian", "resources": large, "bootstrap": [SET_UP]}),
    }
    for name, (replicas, least, spec) in deployments.items():
        document: dict[str, Any] = {
            "replicas": replicas, "min_available": least, "spec": spec, "labels": {"app": name},
            "priority": PRIORITIES.get(name, 0),
        }  # fmt: skip
        api.put(f"{CLUSTER}/deployments/{name}", document)
    on_2 = {"image": "debian", "constraints": ["rack = r1"], "resources": small}
    api.put(f"{CLUSTER}/containers/mail", {"spec": on_2})
    huge = {
        "image": "debian",
        "resources": {"memory": "256GiB", "cpu": 4},
        "constraints": ["rack in (r1, r2)"],
    }
    api.put(f"{CLUSTER}/containers/analytics", {"spec": huge})
    wait_until_listed(
        api,
        f"{CLUSTER}/containers?ready=true",
        lambda items: len(items) >= 11,
        "the containers are ready",
    )


@contextlib.contextmanager
def stage(directory: Path) -> Iterator[tuple[ServerProcess, list[PlayedNode]]]:
    """A server with the scene set; everything ends with it."""
    token = prepared(directory)
    with server_process(directory, token) as server, contextlib.ExitStack() as ends:
        api = server.api()
        ends.callback(api.connection.close)
        nodes = nodes_of(api)
        ends.callback(stop_all, nodes)
        set_scene(api, nodes)
        yield server, nodes


@contextlib.contextmanager
def lopsided(directory: Path, **spec: Any) -> Iterator[tuple[ServerProcess, list[PlayedNode]]]:
    """Six containers, `spec` besides, on a node `full`; and a node `free` that has come later."""
    token = prepared(directory)
    with server_process(directory, token) as server, contextlib.ExitStack() as ends:
        api = server.api()
        ends.callback(api.connection.close)
        facts: dict[str, Any] = {
            **FACTS,
            "cpu_millis": 8_000,
            "memory_mib": 8_192,
            "takes_copies": True,
        }
        nodes = [
            PlayedNode(
                api=api,
                name=name,
                number=number,
                facts={**facts, "copies_at": f"10.20.0.{number}:8443"},
            )
            for number, name in enumerate(("full", "free"), 1)
        ]
        ends.callback(stop_all, nodes)
        nodes[0].start()
        for number in range(1, 7):
            wanted = {"image": "busybox", "resources": {"cpu": 1, "memory": "512MiB"}, **spec}
            api.put(f"{CLUSTER}/containers/c{number}", {"spec": wanted})
        wait_until_listed(
            api,
            f"{CLUSTER}/containers?ready=true",
            lambda items: len(items) == 6,
            "the containers are ready",
        )
        nodes[1].start()
        yield server, nodes
