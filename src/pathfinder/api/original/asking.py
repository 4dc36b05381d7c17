"""Who asks by v1 or v2, what for, and the order in which that is checked.

A bad credential is refused before anything else is looked at; then the cluster has to exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pathfinder.api.original import envelope
from pathfinder.api.original.envelope import Answer, Invalid
from pathfinder.api.original.parameters import Bag, text
from pathfinder.api.port import Backend, Query, T
from pathfinder.control import access
from pathfinder.control.access import Principal, Verb
from pathfinder.control.commands import Command, Poll, Request
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Cluster, Container
from pathfinder.control.state import State
from pathfinder.control.views import ContainerView
from pathfinder.model.errors import DefinitionWrong, NameTaken, PathfinderError, Unauthorized


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. `version`: of the API, as its answers carry it."""

    backend: Backend
    bag: Bag
    token: str
    peer: str
    version: str

    def text(self, name: str) -> str:
        """A parameter, "" when it is missing."""
        return text(self.bag, name)

    def data(self, content: object) -> Answer:
        """A success in this version's envelope."""
        return envelope.data(self.version, content)

    def items(self, found: list[Any]) -> Answer:
        """A list in this version's envelope."""
        return envelope.items(self.version, found)

    async def cluster(self) -> Cluster:
        """The cluster that is asked for, by our name or by the one that it had; NotFound."""
        name = self.text("cluster_name")
        return await self.backend.look(lambda c, _: find_cluster(c.state, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAsk(Ask):
    """A request of an ext_app, whose token is good."""

    caller: Principal

    @property
    def hostname(self) -> str:
        """The container or node in the path."""
        return self.text("hostname")

    async def scope(self, verb: Verb) -> Cluster:
        """The cluster; NotFound, Forbidden."""
        cluster = await self.cluster()
        self.caller.require(verb, cluster.name)
        return cluster

    async def run(self, command: Command) -> bytes:
        """The view of what a command did; validation in this API's form."""
        try:
            return await self.backend.submit(Request(self.caller, command))
        except (DefinitionWrong, NameTaken) as error:
            raise invalid(error) from None

    async def look(self, query: Query[T]) -> T:
        """A question to the state."""
        return await self.backend.look(query)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAsk(Ask):
    """A request of a polling node, whose token is good."""

    caller: Principal

    @property
    def node(self) -> str:
        """cluster/name."""
        return self.caller.node

    async def run(self, command: Command) -> bytes:
        """The view of what a command did."""
        return await self.backend.submit(Request(self.caller, command))


async def as_app(ask: Ask) -> AppAsk:
    """Authenticate an ext_app; Unauthorized."""
    caller = ask.backend.authenticate(ask.token)
    if caller.node:
        raise Unauthorized("this is the credential of a node")
    return AppAsk(**_fields(ask), caller=caller)


async def as_node(ask: Ask) -> NodeAsk:
    """Authenticate a node, and note that it was heard; Unauthorized, also without the cluster."""
    name = ask.text("cluster_name")

    def known(controller: Controller, _: int) -> Principal:
        found = cluster_named(controller.state, name)
        return access.polling_node(controller.state, found.name if found else name, ask.token)

    caller = await ask.backend.look(known)
    asked = NodeAsk(**_fields(ask), caller=caller)
    if ask.backend.hear_poll(caller.node):
        await asked.run(Poll(caller.node))
    return asked


def _fields(ask: Ask) -> dict[str, Any]:
    return {name: getattr(ask, name) for name in Ask.__slots__}


def cluster_named(state: State, name: str) -> Cluster | None:
    """A cluster by its name, or by the one that it had before it was imported."""
    found = state.get(Cluster, name)
    if found is not None or not name:
        return found
    for cluster in state.all(Cluster):
        if cluster.extra.get("original_name") == name:
            return cluster
    return None


def find_cluster(state: State, name: str) -> Cluster:
    """The same; NotFound."""
    found = cluster_named(state, name)
    if found is None:
        raise envelope.missing("Cluster", name)
    return found


def find_container(state: State, cluster: Cluster, name: str) -> Container:
    """A container of a cluster; NotFound."""
    found = state.get(Container, f"{cluster.name}/{name}")
    if found is None:
        raise envelope.missing("Container", name)
    return found


def shown_container(body: bytes) -> tuple[str, str]:
    """Cluster and name of the container whose view a command has answered."""
    view = msgspec.json.decode(body, type=ContainerView)
    return view.cluster, view.name


def invalid(error: PathfinderError, resource: str = "Container") -> Invalid:
    """A refused definition as a validation error, by the parameter's name in this API."""
    if isinstance(error, NameTaken):
        return Invalid(resource, ("hostname", "must be unique"))
    place = str(error.details.get("place", ""))
    message = error.message.removeprefix(f"{place}: ")
    return Invalid(resource, (_field(place), message))


def _field(place: str) -> str:
    words: Mapping[str, str] = {
        "image": "source",
        "bootstrap": "bootstrappers",
        "type": "container_type",
        "server": "remote",
        "replicas": "desired_num_replicas",
        "min_available": "min_available_replicas",
    }
    for part in place.replace("[", ".").split("."):
        if part in words:
            return words[part]
    last = place.rpartition(".")[2]
    return "hostname" if last in ("name", "") else last
