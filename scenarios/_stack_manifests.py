"""A logging stack in the shape in which BaritoMarket sends it to `deployments/batch` of API v2.

Eight deployments whose attributes refer to each other by `$pf-meta:`. The field names and values
are the market's; the attributes are shortened to what shows a reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

CLUSTER: Final = "default"
STACK: Final = "guja"
IMAGE: Final = "stack"
IMAGE_CHEF: Final = "/usr/bin/chef-solo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One deployment of the stack: `attributes` may contain calls of `$pf-meta:`."""

    name: str
    replicas: int
    available: int
    type: str
    attributes: Mapping[str, Any]


def addresses_of(part: str) -> str:
    """The call that becomes the list of addresses of a part's replicas."""
    return f"$pf-meta:deployment_ip_addresses?deployment_name={STACK}-{part}"


def sequence_of(host: str) -> str:
    """The call that becomes the list of numbered names of a part's replicas."""
    return f"$pf-meta:deployment_host_sequences?host={host}.service.consul&self_host=0.0.0.0"


MEMBER: Final = {"hosts": addresses_of("consul"), "run_as_server": False}
PARTS: Final = (
    Part(
        name="consul",
        replicas=3,
        available=2,
        type="stateless",
        attributes={"consul": {"hosts": addresses_of("consul")}, "run_list": ["role[consul]"]},
    ),
    Part(
        name="zookeeper",
        replicas=3,
        available=2,
        type="stateful",
        attributes={
            "consul": MEMBER,
            "zookeeper": {
                "my_id": "$pf-meta:container_id?",
                "hosts": sequence_of("zookeeper"),
                "peers": addresses_of("zookeeper"),
            },
            "run_list": ["role[zookeeper]"],
        },
    ),
    Part(
        name="kafka",
        replicas=3,
        available=2,
        type="stateful",
        attributes={
            "consul": MEMBER,
            "kafka": {
                "kafka": {"hosts": addresses_of("kafka"), "hosts_count": 3},
                "zookeeper": {"hosts": addresses_of("zookeeper")},
            },
            "run_list": ["role[kafka]"],
        },
    ),
    Part(
        name="elasticsearch",
        replicas=3,
        available=2,
        type="stateful",
        attributes={
            "consul": MEMBER,
            "elasticsearch": {
                "cluster_name": STACK,
                "member_hosts": addresses_of("elasticsearch"),
                "node_number": "$pf-meta:container_id",
            },
            "run_list": ["role[elasticsearch]"],
        },
    ),
    Part(
        name="kibana",
        replicas=2,
        available=1,
        type="stateless",
        attributes={
            "consul": MEMBER,
            "kibana": {
                "config": {"server.basePath": f"/{STACK}"},
                "elasticsearch_hosts": addresses_of("elasticsearch"),
            },
            "run_list": ["role[kibana]"],
        },
    ),
    Part(
        name="producer",
        replicas=3,
        available=2,
        type="stateless",
        attributes={
            "consul": MEMBER,
            "barito-flow": {
                "producer": {
                    "brokers": addresses_of("kafka"),
                    "env_vars": {"BARITO_PRODUCER_ADDRESS": ":8080", "LOG": '$(id) "as it is" \\n'},
                }
            },
            "run_list": ["role[barito-flow-producer]"],
        },
    ),
    Part(
        name="consumer",
        replicas=3,
        available=2,
        type="stateless",
        attributes={
            "consul": MEMBER,
            "barito-flow": {
                "consumer": {
                    "brokers": addresses_of("kafka"),
                    "elasticsearch": addresses_of("elasticsearch"),
                    "version": "$pf-meta:passthrough?value=v0.11.8",
                }
            },
            "run_list": ["role[barito-flow-consumer]"],
        },
    ),
    Part(
        name="yggdrasil",
        replicas=2,
        available=1,
        type="stateless",
        attributes={"consul": MEMBER, "run_list": ["role[yggdrasil]"]},
    ),
)


def batch(cookbooks_url: str, **replicas: int) -> dict[str, Any]:
    """The body of the batch; `replicas` of a part when they differ from its own."""
    return {
        "deployments": [
            manifest(part, cookbooks_url, replicas=replicas.get(part.name, part.replicas))
            for part in PARTS
        ]
    }


def manifest(
    part: Part,
    cookbooks_url: str,
    *,
    replicas: int,
    attributes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One deployment as the market writes it."""
    return {
        "cluster_name": CLUSTER,
        "name": f"{STACK}-{part.name}",
        "desired_num_replicas": replicas,
        "min_available_replicas": part.available,
        "definition": {
            "strategy": "RollingUpdate",
            "allow_failure": "false",
            "container_type": part.type,
            "source": {
                "source_type": "image",
                "mode": "local",
                "alias": IMAGE,
                "remote": {"name": ""},
                "fingerprint": "",
            },
            "resource": {"cpu_limit": "0-1", "mem_limit": "64MB"},
            "bootstrappers": [
                {
                    "bootstrap_type": "chef-solo",
                    "bootstrap_attributes": {**part.attributes, **(attributes or {})},
                    "bootstrap_cookbooks_url": cookbooks_url,
                }
            ],
            "healthcheck": {
                "type": "tcp", "port": 9500, "endpoint": "", "payload": "", "timeout": "",
            },
        },
    }  # fmt: skip


def expected(attributes: Any, *, ordinal: int, addresses: Mapping[str, list[str]]) -> Any:
    """What `attributes` shall have become for a replica, worked out here a second time.

    addresses: of the replicas of each part, in the order of their numbers.
    """
    if isinstance(attributes, Mapping):
        return {
            key: expected(value, ordinal=ordinal, addresses=addresses)
            for key, value in attributes.items()
        }
    if isinstance(attributes, list):
        return [expected(value, ordinal=ordinal, addresses=addresses) for value in attributes]
    if not isinstance(attributes, str) or not attributes.startswith("$pf-meta:"):
        return attributes
    call, _, rest = attributes.removeprefix("$pf-meta:").partition("?")
    given = dict(pair.split("=", 1) for pair in rest.split("&") if pair)
    if call == "container_id":
        return ordinal
    if call == "passthrough":
        return given["value"]
    if call == "deployment_ip_addresses":
        return addresses[given["deployment_name"].removeprefix(f"{STACK}-")]
    host = given["host"]
    count = len(addresses[host.partition(".")[0]])
    return [
        given["self_host"] if number == ordinal else f"{number}.{host}"
        for number in range(1, count + 1)
    ]
