"""A person's own cluster on the stage: an exported state, what they mean to apply, and troubles.

Its nodes are played, its decisions are the production code's. Containers begin where they are; each
node first makes what it holds, without any trouble, and then the clock of the rehearsal begins.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from pathfinder.control import codec, draining, whatif
from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import Apply, Command, PatchNode, Request
from pathfinder.control.controller import Controller
from pathfinder.control.exporting import load_export
from pathfinder.control.objects import Cluster, Container, Deployment
from pathfinder.control.objects import Node as NodeThing
from pathfinder.control.queries import Twin
from pathfinder.control.state import Change, State
from pathfinder.control.transaction import Transaction
from pathfinder.model.errors import Conflict, NotFound, PathfinderError
from pathfinder.model.phases import Phase
from pathfinder.runtimes.scripted import ScriptedRuntime
from pathfinder.simulation import checks
from pathfinder.simulation.faults import Faults, troubles
from pathfinder.simulation.node import Node
from pathfinder.simulation.people import PERSON
from pathfinder.simulation.stage import Stage
from pathfinder.simulation.timeline import Timeline
from pathfinder.store.memory import MemoryStore

KINDS: Final = (
    "server_crash",
    "agent_crash",
    "daemon_crash",
    "node_reboot",
    "cut",
    "one_way",
    "container_dies",
)
MINUTE_MS: Final = 60_000
SAMPLE_MS: Final = 1_000
MAKING_MINUTES_MAX: Final = 10
SETTLING_MINUTES_MAX: Final = 5
LOST_MS: Final = (2_000, 30_000)  # after what was applied: in the middle of it
WALL_MS: Final = 1_700_000_000_000  # when worlds begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is rehearsed.

    documents: applied at the beginning. drain: nodes that are drained from then on. lose: nodes
    that die soon after and do not come back.
    troubles: kinds that strike now and then, on the average each `gap_ms`. minutes: for so long.
    """

    cluster: str
    documents: tuple[dict[str, Any], ...] = ()
    drain: tuple[str, ...] = ()
    lose: tuple[str, ...] = ()
    troubles: tuple[str, ...] = KINDS
    gap_ms: int = 30_000
    minutes: int = 5


@dataclass(slots=True)
class Course:
    """What became of one deployment: seconds, and the fewest replicas that ran at once."""

    replicas: int = 0
    min_available: int = 0
    fewest: int = 1 << 30
    below_s: int = 0
    none_s: int = 0
    made_anew: int = 0
    moved: int = 0


@dataclass(slots=True)
class Outcome:
    """How one run went.

    waiting: containers without a node at the end, and why. stranded: those whose node is dead, and
    which node. unready: those that are on a node that is up and not ready. drained: nodes, and
    after how many seconds. staying: what was left on others that were to be drained, and why.
    broken: a promise of ours that was not kept, "" for none. story: what happened, after how many
    milliseconds.
    """

    seed: int
    courses: dict[str, Course] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    stranded: dict[str, str] = field(default_factory=dict)
    unready: tuple[str, ...] = ()
    drained: dict[str, int] = field(default_factory=dict)
    staying: dict[str, str] = field(default_factory=dict)
    reached: Counter[str] = field(default_factory=Counter)
    broken: str = ""
    story: list[tuple[int, str]] = field(default_factory=list)


def rehearse(content: bytes, plan: Plan, seed: int) -> Outcome:
    """One run on an exported state; Malformed, NotFound, and what refuses the documents."""
    twin, time_ms = load_export(content)
    run = _Run(twin, time_ms, plan, seed)
    try:
        run.play()
    except checks.Broken as broken:
        run.outcome.broken = str(broken)
    run.end()
    return run.outcome


