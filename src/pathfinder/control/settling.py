"""What follows from a change: rollouts go on, replicas appear and go, what waits is placed."""

from collections.abc import Iterable

from msgspec.structs import replace

from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Deployment
from pathfinder.control.placing import place_waiting
from pathfinder.control.rendering import Rendered, rendered
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import begin_anew, create, delete_container, rebootstrap
from pathfinder.reconcile.deployments import Change, Replica, Steps, Wanted, deployment_steps

ROUNDS_MAX = 4  # reconciling and placing feed each other: create, place, done


def settle(tx: Transaction, life: Life) -> None:
    """Bring everything that this transaction touched as far as it can go now."""
    for _ in range(ROUNDS_MAX):
        touched, tx.deployments = tx.deployments, set()
        for key in sorted(touched):
            _reconcile(tx, life, key)
        place_waiting(tx, life)
        if not tx.deployments:
            return
    assert not tx.deployments, "reconciling does not come to rest"


def is_ready(container: Container, life: Life) -> bool:
    """Whether a container counts as ready: it said so, and its node is still heard."""
    return container.ready and bool(container.node) and life.status(container.node_key) != "lost"


def change_of(container: Container, wanted: Rendered) -> tuple[Change, str]:
    """What would make a container what it is wanted to be, and why."""
    if container.digest != wanted.digest:
        return "replace", f"the definition changed ({container.digest} to {wanted.digest})"
    if container.bootstrap_digest != wanted.bootstrap_digest:
        return "rebootstrap", "its bootstrap changed"
    return "none", ""


def steps_of(containers: Iterable[Container], deployment: Deployment, life: Life) -> Steps:
    """What the reconcile room says about a deployment as it is."""
    replicas, wanted = [], rendered(deployment)
    for container in containers:
        change, why = change_of(container, wanted)
        is_now_ready = is_ready(container, life)
        replicas.append(
            Replica(
                name=container.name,
                ordinal=container.ordinal,
                change=change,
                why=why,
                ready=is_now_ready,
                leaving=not container.wanted,
                replacing=container.wanted and not is_now_ready,
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


def _reconcile(tx: Transaction, life: Life, key: str) -> None:
    deployment = tx.state.get(Deployment, key)
    if deployment is None:
        return
    replicas = tx.state.replicas(key)
    if not deployment.wanted:
        for container in replicas:
            delete_container(tx, container, "its deployment is deleted")
        tx.deployments.discard(key)
        if not tx.state.replicas(key):
            tx.drop(deployment)
            tx.happened("deleted", deployment)
        return
    if life.recovering:
        # A replica that looks unready may run on a node that has not been heard yet.
        _create_missing(tx, deployment, replicas)
        return
    steps = steps_of(replicas, deployment, life)
    for ordinal in steps.create:
        _create_replica(tx, deployment, ordinal)
    by_name = {container.name: container for container in replicas}
    spec = rendered(deployment).spec
    for name in steps.replace:
        begin_anew(tx, by_name[name], spec, why="its deployment's definition changed")
    for name in steps.rebootstrap:
        rebootstrap(tx, by_name[name], spec, why=steps.why[name])
    for name in steps.delete:
        delete_container(tx, by_name[name], f"{deployment.name} has {deployment.replicas} replicas")
    tx.deployments.discard(key)
    if steps.blocked != deployment.blocked:
        tx.put(replace(deployment, blocked=steps.blocked))
        if steps.blocked:
            tx.happened("blocked", deployment, why=steps.blocked)


def _create_missing(tx: Transaction, deployment: Deployment, replicas: list[Container]) -> None:
    present = {container.ordinal for container in replicas}
    for ordinal in range(1, deployment.replicas + 1):
        if ordinal not in present:
            _create_replica(tx, deployment, ordinal)
    tx.deployments.discard(deployment.key)


def _create_replica(tx: Transaction, deployment: Deployment, ordinal: int) -> Container:
    return create(
        tx,
        deployment.cluster,
        deployment.name,
        rendered(deployment).spec,
        labels=deployment.labels,
        ordinal=ordinal,
    )
