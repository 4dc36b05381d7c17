"""What each replica of a deployment is to be, from the one definition of all.

A definition with calls of `$pf-meta:` is rendered for each replica, with the addresses that the
replicas of other deployments have now. What a rendering was made from is remembered with it, so
that it is made again only when something of that has changed.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Deployment
from pathfinder.control.state import State
from pathfinder.model import scripting
from pathfinder.model.definitions import ContainerSpec, with_parts
from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.names import replica_name
from pathfinder.model.scripting import Surroundings

# The parts of a definition in which calls are looked for: the others are not free text.
SCRIPTED: Final = ("environment", "command", "bootstrap")
AWAIT_MS: Final = 60_000  # for how long addresses that are about to come are waited for


class Rendered(NamedTuple):
    """A replica's definition and its digests, which cost more than looking them up.

    error: why it could not be rendered; the definition is then as it was written.
    """

    spec: ContainerSpec
    digest: str
    bootstrap_digest: str
    error: str = ""


class Script(NamedTuple):
    """What a definition's calls need: whether there are any, and whose addresses.

    remade_by: those of them whose new addresses mean a replacement and not another bootstrap.
    """

    is_scripted: bool
    deployments: tuple[str, ...]
    remade_by: tuple[str, ...] = ()


def script_of(spec: ContainerSpec) -> Script:
    """The calls of a definition; DefinitionWrong with the place of one that cannot be made.

    It is rendered once, without addresses, so that what does not fit its place is found now.
    """
    document = spec.document()
    found = [
        call
        for part in SCRIPTED
        if part in document
        for call in scripting.calls(document[part], f"spec.{part}")
    ]
    if found:
        _render(spec, Surroundings(ordinal=1, replica_count=1, addresses=lambda _: ()))
    named, remade_by = (
        tuple(sorted({call.parameters.get("deployment_name", "") for call in some} - {""}))
        for some in (found, [call for call in found if not call.place.startswith("spec.bootstrap")])
    )
    return Script(bool(found), named, remade_by)


def refuse_endless(state: State, deployment: Deployment) -> None:
    """DefinitionWrong when its replicas would be replaced for ever.

    A replacement has another address. Where environments or commands have each other's addresses
    in a circle, every replacement would therefore ask for the next one.
    """
    came_from = {deployment.name: ""}
    ahead = [deployment]
    while ahead:
        here = ahead.pop()
        for name in script_of(here.spec).remade_by if here.is_scripted else ():
            if name == deployment.name:
                raise _endless(came_from, here.name, name)
            other = state.get(Deployment, f"{deployment.cluster}/{name}")
            if name not in came_from and other is not None and other.wanted:
                came_from[name] = here.name
                ahead.append(other)


def _endless(came_from: Mapping[str, str], last: str, name: str) -> DefinitionWrong:
    way = [last]
    while came_from[way[-1]]:
        way.append(came_from[way[-1]])
    circle = " needs ".join([*reversed(way), name])
    return DefinitionWrong(
        "spec",
        f"replicas would be replaced for ever: {circle} in environment or command, and a "
        "replacement has another address",
        hint="have the addresses in bootstrap, which runs again in place",
    )


def trouble(state: State, deployment: Deployment) -> str:
    """Why the replicas of a deployment cannot be what its definition says; "" when they can."""
    for name in deployment.refers:
        other = state.get(Deployment, f"{deployment.cluster}/{name}")
        if other is None or not other.wanted:
            return f"its definition refers to deployment {name!r}, which is not there"
    if deployment.held or not deployment.is_scripted:
        return ""
    each = renderer(state, deployment)
    errors = (each(ordinal).error for ordinal in range(1, deployment.replicas + 1))
    return next((error for error in errors if error), "")


def rendered(state: State, deployment: Deployment, ordinal: int) -> Rendered:
    """The deployment's definition as replica `ordinal` has it, or would have it."""
    return renderer(state, deployment)(ordinal)


def renderer(state: State, deployment: Deployment) -> Callable[[int], Rendered]:
    """The same for several replicas, while the state stays as it is: addresses are found once."""
    if not deployment.is_scripted:
        plain = Rendered(deployment.spec, deployment.digest, deployment.bootstrap_digest)
        return lambda _: plain
    addresses = {
        name: _addresses(state, f"{deployment.cluster}/{name}") for name in deployment.refers
    }
    made_from = (deployment.spec, deployment.replicas, tuple(addresses.values()))
    if state.renderings.get(deployment.key) != made_from:
        state.renderings[deployment.key] = made_from
    made_from = state.renderings[deployment.key]  # one object for all: compared at a glance

    def each(ordinal: int) -> Rendered:
        key = f"{deployment.key}/{ordinal}"
        known = state.renderings.get(key)
        if known is None or known[0] != made_from:
            surroundings = Surroundings(
                ordinal=ordinal,
                replica_count=deployment.replicas,
                addresses=lambda name: addresses.get(name, ()),
            )
            known = state.renderings[key] = (made_from, _rendered(deployment, surroundings))
        answer: Rendered = known[1]
        return answer

    return each


def _rendered(deployment: Deployment, surroundings: Surroundings) -> Rendered:
    try:
        return _render(deployment.spec, surroundings)
    except DefinitionWrong as error:
        return Rendered(
            deployment.spec, deployment.digest, deployment.bootstrap_digest, error.message
        )


def _render(spec: ContainerSpec, surroundings: Surroundings) -> Rendered:
    environment = scripting.rendered(dict(spec.environment), surroundings)
    command = scripting.rendered(list(spec.command), surroundings)
    steps = scripting.rendered([step.document() for step in spec.bootstrap], surroundings)
    made = with_parts(
        spec,
        environment={
            key: value if isinstance(value, str) else _text(value)
            for key, value in environment.items()
        },
        command=[value if isinstance(value, str) else _text(value) for value in command],
        bootstrap=steps,
    )
    return Rendered(made, made.digest(), made.bootstrap_digest())


def _text(value: object) -> str:
    """A number or a list where only text can stand: `3`, `10.0.0.1,10.0.0.2`."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _addresses(state: State, key: str) -> tuple[str, ...]:
    """The addresses of a deployment's wanted replicas, in the order of their numbers."""
    return tuple(each.address for each in _wanted(state, key) if each.address)


def awaited(state: State, deployment: Deployment) -> tuple[str, ...]:
    """The replicas of what a definition refers to that have a node and no address yet."""
    return tuple(
        each.name
        for name in deployment.refers
        for each in _wanted(state, f"{deployment.cluster}/{name}")
        if each.node and not each.address and each.spec.network != "none"
    )


def has_waited(life: Life, deployment: Deployment) -> bool:
    """Whether it has waited for addresses as long as it may.

    By the clock of durations: the wall clock may jump. A server that starts counts anew.
    """
    since_ms = life.held_ms.setdefault(deployment.key, life.now_ms)
    return life.now_ms - since_ms >= AWAIT_MS


def _wanted(state: State, key: str) -> list[Container]:
    """The replicas that there shall be, as far as there are any, in the order of their numbers."""
    deployment = state.get(Deployment, key)
    if deployment is None:
        return []
    names = (
        f"{deployment.cluster}/{replica_name(deployment.name, ordinal)}"
        for ordinal in range(1, deployment.replicas + 1)
    )
    there = (state.get(Container, name) for name in names)
    return [each for each in there if each and each.wanted and each.deployment == deployment.name]