class _Run:
    def __init__(self, twin: Twin, time_ms: int, plan: Plan, seed: int) -> None:
        self._plan, self.outcome = plan, Outcome(seed)
        state, epoch = _at_rest(twin, plan.cluster, time_ms)
        self._state = state
        self._began_ms = 0
        self._timeline = Timeline(seed)
        self.stage = Stage(
            timeline=self._timeline,
            cluster=plan.cluster,
            faults=Faults(troubles=plan.troubles, gap_ms=plan.gap_ms),
            calm_ms=1 << 62,
            jobs_fail=0.0,
            told=self._on_change,
        )
        self.stage.server.store = _store_of(state, epoch, time_ms)
        self.stage.server.wall_jump_ms = time_ms - WALL_MS
        for index, thing in enumerate(sorted(state.all(NodeThing), key=lambda each: each.name)):
            node = self._add(thing, index, time_ms)
            if twin.statuses.get(thing.key) != "lost":
                self.stage.nodes.append(node)
        for name in (*plan.drain, *plan.lose):
            if name not in {node.name for node in self.stage.nodes}:
                raise NotFound(
                    f"no node {name!r} is up in cluster {plan.cluster!r}",
                    hint="name one that is: pfi get nodes",
                )

    def _add(self, thing: NodeThing, index: int, time_ms: int) -> Node:
        luck, stage = self._timeline.luck, self.stage
        node = Node(
            name=thing.name,
            cluster=self._plan.cluster,
            timeline=self._timeline,
            runtime=ScriptedRuntime(subnet=f"10.{index // 250}.{index % 250}", offers=stage.offers),
            faults=stage.faults,
            facts=thing.facts,
            send=stage.send,
            on_runtime=stage.on_runtime,
            on_job=stage.on_job,
            rate=luck.uniform(0.999, 1.001),
            offset_ms=luck.randrange(1_000_000),
            wall_jump_ms=time_ms - WALL_MS,
        )
        stage.by_name[node.name] = node
        return node

    def play(self) -> None:
        """From making what there is to the calm after the last trouble."""
        stage, timeline, plan = self.stage, self._timeline, self._plan
        stage.server.start()
        for node in stage.nodes:
            timeline.after(timeline.luck.randint(5, 2_000), node.start_agent)
        self._until_ready(MAKING_MINUTES_MAX)
        self.outcome.courses.clear()
        self.outcome.story.clear()
        stage.reached.clear()
        self._began_ms = timeline.now_ms
        stage.watch()
        self._apply()
        for name in plan.drain:
            self._ask(PatchNode(plan.cluster, name, draining=True))
        for name in plan.lose:
            node = stage.by_name[name]
            timeline.after(timeline.luck.randint(*LOST_MS), partial(self._lose, node))
        end_ms = timeline.now_ms + plan.minutes * MINUTE_MS
        remaining = len(stage.nodes) - len(plan.lose)
        if remaining > 0:
            luck = timeline.luck_of("trouble")
            drawn = troubles(stage.faults, luck, nodes=remaining, until_ms=plan.minutes * MINUTE_MS)
            stage.plan(drawn)
        while timeline.now_ms < end_ms:
            timeline.run_until(timeline.now_ms + SAMPLE_MS)
            self._sample()
        stage.calm_down()
        self._until_ready(SETTLING_MINUTES_MAX, samples=True)
        self._conclude()

    def end(self) -> None:
        """Put together what happened, and what befell the nodes and the server."""
        outcome = self.outcome
        outcome.reached = self.stage.reached
        outcome.story += [
            (each.at_ms, f"{each.kind} {'' if each.kind == 'server_crash' else each.where}".strip())
            for each in self._timeline.struck
        ]
        began_ms = self._began_ms
        outcome.story = sorted(
            (at - began_ms, text) for at, text in outcome.story if at >= began_ms
        )

    def _apply(self) -> None:
        if self._plan.documents:
            self._ask(Apply(self._plan.documents))

    def _ask(self, command: Command) -> None:
        answers: list[bytes | PathfinderError] = []
        request = Request(principal=PERSON, command=command)
        self.stage.server.command(request, answers.append)
        while not answers:
            self._timeline.run_until(self._timeline.now_ms + 1)
        if isinstance(answers[0], PathfinderError):
            raise answers[0]

    def _lose(self, node: Node) -> None:
        """Its power is gone for good; nothing else strikes it any more."""
        self.outcome.story.append((self._timeline.now_ms, f"{node.name} dies"))
        node.reboot()
        self.stage.nodes.remove(node)

    def _until_ready(self, minutes: int, *, samples: bool = False) -> None:
        end_ms = self._timeline.now_ms + minutes * MINUTE_MS
        while self._timeline.now_ms < end_ms and (self._is_recovering() or any(self._unready())):
            self._timeline.run_until(self._timeline.now_ms + SAMPLE_MS)
            if samples:
                self._sample()

    def _is_recovering(self) -> bool:
        """Whether the server, or a node that is up, has not come back yet."""
        controller = self.stage.server.controller
        if controller is None or controller.life.recovering:
            return True
        keys = (f"{self._plan.cluster}/{node.name}" for node in self.stage.nodes)
        return any(controller.life.status(key) != "ready" for key in keys)

    def _unready(self) -> Iterator[Container]:
        """What is on a node that is up, and not ready or not the last of it."""
        up = {node.name for node in self.stage.nodes}
        for each in self._state.all(Container):
            is_leaving = any(copy.node in up for copy in each.leaving)
            if each.node in up and (not each.ready or is_leaving or not each.wanted):
                yield each

    def _on_change(self, change: Change, controller: Controller) -> None:
        self._state = controller.state
        for event in change.events:
            text = f"{event.name} {event.action} {event.node}".rstrip()
            told = f"{text}: {event.why}" if event.why else text
            self.outcome.story.append((self._timeline.now_ms, told))
            if event.action == "drained":
                began_ms, now_ms = self._began_ms, self._timeline.now_ms
                self.outcome.drained[event.name] = round((now_ms - began_ms) / 1_000)
            if event.kind != Container.KIND:
                continue
            container = self._state.get(Container, f"{event.cluster}/{event.name}")
            course = self._course(container.deployment) if container else None
            if course is not None:
                course.made_anew += event.action == "replacing"
                course.moved += event.action == "relocated"

    def _course(self, deployment: str) -> Course | None:
        if not deployment:
            return None
        return self.outcome.courses.setdefault(deployment, Course())

    def _sample(self) -> None:
        """What runs in this second, whatever the server believes."""
        running = {
            name for node in self.stage.by_name.values() for name, _ in node.runtime.running()
        }
        for deployment in self._state.all(Deployment):
            course = self._course(deployment.name)
            if course is None or not deployment.wanted:
                continue
            keys = self._state.containers_of_deployment.get(deployment.key, ())
            count = sum(key.partition("/")[2] in running for key in keys)
            course.replicas, course.min_available = deployment.replicas, deployment.min_available
            course.fewest = min(course.fewest, count)
            course.below_s += count < min(deployment.min_available, deployment.replicas)
            course.none_s += not count and deployment.replicas > 0

    def _conclude(self) -> None:
        for key in sorted(self._state.pending):
            container = self._state.get(Container, key)
            assert container is not None
            self.outcome.waiting[container.name] = container.why
        up = {node.name for node in self.stage.nodes}
        for each in self._state.all(Container):
            if each.node and each.node not in up:
                self.outcome.stranded[each.name] = each.node
        controller = self.stage.server.controller
        for key in sorted(self._state.draining):
            node, life = self._state.get(NodeThing, key), controller.life if controller else None
            shown = draining.view(self._state, life, node) if node and life else None
            for stays in shown.stays if shown else ():
                self.outcome.staying[stays.name] = stays.why
        self.outcome.unready = tuple(sorted(each.name for each in self._unready()))


