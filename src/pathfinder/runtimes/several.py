"""Several daemons of one node behind one port: each runs its own kinds of container.

An instance is called `DAEMON:NAME` here, so that one name may stand for something in each of them.
A wish goes by its kind. A plain name is looked for in all of them: who asks for a terminal does not
know the kind. A daemon that is down stops no other.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from queue import SimpleQueue

from pathfinder.model.resources import Resources
from pathfinder.runtimes.port import (
    Change,
    Instance,
    InstanceSnapshot,
    Labels,
    Offer,
    Refused,
    Runtime,
    RuntimeDown,
    RuntimeFacts,
    RuntimeFailure,
    Session,
    Terminal,
    Usage,
    Wish,
)
from pathfinder.runtimes.qualified import SEPARATOR, plain_name, qualified


class Member:
    """One of several daemons: the port with longer names."""

    def __init__(self, name: str, kinds: tuple[str, ...], runtime: Runtime) -> None:
        self.name = name
        self.kinds = kinds
        self.runtime = runtime

    def list_instances(self, cluster: str) -> list[Instance]:
        """All of `cluster`'s instances of this daemon."""
        return [self._named(one) for one in self.runtime.list_instances(cluster)]

    def inspect(self, plain: str) -> Instance | None:
        """One instance by the daemon's own name for it."""
        found = self.runtime.inspect(plain)
        return None if found is None else self._named(found)

    def changes(self, stopping: Callable[[], bool]) -> Iterator[Change]:
        """Changes of this daemon; `DAEMON:` alone: list it again."""
        for change in self.runtime.changes(stopping):
            yield Change(name=qualified(self.name, change.name))

    def _named(self, instance: Instance) -> Instance:
        return replace(instance, name=qualified(self.name, instance.name))


