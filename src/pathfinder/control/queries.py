"""Questions about the state: pages of things, single things, events. Pure; they change nothing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

import msgspec

from pathfinder.control import views
from pathfinder.control.access import Principal
from pathfinder.control.cluster_views import cluster_view
from pathfinder.control.controller import Controller
from pathfinder.control.life import Life, NodeStatus
from pathfinder.control.objects import (
    Cluster,
    Container,
    Deployment,
    Event,
    Image,
    Node,
    Remote,
    Thing,
    Token,
    User,
)
from pathfinder.control.state import State
from pathfinder.control.waiting import as_it_is_now
from pathfinder.model.errors import NotFound, NotLeading
from pathfinder.model.selectors import Requirement
from pathfinder.wire.messages import Measurements

T = TypeVar("T", bound=Thing)
ITEMS_DEFAULT: Final = 500
ITEMS_MAX: Final = 5_000


class Page(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Part of a list, ordered by name. `next`: what to pass as `after` for the next part, or ""."""

    next: str
    revision: int


class ClusterPage(Page, frozen=True, kw_only=True, gc=False):
    """Clusters."""

    items: tuple[views.ClusterView, ...]


class NodePage(Page, frozen=True, kw_only=True, gc=False):
    """Nodes."""

    items: tuple[views.NodeView, ...]


class DeploymentPage(Page, frozen=True, kw_only=True, gc=False):
    """Deployments."""

    items: tuple[views.DeploymentView, ...]


class ContainerPage(Page, frozen=True, kw_only=True, gc=False):
    """Containers."""

    items: tuple[views.ContainerView, ...]


class ImagePage(Page, frozen=True, kw_only=True, gc=False):
    """Images."""

    items: tuple[views.ImageView, ...]


class RemotePage(Page, frozen=True, kw_only=True, gc=False):
    """Remotes."""

    items: tuple[views.RemoteView, ...]


class TokenPage(Page, frozen=True, kw_only=True, gc=False):
    """Tokens, ordered by identifier."""

    items: tuple[views.TokenView, ...]


class UserPage(Page, frozen=True, kw_only=True, gc=False):
    """Users."""

    items: tuple[views.UserView, ...]


class Measured(views.View, frozen=True, kw_only=True, gc=False):
    """What changes of a node without an event: its status, and what it uses."""

    cluster: str
    name: str
    status: str
    heard_ms_ago: int | None
    usage: Measurements | None


class EventView(views.View, frozen=True, kw_only=True, gc=False):
    """What happened to which thing, why, and who asked. `node`: where, for containers."""

    revision: int
    index: int
    time_ms: int
    kind: str
    cluster: str
    name: str
    node: str
    action: str
    why: str
    who: str


class EventPage(Page, frozen=True, kw_only=True, gc=False):
    """Events, newest last. `next`: the revision to pass as `since`."""

    items: tuple[EventView, ...]


class Twin(NamedTuple):
    """A copy of the state, to be asked what-if questions, and how its nodes are."""

    state: State
    statuses: dict[str, NodeStatus]


def twin(controller: Controller) -> Twin:
    """The state as it is; NotLeading while it is not yet known what nodes hold."""
    if controller.life.recovering:
        raise NotLeading(
            "the server has just started and has not heard all nodes yet",
            hint="try again in a few seconds",
        )
    life = controller.life
    return Twin(controller.state.copy(), {key: node.status for key, node in life.nodes.items()})


