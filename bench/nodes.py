"""A node dies suddenly: when its container is placed on another one, at default settings."""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench._clients import Connection, Node, request
from bench.server import PATH, join, result, server_process

NODE_PATH = "/api/v3/clusters/default/nodes"
SPEC = json.dumps({"spec": {"image": "busybox", "type": "STATELESS"}}).encode()
LOOK_S = 0.02
HEARTBEAT_S = 1
WAIT_S_MAX = 60
BEATS = 2


def run() -> Iterator[Mapping[str, Any]]:
    """From the last exchange of a node to its being suspect, lost, and what it had placed anew."""
    with (
        tempfile.TemporaryDirectory(prefix="pathfinder-bench-") as name,
        server_process(Path(name)) as (port, token, _),
    ):
        moments = asyncio.run(_die(port, token))
    for what in ("suspect", "lost", "placed elsewhere"):
        yield result(f"a node's sudden death: {what}", moments[what], "s", None, 1)


async def _die(port: int, token: str) -> dict[str, float]:
    secrets = await join(port, token, 2)
    nodes = [
        Node(secret, (await Connection.open(port), await Connection.open(port)))
        for secret in secrets
    ]
    for node in nodes:
        await node.begin()
    watch = await Connection.open(port)
    await watch.ask(request("PUT", f"{PATH}/one", token, SPEC))
    home = (await _see(watch, f"{PATH}/one", token))["node"]
    dying, living = nodes if home == "n0" else reversed(nodes)
    alive = asyncio.create_task(_live(living))
    try:
        await dying.exchange(BEATS)  # it lives and is heard; its last word is the moment of its end
        began = time.perf_counter()
        dying.close()
        async with asyncio.timeout(WAIT_S_MAX):
            return await _watch(watch, token, home, began)
    finally:
        alive.cancel()
        living.close()
        watch.close()


async def _live(node: Node) -> None:
    while True:
        await node.exchange(BEATS)
        await asyncio.sleep(HEARTBEAT_S)


async def _watch(watch: Connection, token: str, home: str, began: float) -> dict[str, float]:
    moments: dict[str, float] = {}
    while "placed elsewhere" not in moments:
        status = (await _see(watch, f"{NODE_PATH}/{home}", token))["status"]
        node = (await _see(watch, f"{PATH}/one", token))["node"]
        now_s = time.perf_counter() - began
        if status in ("suspect", "lost"):
            moments.setdefault(status, now_s)
        if node not in ("", home):
            moments["placed elsewhere"] = now_s
        await asyncio.sleep(LOOK_S)
    return moments


async def _see(watch: Connection, path: str, token: str) -> Any:
    return json.loads(await watch.ask(request("GET", path, token)))
