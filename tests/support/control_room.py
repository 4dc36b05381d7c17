"""The control room without a server: a clock that the test moves, and nodes that do as told.

Every change is encoded as its journal record at once, so that each test can rebuild the state.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from pathfinder.control import codec
from pathfinder.control.access import SYSTEM, Principal, digest
from pathfinder.control.commands import (
    Apply,
    Command,
    CreateToken,
    Moment,
    Put,
    PutCluster,
    Register,
    Request,
)
from pathfinder.control.controller import Controller, Outcome
from pathfinder.control.objects import Container, Deployment, Event, Node
from pathfinder.control.state import Change, State
from pathfinder.wire.messages import (
    Assignment,
    Exchange,
    Facts,
    Holding,
    Registration,
    Reply,
    Session,
)

CLUSTER: Final = "c"
WALL_MS: Final = 1_700_000_000_000
FACTS: Final = Facts(
    hostname="h",
    runtime="lxd",
    kinds=("system",),
    images=("busybox",),
    cpu_millis=8_000,
    memory_mib=1_000,
    disk_mib=100_000,
)
NO_SESSION: Final = Session(epoch=0, incarnation="", sequence=0)
ROUNDS_MAX: Final = 50  # a node at rest has no news after a few


@dataclass
class ControlRoom:
    """One controller after another over one state, which begins empty but for a cluster."""

    state: State = field(default_factory=State)
    now_ms: int = 0
    wall_ms: int = WALL_MS  # what the wall clock shows at `now_ms` 0; it may jump
    epoch: int = 1
    incarnation: str = "first"
    changes: list[Change] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.controller = self._new_controller()
        if CLUSTER not in self.state.things["cluster"]:
            self.ask(PutCluster(CLUSTER))

    @property
    def moment(self) -> Moment:
        """Now."""
        return Moment(wall_ms=self.wall_ms + self.now_ms, uptime_ms=self.now_ms)

    def request(self, request: Request) -> Outcome:
        """Decide a request; its change is kept."""
        outcome = self.controller.execute(request, self.moment)
        self.keep(outcome.change)
        return outcome

    def ask(
        self,
        command: Command,
        *,
        principal: Principal = SYSTEM,
        if_match: int | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """The document that a command answers; PathfinderError when it is refused."""
        asked = Request(principal=principal, command=command, if_match=if_match, dry_run=dry_run)
        answer: dict[str, Any] = json.loads(self.request(asked).body)
        return answer

    def plan(self, *documents: dict[str, Any], dry_run: bool = True) -> dict[str, dict[str, Any]]:
        """What applying documents changes (or with `dry_run` would), by name."""
        answer = self.ask(Apply(documents), dry_run=dry_run)
        return {item["name"]: item for item in answer["changes"]}

    def put(self, document: dict[str, Any]) -> dict[str, Any]:
        """The view of the thing that a document has made or changed."""
        return self.ask(Put(document))

    def keep(self, change: Change | None) -> None:
        """A change is durable."""
        if change is not None:
            self.changes.append(change)
            self.records.append(codec.encode_record([change]))

    def tick(self, after_ms: int = 0) -> Change | None:
        """Let time pass, and have its consequences drawn."""
        self.now_ms += after_ms
        change = self.controller.tick(self.moment)
        self.keep(change)
        return change

    def restart(self, state: State | None = None, *, epoch: int = 0) -> None:
        """Another process leads, on the same state or on a restored one."""
        self.state = self.state if state is None else state
        self.epoch = epoch or self.epoch + 1
        self.incarnation = f"after {self.incarnation}"
        self.controller = self._new_controller()

    def rebuilt(self) -> State:
        """The state as the journal tells it."""
        state = State()
        for record in self.records:
            codec.replay(state, record)
        return state

    def container(self, name: str) -> Container:
        """A container, which must be there."""
        found = self.state.get(Container, f"{CLUSTER}/{name}")
        assert found is not None, f"there is no container {name}"
        return found

    def deployment(self, name: str) -> Deployment:
        """A deployment, which must be there."""
        found = self.state.get(Deployment, f"{CLUSTER}/{name}")
        assert found is not None, f"there is no deployment {name}"
        return found

    def node(self, name: str) -> Node:
        """A node, which must be there."""
        found = self.state.get(Node, f"{CLUSTER}/{name}")
        assert found is not None, f"there is no node {name}"
        return found

    def events(self, name: str) -> list[Event]:
        """What happened to the things of a name, oldest first."""
        return [event for event in self.state.events if event.name == name]

    def actions(self, name: str) -> list[str]:
        """What happened to the things of a name, in one word each, oldest first."""
        return [event.action for event in self.events(name)]

    def _new_controller(self) -> Controller:
        return Controller(
            self.state, epoch=self.epoch, incarnation=self.incarnation, uptime_ms=self.now_ms
        )


@dataclass
class RoomNode:
    """A node with a runtime that does at once what it is told, when `obey` is called."""

    room: ControlRoom
    name: str
    secret: str = ""
    session: Session = NO_SESSION
    seen: int = 0
    wanted: dict[str, Assignment] = field(default_factory=dict)
    holding: dict[str, Holding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.secret = self.secret or f"{self.name:x>32}"

    @property
    def key(self) -> str:
        """cluster/name."""
        return f"{CLUSTER}/{self.name}"

    def registration(self, join_token: str = "", **fields: Any) -> Registration:
        """What it says when it joins."""
        said = {"cluster": CLUSTER, "node": self.name, "secret": self.secret, "facts": FACTS}
        return Registration(**{**said, "join_token": join_token, **fields})

    def join(self, facts: Facts = FACTS, **fields: Any) -> "RoomNode":
        """Register by the cluster's password and say that it holds nothing."""
        command = Register(self.registration(facts=facts, **fields), password_good=True)
        self.room.ask(command)
        self.live()
        return self

    def exchange(self, **fields: Any) -> Reply | None:
        """Say what it holds; the answer is followed. None: parked, there is no news."""
        request = self.request(**fields)
        controller = self.room.controller
        heard = controller.hear(self.key, request, self.room.moment)
        self.room.keep(heard.change)
        reply = controller.answer(self.key, request) if heard.believed else heard.reply
        if reply is not None:
            self._follow(reply)
        return reply

    def request(self, **fields: Any) -> Exchange:
        """What it says next."""
        self.session = replace(self.session, sequence=self.session.sequence + 1)
        said = {"seen": self.seen, "complete": True, "holding": tuple(self.holding.values())}
        return Exchange(session=self.session, sent_ms=0, **{**said, **fields})

    def obey(self) -> None:
        """Make what it holds what it was told: running, with an address."""
        kept = {slot for slot, each in self.wanted.items() if each.hold}
        self.holding = {
            slot: self.holding[slot] if slot in kept else held(assignment)
            for slot, assignment in self.wanted.items()
            if slot not in kept or slot in self.holding
        }

    def live(self) -> None:
        """Exchange and obey until there is no news."""
        for _ in range(ROUNDS_MAX):
            before = dict(self.holding)
            reply = self.exchange()
            self.obey()
            if reply is None and self.holding == before:
                return
        raise AssertionError(f"{self.name} does not come to rest")

    def _follow(self, reply: Reply) -> None:
        if reply.kind == "hello":
            self.session, self.seen = reply.session, 0
        elif reply.kind == "complete":
            self.wanted = {each.slot: each for each in reply.assignments}
            self.seen = reply.revision
        elif reply.kind == "difference":
            for slot in reply.released:
                self.wanted.pop(slot, None)
            self.wanted.update({each.slot: each for each in reply.assignments})
            self.seen = reply.revision


