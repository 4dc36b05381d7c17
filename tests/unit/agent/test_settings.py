"""Settings come from flags, environment and defaults, and misspelt ones are refused by name."""

import tomllib
from pathlib import Path

import pytest

from pathfinder.agent import settings
from pathfinder.agent.log import line
from pathfinder.agent.settings import SETTINGS, help_text, read_settings
from pathfinder.model.errors import PathfinderError
from pathfinder.model.resources import Resources

ROOT = Path(__file__).parents[3]
NEEDED = ("--server", "https://127.0.0.1:8480", "--cluster", "west")


def test_flag_wins_over_environment_and_environment_over_default() -> None:
    told = read_settings(
        (*NEEDED, "--calls-max", "3"),
        {"PF_AGENT_CALLS_MAX": "5", "PF_AGENT_MEASURE_S": "60"},
        "host.example",
    )

    assert (told.core.calls_max, told.measure_s) == (3, 60)
    assert told.sockets == {"lxd": "/var/lib/lxd/unix.socket"}


def test_each_runtime_has_its_usual_socket_unless_told_otherwise() -> None:
    usual = read_settings((*NEEDED, "--runtime", "docker"), {}, "host")
    told = read_settings((*NEEDED, "--runtime", "docker", "--socket", "/run/d.sock"), {}, "host")

    both = read_settings(
        (*NEEDED, "--runtime", "lxd,docker", "--socket", "docker=/run/d.sock"), {}, "host"
    )

    assert both.sockets == {"lxd": "/var/lib/lxd/unix.socket", "docker": "/run/d.sock"}
    assert usual.sockets == {"docker": "/run/docker.sock"}
    assert told.sockets == {"docker": "/run/d.sock"}


def test_name_is_the_hosts_first_word_when_none_is_given() -> None:
    assert read_settings(NEEDED, {}, "node-7.example.org").node == "node-7"


def test_every_setting_can_be_given_by_environment() -> None:
    environment = {"PF_SERVER": "http://h:1", "PF_CLUSTER": "west", "PF_NAME": "n9"}
    environment |= {"PF_CAPACITY": "cpu=1.5,memory=2GiB", "PF_LABELS": "disk=ssd"}

    told = read_settings((), environment, "host")

    assert (told.node, dict(told.labels)) == ("n9", {"disk": "ssd"})
    assert told.capacity == Resources(cpu_millis=1_500, memory_mib=2_048)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ((), {}, "--server is missing"),
        ((*NEEDED, "--calls-mx", "3"), {}, "--calls-mx is not a flag"),
        (NEEDED, {"PF_AGENT_CALLS_MXA": "8"}, "PF_AGENT_CALLS_MXA is not a setting"),
        ((*NEEDED, "--calls-max"), {}, "--calls-max needs a value"),
        ((*NEEDED, "--calls-max", "many"), {}, "whole number from 1"),
        ((*NEEDED, "--calls-max", "0"), {}, "whole number from 1"),
        ((*NEEDED, "--server", "x"), {}, "given twice"),
        ((*NEEDED, "--runtime", "podman"), {}, "is not one of lxd, docker"),
        ((*NEEDED, "--runtime", "lxd,podman"), {}, "podman: is not one of lxd, docker"),
        ((*NEEDED, "--runtime", "lxd,lxd"), {}, "named twice"),
        ((*NEEDED, "--runtime", "lxd,docker", "--socket", "/x"), {}, "name=value"),
        ((*NEEDED, "--socket", "docker=/x"), {}, "--socket docker: is not one of"),
        ((*NEEDED, "--capacity", "cpu"), {}, "name=value"),
        (
            (*NEEDED, "--capacity", "extra.gpu=two"),
            {},
            "--capacity.extra.gpu: 'two' is not a whole",
        ),
        ((*NEEDED, "--capacity", "ram=3"), {}, "--capacity.ram: is not a resource"),
        ((*NEEDED, "--name", "not_a_name"), {}, "cannot be a name"),
        (
            (*NEEDED, "--join-token-file", "a", "--cluster-password-file", "b"),
            {},
            "not both",
        ),
    ],
)
def test_wrong_setting_is_refused_by_name(
    arguments: tuple[str, ...], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(PathfinderError, match=message):
        read_settings(arguments, environment, "host")


def test_misspelt_setting_is_told_what_was_meant() -> None:
    with pytest.raises(PathfinderError) as refusal:
        read_settings(NEEDED, {"PF_AGENT_CALLS_MXA": "8"}, "host")

    assert refusal.value.hint == "did you mean PF_AGENT_CALLS_MAX?"


def test_help_and_documentation_name_every_setting() -> None:
    documentation = (ROOT / "docs" / "agent.md").read_text()

    for setting in SETTINGS:
        assert setting.flag in help_text()
        assert f"| `{setting.flag}` | `{setting.name}` |" in documentation
        assert setting.help in documentation


def test_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == settings.VERSION


def test_log_line_stays_one_line_whatever_was_said() -> None:
    said = line("failed", slot="web-01", took_ms=812, error='no "image"\nhere', hint="", why=None)

    assert said == 'failed slot=web-01 took_ms=812 error="no \\"image\\"\\nhere"'
