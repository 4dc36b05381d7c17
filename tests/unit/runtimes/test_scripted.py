"""The scripted runtime does what its instances' environment says, and the same each time."""

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.runtimes.port import (
    Change,
    Labels,
    NotThere,
    OutcomeUnknown,
    Refused,
    RuntimeFailure,
    Wish,
)
from pathfinder.runtimes.scripted import CHANGES_MAX, ScriptedRuntime
from pathfinder.runtimes.scripted_steps import Hangs, step_at

NAME = "web-01"


def wish(generation: int = 1, **script: str) -> Wish:
    return Wish(
        name=NAME,
        labels=Labels(cluster="c", slot=NAME, generation=generation, digest="d"),
        spec=ContainerSpec(
            image=ImageSource(alias="busybox"),
            environment={f"PF_SCRIPT_{verb}": steps for verb, steps in script.items()},
        ),
    )


def state(runtime: ScriptedRuntime) -> str:
    instance = runtime.inspect(NAME)
    return instance.state if instance else "absent"


@pytest.mark.parametrize(
    ("script", "steps"),
    [
        ("", ["ok", "ok"]),
        ("fail", ["fail", "ok"]),
        ("fail:2, unknown", ["fail", "fail", "unknown", "ok"]),
        ("ok:1,hang:always", ["ok", "hang", "hang", "hang"]),
    ],
)
def test_script_is_a_list_of_steps(script: str, steps: list[str]) -> None:
    assert [step_at(script, number) for number in range(len(steps))] == steps


def test_misspelt_step_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'fial' is not one of"):
        step_at("fial:2", 0)


@pytest.mark.parametrize(
    ("step", "error", "after"),
    [
        ("fail", RuntimeFailure, "absent"),
        ("refused", Refused, "absent"),
        ("unknown", OutcomeUnknown, "created"),
        ("unknown-not-done", OutcomeUnknown, "absent"),
        ("hang", Hangs, "absent"),
        ("hang-done", Hangs, "created"),
    ],
)
def test_create_does_what_its_step_says(step: str, error: type[RuntimeFailure], after: str) -> None:
    runtime = ScriptedRuntime()

    with pytest.raises(error):
        runtime.create(wish(CREATE=step))

    assert state(runtime) == after


def test_each_verb_has_a_script_of_its_own() -> None:
    runtime = ScriptedRuntime()
    runtime.create(wish(START="unknown-not-done", STOP="unknown", REMOVE="fail"))

    with pytest.raises(OutcomeUnknown):
        runtime.start(NAME)
    not_started = state(runtime)
    runtime.start(NAME)
    with pytest.raises(OutcomeUnknown):
        runtime.stop(NAME)
    stopped = state(runtime)
    with pytest.raises(RuntimeFailure):
        runtime.remove(NAME)
    runtime.remove(NAME)

    assert (not_started, stopped, state(runtime)) == ("created", "stopped", "absent")


def test_new_generation_begins_its_script_anew() -> None:
    runtime = ScriptedRuntime()
    for generation in (1, 2):
        with pytest.raises(RuntimeFailure):
            runtime.create(wish(generation, CREATE="fail"))

    runtime.create(wish(2, CREATE="fail"))

    assert state(runtime) == "created"


def test_dying_instance_ends_when_things_settle() -> None:
    runtime = ScriptedRuntime()
    runtime.create(wish(START="dies"))
    runtime.start(NAME)
    before = state(runtime)

    runtime.settle()
    after = state(runtime)
    runtime.start(NAME)
    runtime.settle()

    assert (before, after, state(runtime)) == ("running", "stopped", "running")


def test_half_made_instance_is_seen_and_can_be_made_whole() -> None:
    runtime = ScriptedRuntime()
    with pytest.raises(OutcomeUnknown):
        runtime.create(wish(CREATE="half"))
    (half,) = runtime.list_instances("c")

    with pytest.raises(NotThere, match="never made completely"):
        runtime.start(NAME)
    runtime.create(wish(CREATE="half"))

    assert half.labels is not None
    assert half.labels.digest == ""
    assert runtime.everything()[0].labels == wish().labels


def test_watcher_that_is_too_slow_is_told_to_list_again() -> None:
    runtime = ScriptedRuntime()
    changes = runtime.changes(lambda: False)
    next(changes)

    for _ in range(CHANGES_MAX):
        runtime.add_foreign("theirs")
        runtime.vanish("theirs")

    assert next(changes) == Change(name="")
    assert list(changes) == []
