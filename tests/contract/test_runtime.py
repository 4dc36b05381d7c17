"""What every container runtime owes, by the port: one suite over all implementations.

Promises 7 and 8.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource, Kind, Network
from pathfinder.model.resources import Resources
from pathfinder.runtimes.docker import DockerRuntime
from pathfinder.runtimes.jobs import Job, Outcome, begin, follow, look, outcome
from pathfinder.runtimes.lxd import LxdRuntime
from pathfinder.runtimes.port import (
    Change,
    ImageMissing,
    Labels,
    NameOccupied,
    NotThere,
    Refused,
    Runtime,
    RuntimeDown,
    Terminal,
    Wish,
)
from pathfinder.runtimes.scripted import ScriptedRuntime
from tests.support.dockerd import PrivateDocker
from tests.support.lxd import PrivateLxd
from tests.support.processes import wait_until

CLUSTER = "contract"
NAME = "web-01"
KINDS: dict[type, Kind] = {
    ScriptedRuntime: "system",
    LxdRuntime: "system",
    DockerRuntime: "application",
}


@dataclass(frozen=True)
class Case:
    """One implementation. `silent` is the same one with nobody answering."""

    runtime: Runtime
    silent: Runtime
    make_foreign: Callable[[str], None]
    remove_foreign: Callable[[str], None]


@pytest.fixture(
    params=[
        "scripted",
        pytest.param("lxd", marks=[pytest.mark.system, pytest.mark.slow]),
        pytest.param("docker", marks=[pytest.mark.system, pytest.mark.slow]),
    ]
)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "scripted":
        yield scripted_case()
        return
    if request.param == "docker":
        docker: PrivateDocker = request.getfixturevalue("docker")
        case = docker_case(docker)
        yield case
        docker.remove_containers()
        case.runtime.close()
        return
    daemon: PrivateLxd = request.getfixturevalue("lxd")
    found = lxd_case(daemon)
    yield found
    daemon.remove_instances()
    found.runtime.close()


@pytest.fixture
def runtime(case: Case) -> Runtime:
    return case.runtime


def scripted_case() -> Case:
    runtime = ScriptedRuntime(kinds=("system",), capacity=Resources(cpu_millis=2000, memory_mib=64))
    silent = ScriptedRuntime()
    silent.is_down = True
    return Case(runtime, silent, runtime.add_foreign, runtime.vanish)


def lxd_case(daemon: PrivateLxd) -> Case:
    def make_foreign(name: str) -> None:
        source = {"type": "image", "alias": "busybox"}
        daemon.client.run("POST", "/1.0/instances", {"name": name, "source": source})
        daemon.client.run("PUT", f"/1.0/instances/{name}/state", {"action": "start"})

    def remove_foreign(_name: str) -> None:
        daemon.remove_instances()

    silent = LxdRuntime(f"{daemon.socket_path}.nobody")
    return Case(LxdRuntime(daemon.socket_path), silent, make_foreign, remove_foreign)


def docker_case(daemon: PrivateDocker) -> Case:
    def make_foreign(name: str) -> None:
        body = {"Image": "busybox"}
        daemon.client.request("POST", f"/containers/create?name={name}", body)
        daemon.client.request("POST", f"/containers/{name}/start")

    def remove_foreign(_name: str) -> None:
        daemon.remove_containers()

    silent = DockerRuntime(f"{daemon.socket_path}.nobody")
    return Case(DockerRuntime(daemon.socket_path), silent, make_foreign, remove_foreign)


def labels(slot: str = NAME, *, cluster: str = CLUSTER, generation: int = 7) -> Labels:
    return Labels(cluster=cluster, slot=slot, generation=generation, digest="0123456789abcdef")


def spec(runtime: Runtime, network: Network = "default") -> ContainerSpec:
    kind = KINDS[type(runtime)]
    return ContainerSpec(kind=kind, image=ImageSource(alias="busybox"), network=network)


def wish(runtime: Runtime, name: str = NAME) -> Wish:
    return Wish(name=name, labels=labels(name), spec=spec(runtime))


def state_of(runtime: Runtime, name: str = NAME) -> str:
    instance = runtime.inspect(name)
    return instance.state if instance else "absent"


def running(
    runtime: Runtime, name: str = NAME, environment: Mapping[str, str] | None = None
) -> None:
    made = replace(spec(runtime), environment=environment or {})
    runtime.create(replace(wish(runtime, name), spec=made))
    runtime.start(name)


def test_created_instance_is_listed_with_its_labels_and_does_not_run(runtime: Runtime) -> None:
    runtime.create(wish(runtime))

    (instance,) = runtime.list_instances(CLUSTER)
    assert (instance.name, instance.labels, instance.state) == (NAME, labels(), "created")


def test_creating_twice_is_creating_once(runtime: Runtime) -> None:
    runtime.create(wish(runtime))
    runtime.create(wish(runtime))

    assert len(runtime.list_instances(CLUSTER)) == 1


@pytest.mark.parametrize(
    "other",
    [labels(generation=8), labels(cluster="another"), labels(slot="web-02")],
    ids=["generation", "cluster", "slot"],
)
def test_name_of_another_container_is_occupied(runtime: Runtime, other: Labels) -> None:
    runtime.create(wish(runtime))

    with pytest.raises(NameOccupied):
        runtime.create(replace(wish(runtime), labels=other))

    assert [one.labels for one in runtime.list_instances(CLUSTER)] == [labels()]


def test_what_is_not_ours_is_never_touched(case: Case) -> None:
    runtime = case.runtime
    case.make_foreign(NAME)

    for touch in (
        lambda: runtime.create(wish(runtime)),
        lambda: runtime.start(NAME),
        lambda: runtime.stop(NAME, grace_s=0),
        lambda: runtime.remove(NAME),
        lambda: runtime.write_file(NAME, "/etc/passwd", b""),
        lambda: runtime.set_note(NAME, "ours"),
        lambda: runtime.open_session(NAME, Terminal(command=("true",))),
    ):
        with pytest.raises(NameOccupied):
            touch()

    instance = runtime.inspect(NAME)
    assert instance is not None
    assert (instance.state, instance.labels) == ("running", None)
    assert runtime.list_instances(CLUSTER) == []
    case.remove_foreign(NAME)


def test_started_instance_runs_and_has_an_address(runtime: Runtime) -> None:
    running(runtime)

    def has_address() -> bool:
        instance = runtime.inspect(NAME)
        return instance is not None and instance.addresses != ()

    wait_until(has_address, 30, "an address")
    assert state_of(runtime) == "running"


def test_starting_twice_is_starting_once(runtime: Runtime) -> None:
    running(runtime)
    runtime.start(NAME)

    assert state_of(runtime) == "running"


def test_instance_without_network_runs_without_an_address(runtime: Runtime) -> None:
    runtime.create(replace(wish(runtime), spec=spec(runtime, network="none")))
    runtime.start(NAME)

    instance = runtime.inspect(NAME)
    assert instance is not None
    assert (instance.state, instance.addresses) == ("running", ())


@pytest.mark.parametrize("grace_s", [0.0, 10.0])
def test_stopped_instance_stays_and_can_be_started_again(runtime: Runtime, grace_s: float) -> None:
    running(runtime)

    runtime.stop(NAME, grace_s=grace_s)
    stopped = state_of(runtime)
    runtime.start(NAME)

    assert (stopped, state_of(runtime)) == ("stopped", "running")


def test_stopping_what_does_not_run_is_success(runtime: Runtime) -> None:
    runtime.stop(NAME)
    runtime.create(wish(runtime))
    runtime.stop(NAME)
    runtime.stop(NAME, grace_s=0)

    assert state_of(runtime) == "created"


def test_running_instance_is_removed_and_removing_twice_is_success(runtime: Runtime) -> None:
    running(runtime)

    runtime.remove(NAME)
    runtime.remove(NAME)

    assert runtime.inspect(NAME) is None
    assert runtime.list_instances(CLUSTER) == []


def test_absent_instance_cannot_be_started(runtime: Runtime) -> None:
    with pytest.raises(NotThere):
        runtime.start(NAME)


def test_usage_is_measured_while_it_runs(runtime: Runtime) -> None:
    running(runtime)
    usage = runtime.usage(NAME)
    there = runtime.inspect(NAME)
    runtime.stop(NAME, grace_s=0)

    assert usage.processes >= 1
    assert there is not None
    assert usage.addresses == there.addresses
    assert usage.started_ms in (0, there.started_ms)
    with pytest.raises(NotThere):
        runtime.usage(NAME)


def test_list_has_one_cluster_only(runtime: Runtime) -> None:
    runtime.create(wish(runtime))
    other = labels("other-01", cluster="b")
    runtime.create(Wish(name="other-01", labels=other, spec=spec(runtime)))

    assert [one.name for one in runtime.list_instances(CLUSTER)] == [NAME]
    assert [one.name for one in runtime.list_instances("b")] == ["other-01"]


@pytest.mark.parametrize(
    "image",
    [ImageSource(alias="busybxo"), ImageSource(fingerprint="0" * 64)],
    ids=["alias", "hash"],
)
def test_missing_image_is_said_with_what_is_there(runtime: Runtime, image: ImageSource) -> None:
    with pytest.raises(ImageMissing, match=image.text()) as caught:
        runtime.create(replace(wish(runtime), spec=replace(spec(runtime), image=image)))

    assert "busybox" in caught.value.hint
    assert runtime.inspect(NAME) is None


def test_kind_that_does_not_run_here_is_refused(runtime: Runtime) -> None:
    own = KINDS[type(runtime)]
    other: Kind = "system" if own == "application" else "application"

    with pytest.raises(Refused):
        runtime.create(replace(wish(runtime), spec=replace(spec(runtime), kind=other)))

    assert runtime.facts().kinds == (own,)


def test_facts_name_the_local_images_and_the_capacity(runtime: Runtime) -> None:
    facts = runtime.facts()

    assert "busybox" in facts.images
    assert facts.capacity.memory_mib > 0


def test_changes_begin_with_list_again_and_name_what_changes(runtime: Runtime) -> None:
    changes = runtime.changes(lambda: False)

    first = next(changes)
    runtime.create(wish(runtime))
    created = next(changes)
    runtime.start(NAME)
    started = next(changes)

    assert (first, created, started) == (Change(name=""), Change(name=NAME), Change(name=NAME))


def test_changes_end_when_they_are_to_stop(runtime: Runtime) -> None:
    stop = threading.Event()
    changes = runtime.changes(stop.is_set)
    next(changes)
    stop.set()

    assert list(changes) == []


def test_file_is_read_as_it_was_written(runtime: Runtime) -> None:
    runtime.create(wish(runtime))
    content = bytes(range(256)) * 300

    runtime.write_file(NAME, "/srv/deep/er/file", content, mode=0o600)

    assert runtime.read_file(NAME, "/srv/deep/er/file") == content
    with pytest.raises(NotThere):
        runtime.read_file(NAME, "/srv/nothing")


@pytest.mark.parametrize(
    ("command", "output", "code"),
    [
        (("echo", "a b", "$HOME;"), [(1, b"a b $HOME;\n")], 0),
        (("false",), [], 1),
        (("nonesuch",), [(2, b"Command not found\n")], 127),
    ],
)
def test_command_gives_its_output_and_its_exit_code(
    runtime: Runtime, command: tuple[str, ...], output: list[tuple[int, bytes]], code: int
) -> None:
    running(runtime)

    session = runtime.open_session(NAME, Terminal(command=command))
    session.write(b"")
    frames = list(session.frames())
    session.close()

    assert (frames, session.exit_code()) == (output, code)


def test_command_reads_its_input(runtime: Runtime) -> None:
    running(runtime)
    session = runtime.open_session(NAME, Terminal(command=("cat",)))

    session.write(b"one ")
    session.write(b"two")
    session.write(b"")
    output = b"".join(data for stream, data in session.frames() if stream == 1)
    session.close()

    assert (output, session.exit_code()) == (b"one two", 0)


def test_command_needs_an_instance_that_runs(runtime: Runtime) -> None:
    with pytest.raises(NotThere):
        runtime.open_session(NAME, Terminal(command=("true",)))
    runtime.create(wish(runtime))

    with pytest.raises(NotThere):
        runtime.open_session(NAME, Terminal(command=("true",)))


def test_note_is_told_with_the_instance_and_survives_a_restart(runtime: Runtime) -> None:
    if KINDS[type(runtime)] == "application":
        pytest.skip("Docker keeps nothing beside a container: the test below")
    running(runtime)
    note = json.dumps({"round": 7, "error": 'é "$(id)" \\ = #x; `b`\n'})

    runtime.set_note(NAME, note)
    runtime.stop(NAME, grace_s=0)
    runtime.start(NAME)

    instance = runtime.inspect(NAME)
    assert instance is not None
    assert instance.note == note
    assert [one.note for one in runtime.list_instances(CLUSTER)] == [note]
    assert instance.labels == labels()


@pytest.mark.system
@pytest.mark.slow
def test_note_is_refused_where_the_daemon_cannot_keep_one(docker: PrivateDocker) -> None:
    runtime = docker_case(docker).runtime
    running(runtime)

    with pytest.raises(Refused):
        runtime.set_note(NAME, "ours")
    runtime.close()
    docker.remove_containers()


def test_job_outlives_the_session_that_began_it_and_is_begun_once(runtime: Runtime) -> None:
    running(runtime, environment={"PF_SCRIPT_JOB": "fail"})
    script = b"echo one; [ -e once ] && echo twice; : > once; sleep 0.5; exit 1\n"
    job = Job(key="7-1-1", run=script, limit_s=30)

    first, second = begin(runtime, NAME, job), begin(runtime, NAME, job)
    ended = follow(runtime, NAME, job.key, offset=0)

    assert {first, second} <= {"runs", "ended"}
    assert ended == "ended"
    assert outcome(runtime, NAME, job.key) == Outcome(exit_code=1, is_over_limit=False)
    assert begin(runtime, NAME, job) == "ended"


def test_job_that_was_never_begun_is_absent(runtime: Runtime) -> None:
    running(runtime)

    assert look(runtime, NAME, "7-1-1") == "absent"
    with pytest.raises(NotThere):
        outcome(runtime, NAME, "7-1-1")


def test_job_whose_instance_stopped_was_interrupted(runtime: Runtime) -> None:
    running(runtime)
    job = Job(key="7-1-1", run=b"sleep 1000", limit_s=2000)

    assert begin(runtime, NAME, job) == "runs"
    assert begin(runtime, NAME, replace(job, key="8-1-1")) == "busy"
    runtime.stop(NAME, grace_s=0)
    runtime.start(NAME)

    assert follow(runtime, NAME, job.key, offset=0) == "interrupted"
    assert begin(runtime, NAME, job) == "interrupted"


def test_console_log_is_kept(runtime: Runtime) -> None:
    runtime.create(wish(runtime))
    before = runtime.console_log(NAME)
    runtime.start(NAME)

    wait_until(lambda: NAME.encode() in runtime.console_log(NAME), 10, "a line on the console")
    assert before == b""


def test_daemon_that_does_not_answer_is_down(case: Case) -> None:
    silent = case.silent

    for ask in (
        silent.facts,
        lambda: silent.list_instances(CLUSTER),
        lambda: silent.inspect(NAME),
        lambda: silent.usage(NAME),
        lambda: silent.create(wish(silent)),
        lambda: silent.start(NAME),
        lambda: silent.stop(NAME),
        lambda: silent.remove(NAME),
        lambda: next(silent.changes(lambda: False)),
        lambda: silent.read_file(NAME, "/etc/passwd"),
        lambda: silent.open_session(NAME, Terminal(command=("true",))),
        lambda: silent.console_log(NAME),
        lambda: silent.set_note(NAME, ""),
    ):
        with pytest.raises(RuntimeDown):
            ask()
