"""One seed: people who change their minds on a cluster that has its troubles."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from pathfinder.control.commands import Command, PatchNode, Put, PutCluster, Register
from pathfinder.control.objects import Node as NodeThing
from pathfinder.runtimes.scripted import ScriptedRuntime
from pathfinder.simulation import checks
from pathfinder.simulation.faults import Faults, draw, troubles
from pathfinder.simulation.node import Node
from pathfinder.simulation.people import Person
from pathfinder.simulation.server import GROUP_MS
from pathfinder.simulation.stage import Stage, held
from pathfinder.simulation.timeline import Timeline
from pathfinder.wire.messages import Facts, Registration

CLUSTER = "c"
FULL_EACH = 10  # in one seed of so many it is looked at whether ticks were left out rightly
SECRET = "0" * 64
MOVES_PER_HOUR = 1_000
STOP_MS = 30_000  # balancing goes on for a while without any trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a world is and how long it lasts; what is None is drawn from its seed.

    gaps_ms: between two changes of a mind, one of these. replicas_max: of a deployment.
    """

    node_count: int | None = None
    capacity_mib: int = 900
    person_count: int = 5
    replicas_max: int = 4
    troubled_ms: int = 60_000
    settle_ms: int = 90_000
    gaps_ms: tuple[int, ...] = (2_000, 15_000, 15_000, 15_000)
    faults: Faults | None = None
    is_balanced: bool | None = None


