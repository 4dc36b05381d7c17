"""Routes of ext_apps: the original's command lines, its libraries and BaritoMarket."""

from collections.abc import Callable
from typing import Any

import msgspec

from pathfinder.api.original import definitions, envelope, objects
from pathfinder.api.original.asking import AppAsk, find_container
from pathfinder.api.original.envelope import Answer, Invalid
from pathfinder.api.original.parameters import Bag, part, text
from pathfinder.api.original.remotes import settle_remote
from pathfinder.control.commands import (
    Delete,
    Put,
    Rebootstrap,
    Redefine,
    Relocate,
    Reschedule,
)
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Cluster, Container, Node
from pathfinder.control.state import State
from pathfinder.model.errors import Conflict
from pathfinder.model.names import HOSTNAME
from pathfinder.model.phases import Phase


async def list_nodes(ask: AppAsk) -> Answer:
    """The nodes of a cluster, by name."""
    cluster = await ask.scope("read")

    def listed(controller: Controller, _: int) -> Answer:
        found = [node for node in controller.state.all(Node) if node.cluster == cluster.name]
        found.sort(key=lambda node: node.name)
        return ask.items([objects.node(controller.life, node) for node in found])

    return await ask.look(listed)


async def get_node(ask: AppAsk) -> Answer:
    """One node."""
    cluster = await ask.scope("read")

    def one(controller: Controller, _: int) -> Answer:
        node = controller.state.get(Node, f"{cluster.name}/{ask.hostname}")
        if node is None:
            raise envelope.missing("Node", ask.hostname)
        return ask.data(objects.node(controller.life, node))

    return await ask.look(one)


async def list_containers(ask: AppAsk) -> Answer:
    """The containers of a cluster that are not gone, by name."""
    cluster = await ask.scope("read")

    def listed(controller: Controller, _: int) -> Answer:
        state = controller.state
        found = [each for each in state.all(Container) if each.cluster == cluster.name]
        found.sort(key=lambda container: container.name)
        show = _shower(ask, state)
        return ask.items([show(container) for container in found])

    return await ask.look(listed)


async def get_container(ask: AppAsk) -> Answer:
    """One container."""
    cluster = await ask.scope("read")
    return await _answer(ask, cluster, ask.hostname)


async def create_container(ask: AppAsk) -> Answer:
    """Make a container; of several requests for one name, one makes it and the others get 406."""
    cluster = await ask.scope("write")
    given = part(ask.bag, "container") or ask.bag
    name = text(given, "hostname")
    if not HOSTNAME.fullmatch(name):
        raise Invalid("Container", ("hostname", "is invalid" if name else "can't be blank"))
    is_v1 = ask.version == "1.0"
    spec = definitions.from_v1(given) if is_v1 else definitions.from_v2(given)
    if not is_v1:
        await settle_remote(ask, cluster, spec, part(part(given, "source"), "remote"))
    document = {"kind": "Container", "cluster": cluster.name, "name": name, "spec": spec}
    await ask.run(Put(document, new=True))
    return await _answer(ask, cluster, name)


async def schedule_deletion(ask: AppAsk) -> Answer:
    """Let a container go, whatever it is; one that no node has is gone at once."""
    cluster = await ask.scope("write")
    before = await _find(ask, cluster)
    await ask.run(Delete("container", cluster.name, ask.hostname))
    gone = msgspec.structs.replace(
        before, phase=Phase.DELETED, changed_ms=ask.backend.wall_ms(), node=""
    )
    return await _answer(ask, cluster, ask.hostname, gone=gone)


async def reschedule(ask: AppAsk) -> Answer:
    """Begin a container anew, placed when its node has let go of the old one."""
    cluster = await ask.scope("write")
    await _find(ask, cluster)
    await ask.run(Reschedule(cluster.name, ask.hostname))
    return await _answer(ask, cluster, ask.hostname)


async def rebootstrap(ask: AppAsk) -> Answer:
    """Bootstrap a container again, by other steps when there are any."""
    cluster = await ask.scope("write")
    await _find(ask, cluster)
    steps = definitions.steps(ask.bag.get("bootstrappers")) or None
    await ask.run(Rebootstrap(cluster.name, ask.hostname, steps))
    return await _answer(ask, cluster, ask.hostname)


async def schedule_relocation(ask: AppAsk) -> Answer:
    """Move a container to another node; what cannot be is refused in a form of its own."""
    cluster = await ask.scope("write")
    await _find(ask, cluster)
    node = ask.text("node_hostname")
    if await ask.look(lambda c, _: c.state.get(Node, f"{cluster.name}/{node}")) is None:
        raise envelope.missing("Node", node)
    try:
        await ask.run(Relocate(cluster.name, ask.hostname, node))
    except Conflict as refusal:
        told = {"success": False, "errors": refusal.message, "code": 400}
        return envelope.bare(told, status=400)
    return await _answer(ask, cluster, ask.hostname)


async def update(ask: AppAsk) -> Answer:
    """Keep another definition of a container, and leave what runs as it is."""
    cluster = await ask.scope("write")
    container = await _find(ask, cluster)
    given: Bag = {"container_type": container.spec.type, **ask.bag}
    spec = definitions.from_v2(given)
    await settle_remote(ask, cluster, spec, part(part(given, "source"), "remote"))
    if "bootstrappers" not in ask.bag:
        spec.pop("bootstrap", None)
    kept = container.spec.document()
    kept.pop(definitions.KEPT, None)
    await ask.run(Redefine(cluster.name, ask.hostname, {**kept, **spec}))
    return await _answer(ask, cluster, ask.hostname)


async def _find(ask: AppAsk, cluster: Cluster) -> Container:
    return await ask.look(lambda c, _: find_container(c.state, cluster, ask.hostname))


async def _answer(
    ask: AppAsk, cluster: Cluster, name: str, *, gone: Container | None = None
) -> Answer:
    """A container as it is now; `gone`: what to show when it is there no longer."""

    def one(controller: Controller, _: int) -> Answer:
        found = controller.state.get(Container, f"{cluster.name}/{name}") or gone
        if found is None:
            raise envelope.missing("Container", name)
        return ask.data(_shower(ask, controller.state)(found))

    return await ask.look(one)


def _shower(ask: AppAsk, state: State) -> Callable[[Container], dict[str, Any]]:
    if ask.version == "1.0":
        return objects.container_v1
    return lambda container: objects.container_v2(state, container)
