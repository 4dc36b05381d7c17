"""Rollouts, scaling and lost replicas, whatever the order in which the world answers.

A small world makes the steps that `deployment_steps` says: what is created or replaced becomes
ready later, what is deleted is gone later, replicas fail and recover by themselves.

Promise 6.
"""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pathfinder.model.names import replica_name
from pathfinder.reconcile.deployments import Change, Replica, Steps, Wanted, deployment_steps

REPLICAS_MAX = 6
ROUNDS_MAX = 200  # a round changes one thing or the rollout is stuck
CHANGES: st.SearchStrategy[Change] = st.sampled_from(["none", "rebootstrap", "replace"])


@st.composite
def deployments(draw: st.DrawFn, *, may_block: bool = True) -> Wanted:
    """A deployment that the edge accepts; without `may_block` one that can always be rolled out."""
    count = draw(st.integers(0, REPLICAS_MAX))
    most = count if may_block else max(count - 1, 0)
    return Wanted(
        name="web",
        replica_count=count,
        min_available=draw(st.integers(0, most)),
    )


@st.composite
def replica_lists(draw: st.DrawFn) -> list[Replica]:
    """Any replicas, in any order, as earlier wishes and failures may have left them."""
    made = []
    for ordinal in draw(st.sets(st.integers(1, REPLICAS_MAX))):
        is_ready = draw(st.booleans())
        made.append(
            Replica(
                name=replica_name("web", ordinal),
                ordinal=ordinal,
                change=draw(CHANGES),
                ready=is_ready,
                leaving=draw(st.booleans()),
                replacing=not is_ready and draw(st.booleans()),
            )
        )
    return draw(st.permutations(made))


def available_count(replicas: Sequence[Replica]) -> int:
    """How many serve."""
    return sum(replica.is_available for replica in replicas)


def carried_out(deployment: Wanted, replicas: Sequence[Replica], steps: Steps) -> list[Replica]:
    """The replicas right after the steps: nothing new is ready yet, nothing has gone yet."""
    after = []
    for replica in replicas:
        if replica.name in (*steps.replace, *steps.rebootstrap):
            after.append(replace(replica, change="none", ready=False, replacing=True))
        elif replica.name in steps.delete:
            after.append(replace(replica, leaving=True))
        else:
            after.append(replica)
    for ordinal in steps.create:
        assert ordinal not in {replica.ordinal for replica in replicas}
        after.append(
            Replica(
                name=replica_name(deployment.name, ordinal),
                ordinal=ordinal,
                ready=False,
                replacing=True,
            )
        )
    return after


def advanced(draw: st.DataObject, replicas: Sequence[Replica]) -> list[Replica]:
    """The world moves: one replica that is on its way arrives, becomes ready or is gone."""
    moving = [replica for replica in replicas if replica.leaving or not replica.ready]
    if not moving:
        return list(replicas)
    chosen = draw.draw(st.sampled_from(moving))
    rest = [replica for replica in replicas if replica is not chosen]
    if chosen.leaving:
        return rest
    return [*rest, replace(chosen, ready=True, replacing=False)]


def at_rest(
    draw: st.DataObject, deployment: Wanted, replicas: Sequence[Replica]
) -> tuple[Sequence[Replica], Steps]:
    """The replicas when nothing is left to do or to wait for, and what is said about them."""
    for _ in range(ROUNDS_MAX):
        steps = deployment_steps(deployment, replicas)
        moves = steps.create or steps.replace or steps.rebootstrap or steps.delete
        if not moves and not steps.waiting:
            return replicas, steps
        replicas = advanced(draw, carried_out(deployment, replicas, steps))
    raise AssertionError("the rollout does not come to rest")


@given(deployment=deployments(), replicas=replica_lists())
def test_no_step_takes_available_replicas_below_the_minimum(
    deployment: Wanted, replicas: list[Replica]
) -> None:
    steps = deployment_steps(deployment, replicas)
    before = available_count(replicas)
    after = available_count(carried_out(deployment, replicas, steps))

    assert after >= min(before, deployment.min_available, deployment.replica_count)


@given(deployment=deployments(), replicas=replica_lists())
def test_what_is_not_available_never_waits_for_its_replacement_or_deletion(
    deployment: Wanted, replicas: list[Replica]
) -> None:
    steps = deployment_steps(deployment, replicas)
    for replica in replicas:
        if replica.leaving or replica.is_available:
            continue
        if replica.ordinal > deployment.replica_count:
            assert replica.name in steps.delete
        elif replica.change != "none":
            assert replica.name in (*steps.replace, *steps.rebootstrap)


@given(deployment=deployments(), replicas=replica_lists())
def test_steps_concern_only_what_they_may(deployment: Wanted, replicas: list[Replica]) -> None:
    steps = deployment_steps(deployment, replicas)
    by_name = {replica.name: replica for replica in replicas}

    changed = (*steps.replace, *steps.rebootstrap)
    assert not set(changed) & set(steps.delete)
    assert all(not by_name[name].leaving for name in (*changed, *steps.delete))
    assert all(by_name[name].change == "replace" for name in steps.replace)
    assert all(by_name[name].change == "rebootstrap" for name in steps.rebootstrap)
    assert all(by_name[name].ordinal > deployment.replica_count for name in steps.delete)
    assert steps.why.keys() == {*changed, *steps.delete}


@given(deployment=deployments(), replicas=replica_lists(), data=st.data())
def test_equal_input_gives_equal_steps(
    deployment: Wanted, replicas: list[Replica], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(replicas))

    assert deployment_steps(deployment, shuffled) == deployment_steps(deployment, replicas)


@given(deployment=deployments(), replicas=replica_lists())
def test_without_a_step_it_is_done_or_says_what_it_waits_for(
    deployment: Wanted, replicas: list[Replica]
) -> None:
    steps = deployment_steps(deployment, replicas)
    if not (steps.create or steps.replace or steps.rebootstrap or steps.delete):
        assert steps.done != bool(steps.blocked or steps.waiting)


@given(deployment=deployments(may_block=False), replicas=replica_lists(), data=st.data())
def test_it_converges_whatever_the_order_in_which_the_world_moves(
    deployment: Wanted, replicas: list[Replica], data: st.DataObject
) -> None:
    settled, steps = at_rest(data, deployment, replicas)

    assert steps.done
    assert sorted(r.ordinal for r in settled) == [*range(1, deployment.replica_count + 1)]
    assert all(replica.change == "none" for replica in settled)
    assert available_count(settled) == deployment.replica_count


@given(replicas=replica_lists(), count=st.integers(1, REPLICAS_MAX), data=st.data())
def test_a_blocked_rollout_goes_on_when_the_minimum_is_lowered_as_it_says(
    replicas: list[Replica], count: int, data: st.DataObject
) -> None:
    deployment = Wanted(name="web", replica_count=count, min_available=count)
    settled, steps = at_rest(data, deployment, replicas)
    looser = Wanted(name="web", replica_count=count, min_available=count - 1)
    loosened = deployment_steps(looser, settled)

    assert available_count(settled) == len(settled) == count
    assert steps.done != bool(steps.blocked)
    assert bool(steps.blocked) == (len(loosened.replace + loosened.rebootstrap) == 1)
