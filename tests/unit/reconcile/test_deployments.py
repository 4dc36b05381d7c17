"""What a deployment's replicas go through next: tables of before, wanted and after. Promise 6."""

from typing import Any

import pytest

from pathfinder.reconcile.deployments import Replica, Steps, Wanted, deployment_steps

OLD, NEW = "old", "new"


def wanted(count: int, minimum: int = 0) -> Wanted:
    """Deployment "web"."""
    return Wanted(name="web", replica_count=count, min_available=minimum)


def ready(ordinal: int, digest: str = NEW) -> Replica:
    """A replica that serves."""
    return _replica(ordinal, digest, ready=True)


def unready(ordinal: int, digest: str = NEW) -> Replica:
    """A replica that does not serve, or not yet."""
    return _replica(ordinal, digest, ready=False, replacing=True)


def leaving(ordinal: int, digest: str = NEW) -> Replica:
    """A replica that is on its way out."""
    return _replica(ordinal, digest, ready=True, leaving=True)


def _replica(ordinal: int, digest: str, **fields: Any) -> Replica:
    return Replica(
        name=f"web-{ordinal:02}",
        ordinal=ordinal,
        change="none" if digest == NEW else "replace",
        why="" if digest == NEW else f"the definition changed ({digest} to {NEW})",
        **fields,
    )


def test_missing_ordinals_are_created() -> None:
    steps = deployment_steps(wanted(4), [ready(2)])

    assert steps == Steps(
        create=(1, 3, 4),
        waiting="waiting for web-01, web-03, web-04 to be ready",
        progress="1 of 4 updated, 1 ready",
        updated=1,
    )


def test_a_place_is_filled_again_only_when_its_last_holder_is_gone() -> None:
    steps = deployment_steps(wanted(2), [ready(1), leaving(2)])

    assert steps.create == ()
    assert steps.waiting == "waiting for web-02 to be gone"
    assert not steps.done


def test_surplus_is_deleted_from_the_highest_ordinal() -> None:
    steps = deployment_steps(wanted(2, 1), [ready(n) for n in (1, 2, 3, 4)])

    assert steps.delete == ("web-04", "web-03")
    assert not steps.done
    assert steps.why == dict.fromkeys(("web-04", "web-03"), "surplus: web has 2 replicas")


def test_surplus_that_is_ready_stays_while_it_is_needed() -> None:
    replicas = [unready(1), unready(2), ready(3), ready(4), unready(5)]
    steps = deployment_steps(wanted(2, 1), replicas)

    assert steps.delete == ("web-05", "web-04")
    assert steps.waiting == "waiting for web-01, web-02 to be ready"


def test_scaling_down_finishes_although_every_remaining_replica_must_stay_ready() -> None:
    steps = deployment_steps(wanted(2, 2), [ready(1), ready(2), ready(3)])

    assert steps.delete == ("web-03",)


def test_scaling_to_nothing_deletes_everything() -> None:
    steps = deployment_steps(wanted(0, 0), [ready(1), unready(2)])

    assert steps.delete == ("web-02", "web-01")


def test_scaling_below_the_minimum_finishes() -> None:
    assert deployment_steps(wanted(1, 3), [ready(1), ready(2)]).delete == ("web-02",)


def test_a_replica_whose_new_generation_is_not_ready_does_not_count_as_available() -> None:
    replacing = Replica(name="web-01", ordinal=1, ready=True, replacing=True)
    steps = deployment_steps(wanted(2, 1), [replacing, ready(2, OLD)])

    assert (steps.replace, steps.waiting) == ((), "waiting for web-01 to be ready")


def test_scaling_to_nothing_is_done_when_all_are_gone() -> None:
    steps = deployment_steps(wanted(0, 0), [])

    assert steps == Steps(progress="0 of 0 updated, 0 ready", done=True)


