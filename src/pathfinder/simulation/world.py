"""One seed: a server, nodes, people, a network between them, and what goes wrong."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from zlib import crc32

from pathfinder.agent.effects import Call, Start
from pathfinder.control.access import SYSTEM, digest
from pathfinder.control.commands import Command, Put, PutCluster, Register, Request
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Container
from pathfinder.control.objects import Node as NodeThing
from pathfinder.control.state import Change, State
from pathfinder.model.errors import PathfinderError
from pathfinder.runtimes.port import Instance
from pathfinder.runtimes.scripted import Offers, ScriptedRuntime
from pathfinder.runtimes.scripted_jobs import ScriptedJobs
from pathfinder.simulation import checks
from pathfinder.simulation.faults import Faults, Trouble, draw, troubles
from pathfinder.simulation.node import Node
from pathfinder.simulation.people import Person
from pathfinder.simulation.server import GROUP_MS, Server
from pathfinder.simulation.timeline import Timeline
from pathfinder.store.memory import MemoryStore
from pathfinder.wire import codec
from pathfinder.wire.messages import (
    ContainerUsage,
    Exchange,
    Facts,
    Measurements,
    Registration,
    Reply,
)

CAPACITY_MIB = 900
TROUBLED_MS = 60_000
SETTLE_MS = 90_000
FULL_EACH = 10
LOOK_MS = 997  # at lost nodes: not in step with anything
SECRET = "0" * 64
MOVES_PER_HOUR = 1_000
STOP_MS = 30_000  # balancing goes on for a while without any trouble


@dataclass(slots=True, kw_only=True)
class Verdict:
    """How a seed went. `trace`: a digest of everything that happened, equal for equal seeds."""

    seed: int
    actions: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    trace: str = ""


class World:
    """Build it, `run` it; `checks.Broken` tells which promise a seed has broken."""

    def __init__(
        self,
        seed: int,
        *,
        say: Callable[[str], None] | None = None,
        only: frozenset[str] | None = None,
    ) -> None:
        """only: the names of the faults that may happen; None: all."""
        self.seed = seed
        self.timeline = Timeline(seed, only)
        luck = self.timeline.luck
        self.faults = draw(luck)
        self.calm = Faults()
        self.say = say
        self.reached: Counter[str] = Counter()
        self.trace = ""
        self.backup: MemoryStore | None = None
        self.deliberate = False
        # Of some seeds: whether ticks that could be left out have nothing to do indeed.
        self.server = Server(self.timeline, self._on_change, ticks_all=seed % FULL_EACH == 0)
        self.offers: Offers = {}
        self.data = checks.Data()
        self.nodes = [self._node(f"n{index}") for index in range(luck.randint(1, 4))]
        # Of some worlds; drawn apart, so that the others are what they were without it.
        aside = Random(~seed)
        self.has_priorities = aside.random() < 0.4
        self.is_balanced = aside.random() < 0.3
        self.people = [
            Person(
                f"d{index}",
                index % 2 == 0,
                self.timeline,
                self._ask,
                refers=tuple(f"d{other}" for other in range(0, index, 2)),
                priorities=Random(~seed + index) if self.has_priorities else None,
            )
            for index in range(5)
        ]
        self.encodes = luck.random() < 0.2
        self.travel_ms = luck.choice((20, 20, 600))  # how long a message takes at most
        self.gap_ms = luck.choice((2_000, 15_000, 15_000, 15_000))  # between two changes of mind
        self.revision_max = 0
        self.known = State()  # what the server knew last, also while it is down

    def run(self) -> Verdict:
        """Trouble, then calm, then everything must be as people want it."""
        self.server.start()
        self._join()
        for person in self.people:
            self._live(person)
        self._trouble()
        self._watch_lost()
        actions = self.timeline.run_until(TROUBLED_MS)
        self._calm_down()
        actions += self.timeline.run_until(TROUBLED_MS + SETTLE_MS)
        self._check_settled()
        return Verdict(seed=self.seed, actions=actions, reached=self.reached, trace=self.trace)

    # Building.

    def _node(self, name: str) -> Node:
        luck = self.timeline.luck
        node = Node(
            name=name,
            timeline=self.timeline,
            runtime=ScriptedRuntime(subnet=f"10.0.{name[1:]}", offers=self.offers),
            faults=self.faults,
            facts=Facts(
                hostname=name,
                memory_mib=CAPACITY_MIB,
                cpu_millis=8_000,
                kinds=("system",),
                copies_at=f"{name}:8443",
                takes_copies=True,
            ),
            send=self._send,
            on_runtime=self._on_runtime,
            on_job=self._on_job,
            rate=luck.uniform(0.98, 1.02),
            offset_ms=luck.randrange(1_000_000),
        )
        node.runtime.add_foreign(f"theirs-{name}")
        return node

    def _join(self) -> None:
        assert self.server.controller is not None
        commands: list[Command] = [PutCluster(name="c")]
        commands += [
            Register(
                registration=Registration(
                    cluster="c",
                    node=node.name,
                    secret=SECRET,
                    facts=node.facts,
                    labels={"rack": f"r{index % 2}"},
                ),
                password_good=True,
            )
            for index, node in enumerate(self.nodes)
        ]
        if self.is_balanced:
            commands.append(self._moves(MOVES_PER_HOUR))
        if self.has_priorities:
            commands.append(Put({"kind": "Cluster", "name": "c", "preemption": "all"}))
        for command in commands:
            self.server.command(Request(principal=SYSTEM, command=command), lambda answer: None)
        for node in self.nodes:
            self.timeline.after(self.timeline.luck.randint(5, 2_000), node.start_agent)
        self.timeline.after(GROUP_MS + 1, self._fill_disk)

    @staticmethod
    def _moves(per_hour: int) -> Put:
        return Put({"kind": "Cluster", "name": "c", "moves_per_hour": per_hour})

    def _fill_disk(self) -> None:
        self.server.disk_full = self.faults.disk_full

    def _live(self, person: Person) -> None:
        def act() -> None:
            if self.timeline.now_ms < TROUBLED_MS:
                person.change_mind()
                self.timeline.after(self.timeline.luck.randint(self.gap_ms // 30, self.gap_ms), act)

        self.timeline.after(self.timeline.luck.randint(10, 4_000), act)

    # The network.

    def _send(self, node: Node, request: Exchange, respond: Callable[[Reply], None]) -> None:
        if self.is_balanced:
            request = _measured(request)
        if self.encodes:
            request = codec.decode(Exchange, codec.encode(request))

        def arrive() -> None:
            if self.timeline.now_ms >= node.cut_until_ms:
                self.server.exchange(f"c/{node.name}", request, back)

        def back(reply: Reply) -> None:
            if self.encodes:
                reply = codec.decode(Reply, codec.encode(reply))
            self._note(f"{node.name} {request.session.sequence} {reply.kind} {reply.revision}")
            self._travel(lambda: self._deliver(node, reply, respond))

        self._travel(arrive)

    def _deliver(self, node: Node, reply: Reply, respond: Callable[[Reply], None]) -> None:
        if self.timeline.now_ms >= max(node.cut_until_ms, node.deaf_until_ms):
            respond(reply)

    def _travel(self, arrive: Callable[[], None]) -> None:
        luck, faults = self.timeline.luck, self._faults()
        if self.timeline.strikes("loss", faults.loss):
            self.reached["lost"] += 1
            return
        is_late = self.timeline.strikes("late", faults.late)
        self.timeline.after(
            luck.randint(60, 6_000) if is_late else luck.randint(1, self.travel_ms), arrive
        )
        if self.timeline.strikes("repeat", faults.repeat):
            self.reached["repeated"] += 1
            self.timeline.after(luck.randint(1, 20_000), arrive)

    def _faults(self) -> Faults:
        return self.faults if self.timeline.now_ms < TROUBLED_MS else self.calm

    def _ask(self, request: Request, answer: Callable[[bytes | PathfinderError], None]) -> None:
        self._travel(
            lambda: self.server.command(request, lambda reply: self._travel(lambda: answer(reply)))
        )

    # Trouble.

    def _trouble(self) -> None:
        """Plan all that will strike."""
        luck = self.timeline.luck_of("trouble")
        drawn = troubles(self.faults, luck, nodes=len(self.nodes), until_ms=TROUBLED_MS)
        for trouble in drawn:
            self.timeline.after(trouble.at_ms, partial(self._strike, trouble))

    def _strike(self, trouble: Trouble) -> None:
        node = self.nodes[trouble.node]
        if self.timeline.strikes(trouble.kind, 1, node.name):
            self._note(trouble.kind)
            getattr(self, f"_{trouble.kind}")(node, trouble.for_ms)
        if trouble.with_backup:
            self.backup = self.server.store.copy()

    def _server_crash(self, node: Node, for_ms: int) -> None:
        if self.server.life:
            self.reached["server_crash"] += 1
            self.server.kill()
            self.timeline.after(for_ms, self._server_up)

    def _server_up(self) -> None:
        if not self.server.life:
            self.server.start()

    def _agent_crash(self, node: Node, for_ms: int) -> None:
        if node.life:
            self.reached["agent_crash"] += 1
            node.kill_agent()
            self.timeline.after(for_ms, lambda: self._agent_up(node))

    def _agent_up(self, node: Node) -> None:
        if not node.life:
            node.start_agent()

    def _daemon_crash(self, node: Node, for_ms: int) -> None:
        if node.daemon_up:
            self.reached["daemon_crash"] += 1
            node.kill_daemon()
            self.timeline.after(for_ms, lambda: self._daemon_up(node))

    def _daemon_up(self, node: Node) -> None:
        if not node.daemon_up:
            node.start_daemon()

    def _node_reboot(self, node: Node, for_ms: int) -> None:
        if node.life:
            self.reached["node_reboot"] += 1
            node.reboot()
            self.timeline.after(for_ms, lambda: self._daemon_up(node))
            self.timeline.after(for_ms + 500, lambda: self._agent_up(node))

    def _cut(self, node: Node, for_ms: int) -> None:
        self.reached["cut"] += 1
        node.cut_until_ms = self.timeline.now_ms + for_ms

    def _one_way(self, node: Node, for_ms: int) -> None:
        self.reached["one_way"] += 1
        node.deaf_until_ms = self.timeline.now_ms + for_ms

    def _container_dies(self, node: Node, for_ms: int) -> None:
        ours = [each for each in self._held(node) if each.labels and each.state == "running"]
        if ours and node.daemon_up:
            self.reached["container_dies"] += 1
            node.dies(self.timeline.luck.choice(ours).name)

    def _restore(self, node: Node, for_ms: int) -> None:
        if self.backup is not None and self.server.life:
            self.reached["restore"] += 1
            self.server.kill()
            self.server.store, self.server.restored = self.backup.copy(), True
            self.revision_max = 0
            for person in self.people:
                person.forget()
            self.timeline.after(for_ms, self._server_up)

    def _calm_down(self) -> None:
        self.server.disk_full = 0.0
        self._server_up()
        if self.is_balanced:
            stop = Request(principal=SYSTEM, command=self._moves(0))
            self.timeline.after(STOP_MS, lambda: self.server.command(stop, lambda answer: None))
        for node in self.nodes:
            node.faults = self.calm
            node.cut_until_ms = node.deaf_until_ms = 0
            self._daemon_up(node)
            self._agent_up(node)

    # Checking.

    def _watch_lost(self) -> None:
        controller = self.server.controller
        if controller is not None and self.server.life:
            checks.check_lost(controller, self.timeline.now_ms)
        self.timeline.after(LOOK_MS, self._watch_lost)

    def _on_change(self, change: Change, controller: Controller) -> None:
        self._note(f"revision {change.revision} {len(change.edits)}")
        if change.revision <= self.revision_max:
            raise checks.Broken(f"promise 1: revision {change.revision} is not new")
        self.revision_max = change.revision
        events = controller.state.events
        assert not events or events[-1].revision <= controller.state.revision, events[-1]
        asked = any(event.who == SYSTEM.name for event in change.events)
        checks.check_change(change, controller, deliberate=asked)
        if not self.server.restored:
            checks.check_bootstrapped(change, self._jobs_of)
        for event in change.events:
            self.reached[event.action] += 1

    def _on_runtime(self, node: Node, call: Call) -> Callable[[], None]:
        state = self.server.controller.state if self.server.controller else None
        if not hasattr(call, "slot"):
            return lambda: None
        before = node.runtime.inspect(call.slot)
        if self.server.restored:
            state = None  # what a backup does not know may go when people say so
        checks.check_call(state, node.name, call, before)

        def after() -> None:
            self._check_ground()
            if isinstance(call, Start) and not self.server.restored:
                self.data.check_start(self.known, node.runtime, call.slot)

        return after

    def _jobs_of(self, container: Container) -> ScriptedJobs | None:
        node = next(node for node in self.nodes if node.name == container.node)
        return node.runtime.jobs(container.name)

    def _on_job(self, node: Node, slot: str) -> None:
        """A node has done something about a bootstrap: what has begun takes a while and ends."""
        jobs = node.runtime.jobs(slot)
        if jobs is None:
            return
        spec = node.runtime.spec(slot)
        checks.check_jobs(f"{node.name}/{slot}", jobs)
        job = jobs.running()
        if job is None or job.key in jobs.timed or spec is None:
            return
        jobs.timed.add(job.key)
        luck, is_calm = self.timeline.luck, self.timeline.now_ms >= TROUBLED_MS
        exit_code = 0 if is_calm or luck.random() < 0.7 else 1
        self.reached["job_failed" if exit_code else "job_done"] += 1
        key = job.key
        self.timeline.after(luck.randint(20, 1_500), lambda: jobs.finish(key, exit_code))

    def _check_ground(self) -> None:
        if self.server.controller is not None:
            self.known = self.server.controller.state
        held = {node.name: self._held(node) for node in self.nodes}
        checks.check_running(held, self.known, CAPACITY_MIB, is_restored=self.server.restored)

    def _check_settled(self) -> None:
        controller = self.server.controller
        assert controller is not None
        if controller.life.recovering:
            raise checks.Broken("settled: the server is still recovering")
        for node in self.nodes:
            if controller.life.status(f"c/{node.name}") != "ready":
                raise checks.Broken(f"settled: {node.name} is not ready")
        held = {node.name: self._held(node) for node in self.nodes}
        wants = {} if self.server.restored else {each.name: each.wants for each in self.people}
        for person in self.people:
            if person.busy:
                raise checks.Broken(f"settled: {person.name} has had no answer")
        orphans = [slot for node in controller.state.all(NodeThing) for slot in node.orphans]
        if orphans and not self.server.restored:
            raise checks.Broken(f"settled: orphans {orphans} without a restore")
        for node_name, instances in held.items():
            held[node_name] = [each for each in instances if each.name not in orphans]
        if not self.server.restored:
            for node in self.nodes:
                jobs = {each.name: node.runtime.jobs(each.name) for each in held[node.name]}
                checks.check_bootstraps(controller.state, node.name, jobs)
        checks.check_settled(
            controller.state, held, [f"theirs-{node.name}" for node in self.nodes], wants
        )

    def _held(self, node: Node) -> list[Instance]:
        return node.runtime.everything()

    def _note(self, text: str) -> None:
        self.trace = digest(f"{self.trace}{self.timeline.now_ms}{text}")[:16]
        if self.say is not None:
            self.say(f"{self.timeline.now_ms:>7} ms  {text}")


def _measured(request: Exchange) -> Exchange:
    """With what a node's containers use, each as much as its name says."""
    uses = (
        ContainerUsage(slot=each.slot, cpu_millis=crc32(each.slot.encode()) % 3_000, memory_mib=60)
        for each in request.holding
    )
    return replace(request, measurements=Measurements(containers=tuple(uses)))
