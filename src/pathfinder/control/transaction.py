"""One command's edits: seen at once by the rest of the command, coalesced into one Change."""

from collections.abc import Iterable
from typing import TypeVar, cast

import msgspec

from pathfinder.control.objects import Container, Deployment, Event, Image, Node, Remote, Thing
from pathfinder.control.state import BeforeAfter, Change, State
from pathfinder.control.turns import Turns
from pathfinder.model.errors import NotFound

T = TypeVar("T", bound=Thing)
ThingOfCluster = Node | Deployment | Container | Image | Remote


class Transaction:
    """Edits the state in place and remembers how to take it all back.

    now_ms: wall clock of the shell, for people. who: the principal, for the audit.
    """

    def __init__(self, state: State, *, now_ms: int, who: str, epoch: int) -> None:
        self.state = state
        self.now_ms = now_ms
        self.who = who
        self.epoch = epoch
        self.revision = state.revision + 1
        self.nodes: set[str] = set()
        self.tell_all: set[str] = set()  # nodes whose next answer must be complete
        self.deployments: set[str] = set()
        self.fresh: list[Container] = []  # replicas that are put when it is known where they go
        self.placing: set[str] = set()
        self.place_all = False
        self.turns: Turns | None = None  # of those for whom room is looked for, once it has been
        self._edits: dict[str, dict[str, BeforeAfter]] = {}  # by kind and key
        self._is_some_undone = False  # something is what it was, or came and went
        self._events: list[Event] = []

    def need(self, kind: type[T], key: str) -> T:
        """One thing, or NotFound with the way to see what there is."""
        thing = self.state.get(kind, key)
        if thing is None:
            word = kind.KIND
            raise NotFound(
                f"there is no {word} {key.rpartition('/')[2]!r}"
                + (f" in cluster {key.partition('/')[0]!r}" if "/" in key else ""),
                hint=f"pfi get {word}s",
            )
        return thing

    def put(self, thing: T) -> T:
        """Make or replace a thing; it carries this transaction's revision from now on."""
        made = msgspec.structs.replace(
            thing, revision=self.revision, created_ms=thing.created_ms or self.now_ms
        )
        self._set(thing.KIND, thing.key, made)
        return made

    def put_all(self, containers: Iterable[Container]) -> list[Container]:
        """The same for several containers, each of which comes once."""
        table, made = self.state.things[Container.KIND], dict[str, Container]()
        edits, revision = self._edits.setdefault(Container.KIND, {}), self.revision
        for container in containers:
            after = container
            if container.revision != revision or not container.created_ms:
                after = msgspec.structs.replace(
                    container, revision=revision, created_ms=container.created_ms or self.now_ms
                )
            key = f"{after.cluster}/{after.name}"
            known = edits.get(key)
            edits[key] = (table.get(key) if known is None else known[0], after)
            made[key] = after
        self.state.set_all(made)
        return list(made.values())

    def put_back(self, thing: Thing) -> None:
        """A thing as it was when something was tried with it: no change, if it was none before."""
        self._is_some_undone = True
        self._set(thing.KIND, thing.key, thing)

    def drop(self, thing: Thing) -> None:
        """Remove a thing."""
        self._is_some_undone = True
        self._set(thing.KIND, thing.key, None)

    def event(
        self,
        action: str,
        *,
        kind: str,
        name: str,
        cluster: str = "",
        node: str = "",
        why: str = "",
    ) -> None:
        """Say that something happened; part of the same append."""
        self._events.append(
            Event(
                revision=self.revision,
                index=len(self._events),
                time_ms=self.now_ms,
                kind=kind,
                cluster=cluster,
                name=name,
                node=node,
                action=action,
                why=why,
                who=self.who,
            )
        )

    def happened(
        self, action: str, thing: ThingOfCluster, *, node: str = "", why: str = ""
    ) -> None:
        """Say what happened to a thing of a cluster; to a container: where, if not elsewhere."""
        if isinstance(thing, Container):
            node = node or thing.node
        self.event(
            action, kind=thing.KIND, cluster=thing.cluster, name=thing.name, node=node, why=why
        )

    def reason(self, action: str, thing: ThingOfCluster) -> str:
        """Why this happened to a thing in this transaction; "" when it did not."""
        where = (action, thing.KIND, thing.cluster, thing.name)
        for event in reversed(self._events):
            if (event.action, event.kind, event.cluster, event.name) == where:
                return event.why
        return ""

    def happened_to(self, action: str, containers: Iterable[Container]) -> None:
        """Say that the same happened to several; where they are, and why, is their own."""
        self._events += [
            Event(
                revision=self.revision,
                index=index,
                time_ms=self.now_ms,
                kind=Container.KIND,
                cluster=container.cluster,
                name=container.name,
                node=container.node,
                action=action,
                why=container.why,
                who=self.who,
            )
            for index, container in enumerate(containers, len(self._events))
        ]

    def is_empty(self) -> bool:
        """Whether nothing has been edited and nothing happened."""
        return not any(self._edits.values()) and not self._events

    def finish(self) -> Change | None:
        """The change, which stays applied; None when there was nothing to do."""
        if self.is_empty():
            return None
        change = Change(self.revision, self.changed(), tuple(self._events), frozenset(self.nodes))
        self.state.events.extend(change.events)
        self.state.revision = self.revision
        return change

    def take_back(self) -> None:
        """Undo every edit: the command failed, or was a dry run."""
        for kind, pairs in self._edits.items():
            for key, (before, _) in pairs.items():
                self.state.set(kind, key, before)
        self._edits.clear()
        self._events.clear()
        for follow_up in (self.nodes, self.tell_all, self.deployments, self.placing):
            follow_up.clear()
        self.fresh.clear()
        self.place_all, self.turns = False, None

    def _set(self, kind: str, key: str, after: Thing | None) -> None:
        edits = self._edits.setdefault(kind, {})
        known = edits.get(key)
        edits[key] = (self.state.things[kind].get(key) if known is None else known[0], after)
        self.state.set(kind, key, after)

    def changed(self) -> dict[str, dict[str, BeforeAfter]]:
        """Before and after of each thing that is not what it was, by kind and key."""
        if not self._is_some_undone:
            return {kind: pairs for kind, pairs in self._edits.items() if pairs}
        changed = {
            kind: {key: pair for key, pair in pairs.items() if pair[0] is not pair[1]}
            for kind, pairs in self._edits.items()
        }
        return {kind: pairs for kind, pairs in changed.items() if pairs}

    def changes(self) -> list[BeforeAfter]:
        """Before and after of each thing touched so far, for questions."""
        return [pair for pairs in self._edits.values() for pair in pairs.values()]

    def changes_of(self, kind: type[T]) -> list[tuple[T | None, T | None]]:
        """The same of the things of one kind."""
        return cast(list[tuple[T | None, T | None]], list(self._edits.get(kind.KIND, {}).values()))
