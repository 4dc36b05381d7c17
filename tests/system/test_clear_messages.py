"""What goes wrong in life gives one clear message with the next step, and nothing is lost.

A wrong file, an unknown image, a full node, a dead daemon, a refused token, a taken port, a full
disk: `pfi`, server, agent and LXD as real processes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.lxd import PrivateLxd
from tests.support.pfi_process import Pfi, Told
from tests.support.platform import running_platform, wait_for
from tests.support.server_process import initialised, run_program

pytestmark = [pytest.mark.slow, pytest.mark.system]

PATIENCE_S: Final = 60.0
READY: Final = ("--wait", "--timeout", "60")
CONTAINER: Final = (
    "{{kind: Container, name: {name}, spec: {{image: {image}, network: none{more}}}}}"
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the server's data stands on a disk of its own, of 24 MiB."""
    place = tmp_path_factory.mktemp("platform")
    data = place / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(data)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us mount nothing")
    yield place
    subprocess.run(["umount", str(data)], check=True)


@pytest.fixture(scope="module")
def pfi(lxd: PrivateLxd, directory: Path) -> Iterator[Pfi]:
    with running_platform(directory, lxd) as platform:
        yield Pfi(platform)


def container(name: str, image: str = "busybox", more: str = "") -> str:
    """The manifest of a small container."""
    return CONTAINER.format(name=name, image=image, more=more)


def one(pfi: Pfi, kind: str, name: str) -> dict[str, Any]:
    """One thing, which must be there."""
    return pfi.platform.items(kind)[name]


def is_running(pfi: Pfi, name: str) -> bool:
    """Whether the daemon itself says so."""
    told = pfi.platform.lxd.client.get(f"/1.0/instances/{name}")
    return bool(told["status"] == "Running")


def revision(pfi: Pfi) -> int:
    """The newest change of all."""
    with pfi.platform.client() as client:
        return int(client.version()["revision"])


def succeeded(told: Told) -> Told:
    """The same, when the call has succeeded."""
    assert told.code == 0, told
    return told


def test_wrong_file_is_told_with_line_place_and_remedy_and_changes_nothing(pfi: Pfi) -> None:
    before = revision(pfi)
    good_then_wrong = f"{container('fine')}\n---\nkind: Container\nname: wrong\nspec:\n"
    told = pfi.apply(good_then_wrong + "  image: busybox\n  resources: {memory: lots}\n")
    misspelt = pfi.apply("kind: Deployment\nname: web\nreplcas: 2\nspec: {image: busybox}\n")
    no_yaml = pfi.apply("kind: Container\n\tname: one\n")

    assert "manifest.yaml:7: container/wrong: spec.resources.memory: 'lots' is not a size" in (
        told.message()
    )
    assert "512MiB" in told.error
    assert "manifest.yaml:3: deployment/web: replcas: is not a field" in misspelt.message()
    assert "did you mean replicas?" in misspelt.error
    assert "manifest.yaml:2: " in no_yaml.message()
    assert "indent with spaces" in no_yaml.error
    assert revision(pfi) == before


def test_unknown_image_is_told_at_once_and_by_its_node_and_heals_when_corrected(pfi: Pfi) -> None:
    told = pfi.apply(container("imaged", image="busybx"), "--wait", "--timeout", "5")
    corrected = pfi.apply(container("imaged"), *READY)

    assert "no node has an image 'busybx' in its local store; there are: busybox" in told.out
    assert told.code == 7
    assert "busybx" in told.message()
    assert corrected.code == 0, corrected
    assert is_running(pfi, "imaged")


def test_full_node_is_told_with_what_would_help_and_takes_it_when_there_is_room(
    pfi: Pfi,
) -> None:
    total_mib = one(pfi, "node", "n1")["capacity"]["memory_mib"]
    most = f", resources: {{memory: {total_mib * 7 // 10}MiB}}"
    succeeded(pfi.apply(container("first", more=most), *READY))
    told = pfi.apply(container("second", more=most), "--wait", "--timeout", "3")
    explained = succeeded(pfi("explain", "second"))
    kept = is_running(pfi, "first")
    succeeded(pfi("delete", "container", "first"))
    succeeded(pfi("wait", "container/second", "--for", "ready", "--timeout", "60"))

    assert told.code == 7
    assert "memory" in told.message()
    assert "n1" in explained.out
    assert "memory" in explained.out
    assert kept
    assert is_running(pfi, "second")
    succeeded(pfi("delete", "container", "second"))