class SeveralRuntimes:
    """The port over daemons by their names, each with its kinds."""

    def __init__(self, runtimes: Mapping[str, tuple[tuple[str, ...], Runtime]]) -> None:
        self.members = {
            name: Member(name, kinds, runtime) for name, (kinds, runtime) in runtimes.items()
        }
        self._facts: dict[str, RuntimeFacts] = {}

    def facts(self) -> RuntimeFacts:
        """What all of them are; of one that does not answer, what it was. RuntimeDown: all are."""
        failures = []
        for name, member in self.members.items():
            try:
                self._facts[name] = member.runtime.facts()
            except RuntimeFailure as failure:
                failures.append(failure)
        if len(failures) == len(self.members):
            raise RuntimeDown("; ".join(map(str, failures))) from failures[0]
        return merged([self._facts[name] for name in self.members if name in self._facts])

    def list_instances(self, cluster: str) -> list[Instance]:
        """All of `cluster`'s instances; RuntimeDown when one daemon does not answer."""
        return [one for member in self.members.values() for one in member.list_instances(cluster)]

    def inspect(self, name: str) -> Instance | None:
        """One instance with its addresses; None when there is none."""
        return self._of(name).inspect(plain_name(name))

    def usage(self, name: str) -> Usage:
        """Measurements of one running instance."""
        return self._of(name).runtime.usage(plain_name(name))

    def create(self, wish: Wish) -> None:
        """Make the instance in the daemon that runs its kind."""
        self._for(wish).create(wish)

    def start(self, name: str) -> None:
        """Start it."""
        self._of(name).runtime.start(plain_name(name))

    def stop(self, name: str, *, grace_s: float = 10.0) -> None:
        """Stop it, by force after `grace_s`."""
        self._of(name).runtime.stop(plain_name(name), grace_s=grace_s)

    def remove(self, name: str) -> None:
        """Remove it."""
        self._of(name).runtime.remove(plain_name(name))

    def changes(self, stopping: Callable[[], bool]) -> Iterator[Change]:
        """Changes of all daemons, until `stopping` or until one of them goes away."""
        arrived: SimpleQueue[Change | RuntimeFailure | None] = SimpleQueue()
        ended = threading.Event()

        def follow(member: Member) -> None:
            try:
                for change in member.changes(lambda: stopping() or ended.is_set()):
                    arrived.put(change)
            except RuntimeFailure as failure:
                arrived.put(failure)
            arrived.put(None)

        for member in self.members.values():
            threading.Thread(target=follow, args=(member,), daemon=True).start()
        try:
            while (change := arrived.get()) is not None:
                if isinstance(change, RuntimeFailure):
                    raise change
                yield change
        finally:
            ended.set()

    def set_note(self, name: str, note: str) -> None:
        """Leave a text on one of our instances."""
        self._of(name).runtime.set_note(plain_name(name), note)

    def offer_copy(self, name: str, address: str) -> Offer:
        """Be ready to hand the instance to another daemon of its kind, once."""
        return self._of(name).runtime.offer_copy(plain_name(name), address)

    def pull_copy(self, wish: Wish, offer: Offer) -> None:
        """Take what is offered as a half-made copy, or bring that copy up to date."""
        self._for(wish).pull_copy(wish, offer)

    def complete_copy(self, wish: Wish) -> None:
        """Let the half-made copy be what was wished."""
        self._for(wish).complete_copy(wish)

    def relabel(self, name: str, labels: Labels) -> None:
        """Give one of our instances other labels."""
        self._of(name).runtime.relabel(plain_name(name), labels)

    def list_snapshots(self, name: str) -> list[InstanceSnapshot]:
        """The instance's snapshots, oldest first."""
        return self._of(name).runtime.list_snapshots(plain_name(name))

    def make_snapshot(self, name: str, snapshot: str) -> None:
        """Keep the state of its disk under a name."""
        self._of(name).runtime.make_snapshot(plain_name(name), snapshot)

    def restore_snapshot(self, name: str, snapshot: str) -> None:
        """Bring a stopped instance back to a snapshot."""
        self._of(name).runtime.restore_snapshot(plain_name(name), snapshot)

    def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Remove a snapshot."""
        self._of(name).runtime.remove_snapshot(plain_name(name), snapshot)

    def read_file(self, name: str, path: str) -> bytes:
        """The content of one file."""
        return self._of(name).runtime.read_file(plain_name(name), path)

    def write_file(self, name: str, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write one file, making its parent directories."""
        self._of(name).runtime.write_file(plain_name(name), path, content, mode=mode)

    def open_session(self, name: str, terminal: Terminal) -> Session:
        """Run a command in a running instance."""
        return self._of(name).runtime.open_session(plain_name(name), terminal)

    def console_log(self, name: str) -> bytes:
        """What the instance has written to its console."""
        return self._of(name).runtime.console_log(plain_name(name))

    def close(self) -> None:
        """Let go of connections."""
        for member in self.members.values():
            member.runtime.close()

    def _for(self, wish: Wish) -> Runtime:
        for member in self.members.values():
            if wish.spec.kind in member.kinds:
                return member.runtime
        raise Refused(f"{wish.spec.kind} containers do not run here")

    def _of(self, name: str) -> Member:
        """The daemon that a name belongs to. A plain one: where something of ours has it.

        Where nothing has it, the first daemon says so in its own way; RuntimeDown when one that
        does not answer might have it.
        """
        daemon, separator, plain = name.partition(SEPARATOR)
        if separator:
            return self.members[daemon]
        silence: RuntimeDown | None = None
        others = []
        for member in self.members.values():
            try:
                found = member.inspect(plain or name)
            except RuntimeDown as failure:
                silence = failure
                continue
            if found is not None and found.labels is not None:
                return member
            if found is not None:
                others.append(member)
        if silence is not None:
            raise silence
        return others[0] if others else next(iter(self.members.values()))


def merged(facts: list[RuntimeFacts]) -> RuntimeFacts:
    """What daemons of one machine are together.

    They share its processors and its memory: the least that one of them sees counts. Root disks
    come from the first that has a pool.
    """
    if len(facts) == 1:
        return facts[0]
    pools = [each for each in facts if each.pool_total_mib]
    missing: dict[str, str] = {}
    for each in facts:
        for limit, why in each.limits_missing.items():
            text = f"{each.runtime}: {why}"
            missing[limit] = f"{missing[limit]}; {text}" if limit in missing else text
    return RuntimeFacts(
        runtime=",".join(each.runtime for each in facts),
        version=",".join(each.version for each in facts),
        kinds=tuple(kind for each in facts for kind in each.kinds),
        architecture=next((each.architecture for each in facts if each.architecture), ""),
        capacity=Resources(
            cpu_millis=_least(each.capacity.cpu_millis for each in facts),
            memory_mib=_least(each.capacity.memory_mib for each in facts),
            disk_mib=next((each.capacity.disk_mib for each in facts if each.capacity.disk_mib), 0),
        ),
        pool_total_mib=pools[0].pool_total_mib if pools else 0,
        pool_used_mib=pools[0].pool_used_mib if pools else 0,
        limits_missing=missing,
        images=tuple(sorted({image for each in facts for image in each.images})),
        copies_at=next((each.copies_at for each in facts if each.copies_at), ""),
        takes_copies=any(each.takes_copies for each in facts),
        warnings=tuple(warning for each in facts for warning in each.warnings),
    )


def _least(amounts: Iterable[int]) -> int:
    """The smallest that is known; 0: none is."""
    return min((amount for amount in amounts if amount), default=0)
