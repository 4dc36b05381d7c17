"""API v1 and v2 beside v3 on one server: polls of agents, and creates of people."""

import asyncio
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from bench._clients import Connection, per_second, request
from bench.server import (
    PATH,
    RUNS,
    SPEC,
    Result,
    exchanges_per_second,
    join,
    result,
    server_process,
    with_nodes,
)

CREATES = 2_000
POLLS = 6_000
AGENTS = 64
CONTAINERS = 1_000
LISTS = 20
PASSWORD = "open sesame for agents"


def run() -> Iterator[Result]:
    """All figures; the floor of each is v3's in the same run."""
    with tempfile.TemporaryDirectory(prefix="pathfinder-bench-") as name:
        root = Path(name)
        yield from _polls(root / "first")
        yield from _creates(root / "second")
        yield from _lists(root / "third")


def _polls(directory: Path) -> Iterator[Result]:
    with server_process(directory) as (port, token, _):
        secrets = asyncio.run(join(port, token, AGENTS))
        tokens = asyncio.run(_register(port, token, AGENTS))
        rates, floors = [], []
        for _ in range(RUNS):
            floors.append(asyncio.run(exchanges_per_second(port, secrets)))
            polls = [_poll(tokens[number % AGENTS]) for number in range(POLLS)]
            rates.append(asyncio.run(per_second(port, polls, clients=AGENTS)))
    yield result(
        f"v2 polls of {AGENTS} agents, beside v3 exchanges", median(rates), "/s", median(floors)
    )


def _lists(directory: Path) -> Iterator[Result]:
    with server_process(directory) as (port, token, _):
        creates = [_create(f"c{number:04}", token) for number in range(CONTAINERS)]
        asyncio.run(with_nodes(port, token, 4, per_second(port, creates, clients=8)))
        ours = request("GET", f"{PATH}?limit={CONTAINERS}", token)
        floor = median(_list_ms(port, ours) for _ in range(RUNS))
        for version in ("v1", "v2"):
            value = median(_list_ms(port, _list(version, token)) for _ in range(RUNS))
            name = f"{version} list of {CONTAINERS:,} containers, beside v3's"
            yield result(name, value, "ms", floor)


def _list_ms(port: int, asked: bytes) -> float:
    return 1_000 / asyncio.run(per_second(port, [asked] * LISTS, clients=1))


def _list(version: str, token: str) -> bytes:
    return (
        f"GET /api/{version}/ext_app/containers?cluster_name=default HTTP/1.1\r\n"
        f"Host: bench\r\nX-Auth-Token: {token}\r\n\r\n"
    ).encode()


def _creates(directory: Path) -> Iterator[Result]:
    with server_process(directory) as (port, token, _):
        for clients in (8, 64):
            rates, floors = [], []
            for number in range(RUNS):
                names = [f"c{clients}-{number}-{each}" for each in range(CREATES)]
                ours = [request("PUT", f"{PATH}/n{name}", token, SPEC) for name in names]
                theirs = [_create(f"o{name}", token) for name in names]
                measured = per_second(port, ours, clients=clients)
                floors.append(asyncio.run(with_nodes(port, token, 16, measured)))
                measured = per_second(port, theirs, clients=clients)
                rates.append(asyncio.run(with_nodes(port, token, 16, measured)))
            name = f"v1 creates, {clients} clients, beside v3 creates"
            yield result(name, median(rates), "/s", median(floors))


def _create(name: str, token: str) -> bytes:
    """As the Go command line sends it: a form that does not say that it is one."""
    body = urlencode({"container[hostname]": name, "container[image]": "busybox"})
    return (
        "POST /api/v1/ext_app/containers?cluster_name=default HTTP/1.1\r\nHost: bench\r\n"
        f"User-Agent: Go-http-client/1.1\r\nContent-Length: {len(body)}\r\n"
        f"X-Auth-Token: {token}\r\nAccept-Encoding: gzip\r\n\r\n{body}"
    ).encode()


def _poll(token: str) -> bytes:
    """As the Go agent sends it."""
    return (
        "GET /api/v2/node/containers/scheduled?cluster_name=default&node_hostname=n HTTP/1.1\r\n"
        f"Host: bench\r\nUser-Agent: Go-http-client/1.1\r\nX-Auth-Token: {token}\r\n"
        "Accept-Encoding: gzip\r\n\r\n"
    ).encode()


async def _register(port: int, token: str, count: int) -> Sequence[str]:
    """Let so many agents of the original join; their tokens."""
    connection = await Connection.open(port)
    body = json.dumps({"password": PASSWORD}).encode()
    await connection.ask(request("PUT", "/api/v3/clusters/default", token, body))
    form = urlencode({"password": PASSWORD})
    tokens = []
    for number in range(count):
        query = urlencode({"cluster_name": "default", "node_hostname": f"old-{number}"})
        asked = (
            f"POST /api/v1/node/register?{query} HTTP/1.1\r\n"
            f"Host: bench\r\nContent-Length: {len(form)}\r\n\r\n{form}"
        )
        answer = json.loads(await connection.ask(asked.encode()))
        tokens.append(answer["data"]["authentication_token"])
    connection.close()
    return tokens
