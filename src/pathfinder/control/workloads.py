"""Deployments and containers: what people ask of them, and what follows from it."""

from collections.abc import Iterable

from msgspec.structs import replace

from pathfinder.control.life import Life
from pathfinder.control.manifests import WantedContainer, WantedDeployment
from pathfinder.control.objects import Cluster, Container, Copy, Deployment, Image, Remote
from pathfinder.control.transaction import Transaction
from pathfinder.model.definitions import ContainerSpec
from pathfinder.model.errors import Conflict, DefinitionWrong, NameTaken
from pathfinder.model.phases import Phase, may_move
from pathfinder.model.selectors import requirement
from pathfinder.reconcile.deployments import Replica, Steps, Wanted, deployment_steps
from pathfinder.scheduler.place import Placement, Request, place

ROUNDS_MAX = 4  # reconcile and place feed each other at most create -> place -> done


def put_deployment(tx: Transaction, wanted: WantedDeployment) -> Deployment:
    """Make or change a deployment; what follows is `settle`'s."""
    tx.need(Cluster, wanted.cluster)
    _check_image(tx, wanted.cluster, wanted.spec)
    key = f"{wanted.cluster}/{wanted.name}"
    old = tx.state.get(Deployment, key)
    if old is not None and not old.wanted:
        raise Conflict(
            f"deployment {wanted.name!r} is being deleted",
            hint=f"wait: pfi wait deployment/{wanted.name} --for deleted",
        )
    for ordinal in range(1, wanted.replicas + 1):
        _check_replica_name(tx, wanted, ordinal)
    new = Deployment(
        cluster=wanted.cluster,
        name=wanted.name,
        replicas=wanted.replicas,
        min_available=wanted.min_available,
        spec=wanted.spec,
        digest=wanted.spec.digest(),
        labels=dict(wanted.labels),
        created_ms=old.created_ms if old else 0,
        changed_ms=tx.now_ms,
        blocked=old.blocked if old else "",
        extra=old.extra if old else {},
    )
    if old is not None and replace(new, revision=old.revision, changed_ms=old.changed_ms) == old:
        return old
    tx.event(
        "changed" if old else "created",
        kind="deployment",
        cluster=new.cluster,
        name=new.name,
        why=_deployment_change(old, new),
    )
    tx.deployments.add(key)
    return tx.put(new)


def put_container(tx: Transaction, wanted: WantedContainer) -> Container:
    """Make a single container, or replace one whose definition has changed."""
    tx.need(Cluster, wanted.cluster)
    _check_image(tx, wanted.cluster, wanted.spec)
    key = f"{wanted.cluster}/{wanted.name}"
    old = tx.state.get(Container, key)
    if old is None:
        return _create(tx, wanted.cluster, wanted.name, wanted.spec, labels=dict(wanted.labels))
    if old.deployment:
        raise NameTaken(
            f"{wanted.name!r} is a replica of deployment {old.deployment!r}",
            hint=f"change the deployment: pfi get deployment {old.deployment} -o yaml",
        )
    if not old.wanted:
        raise Conflict(
            f"container {wanted.name!r} is being deleted",
            hint=f"wait: pfi wait container/{wanted.name} --for deleted",
        )
    if old.digest != wanted.spec.digest():
        return _replace(tx, old, wanted.spec, why="its definition changed", labels=wanted.labels)
    if old.labels != wanted.labels:
        return tx.put(replace(old, labels=dict(wanted.labels)))
    return old


def scale(tx: Transaction, key: str, replicas: int, min_available: int | None) -> Deployment:
    """Change the number of replicas; `min_available` follows when it would be more than there are."""
    old = tx.need(Deployment, key)
    if not old.wanted:
        raise Conflict(f"deployment {old.name!r} is being deleted")
    floor = old.min_available if min_available is None else min_available
    if min_available is None and floor > max(replicas - 1, 0):
        floor = max(replicas - 1, 0)
    return put_deployment(
        tx,
        WantedDeployment(
            cluster=old.cluster,
            name=old.name,
            labels=old.labels,
            replicas=replicas,
            min_available=floor,
            spec=old.spec,
        ),
    )


def delete_deployment(tx: Transaction, key: str) -> Deployment:
    """Let a deployment and all its replicas go. Again is the same."""
    old = tx.need(Deployment, key)
    tx.deployments.add(key)
    if not old.wanted:
        return old
    tx.event("deleting", kind="deployment", cluster=old.cluster, name=old.name)
    return tx.put(replace(old, wanted=False, changed_ms=tx.now_ms))


def delete_container(tx: Transaction, container: Container, why: str) -> None:
    """Let one container go: at once when no node has it, else when its node has let go."""
    if not container.wanted:
        return
    gone = replace(
        release(tx, container),
        wanted=False,
        phase=Phase.SCHEDULE_DELETION,
        ready=False,
        why=why,
        hint="",
        error_code="",
        explanation={},
        changed_ms=tx.now_ms,
    )
    tx.event(
        "deleting",
        kind="container",
        cluster=gone.cluster,
        name=gone.name,
        node=container.node,
        why=why,
    )
    finish_or_put(tx, gone)


