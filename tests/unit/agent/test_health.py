"""Which health checks are due, and what their results come to."""

from typing import Any

import pytest

from pathfinder.agent.health import Check, Standings, Verdict
from pathfinder.model.health import Health


def check(name: str = "web", *, life: int = 0, address: str = "10.0.0.1", **health: Any) -> Check:
    fields = {"tcp_port": 80, "interval_s": 10, "retries": 3, **health}
    return Check(name=name, life=life, address=address, health=Health(**fields))


def begun(*checks: Check, now_ms: int = 0) -> Standings:
    standings = Standings()
    standings.update(checks, now_ms)
    return standings


def test_first_check_is_due_at_once_and_only_once() -> None:
    one = check()
    standings = begun(one)

    assert standings.due(0) == [one]
    assert standings.due(0) == []


def test_first_success_makes_it_healthy_and_the_next_check_comes_after_the_interval() -> None:
    one = check()
    standings = begun(one)
    standings.due(0)

    assert standings.result(one, "", 5) == Verdict(name="web", life=0, state="healthy")
    assert standings.wake_ms() == 10_005
    assert standings.due(10_004) == []
    assert standings.due(10_005) == [one]


def test_until_the_first_success_it_is_tried_soon_and_failures_count_once_an_interval() -> None:
    one = check()
    standings = begun(one)
    now_ms, verdict, tries = 0, None, 0
    while verdict is None:
        standings.due(now_ms)
        verdict = standings.result(one, "connection refused", now_ms)
        tries += 1
        now_ms = standings.wake_ms() or 0

    assert verdict == Verdict(name="web", life=0, state="unhealthy", why="connection refused")
    assert tries > 6
    assert 20_000 <= now_ms - 10_000 <= 32_000  # three failures, an interval apart


def test_failures_in_succession_make_what_was_healthy_unhealthy() -> None:
    one = check()
    standings = begun(one)
    verdicts = []
    for number, why_not in enumerate(("", "no", "no", "", "no", "no", "no", "")):
        standings.due(number * 10_000)
        verdicts.append(standings.result(one, why_not, number * 10_000))

    assert [each.state if each else None for each in verdicts] == [
        *("healthy", None, None, None, None, None, "unhealthy", "healthy"),
    ]


def test_failures_within_the_start_period_do_not_count() -> None:
    one = check(start_period_s=60, interval_s=1, retries=1)
    standings = begun(one)
    for now_ms in range(0, 60_000, 1_000):
        standings.due(now_ms)
        assert standings.result(one, "not yet", now_ms) is None
    standings.due(60_000)

    late = standings.result(one, "not yet", 60_000)

    assert late is not None
    assert late.state == "unhealthy"


def test_check_of_which_nothing_came_says_nothing() -> None:
    one = check(retries=1)
    standings = begun(one)
    standings.due(0)

    assert standings.result(one, None, 0) is None
    assert standings.due(10_000) == [one]


def test_another_run_or_another_check_begins_anew_and_late_results_are_ignored() -> None:
    old, new, changed = check(), check(life=7), check(life=7, interval_s=1)
    standings = begun(old)
    standings.due(0)
    standings.update([new], 10)

    assert standings.result(old, "", 11) is None
    assert standings.due(11) == [new]
    standings.update([changed], 12)
    assert standings.result(new, "", 13) is None
    assert standings.due(13) == [changed]


def test_connection_waits_for_an_address_and_a_command_does_not() -> None:
    nowhere = check(address="")
    command = check("job", address="", tcp_port=0, command=("true",))
    standings = begun(nowhere, command)

    assert standings.due(0) == [command]
    standings.update([check(), command], 5)
    assert standings.due(5) == [check()]


def test_what_has_gone_is_forgotten() -> None:
    standings = begun(check())
    standings.update([], 0)

    assert standings.due(0) == []
    assert standings.wake_ms() is None


@pytest.mark.parametrize("length", [10, 10_000])
def test_why_has_a_bound(length: int) -> None:
    one = check(retries=1)
    standings = begun(one)
    standings.due(0)

    verdict = standings.result(one, "x" * length, 0)

    assert verdict is not None
    assert len(verdict.why) <= 300
