"""Deployments and containers: what people ask of them, and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace as spec_with

from msgspec.structs import replace

from pathfinder.control.differences import deployment_change
from pathfinder.control.leaving import copy_of, release, stay_or_arrive
from pathfinder.control.manifests import WantedContainer, WantedDeployment
from pathfinder.control.objects import Cluster, Container, Deployment, Image, Node, Orphan, Remote
from pathfinder.control.rendering import Rendered, rendered, renderer, script_of
from pathfinder.control.transaction import Transaction
from pathfinder.model.definitions import ContainerSpec
from pathfinder.model.errors import Conflict, DefinitionWrong, NameTaken
from pathfinder.model.names import replica_name
from pathfinder.model.phases import Phase, may_move

MOVING = (Phase.SCHEDULE_RELOCATION, Phase.RELOCATE_STARTED)


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
    _check_replica_names(tx, wanted)
    script = script_of(wanted.spec)
    new = Deployment(
        cluster=wanted.cluster,
        name=wanted.name,
        replicas=wanted.replicas,
        min_available=wanted.min_available,
        priority=wanted.priority,
        spec=wanted.spec,
        digest=wanted.spec.digest(),
        bootstrap_digest=wanted.spec.bootstrap_digest(),
        labels=dict(wanted.labels),
        created_ms=old.created_ms if old else 0,
        changed_ms=tx.now_ms,
        blocked=old.blocked if old else "",
        is_scripted=script.is_scripted,
        refers=script.deployments,
        held=old.held if old else False,
        held_ms=old.held_ms if old else 0,
        last_error=old.last_error if old else "",
        last_error_ms=old.last_error_ms if old else 0,
        extra=old.extra if old else {},
    )
    if old is not None and replace(new, revision=old.revision, changed_ms=old.changed_ms) == old:
        return old
    tx.happened("changed" if old else "created", new, why=deployment_change(old, new))
    tx.deployments.add(key)
    if old is not None and old.priority != new.priority:
        tx.placing |= tx.state.containers_of_deployment.get(key, set())
    made = tx.put(new)
    if old is not None and old.digest != new.digest:
        know_again(tx, made)
    return made


def know_again(tx: Transaction, deployment: Deployment) -> None:
    """After a restore, nodes told by the digest alone what replicas are made from: perhaps this."""
    each = renderer(tx.state, deployment)
    for replica in tx.state.replicas(deployment.key):
        wanted = each(replica.ordinal)
        if wanted.spec is replica.spec or wanted.digest != replica.digest:
            continue
        if replica.spec.digest() != replica.digest:
            tx.put(replace(replica, spec=spec_with(wanted.spec, bootstrap=replica.spec.bootstrap)))


def put_container(tx: Transaction, wanted: WantedContainer) -> Container:
    """Make a single container, or replace one whose definition has changed."""
    tx.need(Cluster, wanted.cluster)
    _check_image(tx, wanted.cluster, wanted.spec)
    key = f"{wanted.cluster}/{wanted.name}"
    old = tx.state.get(Container, key)
    if old is None:
        made = create(tx, wanted.cluster, wanted.name, wanted.spec, labels=dict(wanted.labels))
        return tx.put(replace(made, priority=wanted.priority)) if wanted.priority else made
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
    if old.priority != wanted.priority:
        tx.placing.add(key)
        old = tx.put(replace(old, priority=wanted.priority))
    if old.digest != wanted.spec.digest():
        return begin_anew(tx, old, wanted.spec, why="its definition changed", labels=wanted.labels)
    if old.bootstrap_digest != wanted.spec.bootstrap_digest():
        labelled = replace(old, labels=dict(wanted.labels))
        return rebootstrap(tx, labelled, wanted.spec, why="its bootstrap changed")
    known = old.spec.digest() == old.digest
    if old.labels != wanted.labels or not known:
        # Not known: after a restore its node told what it is made from, by the digest alone.
        spec = old.spec if known else wanted.spec
        return tx.put(replace(old, spec=spec, labels=dict(wanted.labels)))
    return old


def create_container(tx: Transaction, wanted: WantedContainer) -> Container:
    """Make a single container; NameTaken when there is one that is not on its way out.

    One that is on its way out makes room for it: placed when its node has let go of the old one.
    """
    old = tx.state.get(Container, f"{wanted.cluster}/{wanted.name}")
    if old is None:
        return put_container(tx, wanted)
    if old.wanted:
        raise NameTaken(
            f"there is a container {wanted.name!r} in cluster {wanted.cluster!r} already",
            hint=f"pfi get container {wanted.name}",
        )
    _check_image(tx, wanted.cluster, wanted.spec)
    alone = replace(
        old, wanted=True, deployment="", ordinal=0, created_ms=0, priority=wanted.priority
    )
    return begin_anew(tx, alone, wanted.spec, why="made again", labels=wanted.labels)


def take_over(tx: Transaction, deployment: Deployment) -> None:
    """Let a deployment's replicas count as made by its present definition, as they run.

    What they reserve stays what they were made with; a new generation is made by the definition.
    """
    for container in tx.state.replicas(deployment.key):
        wanted = rendered(tx.state, deployment, container.ordinal)
        if not container.wanted or wanted.error:
            continue
        spec = spec_with(wanted.spec, resources=container.spec.resources)
        new = replace(
            container,
            spec=spec,
            taken_digest="" if wanted.digest == container.digest else wanted.digest,
            bootstrap_digest=wanted.bootstrap_digest,
        )
        if new != container:
            tx.happened("taken_over", new, why="its deployment's definition, without a replacement")
            tx.put(new)


def scale(tx: Transaction, key: str, replicas: int, min_available: int | None) -> Deployment:
    """Change the number of replicas; `min_available` follows when there would be too few."""
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
            priority=old.priority,
            spec=old.spec,
        ),
    )


def delete_deployment(tx: Transaction, key: str) -> Deployment:
    """Let a deployment and all its replicas go. Again is the same."""
    old = tx.need(Deployment, key)
    tx.deployments.add(key)
    if not old.wanted:
        return old
    tx.happened("deleting", old)
    return tx.put(replace(old, wanted=False, changed_ms=tx.now_ms))


def delete_container(tx: Transaction, container: Container, why: str) -> None:
    """Let one container go: at once when no node has it, else when its node has let go."""
    if not container.wanted:
        return
    gone = replace(
        release(tx, container),
        wanted=False,
        nominated="",
        phase=Phase.SCHEDULE_DELETION,
        ready=False,
        why=why,
        hint="",
        error_code="",
        explanation={},
        changed_ms=tx.now_ms,
    )
    tx.happened("deleting", gone, node=container.node, why=why)
    finish_or_put(tx, gone)


def finish_or_put(tx: Transaction, container: Container) -> None:
    """Keep a container, or drop it when it is unwanted and its last copy has gone."""
    if container.wanted or container.leaving:
        tx.put(container)
    else:
        tx.drop(container)
        tx.happened("deleted", container)
    if container.deployment:
        tx.deployments.add(container.group)
    if container.may_be_placed:
        tx.placing.add(container.key)


def reschedule(tx: Transaction, container: Container, why: str) -> Container:
    """Begin a new generation, placed anew once the old one's node has let go of it."""
    if not container.wanted:
        raise Conflict(f"container {container.name!r} is being deleted")
    return begin_anew(tx, container, container.spec, why=why)