def finish_or_put(tx: Transaction, container: Container) -> None:
    """Keep a container, or drop it when it is unwanted and its last copy has gone."""
    if container.wanted or container.leaving:
        tx.put(container)
    else:
        tx.drop(container)
        tx.event("deleted", kind="container", cluster=container.cluster, name=container.name)
    if container.deployment:
        tx.deployments.add(container.group)
    if container.wanted and container.phase == Phase.PENDING and not container.leaving:
        tx.placing.add(container.key)


def reschedule(tx: Transaction, container: Container, why: str) -> Container:
    """Begin a new generation, placed anew once the old one's node has let go of it."""
    if not container.wanted:
        raise Conflict(f"container {container.name!r} is being deleted")
    return _replace(tx, container, container.spec, why=why)


def release(tx: Transaction, container: Container) -> Container:
    """The container without a node; what the node had is on its way out, and counted."""
    if not container.node:
        return container
    tx.nodes.add(container.node_key)
    leaving = Copy(
        node=container.node,
        generation=container.generation,
        resources=container.spec.resources,
        group=container.group,
        revision=tx.revision,
    )
    return replace(
        container, node="", assigned=0, addresses=(), leaving=(*container.leaving, leaving)
    )


def settle(tx: Transaction, life: Life) -> None:
    """Bring everything that this transaction touched as far as it can go now."""
    for _ in range(ROUNDS_MAX):
        touched, tx.deployments = tx.deployments, set()
        for key in sorted(touched):
            _reconcile(tx, life, key)
        _place(tx, life)
        if not tx.deployments:
            return
    assert not tx.deployments, "reconciling does not come to rest"


def is_ready(container: Container, life: Life) -> bool:
    """Whether a container counts as ready: it said so, and its node is still heard."""
    return container.ready and bool(container.node) and life.status(container.node_key) != "lost"


