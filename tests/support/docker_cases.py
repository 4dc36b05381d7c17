"""Wishes and the bodies that Docker must be sent: asserted as data, then against a daemon."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.model.resources import Resources
from pathfinder.model.services import Mount, Port
from pathfinder.runtimes.port import Labels, Wish

NAME: Final = "case-01"
BUSYBOX: Final = ImageSource(alias="busybox")
LABELS: Final = Labels(cluster="cases", slot=NAME, generation=12, digest="00ff00ff00ff00ff")
LABEL_DOCUMENT: Final = {
    "pathfinder.cluster": "cases",
    "pathfinder.slot": NAME,
    "pathfinder.generation": "12",
    "pathfinder.digest": "00ff00ff00ff00ff",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A spec, and where its request differs from the plainest one."""

    what: str
    spec: ContainerSpec
    config: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)

    @property
    def wish(self) -> Wish:
        return Wish(name=NAME, labels=LABELS, spec=self.spec)

    @property
    def body(self) -> dict[str, Any]:
        """The request's, for its reader to keep: the cases are shared by all tests of a run."""
        return deepcopy(
            {
                "Hostname": NAME,
                "Image": "busybox",
                "Labels": LABEL_DOCUMENT,
                "Env": [],
                **self.config,
                "HostConfig": {
                    "RestartPolicy": {"Name": "no"},
                    "NetworkMode": "default",
                    **self.host,
                },
            }
        )


def limits(what: str, resources: Resources, **host: Any) -> Case:
    spec = ContainerSpec(kind="application", image=BUSYBOX, resources=resources)
    return Case(what=what, spec=spec, host=host)


def mounted(volume: str, path: str, *, read_only: bool = False) -> dict[str, Any]:
    """A mount in Docker's words."""
    return {
        "Type": "volume",
        "Source": f"cases.{NAME}.{volume}",
        "Target": path,
        "ReadOnly": read_only,
        "VolumeOptions": {
            "Labels": {
                "pathfinder.cluster": "cases",
                "pathfinder.slot": NAME,
                "pathfinder.volume": volume,
            }
        },
    }


ODD: Final = 'é "$(id)" \\ = #x; `b`'
CASES: Final = (
    limits("no limits", Resources()),
    limits("whole cores", Resources(cpu_millis=2000), NanoCpus=2_000_000_000),
    limits("an odd share", Resources(cpu_millis=125), NanoCpus=125_000_000),
    limits("memory", Resources(memory_mib=64), Memory=64 << 20),
    limits("processes", Resources(processes=40), PidsLimit=40),
    limits("disk where it cannot be held", Resources(disk_mib=100)),
    Case(
        what="no network",
        spec=ContainerSpec(kind="application", image=BUSYBOX, network="none"),
        host={"NetworkMode": "none"},
    ),
    Case(
        what="environment",
        spec=ContainerSpec(
            kind="application", image=BUSYBOX, environment={"PLAIN": "a", "ODD": ODD}
        ),
        config={"Env": ["PLAIN=a", f"ODD={ODD}"]},
    ),
    Case(
        what="ports",
        spec=ContainerSpec(
            kind="application",
            image=BUSYBOX,
            ports=(
                Port(host=18080, container=80),
                Port(host=18081, container=80),
                Port(host=18053, container=53, protocol="udp"),
            ),
        ),
        config={"ExposedPorts": {"80/tcp": {}, "53/udp": {}}},
        host={
            "PortBindings": {
                "80/tcp": [{"HostPort": "18080"}, {"HostPort": "18081"}],
                "53/udp": [{"HostPort": "18053"}],
            }
        },
    ),
    Case(
        what="mounts",
        spec=ContainerSpec(
            kind="application",
            image=BUSYBOX,
            mounts=(
                Mount(volume="data", path="/srv/data"),
                Mount(volume="conf", path="/etc/conf", read_only=True),
            ),
        ),
        host={
            "Mounts": [mounted("data", "/srv/data"), mounted("conf", "/etc/conf", read_only=True)]
        },
    ),
    Case(
        what="command",
        spec=ContainerSpec(kind="application", image=BUSYBOX, command=("sleep", "1000")),
        config={"Cmd": ["sleep", "1000"]},
    ),
)