def create(
    tx: Transaction, cluster: str, name: str, spec: ContainerSpec, *, labels: dict[str, str]
) -> Container:
    """A single container."""
    what = Rendered(spec, spec.digest(), spec.bootstrap_digest())
    [made] = tx.put_all([_new(tx, cluster, name, what, labels)])
    return _created(tx, [made])[0]


def create_replicas(tx: Transaction, deployment: Deployment, ordinals: Sequence[int]) -> None:
    """The replicas of these numbers."""
    if not ordinals:
        return  # without a look at what they would be, which may have to wait
    each, name = renderer(tx.state, deployment), deployment.name
    first = replace(
        _new(tx, deployment.cluster, name, each(ordinals[0]), deployment.labels),
        deployment=name,
    )
    if deployment.is_scripted:
        whats = [(ordinal, each(ordinal)) for ordinal in ordinals]
        made = [
            replace(
                first,
                name=replica_name(name, ordinal),
                ordinal=ordinal,
                spec=what.spec,
                digest=what.digest,
                bootstrap_digest=what.bootstrap_digest,
            )
            for ordinal, what in whats
        ]
    else:
        made = [
            replace(first, name=replica_name(name, ordinal), ordinal=ordinal)
            for ordinal in ordinals
        ]
    if deployment.refers:
        made = [replace(replica, round=0) for replica in made]
    if tx.state.nodes_with_orphans:
        _created(tx, tx.put_all(made))
    else:
        tx.happened_to("created", made)
        tx.fresh += made


