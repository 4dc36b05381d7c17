"""What a command changes, in words, for plans and dry runs: read off the edits themselves."""

from collections.abc import Collection
from itertools import chain
from operator import attrgetter

from pathfinder.control.differences import changes
from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Deployment, Image, Node, Remote, Thing, Token
from pathfinder.control.rendering import renderer
from pathfinder.control.settling import change_of, is_as_wanted, steps_of
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.views import Action, Plan, PlanItem
from pathfinder.model.definitions import ImageSource

ORDER = ("cluster", "remote", "image", "node", "user", "token", "deployment", "container")


def plan(tx: Transaction, life: Life, *, asked: tuple[Thing, ...], dry_run: bool) -> Plan:
    """The plan of a transaction; `asked` adds what was named and needs no change."""
    changed = tx.changed()
    images = _Images(tx.state)
    of_kind = {
        kind: [item(tx, before, after, images) for before, after in changed.get(kind, {}).values()]
        for kind in ORDER
    }
    for thing in asked:
        if thing.key not in changed.get(thing.KIND, ()):
            of_kind[thing.KIND].append(_item(thing, "unchanged"))
    deployments = {thing.key for thing in asked if isinstance(thing, Deployment)}
    deployments |= {
        key for key, (_, after) in changed.get(Deployment.KIND, {}).items() if after is not None
    }
    containers = changed.get(Container.KIND, {})
    for key in sorted(deployments):
        of_kind[Container.KIND] += _later(tx.state, life, key, containers.keys())
    for items in of_kind.values():
        items.sort(key=attrgetter("cluster", "name"))
    return Plan(
        dry_run=dry_run,
        revision=tx.revision if changed else tx.state.revision,
        changes=tuple(chain.from_iterable(of_kind.values())),
    )


class _Images:
    """What is said of images that no node of their cluster has, once for each definition."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[tuple[str, int], tuple[str, ...]] = {}

    def missing(self, container: Container) -> tuple[str, ...]:
        """A warning, or nothing: said at once, not found out later."""
        what = (container.cluster, id(container.spec))
        if what not in self._known:
            self._known[what] = self._missing(container.cluster, container.spec.image)
        return self._known[what]

    def _missing(self, cluster: str, image: ImageSource) -> tuple[str, ...]:
        state, alias = self._state, image.alias
        if not alias or image.remote or state.get(Image, f"{cluster}/{alias}"):
            return ()
        known = state.local_images.get(cluster, {})
        if alias in known or alias.removesuffix(":latest") in known:
            return ()
        if not known and not state.fleet.columns(cluster).views:
            return ()
        have = ", ".join(sorted(known)[:8]) or "none"
        return (f"no node has an image {alias!r} in its local store; there are: {have}",)


def item(tx: Transaction, before: Thing | None, after: Thing | None, images: _Images) -> PlanItem:
    """One edit as an item of a plan."""
    thing = after or before
    assert thing is not None
    if isinstance(after, Container):
        was = before if isinstance(before, Container) else None
        return _container_item(tx, was, after, images)
    if isinstance(after, Deployment):
        warnings = tuple(text for text in (after.blocked, after.last_error) if text)
        action: Action = "create" if before is None else "change" if after.wanted else "delete"
        return _item(thing, action, warnings=warnings)
    if after is None:
        return _item(thing, "delete")
    if before is None:
        return _item(thing, "create")
    return _item(thing, "change", why=changes(before, after))


def _container_item(
    tx: Transaction, before: Container | None, after: Container, images: _Images
) -> PlanItem:
    state = tx.state
    if before is None:
        return PlanItem(
            kind=Container.KIND,
            cluster=after.cluster,
            name=after.name,
            action="create",
            node=after.node,
            why=after.why,
            warnings=images.missing(after),
        )
    if not after.wanted:
        return _item(after, "delete", node=before.node, why=after.why)
    if after.generation != before.generation:
        lost = (
            ("its root disk is discarded: it is STATEFUL",)
            if before.spec.type == "STATEFUL" and before.node
            else ()
        )
        return _item(
            after,
            "replace",
            node=after.node or before.node,
            why=after.why,
            warnings=lost + images.missing(after) + _volume_warning(before, after),
        )
    if (copy := after.arriving) is not None and before.arriving is None:
        why = f"moves from {after.node} with its data"
        if preempted := tx.reason("preempted", after):
            why = f"{why}: {preempted}"
        return _item(after, "relocate", node=copy.node, why=why, warnings=_below(state, after))
    if after.round != before.round:
        return _item(after, "rebootstrap", node=after.node, why=after.why)
    if after.node and not before.node:
        return _item(after, "place", node=after.node, why=after.why)
    if len(after.leaving) < len(before.leaving):
        return _item(after, "release", node=after.node, why=after.why)
    return _item(after, "change", node=after.node, why=after.why)


def _later(state: State, life: Life, key: str, touched: Collection[str]) -> list[PlanItem]:
    """The replicas of a deployment whose turn to be changed has not come."""
    deployment = state.get(Deployment, key)
    if deployment is None or not deployment.wanted or is_as_wanted(state, deployment):
        return []
    replicas = state.replicas(key)
    steps = steps_of(state, replicas, deployment, life)
    each = renderer(state, deployment)
    return [
        _item(
            container,
            "wait",
            node=container.node,
            why=steps.blocked or steps.waiting or "is changed when its turn comes",
        )
        for container in replicas
        if container.wanted
        and change_of(container, each(container.ordinal))[0] != "none"
        and container.key not in touched
    ]


def _below(state: State, container: Container) -> tuple[str, ...]:
    """While a replica is stopped to move, its deployment may have too few that are ready."""
    deployment = state.get(Deployment, container.group) if container.deployment else None
    if deployment is None:
        return ()
    others = [each for each in state.replicas(deployment.key) if each.key != container.key]
    ready = sum(each.ready for each in others)
    if ready >= deployment.min_available:
        return ()
    text = f"while it is stopped, {deployment.name} has {ready} ready"
    return (f"{text}, and its min_available is {deployment.min_available}",)


def _volume_warning(before: Container, after: Container) -> tuple[str, ...]:
    """What may move leaves its volumes behind; what is STATEFUL stays where they are."""
    if not after.spec.mounts or after.spec.type == "STATEFUL" or not before.home:
        return ()
    volumes = ", ".join(mount.volume for mount in after.spec.mounts)
    return (f"volumes stay on {before.home} ({volumes}): on another node they begin empty",)


def _where(thing: Thing) -> tuple[str, str]:
    if isinstance(thing, (Container, Deployment, Image, Node, Remote)):
        return thing.cluster, thing.name
    if isinstance(thing, Token):
        return "", thing.name or thing.id
    return "", thing.key


def _item(
    thing: Thing,
    action: Action,
    *,
    node: str = "",
    why: str = "",
    warnings: tuple[str, ...] = (),
) -> PlanItem:
    cluster, name = _where(thing)
    return PlanItem(
        kind=thing.KIND,
        cluster=cluster,
        name=name,
        action=action,
        node=node,
        why=why,
        warnings=warnings,
    )
