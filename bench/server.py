"""The server beside what it stands on: SQLite for changes, nginx for answers, a bare python."""

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench._clients import Connection, Node, per_second, request
from pathfinder.wire.codec import encode
from pathfinder.wire.messages import Facts, Registration

RUNS = 3
CREATES = 2_000
EXCHANGES = 6_000
NODES = 64
CONTAINERS = 1_000
PATH = "/api/v3/clusters/default/containers"
SPEC = json.dumps({"spec": {"image": "busybox", "resources": {"memory": "1MiB"}}}).encode()
FACTS = Facts(cpu_millis=10**6, memory_mib=10**6, disk_mib=10**6, kinds=("system",))
PROGRAM = (sys.executable, "-m", "pathfinder.server.main")
Result = Mapping[str, Any]


def run() -> Iterator[Result]:
    """All figures; each floor is measured in the same run."""
    with tempfile.TemporaryDirectory(prefix="pathfinder-bench-") as name:
        root = Path(name)
        yield from _memory_and_list(root / "first")
        yield from _creates(root / "second")
        yield from _exchanges(root / "third")


def _memory_and_list(directory: Path) -> Iterator[Result]:
    with server_process(directory) as (port, token, process):
        creates = [
            request("PUT", f"{PATH}/c{number:04}", token, SPEC) for number in range(CONTAINERS)
        ]
        asyncio.run(with_nodes(port, token, 4, per_second(port, creates, clients=8)))
        resident_mib = process.memory_info().rss / (1 << 20)
        floor_mib = _bare_python_mib()
        yield result("resident, 1,000 containers", resident_mib, "MiB", floor_mib, 1)
        whole = request("GET", f"{PATH}?limit={CONTAINERS}", token)
        body = asyncio.run(one_answer(port, whole))
        with _nginx(directory, body) as nginx_port:
            still = request("GET", "/static.json", token)
            pairs = [(_list_ms(port, whole), _list_ms(nginx_port, still)) for _ in range(RUNS)]
    yield result(
        "list of 1,000 containers", median(a for a, _ in pairs), "ms", median(b for _, b in pairs)
    )


def _creates(directory: Path) -> Iterator[Result]:
    with server_process(directory) as (port, token, process):
        for clients in (8, 64):
            rates, floors, busy_us = [], [], []
            for number in range(RUNS):
                floors.append(_sqlite_inserts_per_second(directory))
                creates = [
                    request("PUT", f"{PATH}/c{clients}-{number}-{each}", token, SPEC)
                    for each in range(CREATES)
                ]
                before_s = _cpu_s(process)
                measured = per_second(port, creates, clients=clients)
                rates.append(asyncio.run(with_nodes(port, token, 16, measured)))
                busy_us.append((_cpu_s(process) - before_s) / CREATES * 1e6)
            name = f"durable audited creates, {clients} clients"
            yield result(name, median(rates), "/s", median(floors))
            yield result(f"{name}: server CPU", median(busy_us), "us each", None)


def _exchanges(directory: Path) -> Iterator[Result]:
    with (
        server_process(directory) as (port, token, process),
        _nginx(directory, b'{"ok":1}') as nginx_port,
    ):
        secrets = asyncio.run(join(port, token, NODES))
        rates, floors, busy_us = [], [], []
        for _ in range(RUNS):
            still = [request("GET", "/static.json", token)] * EXCHANGES
            floors.append(asyncio.run(per_second(nginx_port, still, clients=NODES)))
            before_s = _cpu_s(process)
            rates.append(asyncio.run(exchanges_per_second(port, secrets)))
            busy_us.append((_cpu_s(process) - before_s) / EXCHANGES * 1e6)
    yield result("exchanges", median(rates), "/s", median(floors))
    yield result("exchanges: server CPU", median(busy_us), "us each", None)


def result(name: str, value: float, unit: str, floor: float | None, runs: int = RUNS) -> Result:
    """A figure as `./dev bench` shows it."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "floor": floor,
        "ratio": value / floor if floor else None,
        "runs": runs,
    }


@contextmanager
def server_process(directory: Path) -> Iterator[tuple[int, str, psutil.Process]]:
    """A server of its own: port, administrator's token, process."""
    token = initialised(directory)
    with serving(directory) as (port, process):
        yield port, token, process


