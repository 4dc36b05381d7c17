"""The agent's core against a daemon and a server that do everything a daemon and a server may do.

A small world drives the real core: answers are repeated, late, of other sessions; runtime calls
fail, hang, happen late or happen without saying so; containers die; people make things by hand.
The promises of `agent/core.py` are asserted after every single event.

Promises 4, 7, 8 and 11.
"""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathfinder.agent.conversation import Checkpoint
from pathfinder.agent.core import AgentCore, CoreSettings
from pathfinder.agent.effects import (
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
    Remove,
    Result,
    Start,
    Stop,
)
from pathfinder.runtimes.port import Change, Instance, Labels
from pathfinder.wire.messages import Assignment, Exchange, Reply, Session

CLUSTER = "west"
SLOTS = ("a-01", "a-02", "b-01", "hand-made")
SPEC = {"image": {"alias": "busybox"}}
SETTINGS = CoreSettings(calls_max=4, makes_max=3, removals_max=2)


class World:
    """A node's daemon, a server and the wire between them, with one agent core in the middle."""

    def __init__(self, seed: int) -> None:
        self.luck = Random(seed)
        self.now_ms = 1_000
        self.core = self.new_core(None)
        self.there: dict[str, Instance] = {"hand-made": hand_made("hand-made")}
        self.in_hand: dict[int, Effect] = {}
        self.late: list[Call] = []  # calls in doubt that may still happen
        self.asked: list[Exchange] = []
        self.answers: list[tuple[int, Reply]] = []
        self.epoch, self.incarnation = 1, "first"
        self.revision = 1
        self.wanted: dict[str, Assignment] = {}
        self.history: dict[int, dict[str, Assignment]] = {1: {}}  # revision -> what was wanted
        self.is_faulty = True
        self.is_directed = False
        self.believed: set[str] = set()
        self.heard: dict[str, set[int]] = {}

    def new_core(self, checkpoint: Checkpoint | None) -> AgentCore:
        return AgentCore(CLUSTER, "n1", checkpoint, SETTINGS)

    # One event of the world, chosen by luck.

    def step(self) -> None:
        events = [self.finish, self.finish, self.answer, self.answer, self.wait]
        if self.is_faulty:
            events += [self.change_mind, self.die, self.restart_server, self.meddle]
            events += [self.lose, self.repeat, self.change, self.restart_agent]
        self.luck.choice(events)()
        self.pump()

    def pump(self) -> None:
        for effect in self.core.effects(self.now_ms):
            self.check(effect)
            self.in_hand[effect.id] = effect
        exchange = self.core.request(self.now_ms)
        while exchange is not None:
            self.asked.append(exchange)
            assert len(self.asked) <= 2
            exchange = self.core.request(self.now_ms)

    def check(self, effect: Effect) -> None:
        calls = [e for e in self.in_hand.values() if not isinstance(e, OpenStream)]
        assert len(calls) < SETTINGS.calls_max
        if isinstance(effect, (ListAll, OpenStream)):
            return
        assert effect.slot not in [e.slot for e in calls if not isinstance(e, ListAll)]
        if isinstance(effect, Inspect):
            return
        assert effect.slot != "hand-made", "touched what is not ours"
        assert self.is_directed, "acted before the first valid answer"
        assert effect.slot in self.believed, "acted before a full list"
        assert not any(w.slot == effect.slot and w.hold for w in self.last_word()), (
            "acted on a hold"
        )
        if isinstance(effect, (Stop, Remove)):
            assert effect.generation in self.heard.get(effect.slot, set()), "the server never heard"

    def last_word(self) -> list[Assignment]:
        return list(self.core.conversation.wanted.values())

    # The daemon.

    def finish(self) -> None:
        if not self.in_hand:
            return
        effect = self.in_hand.pop(self.luck.choice(sorted(self.in_hand)))
        result = Done() if isinstance(effect, OpenStream) else self.carry_out(effect)
        if isinstance(effect, ListAll) and isinstance(result, Listed):
            self.believed = set(SLOTS)
        if isinstance(result, Failed) and result.code == "runtime_down":
            self.believed = set()
        self.core.on_finished(self.now_ms, effect, result)

    def carry_out(self, call: Call) -> Result:
        fate = self.luck.random() if self.is_faulty else 1.0
        if fate < 0.08:
            return Failed(code="runtime_failed", message="no")
        if fate < 0.12:
            return Failed(code="runtime_down", message="nobody there")
        if fate < 0.16:
            self.late.append(call)
            return Failed(code="outcome_unknown", message="timed out")
        result = self.happen(call)
        if fate < 0.20 and not isinstance(call, (ListAll, Inspect)):
            return Failed(code="outcome_unknown", message="timed out")
        return result

    def happen(self, call: Call) -> Result:
        if isinstance(call, ListAll):
            return Listed(instances=tuple(self.there.values()))
        there = self.there.get(call.slot)
        is_ours = there is None or (there.labels is not None and there.labels.cluster == CLUSTER)
        if isinstance(call, Inspect):
            return Inspected(instance=there)
        if isinstance(call, Create):
            if there is not None and there.labels != call.wish.labels:
                return Failed(code="name_occupied", message="taken")
            if there is None:
                labels = call.wish.labels
                self.there[call.slot] = Instance(name=call.slot, labels=labels, state="created")
            return Done()
        if not is_ours or there is None:
            # The port's rule; what matters is that the core, too, never asked for it.
            return (
                Done() if isinstance(call, (Stop, Remove)) else Failed(code="not_there", message="")
            )
        if isinstance(call, Start):
            self.there[call.slot] = replace(there, state="running", addresses=("10.0.0.9",))
        elif isinstance(call, Stop):
            self.there[call.slot] = replace(there, state="stopped", addresses=())
        else:
            del self.there[call.slot]
        return Done()

    def die(self) -> None:
        name = self.luck.choice(SLOTS[:3])
        there = self.there.get(name)
        if there is not None and there.labels is not None:
            self.there[name] = replace(there, state="stopped", addresses=())
            if self.luck.random() < 0.7:
                self.core.on_change(self.now_ms, Change(name=name))

    def change(self) -> None:
        fate = self.luck.random()
        if self.late and fate < 0.5:
            self.happen(self.late.pop())
        elif fate < 0.8:
            self.core.on_change(self.now_ms, Change(name=self.luck.choice(("", *SLOTS))))
        else:
            self.core.on_runtime_down(self.now_ms, "went away")
            self.believed = set()

    def meddle(self) -> None:
        """A person makes, copies or deletes something by hand."""
        name = self.luck.choice(SLOTS)
        copied = Labels(cluster=CLUSTER, slot="a-01", generation=1, digest="")
        elsewhere = Labels(cluster="east", slot=name, generation=1, digest="")
        fate = self.luck.random()
        if name not in self.there and fate < 0.1:
            self.there[name] = hand_made(name)
        elif name == "hand-made":
            labels = self.luck.choice((None, copied, elsewhere))
            self.there[name] = Instance(name=name, labels=labels, state="running")
        elif fate < 0.3:
            self.there.pop(name, None)

    # The server.

    def change_mind(self) -> None:
        slot = self.luck.choice(SLOTS[:3])
        self.revision += 1
        if slot in self.wanted and self.luck.random() < 0.5:
            del self.wanted[slot]
        else:
            hold = self.luck.random() < 0.2
            self.wanted[slot] = wish(slot, generation=self.revision, hold=hold)
        self.history[self.revision] = dict(self.wanted)

    def answer(self) -> None:
        if not self.asked:
            return
        exchange = self.asked.pop(0)
        self.deliver(exchange, self.reply(exchange))

    def reply(self, exchange: Exchange) -> Reply:
        session = Session(epoch=self.epoch, incarnation=self.incarnation, sequence=0)
        ours = (exchange.session.epoch, exchange.session.incarnation)
        if ours != (self.epoch, self.incarnation):
            return Reply(session=session, sent_ms=exchange.sent_ms, kind="hello")
        common = Reply(
            session=exchange.session, sent_ms=exchange.sent_ms, kind="nothing", lease_ms=10_000
        )
        if exchange.seen == self.revision:
            return common
        if self.is_faulty and self.luck.random() < 0.2:  # a difference that builds on anything
            base = exchange.seen + 1_000_000  # a revision that never was
            return replace(
                common,
                kind="difference",
                base=base,
                revision=self.revision,
                released=tuple(self.wanted),
            )
        wanted = tuple(self.wanted.values())
        return replace(common, kind="complete", revision=self.revision, assignments=wanted)

    def deliver(self, exchange: Exchange, reply: Reply) -> None:
        sequence = exchange.session.sequence
        self.answers.append((sequence, reply))
        before = self.core.conversation.taken
        self.core.on_reply(self.now_ms, sequence, reply)
        if reply.kind == "hello":
            self.heard.clear()  # another life of the server: it has heard nothing yet
        if self.core.conversation.taken == before:
            return
        self.is_directed = self.is_directed or reply.kind == "complete"
        seen = self.core.conversation.seen
        assert seen == 0 or self.core.conversation.wanted == self.history[seen]
        for holding in exchange.holding:
            self.heard.setdefault(holding.slot, set()).add(holding.generation)

    def lose(self) -> None:
        if self.asked:
            exchange = self.asked.pop(self.luck.randrange(len(self.asked)))
            self.core.on_unreachable(self.now_ms, exchange.session.sequence)
            self.answers.append((exchange.session.sequence, self.reply(exchange)))

    def repeat(self) -> None:
        """An answer comes again, or after its exchange was given up: nothing may change."""
        if self.answers:
            sequence, reply = self.luck.choice(self.answers)
            if any(exchange.session.sequence == sequence for exchange in self.asked):
                return
            before = (self.core.checkpoint(), self.core.holding(self.now_ms), self.last_word())
            self.core.on_reply(self.now_ms, sequence, reply)
            after = (self.core.checkpoint(), self.core.holding(self.now_ms), self.last_word())
            assert after == before

    def restart_server(self) -> None:
        if self.luck.random() < 0.3:
            self.epoch += 1
            self.incarnation = f"life-{self.epoch}"

    def restart_agent(self) -> None:
        if self.luck.random() < 0.2:
            self.core = self.new_core(self.core.checkpoint())
            for effect in self.in_hand.values():
                if not isinstance(effect, OpenStream) and self.luck.random() < 0.5:
                    self.late.append(effect)
            self.in_hand.clear()
            self.asked.clear()
            self.is_directed = False
            self.believed, self.heard = set(), {}

    def wait(self) -> None:
        self.now_ms = max(self.now_ms + 1, self.core.wake_ms(self.now_ms))

    # When all is calm.

    def settle(self) -> None:
        self.is_faulty = False
        while self.late:
            self.happen(self.late.pop())
        self.wanted = {name: replace(w, hold=False) for name, w in self.wanted.items()}
        self.revision += 1
        self.history[self.revision] = dict(self.wanted)
        self.now_ms += 1
        self.pump()
        for _ in range(4_000):
            if self.is_settled():
                return
            self.step()
        raise AssertionError(f"not settled: {self.there} instead of {self.wanted}")

    def is_settled(self) -> bool:
        running = {
            name: there.labels.generation
            for name, there in self.there.items()
            if there.labels is not None and there.labels.slot == name and there.state == "running"
            and there.labels.cluster == CLUSTER
        }  # fmt: skip
        ours = {n for n, t in self.there.items() if t.labels and t.labels.slot == n
                and t.labels.cluster == CLUSTER}  # fmt: skip
        free = {
            name: w.generation
            for name, w in self.wanted.items()
            if self.there.get(name) is None or self.there[name].labels is not None
        }
        return running == free and ours == set(free)


def hand_made(name: str) -> Instance:
    """Something that a person made."""
    return Instance(name=name, labels=None, state="running")


def wish(slot: str, *, generation: int, hold: bool = False) -> Assignment:
    """An assignment of a busybox."""
    return Assignment(slot=slot, generation=generation, digest="d", spec=SPEC, hold=hold)


@pytest.mark.parametrize("seed", range(60))
def test_promises_hold_after_every_event_and_it_settles(seed: int) -> None:
    world = World(seed)
    world.pump()

    for _ in range(400):
        world.step()
    world.settle()

    assert world.is_settled()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(min_value=1_000, max_value=10_000_000), length=st.integers(0, 300))
def test_what_is_not_ours_is_never_touched(seed: int, length: int) -> None:
    world = World(seed)
    world.meddle = lambda: None  # type: ignore[method-assign]  # nobody but the core acts here
    before = world.there["hand-made"]

    for _ in range(length):
        world.step()
    world.settle()

    assert world.there["hand-made"] == before