SEEDS = Shape()


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
        shape: Shape = SEEDS,
        say: Callable[[str], None] | None = None,
        only: frozenset[str] | None = None,
    ) -> None:
        """only: the names of the faults that may happen; None: all."""
        self.seed, self.shape = seed, shape
        self.timeline = Timeline(seed, only)
        luck = self.timeline.luck
        drawn = draw(luck)
        self.stage = Stage(
            timeline=self.timeline,
            cluster=CLUSTER,
            faults=shape.faults or drawn,
            calm_ms=shape.troubled_ms,
            say=say,
            forget=self._forget,
        )
        self.stage.server.ticks_all = seed % FULL_EACH == 0
        node_count = luck.randint(1, 4)
        for index in range(shape.node_count or node_count):
            self._add_node(f"n{index}")
        # Of some worlds; drawn apart, so that the others are what they were without it.
        aside = Random(~seed)
        self.has_priorities = aside.random() < 0.4
        is_balanced = aside.random() < 0.3
        self.is_balanced = is_balanced if shape.is_balanced is None else shape.is_balanced
        self.stage.measures = self.is_balanced
        self.is_maintained = aside.random() < 0.3
        self.people = [self._person(index) for index in range(shape.person_count)]
        self.stage.encodes = luck.random() < 0.2
        self.stage.travel_ms = luck.choice((20, 20, 600))
        self.gap_ms = luck.choice(shape.gaps_ms)

    @property
    def reached(self) -> Counter[str]:
        """How often each rare path was taken."""
        return self.stage.reached

    def run(self) -> Verdict:
        """Trouble, then calm, then everything must be as people want it."""
        stage, shape = self.stage, self.shape
        stage.server.start()
        self._join()
        for person in self.people:
            self._live(person)
        if self.is_maintained:
            self._maintain(Random(~self.seed - 1))
        drawn = troubles(
            stage.faults,
            self.timeline.luck_of("trouble"),
            nodes=len(stage.nodes),
            until_ms=shape.troubled_ms,
        )
        stage.plan(drawn)
        stage.watch()
        actions = self.timeline.run_until(shape.troubled_ms)
        if self.is_balanced:
            self.timeline.after(STOP_MS, lambda: stage.order(self._moves(0)))
        if self.is_maintained:
            self.timeline.after(STOP_MS, self._end_maintenance)
        stage.calm_down()
        actions += self.timeline.run_until(shape.troubled_ms + shape.settle_ms)
        self._check_settled()
        return Verdict(seed=self.seed, actions=actions, reached=self.reached, trace=stage.trace)

    # Building.

    def _add_node(self, name: str) -> None:
        luck, stage = self.timeline.luck, self.stage
        node = Node(
            name=name,
            timeline=self.timeline,
            runtime=ScriptedRuntime(subnet=f"10.0.{name[1:]}", offers=stage.offers),
            faults=stage.faults,
            facts=Facts(
                hostname=name,
                memory_mib=self.shape.capacity_mib,
                cpu_millis=8_000,
                kinds=("system",),
                copies_at=f"{name}:8443",
                takes_copies=True,
            ),
            send=stage.send,
            on_runtime=stage.on_runtime,
            on_job=stage.on_job,
            rate=luck.uniform(0.98, 1.02),
            offset_ms=luck.randrange(1_000_000),
        )
        node.runtime.add_foreign(f"theirs-{name}")
        stage.add(node)

    def _person(self, index: int) -> Person:
        return Person(
            f"d{index}",
            index % 2 == 0,
            self.timeline,
            self.stage.ask,
            refers=tuple(f"d{other}" for other in range(0, index, 2)),
            priorities=Random(~self.seed + index) if self.has_priorities else None,
            replicas_max=self.shape.replicas_max,
        )

    def _join(self) -> None:
        commands: list[Command] = [PutCluster(name=CLUSTER)]
        commands += [
            Register(
                registration=Registration(
                    cluster=CLUSTER,
                    node=node.name,
                    secret=SECRET,
                    facts=node.facts,
                    labels={"rack": f"r{index % 2}"},
                ),
                password_good=True,
            )
            for index, node in enumerate(self.stage.nodes)
        ]
        if self.is_balanced:
            commands.append(self._moves(MOVES_PER_HOUR))
        if self.has_priorities:
            commands.append(Put({"kind": "Cluster", "name": CLUSTER, "preemption": "all"}))
        for command in commands:
            self.stage.order(command)
        for node in self.stage.nodes:
            self.timeline.after(self.timeline.luck.randint(5, 2_000), node.start_agent)
        self.timeline.after(GROUP_MS + 1, self._fill_disk)

    @staticmethod
    def _moves(per_hour: int) -> Put:
        return Put({"kind": "Cluster", "name": CLUSTER, "moves_per_hour": per_hour})

    def _fill_disk(self) -> None:
        self.stage.server.disk_full = self.stage.faults.disk_full

    def _forget(self) -> None:
        for person in self.people:
            person.forget()

    def _live(self, person: Person) -> None:
        def act() -> None:
            if not self.stage.is_calm():
                person.change_mind()
                self.timeline.after(self.timeline.luck.randint(self.gap_ms // 30, self.gap_ms), act)

        self.timeline.after(self.timeline.luck.randint(10, 4_000), act)

    def _maintain(self, luck: Random) -> None:
        """Somebody drains nodes, lets the rest stay, and lets containers come again."""

        def act() -> None:
            if self.stage.is_calm():
                return
            node = luck.choice(self.stage.nodes).name
            self.stage.order(
                luck.choice(
                    (
                        PatchNode(CLUSTER, node, draining=True),
                        PatchNode(CLUSTER, node, draining=True),
                        PatchNode(CLUSTER, node, draining=False),
                        PatchNode(CLUSTER, node, cordoned=False),
                    )
                )
            )
            self.timeline.after(luck.randint(1_000, 12_000), act)

        self.timeline.after(luck.randint(3_000, 10_000), act)

    def _end_maintenance(self) -> None:
        for node in self.stage.nodes:
            self.stage.order(PatchNode(CLUSTER, node.name, cordoned=False))

    # At the end.

    def _check_settled(self) -> None:
        stage = self.stage
        server, controller = stage.server, stage.server.controller
        assert controller is not None
        stage.check_ground()
        if controller.life.recovering:
            raise checks.Broken("settled: the server is still recovering")
        for node in stage.nodes:
            if controller.life.status(f"{CLUSTER}/{node.name}") != "ready":
                raise checks.Broken(f"settled: {node.name} is not ready")
        everything = {node.name: held(node) for node in stage.nodes}
        wants = {} if server.restored else {each.name: each.wants for each in self.people}
        for person in self.people:
            if person.busy:
                raise checks.Broken(f"settled: {person.name} has had no answer")
        orphans = [
            slot
            for node in controller.state.all(NodeThing)
            for slot, orphan in node.orphans.items()
            if not orphan.is_deleted
        ]
        if orphans and not server.restored:
            raise checks.Broken(f"settled: orphans {orphans} without a restore")
        for node_name, instances in everything.items():
            everything[node_name] = [each for each in instances if each.name not in orphans]
        if not server.restored:
            for node in stage.nodes:
                jobs = {each.name: node.runtime.jobs(each.name) for each in everything[node.name]}
                checks.check_bootstraps(controller.state, node.name, jobs)
        foreign = [f"theirs-{node.name}" for node in stage.nodes]
        checks.check_settled(controller.state, everything, foreign, wants)
