"""`pfi` on the platform as it is in life: server, agent and LXD on this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.lxd import PrivateLxd
from tests.support.platform import Platform, running_platform
from tests.support.pseudo_terminal import on_terminal

pytestmark = [pytest.mark.slow, pytest.mark.system]

PFI = (sys.executable, "-m", "pathfinder.cli")
PROMPT = "~ # "
WEB = """\
kind: Deployment
name: web
replicas: 2
spec: {type: STATELESS, image: busybox, resources: {memory: 64MiB}}
---
kind: Container
name: one
spec: {image: busybox}
"""
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def platform(lxd: PrivateLxd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("platform"), lxd) as platform:
        yield platform


@pytest.fixture(scope="module")
def environ(platform: Platform) -> dict[str, str]:
    return {
        "PFI_SERVER": platform.url,
        "PFI_CA_FILE": str(platform.data / "tls" / "server.crt"),
        "PFI_TOKEN": (platform.directory / "admin").read_text().strip(),
        "PFI_CONFIG": str(platform.directory / "pfi.json"),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


@pytest.fixture(scope="module")
def call(environ: dict[str, str]) -> Call:
    def called(*arguments: str, code: int = 0, **more: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [*PFI, *arguments],
            capture_output=True,
            text=True,
            env={**environ, **more},
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done
        return done

    return called


@pytest.fixture(scope="module")
def applied(call: Call, platform: Platform) -> Path:
    """What the tests below look at."""
    file = platform.directory / "web.yaml"
    file.write_text(WEB)
    call("apply", "-f", str(file), "--wait", "--timeout", "60")
    return file


@pytest.mark.usefixtures("applied")
def test_what_is_applied_runs_and_is_listed(call: Call) -> None:
    items = json.loads(call("get", "containers", "-o", "json").stdout)["items"]

    phases = {item["name"]: item["phase"] for item in items}
    assert phases == dict.fromkeys(("one", "web-01", "web-02"), "BOOTSTRAPPED")
    assert all(item["ready"] and item["ipaddress"] and item["node"] == "n1" for item in items)


def test_applying_the_same_again_changes_nothing(call: Call, applied: Path) -> None:
    assert call("plan", "-f", str(applied)).stdout.endswith("Nothing to change.\n")
    assert call("apply", "-f", str(applied)).stdout.endswith("Nothing was changed.\n")


@pytest.mark.usefixtures("applied")
def test_a_command_passes_input_output_and_exit_code_through_server_and_agent(
    environ: dict[str, str],
) -> None:
    content = bytes(range(256)) * 4096

    done = subprocess.run(
        [*PFI, "exec", "-i", "one", "--", "sh", "-c", "cat; echo trouble >&2; exit 7"],
        input=content,
        capture_output=True,
        env=environ,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (7, b"trouble\n")
    assert done.stdout == content


@pytest.mark.usefixtures("applied")
def test_a_terminal_in_a_container_has_size_keys_and_interrupts(environ: dict[str, str]) -> None:
    with on_terminal([*PFI, "exec", "-it", "one", "--", "sh"], environ, columns=90) as terminal:
        terminal.read_until(PROMPT)  # what is typed earlier, the shell throws away
        terminal.type("stty size\r")
        terminal.read_until("30 90")
        terminal.read_until(PROMPT)
        terminal.type("echo beg''un; sleep 1000\r")
        terminal.read_until("begun")
        terminal.type("\x03")
        terminal.read_until(PROMPT)
        terminal.resize(77, 22)
        terminal.type("stty size\r")
        terminal.read_until("22 77")
        terminal.type("exit 9\r")

        assert terminal.ends() == 9
        assert not terminal.is_raw()


@pytest.mark.usefixtures("applied")
def test_a_command_that_does_not_exist_ends_as_shells_have_it(call: Call) -> None:
    ended = call("exec", "one", "--", "nosuchcommand", code=127)

    assert "not found" in ended.stdout + ended.stderr


@pytest.mark.usefixtures("applied")
def test_descriptions_say_what_happened_and_why(call: Call) -> None:
    described = call("describe", "container", "web-01").stdout
    explained = call("explain", "web-01").stdout

    assert "by node n1" in described
    assert "web-01 is BOOTSTRAPPED on n1" in explained
    assert "because: " in explained


@pytest.mark.usefixtures("applied")
def test_scaling_is_waited_for(call: Call) -> None:
    call("scale", "deployment", "web", "--replicas", "3", "--wait", "--timeout", "60")
    items = json.loads(call("get", "co", "-o", "json", "--deployment", "web").stdout)["items"]
    call("scale", "deployment", "web", "--replicas", "2", "--wait", "--timeout", "60")

    assert len(items) == 3


def test_what_fits_nowhere_says_what_would_help(call: Call) -> None:
    call("create", "container", "big", "--image", "busybox", "--memory", "900GiB")
    waited = call("wait", "container/big", "--timeout", "0.5", code=7)
    call("delete", "container", "big", "--wait")

    assert "lacks memory" in waited.stderr
    assert "hint: ask for at most" in waited.stderr


def test_an_unknown_image_is_said_with_those_that_exist(call: Call) -> None:
    created = call("create", "container", "two", "--image", "nosuch")
    call("wait", "co/two", "--for", "phase=PROVISION_ERROR", "--timeout", "30")
    described = call("describe", "co", "two").stdout
    call("delete", "co", "two", "--wait")

    assert "no node has an image 'nosuch'" in created.stdout
    assert "busybox" in described


def test_a_refused_credential_and_an_unknown_cluster_have_their_codes(call: Call) -> None:
    refused = call("get", "nodes", code=6, PFI_TOKEN="pft.0.0")
    unknown = call("get", "nodes", "-c", "nope", code=3)
    distrusted = call("get", "nodes", code=5, PFI_CA_FILE="")

    assert "--token-file" in refused.stderr
    assert "pfi get clusters" in unknown.stderr
    assert "--ca-file" in distrusted.stderr


def test_the_servers_mistakes_in_a_manifest_are_shown_at_their_line(
    call: Call, tmp_path: Path
) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(WEB.replace("replicas: 2", "replicas: 2\nmin_available: 5"))

    assert (
        f"{file}:4: deployment/web: min_available: "
        in call("apply", "-f", str(file), code=1).stderr
    )


@pytest.mark.usefixtures("applied")
def test_logs_and_events_are_there(call: Call) -> None:
    assert "one is up" in call("logs", "one").stdout
    assert "container/one" in call("events", "--name", "one").stdout


@pytest.mark.usefixtures("applied")
def test_what_is_deleted_is_waited_for(call: Call) -> None:
    call("delete", "deployment/web", "container/one", "--wait", "--timeout", "60")

    assert json.loads(call("get", "containers", "-o", "json").stdout)["items"] == []