class Window(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which part of a list: after this name, so many, and only what meets the requirements."""

    after: str = ""
    limit: int = ITEMS_DEFAULT
    requirements: tuple[Requirement, ...] = ()


def clusters(controller: Controller, principal: Principal, window: Window) -> ClusterPage:
    """The clusters that the principal may see."""
    state = controller.state
    seen = [cluster for cluster in state.all(Cluster) if principal.sees(cluster.name)]
    part, after = _part(seen, window, lambda cluster: cluster.name)
    return ClusterPage(
        items=tuple(cluster_view(state, controller.life, cluster) for cluster in part),
        next=after,
        revision=state.revision,
    )


def nodes(controller: Controller, cluster: str, window: Window, uptime_ms: int) -> NodePage:
    """Nodes of a cluster; NotFound without it."""
    state, life = controller.state, controller.life
    part, after = _of_cluster(state, Node, cluster, window)
    return NodePage(
        items=tuple(views.node_view(state, life, node, uptime_ms) for node in part),
        next=after,
        revision=state.revision,
    )


def measured(
    controller: Controller, principal: Principal, cluster: str, uptime_ms: int
) -> tuple[Measured, ...]:
    """What the nodes use that the principal may see; of one cluster when it is given."""
    life = controller.life
    return tuple(
        _measured(node, life, uptime_ms)
        for node in controller.state.all(Node)
        if principal.sees(node.cluster) and (not cluster or node.cluster == cluster)
    )


def _measured(node: Node, life: Life, uptime_ms: int) -> Measured:
    heard = life.nodes.get(node.key)
    usage = heard.measurements if heard else None
    return Measured(
        cluster=node.cluster,
        name=node.name,
        status=heard.status if heard else "new",
        heard_ms_ago=uptime_ms - heard.heard_ms if heard and heard.heard_ms is not None else None,
        usage=replace(usage, containers=()) if usage else None,
    )


def deployments(controller: Controller, cluster: str, window: Window) -> DeploymentPage:
    """Deployments of a cluster; NotFound without it."""
    state, life = controller.state, controller.life
    part, after = _of_cluster(state, Deployment, cluster, window)
    return DeploymentPage(
        items=tuple(views.deployment_view(state, life, each) for each in part),
        next=after,
        revision=state.revision,
    )


class Sought(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which containers: all that everything given is true of. text: part of the name, any case."""

    node: str = ""
    deployment: str = ""
    phase: str = ""
    text: str = ""
    ready: bool | None = None

    def admits(self, container: Container, life: Life) -> bool:
        """Whether it is one of them, but for the deployment."""
        return (
            (not self.node or container.node == self.node or _is_leaving(container, self.node))
            and (not self.phase or container.phase.name == self.phase)
            and (not self.text or self.text.lower() in container.name.lower())
            and (self.ready is None or life.is_ready(container) == self.ready)
        )


def containers(
    controller: Controller, cluster: str, window: Window, sought: Sought
) -> ContainerPage:
    """Containers of a cluster that are sought; NotFound without it."""
    state, life = controller.state, controller.life
    _need(state, Cluster, cluster)
    things: Iterable[Container] = state.all(Container)
    if sought.deployment:
        things = state.replicas(f"{cluster}/{sought.deployment}")
    elif sought.node:
        things = state.on_node(f"{cluster}/{sought.node}")
    chosen = [
        container
        for container in things
        if container.cluster == cluster
        and sought.admits(container, life)
        and all(requirement.holds(container.labels) for requirement in window.requirements)
    ]
    part, after = _part(chosen, window, lambda container: container.name)
    return ContainerPage(
        items=tuple(views.container_view(state, life, container) for container in part),
        next=after,
        revision=state.revision,
    )


def images(controller: Controller, cluster: str, window: Window) -> ImagePage:
    """Images of a cluster, named ones and those that its nodes have; NotFound without it."""
    state = controller.state
    _need(state, Cluster, cluster)
    found = views.image_views(state, cluster)
    part, after = _part(found, window, lambda image: image.name)
    return ImagePage(items=tuple(part), next=after, revision=state.revision)


def remotes(controller: Controller, cluster: str, window: Window) -> RemotePage:
    """Remotes of a cluster; NotFound without it."""
    state = controller.state
    _need(state, Cluster, cluster)
    found = [remote for remote in state.all(Remote) if remote.cluster == cluster]
    part, after = _part(found, window, lambda remote: remote.name)
    return RemotePage(
        items=tuple(views.remote_view(remote) for remote in part),
        next=after,
        revision=state.revision,
    )


def tokens(controller: Controller, principal: Principal, window: Window) -> TokenPage:
    """The tokens for what the principal administers."""
    state = controller.state
    found = [token for token in state.all(Token) if _is_within(token.clusters, principal)]
    part, after = _part(found, window, lambda token: token.id)
    return TokenPage(
        items=tuple(views.token_view(token) for token in part), next=after, revision=state.revision
    )


def users(controller: Controller, principal: Principal, window: Window) -> UserPage:
    """The users for what the principal administers."""
    state = controller.state
    found = [user for user in state.all(User) if _is_within(user.clusters, principal)]
    part, after = _part(found, window, lambda user: user.name)
    return UserPage(items=tuple(map(views.user_view, part)), next=after, revision=state.revision)


def _is_within(clusters: tuple[str, ...], principal: Principal) -> bool:
    mine = set(principal.clusters)
    return not mine or (bool(clusters) and mine.issuperset(clusters))


def one_cluster(controller: Controller, name: str) -> views.ClusterView:
    """One cluster; NotFound."""
    return cluster_view(controller.state, controller.life, _need(controller.state, Cluster, name))


def one_node(controller: Controller, cluster: str, name: str, uptime_ms: int) -> views.NodeView:
    """One node; NotFound."""
    node = _need(controller.state, Node, f"{cluster}/{name}")
    return views.node_view(controller.state, controller.life, node, uptime_ms)


def one_deployment(controller: Controller, cluster: str, name: str) -> views.DeploymentView:
    """One deployment; NotFound."""
    deployment = _need(controller.state, Deployment, f"{cluster}/{name}")
    return views.deployment_view(controller.state, controller.life, deployment)


def one_container(controller: Controller, cluster: str, name: str) -> views.ContainerView:
    """One container; NotFound."""
    state, life = controller.state, controller.life
    container = _need(state, Container, f"{cluster}/{name}")
    return as_it_is_now(state, life, container, views.container_view(state, life, container))


def one_image(controller: Controller, cluster: str, name: str) -> views.ImageView:
    """One image, named or found on a node; NotFound."""
    for image in views.image_views(controller.state, cluster):
        if image.name == name:
            return image
    return views.image_view(controller.state, _need(controller.state, Image, f"{cluster}/{name}"))


def one_remote(controller: Controller, cluster: str, name: str) -> views.RemoteView:
    """One remote; NotFound."""
    return views.remote_view(_need(controller.state, Remote, f"{cluster}/{name}"))


def one_token(controller: Controller, identifier: str) -> tuple[views.TokenView, tuple[str, ...]]:
    """One token and the clusters that it is for; NotFound."""
    token = _need(controller.state, Token, identifier)
    return views.token_view(token), token.clusters


def one_user(controller: Controller, name: str) -> views.UserView:
    """One user; NotFound."""
    return views.user_view(_need(controller.state, User, name))


def password_hash_of_user(controller: Controller, name: str) -> str:
    """The hash of a user's password; "" when nobody of this name may sign in."""
    found = controller.state.get(User, name)
    return found.password_hash if found and not found.disabled else ""


def place_of(controller: Controller, cluster: str, name: str) -> str:
    """The key of the node that a container is on, "" when on none; NotFound."""
    return _need(controller.state, Container, f"{cluster}/{name}").node_key


def password_hash(controller: Controller, cluster: str) -> str:
    """The hash of a cluster's password; "" when there is none, or no cluster."""
    found = controller.state.get(Cluster, cluster)
    return found.password_hash if found else ""


def events_after(
    controller: Controller, place: tuple[int, int], wants: Callable[[Event], bool]
) -> list[Event]:
    """What happened after (revision, index) and is still in memory, oldest first."""
    return [
        event
        for event in controller.state.events
        if (event.revision, event.index) > place and wants(event)
    ]


def events(
    controller: Controller, since: int | None, limit: int, wants: Callable[[Event], bool]
) -> EventPage:
    """The first events after revision `since`, or without it the last ones; oldest first."""
    state = controller.state
    found: Sequence[Event]
    if since is None:
        found = [event for event in state.events if wants(event)][-limit:]
    else:
        found = _whole_revisions(events_after(controller, (since, 1 << 62), wants), limit)
    last = found[-1].revision if found else state.revision
    return EventPage(items=tuple(map(event_view, found)), next=str(last), revision=state.revision)


def event_view(event: Event) -> EventView:
    """An event as the API shows it: with every field."""
    return EventView(
        revision=event.revision,
        index=event.index,
        time_ms=event.time_ms,
        kind=event.kind,
        cluster=event.cluster,
        name=event.name,
        node=event.node,
        action=event.action,
        why=event.why,
        who=event.who,
    )


def _whole_revisions(found: list[Event], limit: int) -> list[Event]:
    """The first ones, never part of a revision's: the next page begins after a revision."""
    if len(found) <= limit:
        return found
    last = found[limit - 1].revision
    return [event for event in found if event.revision <= last]


def _is_leaving(container: Container, node: str) -> bool:
    return any(copy.node == node for copy in container.leaving)


def _need(state: State, kind: type[T], key: str) -> T:
    thing = state.get(kind, key)
    if thing is None:
        cluster, _, name = key.rpartition("/")
        raise NotFound(
            f"there is no {kind.KIND} {name!r}" + (f" in cluster {cluster!r}" if cluster else ""),
            hint=f"pfi get {kind.KIND}s",
        )
    return thing


Clustered = TypeVar("Clustered", Node, Deployment)
Named = TypeVar("Named")


def _of_cluster(
    state: State, kind: type[Clustered], cluster: str, window: Window
) -> tuple[list[Clustered], str]:
    _need(state, Cluster, cluster)
    found = [
        thing
        for thing in state.all(kind)
        if thing.cluster == cluster
        and all(requirement.holds(thing.labels) for requirement in window.requirements)
    ]
    return _part(found, window, lambda thing: thing.name)


def _part(
    things: Sequence[Named], window: Window, name: Callable[[Named], str]
) -> tuple[list[Named], str]:
    """The window's part of things, and the cursor of the next part."""
    later = sorted((thing for thing in things if name(thing) > window.after), key=name)
    part = later[: window.limit]
    return part, name(part[-1]) if len(later) > len(part) else ""