def _at_rest(twin: Twin, cluster: str, time_ms: int) -> tuple[State, int]:
    """One cluster as it will be when all that is under way has ended; and the next epoch.

    Everything is to be made by the nodes that have it, which begin empty.
    """
    state = twin.state
    if state.get(Cluster, cluster) is None:
        raise NotFound(f"there is no cluster {cluster!r} in it", hint="--cluster NAME")
    for node in list(state.all(NodeThing)):
        if node.cluster == cluster and node.protocol == "poll":
            raise Conflict(
                f"node {node.name} polls by API v1/v2: its agent cannot be played",
                hint="pfi plan --state answers what-if questions with such nodes too",
            )
    epoch = 1 + max((each.generation >> 32 for each in state.all(Container)), default=0)
    life = whatif.life_of(state, twin.statuses)
    tx = Transaction(state, now_ms=time_ms, who=SYSTEM.name, epoch=epoch)
    whatif.come_to_rest(tx, life)
    tx.finish()
    for kind in (Container, Deployment, NodeThing):
        for key in [key for key in state.things[kind.KIND] if not key.startswith(f"{cluster}/")]:
            state.set(kind.KIND, key, None)
    for container in list(state.all(Container)):
        state.set(Container.KIND, container.key, _to_be_made(container, state.revision))
    return state, epoch + 1


def _to_be_made(container: Container, revision: int) -> Container | None:
    if not container.wanted:
        return None
    return replace(
        container,
        phase=Phase.SCHEDULED if container.node else Phase.PENDING,
        assigned=revision if container.node else 0,
        leaving=(),
        earlier=(),
        ready=False,
        addresses=(),
        address="",
        started_ms=0,
        bootstrap_tries=0,
        bootstrap_exit_code=-1,
    )


def _store_of(state: State, epoch: int, time_ms: int) -> MemoryStore:
    """A journal that begins with this state."""
    store = MemoryStore()
    tenure = store.lead(at_least=epoch)
    record = store.append(tenure.epoch, time_ms, codec.encode_record(()))
    chunks: Sequence[bytes] = list(codec.encode_snapshot(state))
    store.save_snapshot(tenure.epoch, record.seq, record.hash, chunks)
    return store
