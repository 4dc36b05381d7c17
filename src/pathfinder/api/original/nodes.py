"""Routes of the original's agents: they register, measure, poll and mark."""

import secrets
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

from pathfinder.api.original import envelope, objects
from pathfinder.api.original.asking import Ask, NodeAsk, find_container
from pathfinder.api.original.envelope import Answer, Invalid
from pathfinder.api.original.parameters import number, part, whole
from pathfinder.control import access, marks
from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import (
    Mark,
    MarkAddress,
    MarkKind,
    Measure,
    Poll,
    RegisterPolling,
    Request,
)
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Cluster, Container, Node
from pathfinder.control.state import State
from pathfinder.model.errors import Unauthorized
from pathfinder.model.names import HOSTNAME
from pathfinder.model.phases import Phase
from pathfinder.wire.messages import Measurements

TOKEN_BYTES: Final = 48  # 64 characters that may stand in a URL
ADDRESS_LENGTH_MAX: Final = 255
NodeRoute = Callable[[NodeAsk], Awaitable[Answer]]


async def register(ask: Ask) -> Answer:
    """A node joins by the cluster's password; its token is made here and shown this once."""
    cluster = await ask.cluster()
    password = ask.text("password")
    if not password or not await ask.backend.is_password(password, cluster.password_hash, ask.peer):
        raise Unauthorized("no cluster has this password")
    name = ask.text("node_hostname")
    if not HOSTNAME.fullmatch(name):
        raise Invalid("Node", ("hostname", "is invalid" if name else "can't be blank"))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    command = RegisterPolling(
        cluster=cluster.name,
        name=name,
        token_digest=access.digest(token),
        address=ask.text("node_ipaddress").strip()[:ADDRESS_LENGTH_MAX] or ask.peer,
        proof=ask.token or ask.text("authentication_token"),
    )
    await ask.backend.submit(Request(SYSTEM, command))
    key = f"{cluster.name}/{name}"
    caller = await ask.backend.look(lambda c, _: access.polling_node(c.state, cluster.name, token))
    await ask.backend.submit(Request(caller, Poll(key)))

    def registered(controller: Controller, _: int) -> Answer:
        state = controller.state
        node = state.get(Node, key)
        if node is None:
            raise envelope.missing("Node", name)
        named = state.get(Cluster, cluster.name) or cluster
        shown_name = ask.text("cluster_name")
        now_ms = ask.backend.wall_ms()
        return ask.data(objects.registration(named, shown_name, node, token, now_ms))

    return await ask.backend.look(registered)


async def store_metrics(ask: NodeAsk) -> Answer:
    """Keep what a node uses: fractions are cut, and every part may be null."""
    memory, load = part(ask.bag, "memory"), part(ask.bag, "load")
    root, pool = part(ask.bag, "disk_root"), part(ask.bag, "disk_zfs")
    total, free = whole(memory, "total"), whole(memory, "free")
    measurements = Measurements(
        memory_total_mib=total or 0,
        memory_used_mib=whole(memory, "used") or 0,
        load_1m=number(load, "load_avg_1m") or 0.0,
        load_5m=number(load, "load_avg_5m") or 0.0,
        load_15m=number(load, "load_avg_15m") or 0.0,
        disk_total_mib=whole(root, "total") or 0,
        disk_used_mib=whole(root, "used") or 0,
        pool_total_mib=whole(pool, "total") or 0,
        pool_used_mib=whole(pool, "used") or 0,
        extra={} if free is None else {"memory_free_mib": free},
    )
    cores = number(load, "capacity")
    await ask.run(Measure(ask.node, measurements, memory_total_mib=total, cores=cores))

    def stored(controller: Controller, _: int) -> Answer:
        node = controller.state.get(Node, ask.node)
        if node is None:
            raise envelope.missing("Node", ask.node.partition("/")[2])
        shown = objects.node(controller.life, node)
        del shown["created_at"]
        return ask.data({**shown, "updated_at": envelope.time_text(ask.backend.wall_ms())})

    return await ask.backend.look(stored)


async def scheduled(ask: NodeAsk) -> Answer:
    """What the node shall delete, make, and (v2) take over, in this order."""

    def listed(controller: Controller, _: int) -> Answer:
        state = controller.state
        has_relocations = ask.version == "2.0"
        found = marks.scheduled(state, ask.node, relocations=has_relocations)
        return ask.items([_shown(ask, state, *item) for item in found])

    return await ask.backend.look(listed)


async def bootstrap_scheduled(ask: NodeAsk) -> Answer:
    """What the node shall bootstrap."""

    def listed(controller: Controller, _: int) -> Answer:
        found = marks.bootstrap_scheduled(controller.state, ask.node)
        return ask.items([_shown(ask, controller.state, *item) for item in found])

    return await ask.backend.look(listed)


async def ipaddress(ask: NodeAsk) -> Answer:
    """Say which address a container has; none: it has lost it."""
    address = ask.text("ipaddress").strip()
    if address:
        try:
            ip_address(address)
        except ValueError:
            raise Invalid("Container", ("ipaddress", "is invalid")) from None
    return await _marked(ask, MarkAddress(ask.node, ask.text("hostname"), address))


def mark(what: MarkKind) -> NodeRoute:
    """The route by which a node says one thing of a container."""

    async def marked(ask: NodeAsk) -> Answer:
        return await _marked(ask, Mark(ask.node, ask.text("hostname"), what))

    return marked


async def _marked(ask: NodeAsk, command: Mark | MarkAddress) -> Answer:
    await ask.run(command)

    def shown(controller: Controller, _: int) -> Answer:
        state = controller.state
        if isinstance(command, Mark) and command.what == "deleted":
            gone = controller.life.node(ask.node).let_go.get(command.name)
            if gone is None:  # the server has begun another life since
                raise envelope.missing("Container", command.name)
            return ask.data(_shown(ask, state, gone, Phase.DELETED))
        cluster = ask.node.partition("/")[0]
        named = state.get(Cluster, cluster)
        if named is None:
            raise envelope.missing("Cluster", cluster)
        return ask.data(_shown(ask, state, find_container(state, named, command.name), None))

    return await ask.backend.look(shown)


def _shown(ask: NodeAsk, state: State, container: Container, phase: Phase | None) -> object:
    if ask.version == "1.0":
        return objects.container_v1(container, phase)
    return objects.container_v2(state, container, phase, for_node=True)
