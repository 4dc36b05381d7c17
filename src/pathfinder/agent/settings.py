"""Every setting of the agent, in one list: `--help`, its documentation and the parser come from it.

Each can be given as a flag or as an environment variable; a flag wins. An environment variable that
begins with PF_AGENT_ and is no setting is refused: it is a misspelt one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pathfinder.agent import original
from pathfinder.agent.bounds import CoreSettings
from pathfinder.agent.programs import ChefSettings
from pathfinder.model import names, selectors
from pathfinder.model.definitions import resources_from
from pathfinder.model.errors import DefinitionWrong, Malformed
from pathfinder.model.resources import NOTHING, Resources

EXTRA_PREFIX: Final = "extra."  # of a capacity
VERSION: Final = "0.1.0"
PREFIX: Final = "PF_AGENT_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its environment variable, its flag, its default, and what it is for."""

    name: str
    flag: str
    default: str
    help: str


SETTINGS: Final = (
    Setting("PF_SERVER", "--server", "", "The state server: https://HOST:PORT. Required."),
    Setting("PF_CLUSTER", "--cluster", "", "The cluster to join. Required."),
    Setting("PF_JOIN_TOKEN_FILE", "--join-token-file", "",
            "A file that holds a join token. Needed once; it also pins the server's key."),
    Setting("PF_CLUSTER_PASSWORD_FILE", "--cluster-password-file", "",
            "A file that holds the cluster's password, in place of a join token."),
    Setting("PF_CA_FILE", "--ca-file", "",
            "Certificates to trust (PEM) where no token pins the key; else the system's."),
    Setting("PF_NAME", "--name", "", "The node's name. Default: the host's name."),
    Setting("PF_LABELS", "--labels", "", "Labels of the node: disk=ssd,zone=a."),
    Setting("PF_RUNTIME", "--runtime", "lxd",
            "The container runtime: lxd (system containers), docker (application containers), "
            "or lxd,docker for both."),
    Setting("PF_SOCKET", "--socket", "",
            "The runtime's UNIX socket; with both, lxd=PATH,docker=PATH. "
            "Default: /var/lib/lxd/unix.socket, /run/docker.sock."),
    Setting("PF_STATE_DIR", "--state-dir", "/var/lib/pathfinder-agent",
            "Where identity and checkpoint are kept."),
    Setting("PF_CAPACITY", "--capacity", "",
            "What containers may use of the node: cpu=4,memory=8GiB,disk=100GiB,extra.gpu=2. "
            "Default: all."),
    Setting("PF_AGENT_CALLS_MAX", "--calls-max", "8", "Calls to the runtime at once."),
    Setting("PF_AGENT_MAKES_MAX", "--makes-max", "6",
            "Of these, how many may create or start containers."),
    Setting("PF_AGENT_REMOVALS_MAX", "--removals-max", "4",
            "Of these, how many may stop or remove containers."),
    Setting("PF_AGENT_BOOTSTRAPS_MAX", "--bootstraps-max", "5", "Bootstraps that run at once."),
    Setting("PF_AGENT_BOOTSTRAP_INSTALLER_URL", "--bootstrap-installer-url",
            "https://www.chef.io/chef/install.sh",
            "What installs Chef in a container that has none."),
    Setting("PF_AGENT_BOOTSTRAP_VERSION", "--bootstrap-version", "",
            "The version of Chef to install. Default: the installer's choice."),
    Setting("PF_AGENT_BOOTSTRAP_FLAG_OPTIONS", "--bootstrap-flag-options", "",
            "More arguments for chef-solo, separated by spaces."),
    Setting("PF_AGENT_STREAMS_MAX", "--streams-max", "32", "Terminals and logs open at once."),
    Setting("PF_AGENT_STOP_GRACE_S", "--stop-grace-s", "10",
            "Seconds that a container has to stop before it is killed."),
    Setting("PF_AGENT_MEASURE_S", "--measure-s", "15", "Seconds between measurements."),
    Setting("PF_AGENT_RELIST_S", "--relist-s", "60",
            "Seconds after which the runtime's full list is read again without a reason."),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What the agent was told, checked."""

    server: str
    cluster: str
    join_token_file: str
    cluster_password_file: str
    cluster_password: str  # told by the original's variable, in place of a file
    ca_file: str
    node: str
    labels: Mapping[str, str]
    sockets: Mapping[str, str]  # by runtime
    state_dir: str
    capacity: Resources
    measure_s: int
    core: CoreSettings
    chef: ChefSettings


def read_settings(
    arguments: Sequence[str], environment: Mapping[str, str], hostname: str
) -> AgentSettings:
    """The settings by flags, then environment, then defaults; Malformed with the next step."""
    _refuse_unknown(environment)
    given = _flags(arguments)
    environment = original.translated(environment, [setting.name for setting in SETTINGS])
    told = {s.flag: given.get(s.flag, environment.get(s.name, "")) or s.default for s in SETTINGS}
    for flag in ("--server", "--cluster"):
        if not told[flag]:
            raise Malformed(f"{flag} is missing", hint="pathfinder-agent --help")
    if told["--join-token-file"] and told["--cluster-password-file"]:
        raise Malformed("give --join-token-file or --cluster-password-file, not both")
    by_file = told["--join-token-file"] or told["--cluster-password-file"]
    return AgentSettings(
        server=told["--server"],
        cluster=names.name(told["--cluster"], "--cluster"),
        join_token_file=told["--join-token-file"],
        cluster_password_file=told["--cluster-password-file"],
        cluster_password=environment.get(original.PASSWORD, "") if not by_file else "",
        ca_file=told["--ca-file"],
        node=names.hostname(told["--name"] or hostname.partition(".")[0], "--name"),
        labels=selectors.labels(_pairs(told["--labels"], "--labels"), "--labels"),
        sockets=_sockets(told["--runtime"], told["--socket"]),
        state_dir=told["--state-dir"],
        capacity=_capacity(told["--capacity"]),
        measure_s=_whole(told, "--measure-s", least=1),
        core=_core_settings(told),
        chef=ChefSettings(
            installer_url=told["--bootstrap-installer-url"],
            version=told["--bootstrap-version"],
            flags=tuple(told["--bootstrap-flag-options"].split()),
        ),
    )


SOCKETS: Final = {"lxd": "/var/lib/lxd/unix.socket", "docker": "/run/docker.sock"}


def help_text() -> str:
    """What `pathfinder-agent --help` prints."""
    lines = [
        "usage: pathfinder-agent --server URL --cluster NAME",
        "           (--join-token-file FILE | --cluster-password-file FILE) [FLAGS]",
        "",
        "Makes this node's containers what its cluster's server says.",
        "",
    ]
    for setting in SETTINGS:
        default = f" [{setting.default}]" if setting.default else ""
        lines += [f"  {setting.flag}, {setting.name}{default}", f"      {setting.help}"]
    lines += [
        "",
        "  The original agent's variables are read too: PF_SERVER_ADDR, PF_CLUSTER_PASSWORD,",
    ]
    lines += ["  LXD_SOCKET_PATH, BOOTSTRAP_...; those above win."]
    return "\n".join([*lines, "", "  --help, --version", ""])


def _flags(arguments: Sequence[str]) -> dict[str, str]:
    """`--flag value` and `--flag=value`. Not argparse, which takes 0.4 MB of the agent's 22."""
    known = [setting.flag for setting in SETTINGS]
    given: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag not in known:
            raise Malformed(f"{flag} is not a flag", hint=_nearest(flag, known))
        if not equals:
            if not rest:
                raise Malformed(f"{flag} needs a value")
            value = rest.pop(0)
        if flag in given:
            raise Malformed(f"{flag} is given twice")
        given[flag] = value
    return given


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = [setting.name for setting in SETTINGS]
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            raise Malformed(f"{name} is not a setting", hint=_nearest(name, known))


def _nearest(word: str, known: Sequence[str]) -> str:
    """The known word that shares most letters pairs with a misspelt one."""

    def pairs(text: str) -> set[str]:
        return {text[i : i + 2] for i in range(len(text) - 1)}

    best = max(known, key=lambda candidate: len(pairs(candidate) & pairs(word)))
    return f"did you mean {best}?"


def _core_settings(told: Mapping[str, str]) -> CoreSettings:
    calls_max = _whole(told, "--calls-max", least=1)
    return CoreSettings(
        calls_max=calls_max,
        makes_max=min(calls_max, _whole(told, "--makes-max", least=1)),
        removals_max=min(calls_max, _whole(told, "--removals-max", least=1)),
        bootstraps_max=_whole(told, "--bootstraps-max", least=1),
        streams_max=_whole(told, "--streams-max", least=0),
        stop_grace_s=float(_whole(told, "--stop-grace-s", least=0)),
        relist_ms=1000 * _whole(told, "--relist-s", least=1),
    )


def _sockets(runtimes: str, sockets: str) -> dict[str, str]:
    """The sockets of the runtimes that are named, in their order."""
    names = [name.strip() for name in runtimes.split(",")]
    for name in names:
        if name not in SOCKETS:
            raise Malformed(f"--runtime {name}: is not one of {', '.join(SOCKETS)}")
    if len(set(names)) < len(names):
        raise Malformed(f"--runtime {runtimes}: one of them is named twice")
    if len(names) == 1 and "=" not in sockets:
        return {names[0]: sockets or SOCKETS[names[0]]}
    told = _pairs(sockets, "--socket")
    for name in told:
        if name not in names:
            raise Malformed(f"--socket {name}: is not one of the runtimes {runtimes}")
    return {name: told.get(name, SOCKETS[name]) for name in names}


def _whole(told: Mapping[str, str], flag: str, *, least: int) -> int:
    text = told[flag]
    if not text.isdecimal() or not least <= int(text) <= 86_400:
        raise Malformed(f"{flag} {text}: must be a whole number from {least} to 86400")
    return int(text)


def _capacity(text: str) -> Resources:
    pairs = _pairs(text, "--capacity")
    amounts: dict[str, object] = {k: v for k, v in pairs.items() if not k.startswith(EXTRA_PREFIX)}
    extra = {
        key.removeprefix(EXTRA_PREFIX): int(value) if value.isdecimal() else value
        for key, value in pairs.items()
        if key.startswith(EXTRA_PREFIX)
    }
    if extra:
        amounts["extra"] = extra
    try:
        return resources_from(amounts, "--capacity") if amounts else NOTHING
    except DefinitionWrong as error:
        raise Malformed(error.message, hint=error.hint or "as in cpu=4,memory=8GiB") from None


def _pairs(text: str, flag: str) -> dict[str, str]:
    pairs = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise Malformed(f"{flag} {text}: must be like name=value,name=value")
        pairs[key.strip()] = value.strip()
    return pairs
