"""What follows from a change: rollouts go on, replicas appear and go, what waits is placed."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Deployment
from pathfinder.control.placing import place_waiting
from pathfinder.control.relocating import WITH_DATA
from pathfinder.control.rendering import (
    Rendered,
    awaited,
    has_waited,
    rendered,
    renderer,
    trouble,
)
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import (
    begin_anew,
    create_replicas,
    delete_container,
    know_again,
    rebootstrap,
)
from pathfinder.model.phases import Phase
from pathfinder.reconcile.deployments import Change, Replica, Steps, Wanted, deployment_steps

NAMES_SHOWN_MAX = 3
ROUNDS_MAX = 4  # reconciling and placing feed each other: create, place, done


def settle(tx: Transaction, life: Life) -> None:
    """Bring everything that this transaction touched as far as it can go now."""
    tx.deployments |= _referrers(tx, tx.deployments)
    for _ in range(ROUNDS_MAX):
        touched, tx.deployments = tx.deployments, set()
        moved = {key for key in sorted(touched) if _reconcile(tx, life, key)}
        tx.deployments |= _referrers(tx, moved)
        place_waiting(tx, life, WITH_DATA)
        if not tx.deployments:
            return
    assert not tx.deployments, "reconciling does not come to rest"


def _referrers(tx: Transaction, keys: Iterable[str]) -> set[str]:
    """The deployments whose definitions refer to one of these."""
    referrers = tx.state.referrers
    return {key for each in keys if each in referrers for key in referrers[each]}


def change_of(container: Container, wanted: Rendered) -> tuple[Change, str]:
    """What would make a container what it is wanted to be, and why."""
    if wanted.digest not in (container.digest, container.taken_digest):
        return "replace", f"the definition changed ({container.digest} to {wanted.digest})"
    if wanted.spec.bootstrap and not container.round:
        # Its first round: what its steps say is looked at when they are about to be run.
        if container.phase < Phase.PROVISIONED:
            return "none", ""
        return "rebootstrap", "what its bootstrap needs is known"
    if container.bootstrap_digest != wanted.bootstrap_digest:
        return "rebootstrap", "its bootstrap changed"
    return "none", ""


def steps_of(
    state: State,
    containers: Iterable[Container],
    deployment: Deployment,
    life: Life,
    *,
    looks_at_changes: bool = True,
) -> Steps:
    """What the reconcile room says about a deployment as it is.

    Without looking at changes, no rendering is needed: for one that is held, as addresses appear.
    """
    replicas = []
    each = renderer(state, deployment) if looks_at_changes else None
    held = f"waits for the address of {_few(awaited(state, deployment))}" if deployment.held else ""
    for container in containers:
        change, why = change_of(container, each(container.ordinal)) if each else ("none", "")
        is_now_ready = life.is_ready(container)
        replicas.append(
            Replica(
                name=container.name,
                ordinal=container.ordinal,
                change=change,
                why=why,
                ready=is_now_ready,
                leaving=not container.wanted,
                replacing=container.wanted and not is_now_ready,
                held=held if change != "none" else "",
                stuck="" if is_now_ready else _stuck(container, change, life),
            )
        )
    return deployment_steps(
        Wanted(
            name=deployment.name,
            replica_count=deployment.replicas,
            min_available=deployment.min_available,
        ),
        replicas,
    )


def _reconcile(tx: Transaction, life: Life, key: str) -> bool:
    """Take the steps that a deployment needs; whether others may see other addresses now."""
    deployment = tx.state.get(Deployment, key)
    if deployment is None:
        return False
    if is_as_wanted(tx.state, deployment):
        tx.deployments.discard(key)
        return False
    replicas = tx.state.replicas(key)
    if not deployment.wanted:
        return _let_go(tx, deployment, replicas)
    deployment = _tell_trouble(tx, _hold(tx, life, deployment))
    if deployment.last_error:
        if not life.recovering:
            _delete_surplus(tx, deployment, replicas, life)
        tx.deployments.discard(key)
        return False
    if life.recovering:
        # A replica that looks unready may run on a node that has not been heard yet.
        _create_missing(tx, deployment, replicas)
        return False
    is_free = not deployment.held
    if is_free and deployment.is_scripted:
        know_again(tx, deployment)  # with addresses that were not known before
        replicas = tx.state.replicas(key)
    steps = steps_of(tx.state, replicas, deployment, life, looks_at_changes=is_free)
    _take(tx, deployment, steps, {container.name: container for container in replicas})
    tx.deployments.discard(key)  # its own steps have touched it again
    if is_free and steps.blocked != deployment.blocked:
        tx.put(replace(deployment, blocked=steps.blocked))
        if steps.blocked:
            tx.happened("blocked", deployment, why=steps.blocked)
    return bool(steps.create or steps.replace or steps.delete)


def is_as_wanted(state: State, deployment: Deployment) -> bool:
    """Whether there is nothing to do but to wait: the usual case, found out without any step.

    As `deployment_steps` would say: exactly the wanted replicas, all made by its definition.
    """
    if not deployment.wanted or deployment.is_scripted or deployment.held:
        return False
    if deployment.blocked or deployment.last_error:
        return False
    keys = state.containers_of_deployment.get(deployment.key, ())
    return len(keys) == state.as_defined[deployment.key] == deployment.replicas


def _let_go(tx: Transaction, deployment: Deployment, replicas: list[Container]) -> bool:
    is_news = any(container.wanted for container in replicas)
    for container in replicas:
        delete_container(tx, container, "its deployment is deleted")
    tx.deployments.discard(deployment.key)
    if not tx.state.replicas(deployment.key):
        tx.drop(deployment)
        tx.happened("deleted", deployment)
        return True
    return is_news


def _take(
    tx: Transaction, deployment: Deployment, steps: Steps, by_name: Mapping[str, Container]
) -> None:
    create_replicas(tx, deployment, steps.create)
    for name in steps.replace:
        container = by_name[name]
        begin_anew(
            tx,
            container,
            rendered(tx.state, deployment, container.ordinal).spec,
            why="its deployment's definition changed",
            is_held=bool(deployment.refers),
        )
    for name in steps.rebootstrap:
        container = by_name[name]
        spec = rendered(tx.state, deployment, container.ordinal).spec
        rebootstrap(tx, container, spec, why=steps.why[name])
    for name in steps.delete:
        delete_container(tx, by_name[name], f"{deployment.name} has {deployment.replicas} replicas")


def _delete_surplus(
    tx: Transaction, deployment: Deployment, replicas: list[Container], life: Life
) -> None:
    """All that can be done while it is not known what its replicas are to be."""
    steps = steps_of(tx.state, replicas, deployment, life, looks_at_changes=False)
    for container in replicas:
        if container.name in steps.delete:
            delete_container(tx, container, steps.why[container.name])


def _tell_trouble(tx: Transaction, deployment: Deployment) -> Deployment:
    """Keep why a deployment cannot go on, and since when; forget it when it can again."""
    error = trouble(tx.state, deployment)
    if error == deployment.last_error:
        return deployment
    tx.happened("failed" if error else "recovered", deployment, why=error)
    return tx.put(replace(deployment, last_error=error, last_error_ms=tx.now_ms if error else 0))


def _hold(tx: Transaction, life: Life, deployment: Deployment) -> Deployment:
    """While addresses that its definition needs are about to come, its replicas stay as they are.

    Else twenty that start together would be bootstrapped anew with every address that appears.
    For at most AWAIT_MS: then with what is known, and again when the rest has come.
    """
    if not deployment.refers or not awaited(tx.state, deployment):
        life.held_ms.pop(deployment.key, None)
        new = replace(deployment, held=False, held_ms=0)
    elif not deployment.held_ms:
        life.held_ms[deployment.key] = life.now_ms
        new = replace(deployment, held=True, held_ms=tx.now_ms)
    else:
        new = replace(deployment, held=deployment.held and not has_waited(life, deployment))
    return deployment if new == deployment else tx.put(new)


def _stuck(container: Container, change: Change, life: Life) -> str:
    """Why a replica that is not ready will not be by waiting alone, "" when it may be.

    What is about to be changed may be ready then, unless a lost node has to let go of it first.
    """
    lost = [
        node
        for node in (container.node, *(copy.node for copy in container.leaving))
        if node and life.status(f"{container.cluster}/{node}") == "lost"
    ]
    if lost and container.spec.type == "STATEFUL":
        dead = f"pfi delete node {lost[0]} --force"
        return f"node {lost[0]} is lost: bring it back, or when it is dead for certain: {dead}"
    if change != "none":
        return ""
    if container.phase in (Phase.PROVISION_ERROR, Phase.BOOTSTRAP_ERROR):
        return container.why or "it failed"
    if container.phase == Phase.PENDING and container.explanation and not container.leaving:
        return container.why
    return ""


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN_MAX])
    return f"{shown} and {len(names) - NAMES_SHOWN_MAX} more" if names[NAMES_SHOWN_MAX:] else shown


def _create_missing(tx: Transaction, deployment: Deployment, replicas: list[Container]) -> None:
    present = {container.ordinal for container in replicas}
    wanted = range(1, deployment.replicas + 1)
    create_replicas(tx, deployment, [ordinal for ordinal in wanted if ordinal not in present])
    tx.deployments.discard(deployment.key)