def test_dead_daemon_is_told_by_its_node_keeps_its_containers_and_comes_back(pfi: Pfi) -> None:
    succeeded(pfi.apply(container("kept"), *READY))
    lxd = pfi.platform.lxd
    pid = lxd.client.get("/1.0/instances/kept/state")["pid"]
    lxd.kill()
    wait_for(lambda: bool(one(pfi, "node", "n1")["runtime_error"]), PATIENCE_S, "the node says so")
    told = pfi.apply(container("later"), "--wait", "--timeout", "3")
    listed = succeeded(pfi("describe", "node", "n1"))
    kept = one(pfi, "container", "kept")
    lxd.start()
    succeeded(pfi("wait", "container/later", "--for", "ready", "--timeout", "60"))

    assert told.code == 7
    assert "does not answer" in told.message()
    assert "does not answer" in listed.out
    assert kept["ready"]
    assert one(pfi, "node", "n1")["runtime_error"] == ""
    assert lxd.client.get("/1.0/instances/kept/state")["pid"] == pid


def test_refused_token_is_told_without_saying_what_is_wrong_with_it(pfi: Pfi) -> None:
    unknown = pfi("get", "containers", token="pft.none." + "x" * 40)
    token = succeeded(pfi("create", "token", "looker", "--role", "reader")).out.strip()
    reader = pfi("delete", "container", "imaged", token=token)

    assert unknown.code == 6
    assert "this credential is not known" in unknown.message()
    assert "--token-file" in unknown.error
    assert reader.code == 6
    assert "looker has the role reader, which may not write here" in reader.message()
    assert "pfi create token NAME --role app" in reader.error


def test_refused_join_token_is_told_by_the_agent_with_the_next_step(
    pfi: Pfi, tmp_path: Path
) -> None:
    platform = pfi.platform
    made = succeeded(pfi("create", "join-token")).out.strip()
    (tmp_path / "token").write_text(f"{made.rpartition('.')[0]}.{'x' * 40}")
    log = tmp_path / "agent.log"
    with log.open("wb") as output:
        agent = subprocess.Popen(
            [
                *(sys.executable, "-m", "pathfinder.agent.main", "--server", platform.url),
                *("--cluster", "default", "--name", "n2", "--runtime", "lxd"),
                *("--join-token-file", str(tmp_path / "token")),
                *("--ca-file", str(platform.data / "tls" / "server.crt")),
                *("--socket", platform.lxd.socket_path, "--state-dir", str(tmp_path / "state")),
            ],
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(lambda: "pfi create join-token" in log.read_text(), PATIENCE_S, "it says so")
    finally:
        agent.terminate()
        agent.wait(PATIENCE_S)

    said = log.read_text()
    assert said.count("this join token is not known for cluster 'default'") == 1
    assert "Traceback" not in said
    assert set(platform.items("node")) == {"n1"}


def test_taken_port_is_told_by_the_second_server_and_the_first_goes_on(
    pfi: Pfi, tmp_path: Path
) -> None:
    initialised(tmp_path / "other")
    address = f"127.0.0.1:{pfi.platform.port}"
    told = run_program("server", "--data-dir", tmp_path / "other", "--listen", address)

    assert told.returncode == 1
    assert f"cannot listen on {address}" in told.stderr
    assert "next: " in told.stderr
    assert "Traceback" not in told.stderr
    succeeded(pfi("get", "nodes"))


def test_full_disk_is_told_loses_nothing_and_heals_without_a_restart(pfi: Pfi) -> None:
    platform = pfi.platform
    succeeded(pfi.apply(container("before"), *READY))
    server = platform.server
    filler = platform.data / "filler"
    fill(filler)
    refused = changes_until_refused(pfi)
    acknowledged = set(platform.items("container"))
    shown = pfi("get", "containers")
    filler.unlink()
    succeeded(pfi.apply(container("after"), *READY))
    still_the_same = platform.server is server and server is not None and server.poll() is None
    platform.kill_server()
    platform.start_server()
    platform.wait_until_node_is_ready()

    assert refused.code == 1
    assert "no room left" in refused.message()
    assert "free some" in refused.error
    assert shown.code == 0
    assert still_the_same
    assert set(platform.items("container")) == acknowledged | {"after"}
    assert one(pfi, "container", "before")["ready"]


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return


def changes_until_refused(pfi: Pfi) -> Told:
    """Ask for containers that fit nowhere until a change is refused."""
    for number in range(200):
        told = pfi.apply(container(f"c{number:03}", more=", constraints: [nowhere]"))
        if told.code != 0:
            return told
    raise AssertionError("the disk takes 200 changes after it was full")
