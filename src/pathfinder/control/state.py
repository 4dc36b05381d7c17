"""The state: things by kind and key, with the indexes that decisions need.

Every edit goes through `_set`, forward and backward, so that the indexes (and the scheduler's
columns, which are one of them) cannot drift from the things.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec

from pathfinder.control.objects import (
    THINGS,
    Cluster,
    Container,
    Deployment,
    Event,
    Node,
    Thing,
)
from pathfinder.model.definitions import REPLICAS_MAX
from pathfinder.scheduler.fleet import NO_RULES, Fleet, Rules, Taken
from pathfinder.scheduler.sharing import Index, copied

T = TypeVar("T", bound=Thing)
BeforeAfter = tuple[Thing | None, Thing | None]
EVENTS_MAX: Final = 20_000  # kept in memory; older ones are in the journal


class Edit(msgspec.Struct, frozen=True, gc=False):
    """One thing before and after; None: absent."""

    kind: str
    key: str
    before: Thing | None
    after: Thing | None


class Change(msgspec.Struct, frozen=True, gc=False):
    """What one command did: the revision it made, its events, and the nodes concerned.

    things: by kind and key, each before and after it.
    """

    revision: int
    things: Mapping[str, Mapping[str, BeforeAfter]]
    events: tuple[Event, ...]
    nodes: frozenset[str] = frozenset()

    @property
    def edits(self) -> Iterator[Edit]:
        """Each thing that it has changed."""
        for kind, pairs in self.things.items():
            for key, (before, after) in pairs.items():
                yield Edit(kind, key, before, after)

    @property
    def edit_count(self) -> int:
        """How many things it has changed."""
        return sum(map(len, self.things.values()))


class State:
    """Everything the platform knows durably. Mutated only by `apply`, `revert` and transactions."""

    def __init__(self) -> None:
        self.revision = 0
        self.things: dict[str, dict[str, Thing]] = {kind.KIND: {} for kind in THINGS}
        self.events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self.fleet = Fleet()
        self.containers_of_deployment: Index[set[str]] = Index(set)
        self.as_defined: dict[str, int] = {}  # deployment -> how many replicas are as it says
        self.containers_of_node: Index[set[str]] = Index(set)
        self.pending: set[str] = set()
        self.pending_near: set[str] = set()  # of these, those that may wait for another container
        self.nodes_with_orphans: set[str] = set()
        self.draining: set[str] = set()  # nodes
        self.held: set[str] = set()  # deployments that wait for addresses
        self.referrers: Index[set[str]] = Index(set)  # deployment -> those that refer to it
        self.renderings: dict[str, Any] = {}  # of `control.rendering`, which can do without
        self.local_images: Index[dict[str, int]] = Index(dict)  # cluster -> image -> on how many
        self.polling_nodes: dict[str, str] = {}  # digest of the credential -> key

    def copy(self) -> "State":
        """A state of its own with the same things, for questions: cheap, as things never change."""
        twin = copied(self, State(), but=("things",))
        twin.things = {kind: table.copy() for kind, table in self.things.items()}
        return twin

    def get(self, kind: type[T], key: str) -> T | None:
        """One thing, or None."""
        thing = self.things[kind.KIND].get(key)
        assert thing is None or isinstance(thing, kind)
        return thing

    def all(self, kind: type[T]) -> Iterator[T]:
        """All things of a kind, in no promised order."""
        for thing in self.things[kind.KIND].values():
            assert isinstance(thing, kind)
            yield thing

    def count(self, kind: type[Thing]) -> int:
        """How many things of a kind there are."""
        return len(self.things[kind.KIND])

    def containers(self, keys: Iterable[str]) -> list[Container]:
        """Containers of an index, ordered by key."""
        table = self.things[Container.KIND]
        found = [table[key] for key in sorted(keys)]
        return [thing for thing in found if isinstance(thing, Container)]

    def replicas(self, deployment_key: str) -> list[Container]:
        """The containers of one deployment, ordered by name."""
        return self.containers(self._replica_keys(deployment_key))

    def priority_of(self, container: Container) -> int:
        """A replica has its deployment's."""
        if not container.deployment:
            return container.priority
        deployment = self.get(Deployment, container.group)
        return deployment.priority if deployment is not None else 0

    def on_node(self, node_key: str) -> list[Container]:
        """The containers that count on a node, as current or as leaving, ordered by name."""
        return self.containers(self.containers_of_node.get(node_key, ()))

    @contextmanager
    def without(self, container: Container) -> Iterator[None]:
        """As if a container were not on its node: for questions where else it could be."""
        key, spec, group = container.node_key, container.spec, container.group
        stateful, ports = spec.type == "STATEFUL", spec.host_ports
        self.fleet.release(key, spec.resources, group, stateful=stateful, ports=ports)
        try:
            yield
        finally:
            self.fleet.reserve(key, spec.resources, group, stateful=stateful, ports=ports)

    def apply(self, change: Change) -> None:
        """Make a change that was decided on the state as it is."""
        assert change.revision == self.revision + 1, (change.revision, self.revision)
        for edit in change.edits:
            self.set(edit.kind, edit.key, edit.after)
        self.events.extend(change.events)
        self.revision = change.revision

    def revert(self, change: Change) -> None:
        """Take back the newest change, which did not become durable."""
        assert change.revision == self.revision, (change.revision, self.revision)
        for edit in change.edits:
            self.set(edit.kind, edit.key, edit.before)
        for _ in change.events:
            # With a full ring the oldest events have gone already; they are in the journal.
            if self.events and self.events[-1].revision == change.revision:
                self.events.pop()
        self.revision -= 1

    def set(self, kind: str, key: str, after: Thing | None) -> None:
        """Put or remove one thing, keeping the indexes. For transactions and loading only."""
        table = self.things[kind]
        before = table.get(key)
        if kind == Container.KIND:
            if isinstance(before, Container):
                self._unindex(key, before)
            if isinstance(after, Container):
                self._index(key, after)
        if kind == Node.KIND:
            self._index_node(key, before, after)
        if kind == Deployment.KIND:
            self._index_deployment(key, before, after)
        if kind == Cluster.KIND:
            self.fleet.set_rules(key, rules_of(after) if isinstance(after, Cluster) else NO_RULES)
        if after is None:
            table.pop(key, None)
            if kind == Node.KIND:
                self.fleet.remove_node(key)
        else:
            table[key] = after

    def set_all(self, containers: Mapping[str, Container]) -> None:
        """Put containers as `set` would; those that are new, or new to their nodes, are quick."""
        table = self.things[Container.KIND]
        there: dict[str, list[Taken]] = {}  # by cluster
        like: Container | None = None
        cluster = group = ""
        members, definition = set[str](), None
        nodes, takes_named = list[str](), False
        for key, container in containers.items():
            before, spec = table.get(key), container.spec
            if not is_like(container, like):
                # Replicas come in a row: what they have in common is looked up once.
                cluster, group, like = container.cluster, container.group, container
                members = self.containers_of_deployment.to_change(group) if group else set()
                definition = self.get(Deployment, group)
                takes_named = bool(spec.ports or spec.resources.extra)
                nodes = []
                taken = Taken(spec.resources, group, spec.type == "STATEFUL", nodes)
                there.setdefault(cluster, []).append(taken)
            # What counts on other nodes too, or takes something that has a name, is put by `set`.
            is_more = takes_named or container.leaving or container.nominated
            if is_more or (before is not None and not _is_waiting(before)):
                self.set(Container.KIND, key, container)
                like = None  # it may have been the only one, so that the index began anew
                continue
            table[key] = container
            if definition is not None and is_as_defined(container, definition):
                self.as_defined[group] += 1
            if before is None:
                members.add(key)
            else:
                assert isinstance(before, Container)
                if definition is not None and is_as_defined(before, definition):
                    self.as_defined[group] -= 1
                self.pending.discard(key)
                self.pending_near.discard(key)
            if node := container.node:
                self.containers_of_node.to_change(f"{cluster}/{node}").add(key)
                nodes.append(node)
            elif container.may_be_placed:
                self._index_waiting(key, container)
        for cluster, each in there.items():
            self.fleet.reserve_many(cluster, each)

    def _index_waiting(self, key: str, container: Container) -> None:
        self.pending.add(key)
        if container.spec.affinity:
            self.pending_near.add(key)

    def _index_node(self, key: str, before: Thing | None, after: Thing | None) -> None:
        self.nodes_with_orphans.discard(key)
        self.draining.discard(key)
        if isinstance(after, Node) and after.orphans:
            self.nodes_with_orphans.add(key)
        if isinstance(after, Node) and after.drain is not None:
            self.draining.add(key)
        for node, count in ((before, -1), (after, 1)):
            if isinstance(node, Node):
                self._count_images(node, count)
        if isinstance(before, Node) and before.protocol == "poll":
            self.polling_nodes.pop(before.secret_digest, None)
        if isinstance(after, Node) and after.protocol == "poll":
            self.polling_nodes[after.secret_digest] = key

    def _count_images(self, node: Node, count: int) -> None:
        for image in node.facts.images:
            images = self.local_images.to_change(node.cluster)
            images[image] = images.get(image, 0) + count
            if not images[image]:
                del images[image]
            if not images:
                self.local_images.drop(node.cluster)

    def _replica_keys(self, deployment_key: str) -> Iterable[str]:
        return self.containers_of_deployment.get(deployment_key, ())

    def _count_defined(self, container: Container, count: int) -> None:
        deployment = self.get(Deployment, container.group)
        if deployment is not None and is_as_defined(container, deployment):
            self.as_defined[container.group] += count

    def _index_deployment(self, key: str, before: Thing | None, after: Thing | None) -> None:
        """Who refers to whom, also to a deployment that is not there yet; and who waits."""
        self.held.discard(key)
        if isinstance(after, Deployment) and after.held:
            self.held.add(key)
        self.as_defined.pop(key, None)
        if isinstance(after, Deployment):
            replicas = (self.things[Container.KIND][each] for each in self._replica_keys(key))
            self.as_defined[key] = sum(is_as_defined(each, after) for each in replicas)
        if isinstance(before, Deployment):
            for name in before.refers:
                _discard(self.referrers, f"{before.cluster}/{name}", key)
        if isinstance(after, Deployment):
            for name in after.refers:
                self.referrers.to_change(f"{after.cluster}/{name}").add(key)
        elif isinstance(before, Deployment) and before.is_scripted:
            for ordinal in range(1, REPLICAS_MAX + 1):
                self.renderings.pop(f"{key}/{ordinal}", None)
            self.renderings.pop(key, None)

    def _index(self, key: str, container: Container) -> None:
        # The table's own key, not an equal text: a million of them are 60 MiB.
        if container.deployment:
            self.containers_of_deployment.to_change(container.group).add(key)
            self._count_defined(container, 1)
        if container.node:
            node_key = container.node_key
            self.containers_of_node.to_change(node_key).add(key)
            self.fleet.reserve(
                node_key,
                container.spec.resources,
                container.group,
                stateful=container.spec.type == "STATEFUL",
                ports=container.spec.host_ports,
            )
        for copy in container.leaving:
            node_key = f"{container.cluster}/{copy.node}"
            self.containers_of_node.to_change(node_key).add(key)
            self.fleet.reserve(
                node_key, copy.resources, copy.group, stateful=copy.stateful, ports=copy.ports
            )
        if container.nominated:
            self._count_nominated(container, self.fleet.reserve)
        if container.may_be_placed:
            self._index_waiting(key, container)

    def _unindex(self, key: str, container: Container) -> None:
        if container.deployment:
            _discard(self.containers_of_deployment, container.group, key)
            self._count_defined(container, -1)
        if container.node:
            _discard(self.containers_of_node, container.node_key, key)
            self.fleet.release(
                container.node_key,
                container.spec.resources,
                container.group,
                stateful=container.spec.type == "STATEFUL",
                ports=container.spec.host_ports,
            )
        for copy in container.leaving:
            node_key = f"{container.cluster}/{copy.node}"
            _discard(self.containers_of_node, node_key, key)
            self.fleet.release(
                node_key, copy.resources, copy.group, stateful=copy.stateful, ports=copy.ports
            )
        if container.nominated:
            self._count_nominated(container, self.fleet.release)
        self.pending.discard(key)
        self.pending_near.discard(key)

    def _count_nominated(self, container: Container, count: Callable[..., None]) -> None:
        """Room that is being made for one is nobody else's."""
        spec = container.spec
        count(
            f"{container.cluster}/{container.nominated}",
            spec.resources,
            "",
            stateful=spec.type == "STATEFUL",
            ports=spec.host_ports,
        )