def initialised(directory: Path) -> str:
    """Make a data directory; the administrator's token."""
    token_file = directory / "token"
    data = ("--data-dir", str(directory), "--admin-token-file", str(token_file))
    subprocess.run([*PROGRAM, "init", *data], check=True, stdout=subprocess.DEVNULL)
    return token_file.read_text().strip()


@contextmanager
def serving(directory: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A server on a data directory: port, process."""
    server = subprocess.Popen(
        [*PROGRAM, "server", "--data-dir", str(directory), "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=None,
    )
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline().decode().rpartition(":")[2])
        yield port, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


@contextmanager
def _nginx(directory: Path, body: bytes) -> Iterator[int]:
    """An nginx with one worker, serving `body` as a file."""
    root = directory / "nginx"
    root.mkdir()
    (root / "static.json").write_bytes(body)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (root / "nginx.conf").write_text(
        f"user {'root' if os.geteuid() == 0 else 'nobody'}; worker_processes 1; daemon off; "
        f"pid {root}/pid; error_log {root}/error.log; events {{}} "
        f"http {{ access_log off; keepalive_requests 1000000; types {{ application/json json; }} "
        f"client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; "
        f"uwsgi_temp_path {root}/u; scgi_temp_path {root}/s; "
        f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
    )
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nginx"
    serving = subprocess.Popen([program, "-c", str(root / "nginx.conf"), "-e", f"{root}/early.log"])
    try:
        _wait_until_open(port)
        yield port
    finally:
        serving.terminate()
        serving.wait()
        shutil.rmtree(root)


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, "nginx does not listen"
        else:
            return


async def join(port: int, token: str, count: int) -> list[str]:
    """Register nodes; their credentials."""
    connection = await Connection.open(port)
    secrets = []
    for number in range(count):
        asked = request("POST", "/api/v3/clusters/default/join-tokens", token, b"{}")
        join_token = json.loads(await connection.ask(asked))["token"]
        name = f"n{number}"
        registration = Registration(
            cluster="default", node=name, secret="a" * 64, join_token=join_token, facts=FACTS
        )
        await connection.ask(request("POST", "/api/v3/node/register", "", encode(registration)))
        secrets.append(f"pfn.default.{name}.{'a' * 64}")
    connection.close()
    return secrets


async def _nodes(port: int, secrets: Sequence[str]) -> list[Node]:
    nodes = [
        Node(secret, (await Connection.open(port), await Connection.open(port)))
        for secret in secrets
    ]
    for node in nodes:
        await node.begin()
    return nodes


async def with_nodes(port: int, token: str, count: int, measured: Any) -> float:
    """Measure while nodes are there to place containers on."""
    nodes = await _nodes(port, await join(port, token, count))
    rate: float = await measured
    for node in nodes:
        node.close()
    return rate


async def exchanges_per_second(port: int, secrets: Sequence[str]) -> float:
    """Exchanges without news, of all these nodes at once."""
    nodes = await _nodes(port, secrets)
    began = time.perf_counter()
    await asyncio.gather(*(node.exchange(EXCHANGES // len(nodes)) for node in nodes))
    took_s = time.perf_counter() - began
    for node in nodes:
        node.close()
    return EXCHANGES / took_s


async def one_answer(port: int, asked: bytes) -> bytes:
    """The body of one answer."""
    connection = await Connection.open(port)
    body = await connection.ask(asked)
    connection.close()
    return body


def _list_ms(port: int, asked: bytes) -> float:
    count = 20
    return count / asyncio.run(per_second(port, [asked] * count, clients=1)) * 1000 / count


def _sqlite_inserts_per_second(directory: Path) -> float:
    """One row in each transaction, FULL: what a server without group commit could reach."""
    path = directory / "floor.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, body BLOB)")
    body = os.urandom(500)
    began = time.perf_counter()
    for _ in range(CREATES):
        connection.execute("INSERT INTO row (body) VALUES (?)", (body,))
    rate = CREATES / (time.perf_counter() - began)
    connection.close()
    path.unlink()
    return rate


def _bare_python_mib() -> float:
    """A python that has just started."""
    code = "import sys; sys.stdout.write('x'); sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as bare:
        assert bare.stdout is not None
        bare.stdout.read(1)
        resident: float = psutil.Process(bare.pid).memory_info().rss / (1 << 20)
        bare.kill()
    return resident


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
