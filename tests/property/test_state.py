"""Containers that are put together are as if each had been put alone, whatever was there before."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.control.objects import Cluster, Container, Copy, Deployment
from pathfinder.control.state import State
from pathfinder.model.definitions import ContainerSpec, container_spec
from pathfinder.model.phases import Phase
from tests.support.control_room import CLUSTER, picture

NODES = ("", "n1", "n2")
OWNERS = ("", "api", "web")


def spec(**fields: Any) -> ContainerSpec:
    return container_spec({"image": "busybox", "resources": {"memory_mib": 100}, **fields})


SPECS = (
    spec(type="STATELESS"),
    spec(type="STATEFUL"),
    spec(resources={"memory_mib": 100, "extra": {"gpu": 1}}),
    spec(affinity=[{"deployment": "web", "over": "rack"}]),
)


@st.composite
def containers(draw: st.DrawFn) -> dict[str, Container]:
    """Some replicas and some single ones, those of one owner mostly of one definition."""
    made = []
    for owner in OWNERS:
        of_all = draw(st.sampled_from(SPECS))
        ordinals = draw(st.lists(st.sampled_from((1, 2, 3)), unique=True))
        made += [draw(one(owner, ordinal, of_all)) for ordinal in ordinals]
    return {each.key: each for each in made}


@st.composite
def one(draw: st.DrawFn, owner: str, ordinal: int, of_all: ContainerSpec) -> Container:
    """A container of some owner, on a node or not, that may be leaving another one."""
    made_from = draw(st.sampled_from((of_all, of_all, SPECS[0])))
    node = draw(st.sampled_from(NODES))
    copy = Copy(
        node="n2",
        generation=1,
        resources=made_from.resources,
        group=f"{CLUSTER}/{owner}" if owner else "",
        abandoned=draw(st.booleans()),
        revision=1,
    )
    return Container(
        cluster=CLUSTER,
        name=f"{owner or 'single'}-{ordinal:02}",
        deployment=owner,
        ordinal=ordinal if owner else 0,
        spec=made_from,
        digest=made_from.digest(),
        round=draw(st.sampled_from((0, 1))),
        wanted=draw(st.booleans()),
        phase=Phase.SCHEDULED if node else Phase.PENDING,
        node=node,
        nominated="" if node else draw(st.sampled_from(NODES)),
        leaving=(copy,) if draw(st.booleans()) else (),
    )


def with_deployments() -> State:
    state = State()
    state.set(Cluster.KIND, CLUSTER, Cluster(name=CLUSTER))
    for name, made_from in zip(OWNERS[1:], SPECS, strict=False):
        owner = Deployment(
            cluster=CLUSTER,
            name=name,
            replicas=2,
            min_available=0,
            spec=made_from,
            digest=made_from.digest(),
        )
        state.set(Deployment.KIND, owner.key, owner)
    return state


@given(before=containers(), after=containers())
def test_put_together_is_put_one_by_one(
    before: dict[str, Container], after: dict[str, Container]
) -> None:
    together, alone = with_deployments(), with_deployments()
    for state in (together, alone):
        for key, container in before.items():
            state.set(Container.KIND, key, container)

    together.set_all(after)
    for key, container in after.items():
        alone.set(Container.KIND, key, container)

    assert picture(together) == picture(alone)
    assert together.pending_near == alone.pending_near