def is_as_defined(replica: Thing, deployment: Deployment) -> bool:
    """Whether a replica is wanted, and made by the present definition as it is written."""
    assert isinstance(replica, Container)
    return bool(
        replica.wanted
        and replica.round
        and replica.digest == deployment.digest
        and replica.bootstrap_digest == deployment.bootstrap_digest
        and replica.ordinal <= deployment.replicas
    )


def rules_of(cluster: Cluster) -> Rules:
    """A cluster's policy as the scheduler sees it."""
    quota = cluster.policy.quota
    return Rules(
        packs=cluster.policy.placement == "pack",
        quota=(
            quota.cpu_millis,
            quota.memory_mib,
            quota.disk_mib,
            quota.processes,
            quota.containers,
        ),
    )


def is_like(container: Container, other: Container | None) -> bool:
    """Whether both are of one deployment and definition."""
    return (
        other is not None
        and container.spec is other.spec
        and container.deployment == other.deployment
        and container.cluster == other.cluster
    )


def _is_waiting(before: Thing) -> bool:
    """Whether it counts on no node yet."""
    return isinstance(before, Container) and not (before.node or before.leaving or before.nominated)


def _discard(index: Index[set[str]], of: str, key: str) -> None:
    if of in index:
        keys = index.to_change(of)
        keys.discard(key)
        if not keys:
            index.drop(of)
