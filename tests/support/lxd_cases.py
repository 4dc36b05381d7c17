"""Wishes and the bodies that LXD must be sent for them: asserted as data, then against a daemon."""

from dataclasses import dataclass
from typing import Any, Final

from pathfinder.model.bootstrap import BootstrapStep
from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.model.resources import Resources
from pathfinder.runtimes.lxd_requests import Ground
from pathfinder.runtimes.port import Labels, Wish

NAME: Final = "case-01"
BUSYBOX: Final = ImageSource(alias="busybox")
LABELS: Final = Labels(cluster="cases", slot=NAME, generation=12, digest="00ff00ff00ff00ff")
# What a private LXD's default profile gives: tests.support.lxd makes it so.
GROUND: Final = Ground(
    root_name="root",
    root_device={"type": "disk", "path": "/", "pool": "default"},
    pool_driver="btrfs",
    nic_names=("eth0",),
)
LABEL_CONFIG: Final = {
    "user.pathfinder.cluster": "cases",
    "user.pathfinder.slot": NAME,
    "user.pathfinder.generation": "12",
    "user.pathfinder.digest": "00ff00ff00ff00ff",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A spec, and where its request differs from the plainest one."""

    what: str
    spec: ContainerSpec
    config: dict[str, str]
    devices: dict[str, dict[str, str]]

    @property
    def wish(self) -> Wish:
        return Wish(name=NAME, labels=LABELS, spec=self.spec)

    @property
    def body(self) -> dict[str, Any]:
        return {
            "name": NAME,
            "type": "container",
            "source": {"type": "image", "alias": "busybox"},
            "profiles": ["default"],
            "config": {**LABEL_CONFIG, **self.config},
            "devices": self.devices,
        }


def limits(what: str, resources: Resources, **config: str) -> Case:
    return Case(
        what=what,
        spec=ContainerSpec(image=BUSYBOX, resources=resources),
        config={key.replace("_", "."): value for key, value in config.items()},
        devices={},
    )


CASES: Final = (
    limits("no limits", Resources()),
    limits("whole cores", Resources(cpu_millis=2000), limits_cpu="2"),
    limits("half a core", Resources(cpu_millis=500), limits_cpu_allowance="50ms/100ms"),
    limits("more than one core", Resources(cpu_millis=1500), limits_cpu_allowance="150ms/100ms"),
    limits("an odd share", Resources(cpu_millis=125), limits_cpu_allowance="125ms/1000ms"),
    limits("memory", Resources(memory_mib=64), limits_memory="64MiB"),
    limits("processes", Resources(processes=40), limits_processes="40"),
    Case(
        what="disk",
        spec=ContainerSpec(image=BUSYBOX, resources=Resources(disk_mib=100)),
        config={},
        devices={"root": {"type": "disk", "path": "/", "pool": "default", "size": "100MiB"}},
    ),
    Case(
        what="no network",
        spec=ContainerSpec(image=BUSYBOX, network="none"),
        config={},
        devices={"eth0": {"type": "none"}},
    ),
    Case(
        what="user data of cloud-init",
        spec=ContainerSpec(
            image=BUSYBOX,
            bootstrap=(
                BootstrapStep(type="shell", script="echo not this"),
                BootstrapStep(type="cloud-init", user_data='#cloud-config\nruncmd: ["id # \'é"]\n'),
            ),
        ),
        config={"cloud-init.user-data": '#cloud-config\nruncmd: ["id # \'é"]\n'},
        devices={},
    ),
    Case(
        what="environment",
        spec=ContainerSpec(
            image=BUSYBOX, environment={"PLAIN": "a", "ODD": 'é "$(id)" \\ = #x; `b`'}
        ),
        config={"environment.PLAIN": "a", "environment.ODD": 'é "$(id)" \\ = #x; `b`'},
        devices={},
    ),
)