def _new(
    tx: Transaction, cluster: str, name: str, what: Rendered, labels: dict[str, str]
) -> Container:
    number = generation(tx)
    return Container(
        cluster=cluster,
        name=name,
        spec=what.spec,
        digest=what.digest,
        bootstrap_digest=what.bootstrap_digest,
        round=number,
        labels=labels,
        generation=number,
        revision=tx.revision,
        created_ms=tx.now_ms,
        changed_ms=tx.now_ms,
    )


def _created(tx: Transaction, made: list[Container]) -> list[Container]:
    tx.happened_to("created", made)
    tx.placing.update(each.key for each in made)
    return [_claim_orphan(tx, each) for each in made]


def _claim_orphan(tx: Transaction, made: Container) -> Container:
    """A node may hold one of this name that a restored state had forgotten.

    With the same definition it is taken over as it is, with its data, unless somebody has deleted
    it; else it goes first.
    """
    for key in sorted(tx.state.nodes_with_orphans):
        node = tx.need(Node, key)
        orphan = node.orphans.get(made.name)
        if node.cluster != made.cluster or orphan is None:
            continue
        kept = {name: each for name, each in node.orphans.items() if name != made.name}
        with_orphans(tx, node, kept)
        if orphan.digest == made.digest and not (made.node or orphan.is_deleted):
            tx.happened(
                "adopted",
                made,
                node=node.name,
                why="its node has had it since before the server was restored",
            )
            made = tx.put(
                replace(
                    move(made, Phase.SCHEDULED),
                    node=node.name,
                    generation=orphan.generation,
                    assigned=tx.revision,
                )
            )
        else:
            copy = copy_of(tx, made, node.name, orphan.generation)
            made = tx.put(replace(made, leaving=(*made.leaving, copy)))
    return made


def with_orphans(tx: Transaction, node: Node, orphans: dict[str, Orphan]) -> Node:
    """A person has decided about one; the node is told everything anew."""
    tx.nodes.add(node.key)
    tx.tell_all.add(node.key)
    return tx.put(replace(node, orphans=orphans))


def begin_anew(
    tx: Transaction,
    old: Container,
    spec: ContainerSpec,
    *,
    why: str,
    labels: Mapping[str, str] | None = None,
    is_held: bool = False,
) -> Container:
    """A new generation, placed when the node of the old one has let go of it.

    `is_held`: its bootstrap waits for a word of its own.
    """
    released = release(tx, old)
    waits = ""
    if released.leaving:
        waits = f"; waits for {released.leaving[-1].node} to let go of what runs there"
    new = replace(
        next_generation(tx, released, why=why + waits),
        spec=spec,
        digest=spec.digest(),
        bootstrap_digest=spec.bootstrap_digest(),
        labels=old.labels if labels is None else dict(labels),
        round=0 if is_held else generation(tx),
    )
    tx.happened("replacing", new, node=old.node, why=why)
    finish_or_put(tx, new)
    return new


def redefine(tx: Transaction, old: Container, spec: ContainerSpec) -> Container:
    """Another definition, and what runs is left as it is: it is made by it when begun anew.

    Its digest stays that of what its node has, which would replace it otherwise.
    """
    if not old.wanted:
        raise Conflict(f"container {old.name!r} is being deleted")
    if old.deployment:
        raise Conflict(
            f"{old.name!r} is a replica of deployment {old.deployment!r}",
            hint=f"change the deployment: pfi get deployment {old.deployment} -o yaml",
        )
    _check_image(tx, old.cluster, spec)
    new = replace(old, spec=spec, bootstrap_digest=spec.bootstrap_digest())
    if new == old:
        return old
    tx.happened("changed", new, why="its definition changed; what runs is left as it is")
    return tx.put(new)


