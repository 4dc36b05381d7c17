"""Clusters of 100, 1,000 and 10,000 nodes with 99 or 100 containers on each: what grows, and how.

Each size is measured in a process of its own. The floor of what grows is the same at 100 nodes; of
a million containers in memory it is their snapshot's bytes; of a start it is decoding those bytes
to plain Python.
"""

import asyncio
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from bench._clients import request
from bench.server import initialised, one_answer, serving
from pathfinder.control import codec, queries, whatif
from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import Apply, Moment, Put, Request
from pathfinder.control.controller import Controller
from pathfinder.control.exporting import show_nodes
from pathfinder.control.objects import Cluster, Container, Deployment, Node
from pathfinder.control.state import State
from pathfinder.model.definitions import container_spec
from pathfinder.model.phases import Phase
from pathfinder.model.resources import Resources
from pathfinder.model.selectors import requirement
from pathfinder.scheduler.draft import Placement
from pathfinder.scheduler.fit import Request as Ask
from pathfinder.scheduler.fleet import Fleet, NodeView, Rules
from pathfinder.scheduler.packing import in_packing_order
from pathfinder.scheduler.place import place
from pathfinder.scheduler.ties import Tie
from pathfinder.server.serving import settle_memory
from pathfinder.store.sqlite import SqliteStore
from pathfinder.wire.messages import Facts

SIZES: Final = (100, 1_000, 10_000)
PER_NODE: Final = 99  # so that there is room for those that are measured
FULL: Final = 100
REPLICAS: Final = 99
BEGAN_MS: Final = 1_790_000_000_000
PUTS: Final = 400
QUESTIONS: Final = 3
PLACED_ROUNDS: Final = 5
DURABLE_DEPLOYMENTS: Final = 101  # ten thousand containers, but for one
DURABLE_ROUNDS: Final = 15
PACKED: Final = 4_000
PACKING_SEED: Final = 3
DISK: Final = "/var/tmp"  # noqa: S108 - /tmp may be memory, where durable means nothing
MOMENT: Final = Moment(1, 1)
Result = Mapping[str, Any]


def run() -> Iterator[Result]:
    """What grows, what a million takes, what is durable, and how well nodes are filled."""
    grown = {nodes: _apart(nodes) for nodes in SIZES}
    first = grown[SIZES[0]]
    for nodes, found in grown.items():
        size = f"{nodes:,} nodes, {nodes * PER_NODE:,} containers"
        for name, unit in (
            ("put one, p50", "ms"),
            ("put one, p99", "ms"),
            ("copy of the state", "ms"),
            ("what if a rack is lost", "s"),
            ("990 replicas placed", "ms"),
            ("990 replicas placed, with ties", "ms"),
        ):
            yield _result(f"{name}: {size}", found[name], unit, first[name], int(found["runs"]))
    yield from _start()
    yield from _durable()
    yield from _packing()


def _apart(nodes: int) -> dict[str, float]:
    """Measure one size in a process of its own."""
    argv = [sys.executable, "-m", "bench.scale", str(nodes)]
    told = subprocess.run(argv, capture_output=True, check=True, cwd=Path(__file__).parents[1])
    found: dict[str, float] = json.loads(told.stdout)
    return found


