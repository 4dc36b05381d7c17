"""A core of the agent, and somebody who answers it."""

from pathfinder.agent.bounds import CoreSettings
from pathfinder.agent.core import AgentCore
from pathfinder.agent.effects import (
    Done,
    Effect,
    Failed,
    Inspected,
    Listed,
)
from pathfinder.runtimes.port import Instance, Labels, State
from pathfinder.wire.messages import (
    Assignment,
    Exchange,
    Holding,
    Reply,
    Session,
    StreamRequest,
)

SPEC = {"image": {"alias": "busybox"}}


def wish(slot: str, generation: int = 1, *, hold: bool = False) -> Assignment:
    """A busybox."""
    return Assignment(slot=slot, generation=generation, digest="d", spec=SPEC, hold=hold)


def instance(
    name: str, generation: int = 1, state: State = "running", *, cluster: str = "west"
) -> Instance:
    """What Pathfinder has made."""
    labels = Labels(cluster=cluster, slot=name, generation=generation, digest="d")
    return Instance(name=name, labels=labels, state=state)


class Node:
    """A core, and somebody who answers it."""

    def __init__(self, *there: Instance, settings: CoreSettings | None = None) -> None:
        self.core = AgentCore("west", "n1", settings=settings)
        self.now_ms = 1_000
        self.revision = 0
        (listing,) = self.effects()
        self.core.on_finished(self.now_ms, listing, Listed(instances=there))
        self.say_hello()

    def say_hello(self) -> None:
        """The server gives the first session."""
        hello = Reply(
            session=Session(epoch=1, incarnation="a", sequence=0), sent_ms=0, kind="hello"
        )
        self.core.on_reply(self.now_ms, self.exchange().session.sequence, hello)

    def effects(self) -> list[Effect]:
        return self.core.effects(self.now_ms)

    def exchange(self) -> Exchange:
        """The next exchange, however long it takes."""
        for _ in range(10):
            self.core.effects(self.now_ms)
            exchange = self.core.request(self.now_ms)
            if exchange is not None:
                return exchange
            self.now_ms = max(self.now_ms + 1, self.core.wake_ms(self.now_ms))
        raise AssertionError("no exchange left")

    def want(
        self, *assignments: Assignment, streams: tuple[StreamRequest, ...] = ()
    ) -> list[Effect]:
        """One exchange, answered with exactly these; what the core does then."""
        self.revision += 1
        exchange = self.exchange()
        reply = Reply(
            session=exchange.session,
            sent_ms=exchange.sent_ms,
            kind="complete",
            lease_ms=10_000,
            revision=self.revision,
            assignments=assignments,
            streams=streams,
        )
        self.core.on_reply(self.now_ms, exchange.session.sequence, reply)
        return self.effects()

    def finish(
        self, effect: Effect, result: Failed | Done | Inspected | None = None
    ) -> list[Effect]:
        """The effect ends; what the core does then."""
        self.core.on_finished(self.now_ms, effect, result or Done())
        return self.effects()

    def later(self, pause_ms: int) -> list[Effect]:
        """Time passes; what the core does then."""
        self.now_ms += pause_ms
        return self.effects()

    def holding(self) -> tuple[Holding, ...]:
        return self.core.holding(self.now_ms)