def held(assignment: Assignment, **fields: Any) -> Holding:
    """What a node has made of an assignment: it runs, has an address, and is bootstrapped."""
    made = Holding(
        slot=assignment.slot,
        generation=assignment.generation,
        digest=assignment.digest,
        phase="running",
        addresses=("10.0.0.7",),
        round=assignment.round,
        bootstrap="done" if assignment.spec.get("bootstrap") else "",
    )
    return replace(made, **fields)


def settle(*nodes: RoomNode) -> None:
    """Let nodes exchange and obey until none has news for another."""
    for _ in range(ROUNDS_MAX):
        revision = nodes[0].room.state.revision
        for node in nodes:
            node.live()
        if nodes[0].room.state.revision == revision:
            return
    raise AssertionError("the nodes do not come to rest")


def container(name: str, **spec: Any) -> dict[str, Any]:
    """The document of a single container."""
    return {"kind": "Container", "cluster": CLUSTER, "name": name, "spec": _spec(spec)}


def deployment(name: str, replicas: int, **spec: Any) -> dict[str, Any]:
    """The document of a deployment; `min_available` stands in the spec's place when given."""
    document = {"kind": "Deployment", "cluster": CLUSTER, "name": name, "replicas": replicas}
    if "min_available" in spec:
        document["min_available"] = spec.pop("min_available")
    return {**document, "spec": _spec(spec)}


def _spec(fields: dict[str, Any]) -> dict[str, Any]:
    return {"image": "busybox", "resources": {"memory_mib": 100, "cpu_millis": 100}, **fields}


def token_command(identifier: str, secret: str, **fields: Any) -> CreateToken:
    """A credential to be remembered; the role is admin unless `fields` say another."""
    return CreateToken(
        **{"id": identifier, "role": "admin", "secret_digest": digest(secret), **fields}
    )


def picture(state: State) -> dict[str, Any]:
    """Everything that a state is, in a form that does not depend on the order of its tables."""
    return {
        "revision": state.revision,
        "things": {
            kind: {key: msgspec.msgpack.encode(thing) for key, thing in sorted(things.items())}
            for kind, things in state.things.items()
        },
        "events": list(state.events),
        "indexes": _indexes(state),
    }


def _indexes(state: State) -> dict[str, Any]:
    keys = sorted({*state.things["node"], *state.containers_of_node})

    return {
        "of deployments": {key: set(keys) for key, keys in state.containers_of_deployment.items()},
        "of nodes": {key: set(keys) for key, keys in state.containers_of_node.items()},
        "pending": set(state.pending),
        "as defined": dict(state.as_defined),
        "images": {key: dict(images) for key, images in state.local_images.items()},
        "orphans": set(state.nodes_with_orphans),
        "reserved": {key: (state.fleet.used(key), state.fleet.count(key)) for key in keys},
    }