def measured(nodes: int) -> dict[str, float]:
    """One size."""
    controller = _leading(state_of(nodes))
    settle_memory()  # as the server does
    free, tied = [_placed_ms(controller, has_ties=has_ties) for has_ties in (False, True)]
    puts = sorted(_put_ms(controller, number) for number in range(PUTS))
    copies, answers = [], []
    for _ in range(QUESTIONS):
        began = time.perf_counter()
        twin = queries.twin(controller)
        copies.append(1e3 * (time.perf_counter() - began))
        began = time.perf_counter()
        question = whatif.Question(lose=("rack = r007",))
        answer = whatif.answer(twin.state, twin.statuses, "default", question, (SYSTEM, 1))
        answers.append(time.perf_counter() - began)
        assert answer.lost
        assert len(answer.moves) >= PER_NODE * len(answer.lost) * 9 // 10
    return {
        "put one, p50": puts[PUTS // 2],
        "put one, p99": puts[PUTS * 99 // 100],
        "copy of the state": median(copies),
        "what if a rack is lost": median(answers),
        "990 replicas placed": free,
        "990 replicas placed, with ties": tied,
        "runs": QUESTIONS,
    }


def _placed_ms(controller: Controller, *, has_ties: bool) -> float:
    """Ten deployments of 99 replicas, decided: over racks, apart and near another one, or free."""
    asks = []
    for number in range(10):
        group = f"default/new-{number}"
        ties = (
            Tie(kind="spread", over="rack", group=group, skew=1),
            Tie(kind="far", over="node", group=group),
            Tie(kind="near", over="rack", group="default/app-00003", weight=5),
        )
        one = Ask(
            name="a",
            cluster="default",
            kind="system",
            need=Resources(cpu_millis=100, memory_mib=128),
            group=group,
            ties=ties if has_ties else (),
        )
        asks += [one] * REPLICAS
    taken = []
    for _ in range(PLACED_ROUNDS):
        began = time.perf_counter()
        outcomes = place(controller.state.fleet, asks)
        taken.append(1e3 * (time.perf_counter() - began))
        assert all(isinstance(outcome, Placement) for outcome in outcomes)
    return median(taken)


def _put_ms(controller: Controller, number: int) -> float:
    spec = {"image": "debian", "resources": {"cpu_millis": 100, "memory_mib": 128}}
    document = {"kind": "Container", "cluster": "default", "name": f"one-{number}", "spec": spec}
    began = time.perf_counter()
    controller.execute(Request(SYSTEM, Put(document)), MOMENT)
    return 1e3 * (time.perf_counter() - began)


def state_of(nodes: int, per_node: int = PER_NODE) -> State:
    """Nodes in racks of fifty, each with so many containers of 35 sizes."""
    state = State()
    fill(state, nodes, per_node)
    return state


def fill(state: State, nodes: int, per_node: int) -> None:
    """Add them to a state."""
    if state.get(Cluster, "default") is None:
        state.set("cluster", "default", Cluster(name="default"))
    racks = max(nodes // 50, 10)
    facts = Facts(runtime="lxd", kinds=("system",), cpu_millis=64_000, memory_mib=262_144)
    for number in range(nodes):
        labels = {"rack": f"r{number % racks:03}"}
        node = Node(
            cluster="default", name=_node(number), secret_digest="", labels=labels, facts=facts
        )
        state.set("node", node.key, node)
    for number in range(nodes * per_node // REPLICAS):
        _add_deployment(state, number, nodes)
    state.revision += 1


def _node(number: int) -> str:
    return f"n{number:05}"


def _add_deployment(state: State, number: int, nodes: int) -> None:
    amounts = {"cpu_millis": 100 + number % 7 * 50, "memory_mib": 256 + number % 5 * 128}
    kind = "STATEFUL" if number % 4 == 0 else "STATELESS"
    spec = container_spec({"image": "debian", "type": kind, "resources": amounts})
    deployment = Deployment(
        cluster="default",
        name=f"app-{number:05}",
        replicas=REPLICAS,
        min_available=90,
        spec=spec,
        digest=spec.digest(),
    )
    state.set("deployment", deployment.key, deployment)
    for ordinal in range(1, REPLICAS + 1):
        address = f"10.{number % 250}.{number // 250}.{ordinal}"
        made = Container(
            cluster="default",
            name=f"{deployment.name}-{ordinal:02}",
            spec=spec,
            digest=deployment.digest,
            deployment=deployment.name,
            ordinal=ordinal,
            generation=(1 << 32) + number,
            round=(1 << 32) + number,
            phase=Phase.BOOTSTRAPPED,
            node=_node((number * REPLICAS + ordinal) % nodes),
            ready=True,
            addresses=(address,),
            address=address,
            created_ms=BEGAN_MS + number,
            changed_ms=BEGAN_MS + number * 60 + ordinal,
            started_ms=BEGAN_MS + number * 60 + ordinal,
            why=f"fewest replicas of {deployment.name} (0), 93 % of CPU free; all nodes fit",
        )
        state.set("container", made.key, made)


def _leading(state: State) -> Controller:
    """A controller that has heard all nodes."""
    controller = Controller(state, epoch=1, incarnation="bench", uptime_ms=0)
    for life in controller.life.nodes.values():
        life.status, life.was_complete, life.heard_ms = "ready", True, 0
    controller.life.recovering = False
    show_nodes(state, {node.key: "ready" for node in state.all(Node)}, {})
    return controller


def _start() -> Iterator[Result]:
    """A server over a million containers: until it answers, and what it takes."""
    nodes = SIZES[-1]
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        directory = Path(name)
        token = initialised(directory)
        chunks = _filled(directory / "state.db", nodes)
        began = time.perf_counter()
        with serving(directory) as (port, process):
            asyncio.run(one_answer(port, request("GET", "/api/v3/clusters/default", token)))
            taken_s = time.perf_counter() - began
            resident_mib = process.memory_info().rss / (1 << 20)
    began = time.perf_counter()
    for chunk in chunks:
        msgspec.msgpack.decode(chunk)
    decoded_s = time.perf_counter() - began
    size = f"{nodes:,} nodes, {nodes * FULL:,} containers"
    snapshot_mib = sum(map(len, chunks)) / (1 << 20)
    yield _result(f"start to first answer: {size}", taken_s, "s", decoded_s, 1)
    yield _result(f"resident: {size}", resident_mib, "MiB", snapshot_mib, 1)


def _filled(journal: Path, nodes: int) -> list[bytes]:
    """Put nodes and containers into a journal, as a snapshot; its chunks."""
    store = SqliteStore(journal)
    tenure = store.lead()
    state = State() if tenure.snapshot is None else codec.load_snapshot(tenure.snapshot.chunks)
    for record in store.read(tenure.snapshot.seq if tenure.snapshot else 0):
        codec.replay(state, record.body)
    fill(state, nodes, FULL)
    chunks = list(codec.encode_snapshot(state))
    store.save_snapshot(tenure.epoch, tenure.last_seq, tenure.last_hash, chunks)
    store.close()
    return chunks


def _durable() -> Iterator[Result]:
    """Deployments of 99 replicas under five constraints: decided, and durable in the journal.

    Each applied alone and in a record of its own, and all in one apply. The floor is deciding
    alone, of the same requests.
    """
    constraints = [f"rack != x{number}" for number in range(5)]
    documents = [_document(number, constraints) for number in range(DURABLE_DEPLOYMENTS)]
    floor = median(_decided_rate(constraints) for _ in range(DURABLE_ROUNDS))
    for name, size in (("each applied alone", 1), ("in one apply", len(documents))):
        applies = [documents[at : at + size] for at in range(0, len(documents), size)]
        value = median(_durable_rate(applies) for _ in range(DURABLE_ROUNDS))
        text = f"placed and durable, 5 constraints, {name}"
        yield _result(text, value, "1/s", floor, DURABLE_ROUNDS)


def _decided_rate(constraints: list[str]) -> float:
    ask = Ask(
        name="a",
        cluster="default",
        kind="system",
        need=Resources(cpu_millis=100, memory_mib=128),
        constraints=tuple(requirement(text, "") for text in constraints),
    )
    each = [replace(ask, group=f"default/app-{number}") for number in range(DURABLE_DEPLOYMENTS)]
    asks = [one for one in each for _ in range(REPLICAS)]
    fleet = _leading(state_of(1_000, 0)).state.fleet
    began = time.perf_counter()
    outcomes = place(fleet, asks)
    rate = len(asks) / (time.perf_counter() - began)
    assert all(isinstance(outcome, Placement) for outcome in outcomes)
    return rate


def _durable_rate(applies: list[list[dict[str, Any]]]) -> float:
    controller = _leading(state_of(1_000, 0))
    settle_memory()
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        store = SqliteStore(Path(name) / "state.db")
        epoch = store.lead().epoch
        began = time.perf_counter()
        for documents in applies:
            request = Request(SYSTEM, Apply(tuple(documents)))
            change = controller.execute(request, MOMENT).change
            assert change is not None
            store.append(epoch, 1, codec.encode_record([change]))
        taken_s = time.perf_counter() - began
        store.close()
    placed = sum(bool(each.node) for each in controller.state.all(Container))
    assert placed == sum(map(len, applies)) * REPLICAS
    return placed / taken_s


def _document(number: int, constraints: list[str]) -> dict[str, Any]:
    resources = {"cpu_millis": 100, "memory_mib": 128}
    return {
        "kind": "Deployment",
        "cluster": "default",
        "name": f"app-{number}",
        "replicas": REPLICAS,
        "spec": {"image": "debian", "resources": resources, "constraints": constraints},
    }


def _packing() -> Iterator[Result]:
    """Nodes used for a mixed workload where nodes are packed; the floor is what the sums need."""
    luck = random.Random(PACKING_SEED)
    fleet = Fleet()
    fleet.set_rules("default", Rules(packs=True))
    capacity = Resources(cpu_millis=64_000, memory_mib=262_144)
    for number in range(SIZES[1]):
        view = NodeView(cluster="default", name=_node(number), capacity=capacity, kinds=("system",))
        fleet.set_node(f"default/{view.name}", view)
    asks = [_packed(luck, number) for number in range(PACKED)]
    outcomes = place(fleet, [asks[number] for number in in_packing_order(fleet, asks)])
    used = len({each.node_key for each in outcomes if isinstance(each, Placement)})
    assert all(isinstance(each, Placement) for each in outcomes)
    least = max(
        math.ceil(sum(ask.need.cpu_millis for ask in asks) / capacity.cpu_millis),
        math.ceil(sum(ask.need.memory_mib for ask in asks) / capacity.memory_mib),
    )
    yield _result(f"nodes used by {PACKED:,} mixed containers", used, "nodes", least, 1)


def _packed(luck: random.Random, number: int) -> Ask:
    """From small and common to large and rare, some rather CPU and some rather memory."""
    cores = luck.choice((1, 1, 2, 2, 4, 8, 16))
    gib = cores * luck.choice((2, 4, 4, 6))
    need = Resources(cpu_millis=1_000 * cores, memory_mib=1_024 * gib)
    return Ask(name=f"c{number}", cluster="default", kind="system", need=need)


def _result(name: str, value: float, unit: str, floor: float, runs: int) -> Result:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "floor": floor,
        "ratio": round(value / floor, 3),
        "runs": runs,
    }


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]))))