def steps_of(tx_state_replicas: Iterable[Container], deployment: Deployment, life: Life) -> Steps:
    """What the reconcile room says about a deployment as it is."""
    replicas = [
        Replica(
            name=container.name,
            ordinal=container.ordinal,
            digest=container.digest,
            ready=is_ready(container, life),
            leaving=not container.wanted,
            replacing=container.wanted and not is_ready(container, life),
        )
        for container in tx_state_replicas
    ]
    return deployment_steps(
        Wanted(
            name=deployment.name,
            replica_count=deployment.replicas,
            min_available=deployment.min_available,
            digest=deployment.digest,
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
            tx.event("deleted", kind="deployment", cluster=deployment.cluster, name=deployment.name)
        return
    if life.recovering:
        # A replica that looks unready may run on a node that has not been heard yet.
        _create_missing(tx, deployment, replicas)
        return
    steps = steps_of(replicas, deployment, life)
    for ordinal in steps.create:
        _create_replica(tx, deployment, ordinal)
    by_name = {container.name: container for container in replicas}
    for name in steps.replace:
        _replace(tx, by_name[name], deployment.spec, why="its deployment's definition changed")
    for name in steps.delete:
        delete_container(tx, by_name[name], f"{deployment.name} has {deployment.replicas} replicas")
    tx.deployments.discard(key)
    if steps.blocked != deployment.blocked:
        tx.put(replace(deployment, blocked=steps.blocked))
        if steps.blocked:
            tx.event(
                "blocked",
                kind="deployment",
                cluster=deployment.cluster,
                name=deployment.name,
                why=steps.blocked,
            )


def _create_missing(tx: Transaction, deployment: Deployment, replicas: list[Container]) -> None:
    present = {container.ordinal for container in replicas}
    for ordinal in range(1, deployment.replicas + 1):
        if ordinal not in present:
            _create_replica(tx, deployment, ordinal)
    tx.deployments.discard(deployment.key)


def _create_replica(tx: Transaction, deployment: Deployment, ordinal: int) -> Container:
    return _create(
        tx,
        deployment.cluster,
        deployment.replica(ordinal),
        deployment.spec,
        labels=deployment.labels,
        deployment=deployment.name,
        ordinal=ordinal,
    )


def _create(
    tx: Transaction,
    cluster: str,
    name: str,
    spec: ContainerSpec,
    *,
    labels: dict[str, str],
    deployment: str = "",
    ordinal: int = 0,
) -> Container:
    made = tx.put(
        Container(
            cluster=cluster,
            name=name,
            spec=spec,
            digest=spec.digest(),
            labels=labels,
            deployment=deployment,
            ordinal=ordinal,
            generation=generation(tx),
            changed_ms=tx.now_ms,
        )
    )
    tx.event("created", kind="container", cluster=cluster, name=name)
    tx.placing.add(made.key)
    return made


def _replace(
    tx: Transaction,
    old: Container,
    spec: ContainerSpec,
    *,
    why: str,
    labels: object = None,
) -> Container:
    released = release(tx, old)
    new = replace(
        released,
        spec=spec,
        digest=spec.digest(),
        labels=dict(labels) if isinstance(labels, dict) else old.labels,
        generation=generation(tx),
        phase=Phase.PENDING,
        ready=False,
        started_ms=0,
        restarts=0,
        why=f"{why}; waits for {released.leaving[-1].node} to let go of what runs there"
        if released.leaving
        else why,
        hint="",
        error_code="",
        explanation={},
        changed_ms=tx.now_ms,
    )
    tx.event(
        "replacing", kind="container", cluster=new.cluster, name=new.name, node=old.node, why=why
    )
    finish_or_put(tx, new)
    return new


def generation(tx: Transaction) -> int:
    """The number of a new generation: the epoch above, the revision below.

    No two leaders ever issue the same one, and a later one is always greater: also for a container
    that has been deleted and made again under the same name.
    """
    assert tx.revision < 1 << 32, "revisions fill the lower half"
    return tx.epoch << 32 | tx.revision


def _place(tx: Transaction, life: Life) -> None:
    keys = tx.state.pending if tx.place_all else tx.placing & tx.state.pending
    waiting = sorted(tx.state.containers(keys), key=lambda c: (c.created_ms, c.revision, c.key))
    tx.placing, tx.place_all = set(), False
    if not waiting:
        return
    if life.recovering:
        for container in waiting:
            _explain(tx, container, {"text": _recovering_text(tx, life, container.cluster)})
        return
    requests = [
        Request(
            name=container.name,
            cluster=container.cluster,
            kind=container.spec.kind,
            need=container.spec.resources,
            constraints=tuple(requirement(text, "") for text in container.spec.constraints),
            group=container.group,
        )
        for container in waiting
    ]
    for container, decision in zip(waiting, place(tx.state.fleet, requests), strict=True):
        if isinstance(decision, Placement):
            _assign(tx, container, decision)
        else:
            _explain(tx, container, decision.explanation.document())


def _assign(tx: Transaction, container: Container, placement: Placement) -> None:
    node = placement.node_key.partition("/")[2]
    tx.put(
        replace(
            move(container, Phase.SCHEDULED),
            node=node,
            assigned=tx.revision,
            why=placement.why,
            hint="",
            explanation={},
            changed_ms=tx.now_ms,
        )
    )
    tx.nodes.add(placement.node_key)
    tx.event(
        "scheduled",
        kind="container",
        cluster=container.cluster,
        name=container.name,
        node=node,
        why=placement.why,
    )


def move(container: Container, phase: Phase) -> Container:
    """The container in a later phase of the same generation."""
    assert may_move(container.phase, phase), (container.key, container.phase, phase)
    return replace(container, phase=phase)


def _explain(tx: Transaction, container: Container, explanation: dict[str, object]) -> None:
    if container.explanation == explanation:
        return
    why = str(explanation.get("text", ""))
    tx.put(replace(container, explanation=explanation, why=why, changed_ms=tx.now_ms))
    if why != container.why:
        tx.event(
            "unplaced", kind="container", cluster=container.cluster, name=container.name, why=why
        )


def _recovering_text(tx: Transaction, life: Life, cluster: str) -> str:
    unheard = sorted(key for key, node in life.nodes.items() if node.heard_ms is None)
    names = ", ".join(key.partition("/")[2] for key in unheard[:5]) or "its nodes"
    return f"the server has just started and first hears {names}, for at most 14 s"


def _check_image(tx: Transaction, cluster: str, spec: ContainerSpec) -> None:
    if spec.image.remote and tx.state.get(Remote, f"{cluster}/{spec.image.remote}") is None:
        raise DefinitionWrong(
            "spec.image.remote",
            f"there is no remote {spec.image.remote!r} in cluster {cluster!r}",
            hint="pfi get remotes; add one with pfi apply (kind: Remote)",
        )
    image = tx.state.get(Image, f"{cluster}/{spec.image.alias}") if spec.image.alias else None
    if image is not None and image.kind != spec.kind:
        raise DefinitionWrong(
            "spec.image",
            f"{image.name!r} is an image for {image.kind} containers, and this one is {spec.kind}",
        )


def _check_replica_name(tx: Transaction, wanted: WantedDeployment, ordinal: int) -> None:
    name = f"{wanted.name}-{ordinal:02}"
    taken = tx.state.get(Container, f"{wanted.cluster}/{name}")
    if taken is not None and taken.deployment != wanted.name:
        raise NameTaken(
            f"container {name!r} exists and is not a replica of {wanted.name!r}",
            hint="delete it or choose another name: Pathfinder touches only replicas it made",
        )


def _deployment_change(old: Deployment | None, new: Deployment) -> str:
    if old is None:
        return f"{new.replicas} replicas of {new.spec.image.text()}"
    said = []
    if old.replicas != new.replicas:
        said.append(f"replicas {old.replicas} -> {new.replicas}")
    if old.min_available != new.min_available:
        said.append(f"min_available {old.min_available} -> {new.min_available}")
    if old.digest != new.digest:
        said.append("its definition changed")
    if old.labels != new.labels:
        said.append("its labels changed")
    return ", ".join(said)
