"""`pathfinder simulate`: a person's exported state, what they apply, and what goes wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from pathfinder.control import queries
from pathfinder.control.exporting import exported
from pathfinder.main import main
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    settle,
)

AMOUNTS = {"cpu_millis": 500, "memory_mib": 300}
TIME_MS = 1_796_000_000_000
ROLLOUT = """\
kind: Deployment
name: kafka
replicas: 3
min_available: 2
spec:
  image: busybox
  type: STATEFUL
  resources: {cpu: 0.6, memory: 300MiB}
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four nodes with a STATELESS and a STATEFUL deployment, and one that fits nowhere."""
    room = ControlRoom()
    nodes = [RoomNode(room, f"n{number}").join() for number in range(1, 5)]
    room.put(deployment("web", 4, min_available=3, type="STATELESS", resources=AMOUNTS))
    steps = [{"type": "chef-solo", "attributes": {}}]
    room.put(
        deployment("kafka", 3, min_available=2, type="STATEFUL", resources=AMOUNTS, bootstrap=steps)
    )
    room.put(container("huge", resources={"cpu_millis": 500_000, "memory_mib": 1}))
    settle(*nodes)
    path = tmp_path_factory.mktemp("rehearsal") / "tonight.state"
    path.write_bytes(b"".join(exported(queries.twin(room.controller), TIME_MS)))
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    path = tmp_path / "kafka.yaml"
    path.write_text(ROLLOUT)
    return str(path)


def simulate(state: Path, *options: str) -> int:
    """The exit code."""
    return main(["simulate", "--state", str(state), "--cluster", CLUSTER, *options])


def runs(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What `--json` has said."""
    told: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return told


def test_rollout_without_trouble_never_goes_below_min_available(
    state: Path, manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promise 6."""
    assert simulate(state, "-f", manifest, "--trouble", "none", "--json", "--seeds", "3") == 0
    for run in runs(capsys):
        kafka, web = run["deployments"]["kafka"], run["deployments"]["web"]
        assert (kafka["below_s"], kafka["made_anew"]) == (0, 3)
        assert kafka["fewest"] >= 2
        assert (web["fewest"], web["made_anew"]) == (4, 0)
        assert not run["broken"]
        assert list(run["waiting"]) == ["huge"]
        assert "no node fits" in run["waiting"]["huge"]


def test_node_that_dies_strands_what_is_stateful_and_the_rest_is_made_anew(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promises 2 and 3."""
    simulate(state, "--lose", "n2", "--trouble", "none", "--json", "--seeds", "2")
    for run in runs(capsys):
        assert run["stranded"] == {"kafka-02": "n2"}
        assert run["deployments"]["web"]["made_anew"] == 1
        assert run["deployments"]["kafka"]["fewest"] == 2
        assert run["unready"] == []


def test_what_fell_below_is_told_with_the_seed_that_plays_it_again(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--lose", "n1", "--lose", "n2", "--trouble", "none")
    assert simulate(state, *options, "--seeds", "2") == 1
    table = capsys.readouterr().out
    [web] = [line.split() for line in table.splitlines() if line.startswith("web ")]
    assert simulate(state, *options, "--seed", web[-1]) == 1
    story = capsys.readouterr().out

    assert web[1:4] == ["4", "3", "2"]
    assert "n1 dies" in story
    assert "web-01 replacing n1: its node n1 is lost" in story
    assert "moves when a person confirms: pfi delete node n1 --force" in story
    assert simulate(state, *options, "--seed", web[-1]) == 1
    assert capsys.readouterr().out == story


def test_under_all_troubles_no_promise_of_ours_is_broken(
    state: Path, manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(state, "-f", manifest, "--lose", "n3", "--seeds", "10", "--json")
    told = runs(capsys)

    assert [run["broken"] for run in told] == [""] * 10
    assert all(run["troubles"] for run in told)
    # All nodes but n3 are back at the end, and what they had to let go has a place again.
    assert [(list(run["waiting"]), run["unready"]) for run in told] == [(["huge"], [])] * 10
    assert all(set(run["stranded"].values()) <= {"n3"} for run in told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lose", "n9"), "no node 'n9' is up in cluster 'c'"),
        (("--cluster", "other"), "there is no cluster 'other' in it"),
        (("--state", "/nowhere"), "/nowhere: No such file or directory"),
    ],
)
def test_what_cannot_be_played_says_what_to_do(
    state: Path, options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(state, *options) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert len(told.err.splitlines()) == 2
    assert not told.out


def test_manifest_that_is_refused_is_refused_as_the_server_would(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(ROLLOUT.replace("  image: busybox", "  image: {alias: a, remote: nowhere}"))

    assert simulate(state, "-f", str(path)) == 2
    assert "there is no remote 'nowhere'" in capsys.readouterr().err


def test_a_drain_is_rehearsed_and_says_how_long_it_takes_and_what_stays(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promise 6."""
    calm = ("--trouble", "none", "--seeds", "2")
    assert simulate(state, "--drain", "n1", *calm, "--json") == 0
    for run in runs(capsys):
        left = {name: why for name, why in run["staying"].items() if not name.startswith("kafka")}
        assert left == {}
        assert run["deployments"]["web"]["below_s"] == 0
        assert bool(run["drained"]) != bool(run["staying"])

    assert simulate(state, "--drain", "n1", *calm) == 0
    said = capsys.readouterr().out
    assert "n1 is empty in " in said
    assert simulate(state, "--drain", "n9", *calm) == 2
    assert "no node 'n9' is up" in capsys.readouterr().err