def test_outdated_replicas_are_replaced_in_order_as_far_as_the_quota_goes() -> None:
    steps = deployment_steps(wanted(5, 3), [ready(n, OLD) for n in range(1, 6)])

    assert steps.replace == ("web-01", "web-02")
    assert steps.why["web-01"] == "the definition changed (old to new)"
    assert steps.waiting == "waiting for web-01, web-02 to be ready"
    assert steps.progress == "0 of 5 updated, 5 ready"
    assert steps.blocked == ""


def test_outdated_replicas_that_are_not_ready_are_replaced_at_once() -> None:
    replicas = [ready(1, OLD), unready(2, OLD), ready(3, OLD), unready(4, OLD)]
    steps = deployment_steps(wanted(4, 2), replicas)

    assert steps.replace == ("web-02", "web-04")
    assert steps.why["web-02"] == "the definition changed (old to new); it was not ready"


def test_a_rollout_waits_for_the_replacement_to_be_ready() -> None:
    steps = deployment_steps(wanted(3, 2), [ready(1), unready(2), ready(3, OLD)])

    assert (steps.replace, steps.blocked) == ((), "")
    assert steps.waiting == "waiting for web-02 to be ready"
    assert steps.progress == "2 of 3 updated, 2 ready"


def test_replicas_that_are_leaving_do_not_count_as_available() -> None:
    replicas = [ready(1, OLD), ready(2, OLD), leaving(3, OLD)]
    steps = deployment_steps(wanted(2, 1), replicas)

    assert steps.replace == ("web-01",)
    assert not replicas[2].is_available


def test_a_rollout_goes_before_surplus_that_keeps_it_going() -> None:
    replicas = [ready(1, OLD), ready(2, OLD), ready(3, OLD)]
    steps = deployment_steps(wanted(2, 2), replicas)

    assert (steps.replace, steps.delete, steps.blocked) == (("web-01",), (), "")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (
            3,
            (
                "web: all 3 replicas must stay ready (min_available 3): no replica may be replaced;"
                " lower min_available to 2 or raise replicas to 4"
            ),
        ),
        (
            1,
            (
                "web: its only replica must stay ready (min_available 1): "
                "no replica may be replaced; lower min_available to 0 or raise replicas to 2"
            ),
        ),
        (
            99,
            (
                "web: all 99 replicas must stay ready (min_available 99): "
                "no replica may be replaced; lower min_available to 98"
            ),
        ),
    ],
)
def test_a_rollout_that_can_never_go_on_says_what_would_let_it(count: int, text: str) -> None:
    steps = deployment_steps(wanted(count, count), [ready(n, OLD) for n in range(1, count + 1)])

    assert steps.blocked == text
    assert (steps.replace, steps.waiting, steps.done) == ((), "", False)


def test_what_is_up_to_date_is_done_although_nothing_may_be_replaced() -> None:
    steps = deployment_steps(wanted(2, 2), [ready(1), ready(2)])

    assert steps == Steps(progress="2 of 2 updated, 2 ready", updated=2, done=True)


def test_many_names_are_shortened() -> None:
    steps = deployment_steps(wanted(9), [])

    assert steps.waiting == "waiting for web-01, web-02, web-03 and 6 more to be ready"


def test_the_order_of_replicas_does_not_matter() -> None:
    replicas = [ready(1, OLD), unready(2, OLD), ready(3, OLD), ready(4), leaving(5), ready(6)]

    assert deployment_steps(wanted(4, 1), replicas) == deployment_steps(
        wanted(4, 1), replicas[::-1]
    )


def test_another_bootstrap_is_no_replacement_and_counts_against_the_same_quota() -> None:
    other = "its bootstrap changed"
    first = Replica(name="web-01", ordinal=1, change="rebootstrap", why=other, ready=True)
    steps = deployment_steps(wanted(3, 2), [first, ready(2, OLD), ready(3)])

    assert (steps.rebootstrap, steps.replace) == (("web-01",), ())
    assert steps.why == {"web-01": "its bootstrap changed"}
    assert steps.updated == 1