def rebootstrap(tx: Transaction, old: Container, spec: ContainerSpec, *, why: str) -> Container:
    """A new round of bootstrap where the container is, by the steps of `spec` and nothing else.

    One that does not run yet waits for it.
    """
    if not old.wanted:
        raise Conflict(f"container {old.name!r} is being deleted")
    if old.phase in MOVING:
        raise Conflict(
            f"container {old.name!r} is being relocated",
            hint=f"wait until it has moved: pfi wait container/{old.name}",
        )
    new = replace(
        stay_or_arrive(tx, old, "it is bootstrapped again"),
        spec=spec_with(old.spec, bootstrap=spec.bootstrap),
        bootstrap_digest=spec.bootstrap_digest(),
        round=generation(tx),
        phase=min(old.phase, Phase.PROVISIONED),
        assigned=tx.revision if old.node else 0,
        ready=False,
        bootstrap_tries=0,
        bootstrap_exit_code=-1,
        why=why,
        hint="",
        error_code="",
        changed_ms=tx.now_ms,
    )
    if old.node:
        tx.nodes.add(old.node_key)
    tx.happened("rebootstrapping", new, why=why)
    finish_or_put(tx, new)
    return new


def next_generation(tx: Transaction, released: Container, *, why: str) -> Container:
    """A container that has no node, from its beginning again; the caller puts it."""
    assert not released.node, "what its node has must be counted as leaving first"
    return replace(
        released,
        generation=generation(tx),
        phase=Phase.PENDING,
        round=generation(tx),
        taken_digest="",
        earlier=(),
        relocation_error="",
        relocation_hint="",
        address="",
        bootstrap_tries=0,
        bootstrap_exit_code=-1,
        ready=False,
        started_ms=0,
        restarts=0,
        ended="",
        why=why,
        hint="",
        error_code="",
        explanation={},
        nominated="",
        changed_ms=tx.now_ms,
    )


def generation(tx: Transaction) -> int:
    """The number of a new generation: the epoch above, the revision below.

    No two leaders ever issue the same one, and a later one is always greater: also for a container
    that has been deleted and made again under the same name.
    """
    assert tx.revision < 1 << 32, "revisions fill the lower half"
    return tx.epoch << 32 | tx.revision


def move(container: Container, phase: Phase) -> Container:
    """The container in a later phase of the same generation."""
    assert may_move(container.phase, phase), (container.key, container.phase, phase)
    return replace(container, phase=phase)


def _check_image(tx: Transaction, cluster: str, spec: ContainerSpec) -> None:
    remote = tx.state.get(Remote, f"{cluster}/{spec.image.remote}") if spec.image.remote else None
    if spec.image.remote and remote is None:
        is_tag = spec.kind == "application" and bool(spec.image.alias)
        tag = f'for a tag write image: {{alias: "{spec.image.text()}"}}; ' if is_tag else ""
        raise DefinitionWrong(
            "spec.image.remote",
            f"there is no remote {spec.image.remote!r} in cluster {cluster!r}",
            hint=f"{tag}pfi get remotes; add one with pfi apply (kind: Remote)",
        )
    if remote is not None and (remote.protocol == "registry") != (spec.kind == "application"):
        raise DefinitionWrong(
            "spec.image.remote",
            f"{spec.kind} containers have no images from {remote.name!r} ({remote.protocol})",
            hint="application containers: protocol registry; system: daemon or simplestreams",
        )
    image = tx.state.get(Image, f"{cluster}/{spec.image.alias}") if spec.image.alias else None
    if image is not None and image.kind != spec.kind:
        raise DefinitionWrong(
            "spec.image",
            f"{image.name!r} is an image for {image.kind} containers, and this one is {spec.kind}",
        )


def _check_replica_names(tx: Transaction, wanted: WantedDeployment) -> None:
    there, begin = tx.state.things[Container.KIND], f"{wanted.cluster}/"
    for ordinal in range(1, wanted.replicas + 1):
        name = replica_name(wanted.name, ordinal)
        taken = there.get(begin + name)
        if isinstance(taken, Container) and taken.deployment != wanted.name:
            raise NameTaken(
                f"container {name!r} exists and is not a replica of {wanted.name!r}",
                hint="delete it or choose another name: Pathfinder touches only replicas it made",
            )
