"""Ports, mounts and health checks: what is written is understood, and each error has its place."""

from typing import Any

import pytest

from pathfinder.model.definitions import ContainerSpec, container_spec, spec_from_document
from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.health import Health
from pathfinder.model.services import Mount, Port


def spec(**fields: Any) -> ContainerSpec:
    return container_spec({"kind": "application", "image": "web", **fields})


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ("8080:80", Port(host=8080, container=80)),
        ("53:53/udp", Port(host=53, container=53, protocol="udp")),
        ({"host": 8080, "container": 80}, Port(host=8080, container=80)),
    ],
)
def test_port_is_written_short_or_whole(written: object, port: Port) -> None:
    assert spec(ports=[written]).ports == (port,)


def test_path_of_a_mount_is_made_plain() -> None:
    mounts = spec(mounts=[{"volume": "data", "path": "/srv//data/", "read_only": True}]).mounts

    assert mounts == (Mount(volume="data", path="/srv/data", read_only=True),)


@pytest.mark.parametrize(
    ("written", "health"),
    [
        ({"command": ["true"]}, Health(command=("true",))),
        ({"http": {"port": 80}}, Health(http_port=80)),
        (
            {"http": {"port": 80, "path": "/up"}, "retries": 5},
            Health(http_port=80, http_path="/up", retries=5),
        ),
        ({"tcp": {"port": 5432}, "start_period_s": 60}, Health(tcp_port=5432, start_period_s=60)),
    ],
)
def test_health_is_one_of_three_ways(written: dict[str, Any], health: Health) -> None:
    assert spec(health=written).health == health


def test_everything_survives_its_document() -> None:
    made = spec(
        ports=["8080:80", "53:53/udp"],
        mounts=[{"volume": "a", "path": "/a"}, {"volume": "b", "path": "/b", "read_only": True}],
        health={"http": {"port": 80, "path": "/up"}, "interval_s": 5, "timeout_s": 1},
    )

    assert spec_from_document(made.document()) == made
    assert made.host_ports == ("8080/tcp", "53/udp")


def test_spec_without_them_has_the_digest_that_it_always_had() -> None:
    assert spec().digest() == spec(ports=[], mounts=[], health=None).digest()
    assert spec().digest() != spec(ports=["1:1"]).digest()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ports": "8080:80"}, "spec.ports: must be a list of at most 64"),
        ({"ports": ["80"]}, "spec.ports[0]: '80' is not like 8080:80"),
        ({"ports": ["1:1", "70000:80"]}, "spec.ports[1].host: 70000 is not a port"),
        ({"ports": [{"host": 80}]}, "spec.ports[0].container: None is not a port"),
        ({"ports": [{"host": True, "container": 1}]}, "spec.ports[0].host: True is not a port"),
        ({"ports": [{"hots": 80}]}, "spec.ports[0].hots: is not one of host, container, protocol"),
        ({"ports": ["80:1", "80:2"]}, "spec.ports[1]: host port 80/tcp is there twice"),
        (
            {"ports": [{"host": 1, "container": 1, "protocol": "sctp"}]},
            "spec.ports[0].protocol: 'sctp' is not one of tcp, udp",
        ),
        ({"mounts": [{"path": "/a"}]}, "spec.mounts[0].volume: None cannot be a volume's name"),
        (
            {"mounts": [{"volume": "/var/lib", "path": "/a"}]},
            "spec.mounts[0].volume: '/var/lib' cannot be a volume's name",
        ),
        (
            {"mounts": [{"volume": "a", "path": "a"}]},
            "spec.mounts[0].path: 'a' is not an absolute path",
        ),
        ({"mounts": [{"volume": "a", "path": "/a/../.."}]}, "spec.mounts[0].path: '/a/../..'"),
        ({"mounts": [{"volume": "a", "path": "/"}]}, "spec.mounts[0].path: '/': name a directory"),
        (
            {"mounts": [{"volume": "a", "path": "/a", "read_only": 1}]},
            "spec.mounts[0].read_only: is either true or false",
        ),
        (
            {"mounts": [{"volume": "a", "path": "/a"}, {"volume": "b", "path": "/a/"}]},
            "spec.mounts[1].path: /a is there twice",
        ),
        ({"health": {}}, "spec.health: needs exactly one of command, http and tcp"),
        (
            {"health": {"command": ["a"], "tcp": {"port": 1}}},
            "spec.health: needs exactly one of command, http and tcp",
        ),
        ({"health": {"command": "true"}}, "spec.health.command: must be a list of 1 to 128"),
        ({"health": {"command": [1]}}, "spec.health.command[0]: must be a string"),
        ({"health": {"http": {"port": 0}}}, "spec.health.http.port: 0 is not a port"),
        (
            {"health": {"http": {"port": 80, "path": "up"}}},
            "spec.health.http.path: 'up' is not a path",
        ),
        (
            {"health": {"tcp": {"port": 1}, "interval_s": 0}},
            "spec.health.interval_s: must be a whole number from 1",
        ),
        ({"health": {"tcp": {"port": 1}, "every": 3}}, "spec.health.every: is not one of"),
        (
            {"kind": "system", "ports": ["80:80"]},
            "spec.ports: are for application containers: a system container has an address",
        ),
        (
            {"kind": "system", "mounts": [{"volume": "a", "path": "/a"}]},
            "spec.mounts: are for application containers",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionWrong) as refused:
        spec(**fields)

    assert refused.value.message.startswith(message)
