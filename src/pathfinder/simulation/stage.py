"""A cluster with what befalls it: servers, nodes, the network between them, and what goes wrong.

Whoever plays a world puts nodes and people onto the stage, plans the troubles, and lets time pass.
What must hold always is checked here, in ground truth.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING
from zlib import crc32

from pathfinder.agent.effects import Acting, Remove, Start
from pathfinder.control.commands import Command, Request
from pathfinder.control.controller import Controller
from pathfinder.control.life import OUTWAIT_MS
from pathfinder.control.objects import Container
from pathfinder.control.state import Change, State
from pathfinder.model.errors import PathfinderError
from pathfinder.runtimes.port import Instance
from pathfinder.runtimes.scripted import Offers
from pathfinder.runtimes.scripted_jobs import ScriptedJobs
from pathfinder.simulation import checks
from pathfinder.simulation.faults import NONE, Faults, Trouble
from pathfinder.simulation.node import Node
from pathfinder.simulation.people import PERSON
from pathfinder.simulation.server import Server
from pathfinder.simulation.timeline import Timeline
from pathfinder.store.memory import MemoryStore
from pathfinder.wire import codec
from pathfinder.wire.messages import ContainerUsage, Exchange, Measurements, Reply

if TYPE_CHECKING:
    from hashlib import _Hash as Digest

LOOK_MS = 997  # between two looks at what is lost: not in step with anything
ALL_EACH = 30  # one look of so many is at everything
JOB_MS = (20, 1_500)
HALF = 0.5
DAY_MS = 86_400_000
JUMPS_MS = (-2 * DAY_MS, -3_600_000, -30_000, 30_000, 3_600_000, 2 * DAY_MS)


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything of one cluster. calm_ms: from then on nothing goes wrong any more.

    travel_ms: how long a message takes at most. encodes: whether messages go through their JSON.
    measures: whether nodes say what their containers use, each as much as its name says.
    reached: how often each rare path was taken. trace: a digest of all that happened.
    """

    timeline: Timeline
    cluster: str
    faults: Faults
    calm_ms: int
    travel_ms: int = 20
    encodes: bool = False
    measures: bool = False
    job_ms: tuple[int, int] = JOB_MS
    jobs_fail: float = 0.3
    say: Callable[[str], None] | None = None
    told: Callable[[Change, Controller], None] | None = None
    forget: Callable[[], None] = lambda: None
    server: Server = field(init=False)
    deposed: Server | None = None
    apart: str = ""  # a node that reaches only the deposed one, as all others only the new one
    nodes: list[Node] = field(default_factory=list)
    by_name: dict[str, Node] = field(default_factory=dict)
    offers: Offers = field(default_factory=dict)
    reached: Counter[str] = field(default_factory=Counter)
    backup: MemoryStore | None = None
    revision_max: int = 0
    known: State = field(default_factory=State)  # what the server knew last, also while it is down
    heard: set[str] = field(default_factory=set)  # nodes that have told a restored server all
    data: checks.Data = field(default_factory=checks.Data)
    _look_count: int = 0
    _call_count: int = 0  # of calls that may have changed what runs
    _ground: tuple[int, ...] = ()  # when everything was looked at last
    _digest: "Digest" = field(default_factory=sha256)

    def __post_init__(self) -> None:
        self.server = Server(self.timeline, self._on_change, self._on_decision)

    def add(self, node: Node) -> Node:
        """One node more."""
        self.nodes.append(node)
        self.by_name[node.name] = node
        return node

    def is_calm(self) -> bool:
        """Whether nothing goes wrong any more."""
        return self.timeline.now_ms >= self.calm_ms

    # The network.

    def send(self, node: Node, request: Exchange, respond: Callable[[Reply], None]) -> None:
        """A node's exchange sets out."""
        if self.measures:
            request = _measured(request)
        if self.encodes:
            request = codec.decode(Exchange, codec.encode(request))

        def arrive() -> None:
            if self.timeline.now_ms >= node.cut_until_ms:
                self._reached_server(node.name).exchange(
                    f"{self.cluster}/{node.name}", request, back
                )

        def back(reply: Reply) -> None:
            if self.encodes:
                reply = codec.decode(Reply, codec.encode(reply))
            self.note(node.name, request.session.sequence, reply.kind, reply.revision)
            self._travel(lambda: self._deliver(node, reply, respond))

        self._travel(arrive)

    def _deliver(self, node: Node, reply: Reply, respond: Callable[[Reply], None]) -> None:
        if self.timeline.now_ms >= max(node.cut_until_ms, node.deaf_until_ms):
            respond(reply)

    def ask(self, request: Request, answer: Callable[[bytes | PathfinderError], None]) -> None:
        """A person's request sets out."""
        self._travel(
            lambda: self._reached_server().command(
                request, lambda reply: self._travel(lambda: answer(reply))
            )
        )

    def _reached_server(self, node: str = "") -> Server:
        """Whom a message reaches: the one that leads, or one that only believes that it does."""
        old = self.deposed
        if old is None or not old.life:
            return self.server
        if self.apart:
            return old if node == self.apart else self.server
        return old if self.timeline.luck_of("rival").random() < HALF else self.server

    def order(self, command: Command) -> None:
        """A request that arrives at once; nobody waits for its answer."""
        self.server.command(Request(principal=PERSON, command=command), lambda answer: None)

    def _travel(self, arrive: Callable[[], None]) -> None:
        timeline = self.timeline
        faults = self.faults
        if timeline.now_ms >= self.calm_ms or faults is NONE:
            timeline.after(1 + int(timeline.luck.random() * self.travel_ms), arrive)
            return
        if timeline.strikes("loss", faults.loss):
            self.reached["lost"] += 1
            return
        if timeline.strikes("late", faults.late):
            delay_ms = timeline.between(60, 6_000)
        else:
            delay_ms = 1 + int(timeline.luck.random() * self.travel_ms)
        timeline.after(delay_ms, arrive)
        if timeline.strikes("repeat", faults.repeat):
            self.reached["repeated"] += 1
            timeline.after(timeline.between(1, 20_000), arrive)

    # Trouble.

    def plan(self, troubles: Iterable[Trouble]) -> None:
        """Let all of them strike, each in its moment."""
        for trouble in troubles:
            self.timeline.after(trouble.at_ms, partial(self._strike, trouble))

    def _strike(self, trouble: Trouble) -> None:
        node = self.nodes[trouble.node]
        if self.timeline.strikes(trouble.kind, 1, node.name):
            self.note(trouble.kind)
            getattr(self, f"_{trouble.kind}")(node, trouble.for_ms)
        if trouble.with_backup:
            self.backup = self.server.store.copy()

    def _server_crash(self, node: Node, for_ms: int) -> None:
        if self.server.life:
            self.reached["server_crash"] += 1
            self.server.kill()
            if self.deposed is not None:
                self.deposed.store = self.server.store
            self.timeline.after(for_ms, self._server_up)

    def _rival(self, node: Node, for_ms: int) -> None:
        """Another server takes the lead; the first goes on, perhaps after it has stood still."""
        if not self.server.life or (self.deposed is not None and self.deposed.life):
            return
        self.reached["rival"] += 1
        self.deposed, self.server = self.server, self.server.rival()
        way = for_ms % 4
        if way == 1:
            self.deposed.paused_until_ms = self.timeline.now_ms + for_ms // 2
        self.apart = node.name if way > 1 else ""
        # Long enough for the new one to hold for lost whom only the old one hears.
        self.timeline.after(for_ms + OUTWAIT_MS * bool(self.apart), self.deposed.end)

    def _clock_jump(self, node: Node, for_ms: int) -> None:
        self.reached["clock_jump"] += 1
        self.server.wall_jump_ms += JUMPS_MS[for_ms % len(JUMPS_MS)]

    def _node_clock_jump(self, node: Node, for_ms: int) -> None:
        self.reached["node_clock_jump"] += 1
        node.wall_jump_ms += JUMPS_MS[for_ms % len(JUMPS_MS)]

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
        ours = [each for each in held(node) if each.labels and each.state == "running"]
        if ours and node.daemon_up:
            self.reached["container_dies"] += 1
            node.dies(self.timeline.luck.choice(ours).name)

    def _container_readdressed(self, node: Node, for_ms: int) -> None:
        ours = [each for each in held(node) if each.labels and each.addresses]
        if ours:
            self.reached["container_readdressed"] += 1
            node.runtime.readdress(self.timeline.luck.choice(ours).name)

    def _restore(self, node: Node, for_ms: int) -> None:
        if self.backup is not None and self.server.life:
            self.reached["restore"] += 1
            if self.deposed is not None:
                self.deposed.end()
            self.server.kill()
            self.server.store, self.server.restored = self.backup.copy(), True
            self.revision_max = 0
            self.forget()
            self.timeline.after(for_ms, self._server_up)

    def calm_down(self) -> None:
        """Everything works again."""
        self.server.disk_full = 0.0
        if self.deposed is not None:
            self.deposed.end()
        self._server_up()
        for node in self.nodes:
            node.faults = NONE
            node.cut_until_ms = node.deaf_until_ms = 0
            self._daemon_up(node)
            self._agent_up(node)

    # Checking.

    def watch(self) -> None:
        """Look at everything, now and then from now on."""
        controller = self.server.controller
        if controller is not None and self.server.life and controller.life.lost:
            checks.check_lost(controller, self.timeline.now_ms)
            checks.check_leases(controller, self._has_lease)
        self._look_count += 1
        if self._look_count % ALL_EACH == 0:
            self.check_ground()
        self.timeline.after(LOOK_MS, self.watch)

    def _has_lease(self, key: str) -> bool:
        return self.by_name[key.partition("/")[2]].has_lease()

    def check_ground(self) -> None:
        """Promises 2 and 5 of everything that runs; nothing, when all is as it was last time."""
        state = self._knowledge()
        ground = (self.server.lives, state.revision, self._call_count, len(self.heard))
        if ground == self._ground:
            return
        self._ground = ground
        for node in self.nodes:
            self._check_node(node)
        nodes = self._witnesses()
        running = (name for node in nodes for name, _ in node.runtime.running())
        self._check_copies(running)

    def _check_node(self, node: Node) -> None:
        if not self.server.restored:
            running, capacity_mib = node.runtime.running(), node.facts.memory_mib
            checks.check_room(node.name, running, self._knowledge(), self.cluster, capacity_mib)

    def _check_slot(self, slot: str) -> None:
        running = [slot for node in self._witnesses() if node.runtime.runs(slot)]
        if len(running) > 1:
            self._check_copies(running)

    def _check_copies(self, running: Iterable[str]) -> None:
        is_restored = self.server.restored
        checks.check_copies(running, self._knowledge(), self.cluster, is_restored=is_restored)

    def _witnesses(self) -> list[Node]:
        """Whose containers the server can know of.

        That a state came back from an older backup, only nodes can tell. What one runs that has not
        been heard since may be made again.
        """
        self._knowledge()
        return [node for node in self.nodes if not self.server.restored or node.name in self.heard]

    def _knowledge(self) -> State:
        controller = self.server.controller
        if controller is not None:
            self.known = controller.state
            self.heard = {
                key.partition("/")[2]
                for key, life in controller.life.nodes.items()
                if self.server.restored and life.was_complete
            }
        return self.known

    def _on_change(self, change: Change, controller: Controller) -> None:
        self.note("revision", change.revision, change.edit_count)
        if change.revision <= self.revision_max:
            raise checks.Broken(f"promise 1: revision {change.revision} is not new")
        self.revision_max = change.revision
        events = controller.state.events
        assert not events or events[-1].revision <= controller.state.revision, events[-1]
        checks.check_change(change)
        if not self.server.restored:
            checks.check_bootstrapped(change, self.jobs_of)
        for edit in change.edits:
            # Who may be there twice has changed, perhaps; what runs is looked at where it changes.
            if edit.kind == Container.KIND:
                self._check_slot(edit.key.partition("/")[2])
        for event in change.events:
            self.reached[event.action] += 1
        if self.told is not None:
            self.told(change, controller)

    def _on_decision(self, change: Change, controller: Controller) -> None:
        if not any(event.who == PERSON.name for event in change.events):
            checks.check_decision(change, controller)

    def on_runtime(self, node: Node, call: Acting) -> Callable[[], None]:
        """A daemon is called for more than a look; what is given back is called when it is done.

        Nothing else runs or ends than what was called for: only that is looked at.
        """
        state = self.server.controller.state if self.server.controller else None
        before = node.runtime.instance(call.slot)
        if self.server.restored:
            state = None  # what a backup does not know may go when people say so
        checks.check_call(state, self.cluster, node.name, call, before)
        if isinstance(call, Remove) and node.core is not None:
            told = node.core.conversation.wanted.get(call.slot)
            checks.check_removal(self._knowledge(), f"{self.cluster}/{call.slot}", told, before)

        def after() -> None:
            self._call_count += 1
            self._check_node(node)
            self._check_slot(call.slot)
            if isinstance(call, Start) and not self.server.restored:
                self.data.check_start(self.known, f"{self.cluster}/{call.slot}", node.runtime)

        return after

    def jobs_of(self, container: Container) -> ScriptedJobs | None:
        """What a container has begun of its bootstrap, on its node."""
        return self.by_name[container.node].runtime.jobs(container.name)

    def on_job(self, node: Node, slot: str) -> None:
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
        luck = self.timeline.luck
        exit_code = 0 if self.is_calm() or luck.random() >= self.jobs_fail else 1
        self.reached["job_failed" if exit_code else "job_done"] += 1
        key = job.key
        self.timeline.after(luck.randint(*self.job_ms), lambda: jobs.finish(key, exit_code))

    def note(self, *what: object) -> None:
        """Something has happened: part of the trace."""
        now_ms = self.timeline.now_ms
        self._digest.update(f"{now_ms} {what}".encode())
        if self.say is not None:
            self.say(f"{now_ms:>7} ms  {' '.join(map(str, what))}")

    @property
    def trace(self) -> str:
        """A digest of all that has happened: equal for equal worlds."""
        return self._digest.hexdigest()[:16]


def held(node: Node) -> list[Instance]:
    """Everything that a node's daemon has."""
    return node.runtime.everything()


def _measured(request: Exchange) -> Exchange:
    uses = (
        ContainerUsage(slot=each.slot, cpu_millis=crc32(each.slot.encode()) % 3_000, memory_mib=60)
        for each in request.holding
    )
    return replace(request, measurements=Measurements(containers=tuple(uses)))
