"""A file of variables for the original's agent starts ours."""

import pytest

from pathfinder.agent.original import without_effect
from pathfinder.agent.settings import SETTINGS, read_settings

KNOWN = [setting.name for setting in SETTINGS]
GO = {
    "PF_SERVER_ADDR": "http://10.0.0.1:3000",
    "PF_CLUSTER": "barito",
    "PF_CLUSTER_PASSWORD": "open sesame",
    "LXD_SOCKET_PATH": "/var/snap/lxd/common/lxd/unix.socket",
}


def test_variables_of_the_go_agent_are_enough() -> None:
    told = read_settings((), GO, "host")

    assert (told.server, told.cluster) == ("http://10.0.0.1:3000", "barito")
    assert told.cluster_password == "open sesame"
    assert told.sockets["lxd"] == "/var/snap/lxd/common/lxd/unix.socket"


@pytest.mark.parametrize(
    ("environment", "server"),
    [
        ({}, "http://pathfinder:8080"),
        ({"PF_SERVER_PORT": "3000"}, "http://pathfinder:3000"),
        ({"PF_SERVER_SCHEME": "https", "PF_SERVER_PORT": "443"}, "https://pathfinder:443"),
    ],
)
def test_mruby_agent_is_told_its_server_in_parts(environment: dict[str, str], server: str) -> None:
    told = read_settings((), {"PF_SERVER_ADDR": "pathfinder", **environment}, "host")

    assert (told.server, told.cluster) == (server, "default")


def test_our_own_names_win() -> None:
    environment = {**GO, "PF_SERVER": "https://new:8480", "PF_SOCKET": "/run/lxd.socket"}
    told = read_settings(("--cluster", "east", "--join-token-file", "token"), environment, "host")

    assert (told.server, told.cluster) == ("https://new:8480", "east")
    assert told.sockets["lxd"] == "/run/lxd.socket"
    assert told.cluster_password == ""


def test_what_has_no_effect_is_named_and_secrets_are_not() -> None:
    environment = {
        **GO,
        "PF_REGISTER_PATH": "api/v1/node/register",
        "METRICS_ZPOOL_NAME": "local",
        "BOOTSTRAP_CONTAINER_MAX_RETRY": "2",
    }

    names = without_effect(environment, KNOWN)
    assert {"PF_REGISTER_PATH", "METRICS_ZPOOL_NAME", "BOOTSTRAP_CONTAINER_MAX_RETRY"} <= {*names}
    assert "PF_CLUSTER_PASSWORD" not in names
    assert without_effect({"METRICS_ZPOOL_NAME": "local"}, KNOWN) == []
