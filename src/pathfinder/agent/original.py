"""The environment of the original's agents, read as settings of this one.

Where PF_SERVER_ADDR is set, a file of variables that was written for the Go or the mruby agent
starts this one unchanged. What is told by our own name for it wins.
"""

from collections.abc import Collection, Mapping
from typing import Final

SERVER: Final = "PF_SERVER_ADDR"
PASSWORD: Final = "PF_CLUSTER_PASSWORD"  # noqa: S105 - a variable's name
SCHEME, PORT = "PF_SERVER_SCHEME", "PF_SERVER_PORT"  # of the mruby agent, beside a plain host
SCHEME_DEFAULT, PORT_DEFAULT, CLUSTER_DEFAULT = "http", "8080", "default"
# Its variable, and the setting here that means the same.
SAME: Final[Mapping[str, str]] = {
    "LXD_SOCKET_PATH": "PF_SOCKET",
    "BOOTSTRAP_INSTALLER_URL": "PF_AGENT_BOOTSTRAP_INSTALLER_URL",
    "BOOTSTRAP_VERSION": "PF_AGENT_BOOTSTRAP_VERSION",
    "BOOTSTRAP_FLAG_OPTIONS": "PF_AGENT_BOOTSTRAP_FLAG_OPTIONS",
    "BOOTSTRAP_MAX_CONCURRENT": "PF_AGENT_BOOTSTRAPS_MAX",
}
# Its variables that mean nothing here: they are mentioned once, so that nobody waits for an effect.
WITHOUT_EFFECT: Final = (
    "BOOTSTRAP_CONTAINER_MAX_RETRY",
    "ABSOLUTE_BOOTSTRAP_SCRIPT_PATH",
    "METRICS_ZPOOL_NAME",
    "CHEF_INSTALLER",
    "CHEF_VERSION",
)


def translated(environment: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """The environment, with settings of `known` that the original's variables tell added to it."""
    told = dict(environment)
    if not environment.get(SERVER):
        return told
    wanted = {"PF_SERVER": _server(environment), "PF_CLUSTER": CLUSTER_DEFAULT}
    wanted |= {ours: environment[its] for its, ours in SAME.items() if environment.get(its)}
    for name, value in wanted.items():
        if name in known and not told.get(name):
            told[name] = value
    return told


def without_effect(environment: Mapping[str, str], known: Collection[str]) -> list[str]:
    """The original's variables that are set and that this agent has no use for, by name."""
    if not environment.get(SERVER):
        return []
    unknown = [its for its, ours in SAME.items() if ours not in known]
    paths = [name for name in environment if name.startswith("PF_") and name.endswith("_PATH")]
    return sorted(name for name in (*WITHOUT_EFFECT, *unknown, *paths) if environment.get(name))


def _server(environment: Mapping[str, str]) -> str:
    """The Go agent is told a URL, the mruby agent a host beside scheme and port."""
    told = environment[SERVER].rstrip("/")
    if "://" in told:
        return told
    scheme = environment.get(SCHEME) or SCHEME_DEFAULT
    return f"{scheme}://{told}:{environment.get(PORT) or PORT_DEFAULT}"
