"""The agent's core with two daemons on its node, either of which may be silent for any time.

Promises 4, 7, 8 and 11.
"""

from dataclasses import replace
from random import Random

import pytest

from pathfinder.agent.bounds import CoreSettings
from pathfinder.agent.conversation import Checkpoint
from pathfinder.agent.core import AgentCore
from pathfinder.agent.effects import (
    Bootstrap,
    Call,
    Create,
    Done,
    Effect,
    Failed,
    Inspect,
    Inspected,
    ListAll,
    Listed,
    OpenStream,
    Result,
    Start,
    Stop,
)
from pathfinder.runtimes.port import Change, Instance
from pathfinder.runtimes.qualified import plain_name, qualified
from pathfinder.wire.messages import Assignment, Exchange, Reply, Session

CLUSTER = "west"
DAEMON_OF = {"system": "lxd", "application": "docker"}
KINDS = {"lxd": ("system",), "docker": ("application",)}
NAMES = ("a-01", "b-01", "c-01")
SETTINGS = CoreSettings(calls_max=4, makes_max=3, removals_max=2)
SESSION = Session(epoch=1, incarnation="first", sequence=0)


class World:
    """Two daemons, a server that answers everything, and one core in the middle."""

    def __init__(self, seed: int) -> None:
        self.luck = Random(seed)
        self.now_ms = 1_000
        self.core = self.new_core(None)
        self.there: dict[str, Instance] = {}
        self.in_hand: dict[int, Effect] = {}
        self.late: list[Call] = []
        self.asked: list[Exchange] = []
        self.revision = 1
        self.wanted: dict[str, Assignment] = {}
        self.doubted: set[str] = set()  # what may be there or not, until somebody looks
        self.silent: set[str] = set()  # daemons that do not answer for now
        self.is_faulty = True

    def new_core(self, checkpoint: Checkpoint | None) -> AgentCore:
        return AgentCore(CLUSTER, "n1", checkpoint, SETTINGS, KINDS)

    def step(self) -> None:
        events = [self.finish, self.finish, self.finish, self.answer, self.answer, self.wait]
        if self.is_faulty:
            events += [self.change_mind, self.die, self.fall_silent, self.be_late]
        self.luck.choice(events)()
        self.pump()

    def pump(self) -> None:
        for effect in self.core.effects(self.now_ms):
            self.check(effect)
            self.in_hand[effect.id] = effect
        while (exchange := self.core.request(self.now_ms)) is not None:
            self.check_told(exchange)
            self.asked.append(exchange)

    def check(self, effect: Effect) -> None:
        """No container runs in both daemons: what is begun in one is not running in the other."""
        if not isinstance(effect, (Create, Start)):
            return
        plain = plain_name(effect.slot)
        own = self.daemon_of(effect)
        (other,) = (daemon for daemon in KINDS if daemon != own)
        there = self.there.get(qualified(other, plain))
        assert there is None or there.state != "running", f"{effect} beside {there}"

    def check_told(self, exchange: Exchange) -> None:
        """What the node says that it has all of, it has said all of."""
        told = {(holding.slot, holding.generation) for holding in exchange.holding}
        under_way = {self.name_of(call) for call in self.in_hand.values()}
        for name, instance in self.there.items():
            daemon, plain = name.partition(":")[0], plain_name(name)
            if instance.labels is None or name in self.doubted or name in under_way:
                continue
            if exchange.tells_all_of(KINDS[daemon][0]):
                assert (plain, instance.labels.generation) in told, (name, exchange)

    def name_of(self, effect: Effect) -> str:
        if isinstance(effect, (Bootstrap, ListAll, OpenStream)):
            return ""
        return qualified(self.daemon_of(effect), plain_name(effect.slot))

    def daemon_of(self, call: Call) -> str:
        if isinstance(call, ListAll):
            return call.daemon
        if isinstance(call, Create):
            return DAEMON_OF[call.wish.spec.kind]
        return call.slot.partition(":")[0]

    def finish(self) -> None:
        if not self.in_hand:
            return
        effect = self.in_hand.pop(self.luck.choice(sorted(self.in_hand)))
        assert not isinstance(effect, (Bootstrap, OpenStream))
        self.core.on_finished(self.now_ms, effect, self.carry_out(effect))

    def carry_out(self, call: Call) -> Result:
        if self.daemon_of(call) in self.silent:
            self.doubt(call)
            if self.is_faulty and self.luck.random() < 0.3:
                self.late.append(call)
            return Failed(code="runtime_down", message="nobody there")
        fate = self.luck.random() if self.is_faulty else 1.0
        if fate < 0.08:
            self.doubt(call)
            return Failed(code="runtime_failed", message="no")
        result = self.happen(call)
        if fate < 0.16 and not isinstance(call, (ListAll, Inspect)):
            self.doubt(call)
            return Failed(code="outcome_unknown", message="timed out")
        return result

    def doubt(self, call: Call) -> None:
        """Nobody knows what came of it, until somebody looks."""
        if not isinstance(call, (ListAll, Inspect)):
            self.doubted.add(self.name_of(call))

    def happen(self, call: Call) -> Result:
        daemon = self.daemon_of(call)
        if isinstance(call, ListAll):
            mine = [one for name, one in self.there.items() if name.startswith(f"{daemon}:")]
            return Listed(instances=tuple(mine))
        name = self.name_of(call)
        there = self.there.get(name)
        if isinstance(call, Inspect):
            self.doubted.discard(name)
            return Inspected(instance=there)
        if isinstance(call, Create):
            if there is not None and there.labels != call.wish.labels:
                return Failed(code="name_occupied", message="taken")
            made = Instance(name=name, labels=call.wish.labels, state="created")
            self.there[name] = there or made
        elif there is None:
            return Failed(code="not_there", message="") if isinstance(call, Start) else Done()
        elif isinstance(call, Start):
            self.there[name] = replace(there, state="running", addresses=("10.0.0.9",))
        elif isinstance(call, Stop):
            self.there[name] = replace(there, state="stopped", addresses=())
        else:
            del self.there[name]
        return Done()

    def be_late(self) -> None:
        """A call that was given up is done after all, unless it would start something."""
        if self.late:
            call = self.late.pop()
            if not isinstance(call, (Start, ListAll, Inspect)):
                self.happen(call)
                self.doubt(call)
                self.core.on_change(self.now_ms, Change(name=f"{self.daemon_of(call)}:"))

    def die(self) -> None:
        running = sorted(name for name, one in self.there.items() if one.state == "running")
        if running:
            name = self.luck.choice(running)
            self.there[name] = replace(self.there[name], state="stopped", addresses=())
            self.core.on_change(self.now_ms, Change(name=name))

    def fall_silent(self) -> None:
        daemon = self.luck.choice(sorted(KINDS))
        if daemon in self.silent:
            self.silent.remove(daemon)
            self.core.on_change(self.now_ms, Change(name=f"{daemon}:"))
        elif self.luck.random() < 0.3:
            self.silent.add(daemon)
            self.core.on_runtime_down(self.now_ms, "went away", daemon)

    def change_mind(self) -> None:
        name = self.luck.choice(NAMES)
        self.revision += 1
        if name in self.wanted and self.luck.random() < 0.4:
            del self.wanted[name]
            return
        kind = self.luck.choice(sorted(DAEMON_OF))
        spec = {"image": {"alias": "busybox"}, "kind": kind}
        self.wanted[name] = Assignment(slot=name, generation=self.revision, digest="d", spec=spec)

    def answer(self) -> None:
        if not self.asked:
            return
        exchange = self.asked.pop(0)
        reply = Reply(session=SESSION, sent_ms=exchange.sent_ms, kind="hello")
        if exchange.session.incarnation:
            reply = Reply(
                session=exchange.session,
                sent_ms=exchange.sent_ms,
                kind="nothing" if exchange.seen == self.revision else "complete",
                lease_ms=10_000,
                revision=self.revision,
                assignments=tuple(self.wanted.values()),
            )
        self.core.on_reply(self.now_ms, exchange.session.sequence, reply)

    def wait(self) -> None:
        self.now_ms = max(self.now_ms + 1, self.core.wake_ms(self.now_ms))

    def settle(self) -> None:
        """Nothing fails any more, but for daemons that stay silent: theirs is left as it is."""
        self.is_faulty = False
        for call in self.late:
            if not isinstance(call, Start):
                self.happen(call)
                self.doubt(call)
        self.late.clear()
        for daemon in KINDS:
            if daemon not in self.silent:
                self.core.on_change(self.now_ms, Change(name=f"{daemon}:"))
        for _ in range(4_000):
            if self.is_settled():
                return
            self.step()
        raise AssertionError(f"{self.silent}: {self.there} instead of {self.wanted}")

    def is_settled(self) -> bool:
        return all(self.is_as_wanted(daemon) for daemon in KINDS if daemon not in self.silent)

    def is_as_wanted(self, daemon: str) -> bool:
        has = {
            plain_name(name): (one.labels.generation, one.state)
            for name, one in self.there.items()
            if one.labels is not None and name.startswith(f"{daemon}:")
        }
        shall = {
            name: (each.generation, "running")
            for name, each in self.wanted.items()
            if DAEMON_OF[each.spec["kind"]] == daemon
        }
        return all(
            has.get(name) == shall.get(name) or (name not in has and self.may_wait(name, daemon))
            for name in NAMES
        )

    def may_wait(self, name: str, daemon: str) -> bool:
        """Whether a silent daemon has, or may have, something of this name: the other waits."""
        others = (qualified(other, name) for other in self.silent if other != daemon)
        return any(other in self.there or other in self.doubted for other in others)


@pytest.mark.parametrize("seed", range(100))
def test_each_daemon_settles_whatever_the_other_does(seed: int) -> None:
    world = World(seed)
    world.pump()

    for _ in range(400):
        world.step()
    world.settle()

    assert world.is_settled()


@pytest.mark.parametrize("silent", sorted(KINDS))
def test_daemon_that_never_answered_does_not_stop_the_other(silent: str) -> None:
    world = World(1)
    world.silent.add(silent)
    world.is_faulty = False
    for name, kind in (("a-01", "system"), ("b-01", "application")):
        spec = {"image": {"alias": "busybox"}, "kind": kind}
        world.wanted[name] = Assignment(slot=name, generation=5, digest="d", spec=spec)
    world.revision = 5
    world.pump()

    world.settle()

    (running,) = world.there
    assert not running.startswith(silent)
    (silent_kind,) = KINDS[silent]
    while not world.asked:
        world.step()
    exchange = world.asked[-1]
    assert exchange.silent_kinds == {silent_kind: "nobody there"}
    assert not exchange.complete
    assert exchange.runtime_error == f"{silent}: nobody there"
