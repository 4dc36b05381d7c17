"""What an original Pathfinder may have in its database, as SQL; its secrets are known here."""

import hashlib
import json
from typing import Final

import bcrypt

PASSWORD: Final = "open sesame"
NODE_TOKEN: Final = "N" * 64
APP_TOKEN: Final = "A" * 64
CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----\nMII\\B\n-----END CERTIFICATE-----\n"
ATTRIBUTES: Final = {"consul": {"hosts": ["1.consul"], "text": "tab\t, newline\n, ü, \\, '"}}
CALLS: Final = {
    "id": "$pf-meta:container_id?",
    "consul": {"hosts": "$pf-meta:deployment_ip_addresses?deployment_name=consul"},
}
RENDERED: Final = {"id": 1, "consul": {"hosts": ["10.1.0.1", "10.1.0.2"]}}


def step(attributes: object) -> dict[str, object]:
    """One bootstrapper."""
    return {
        "bootstrap_type": "chef-solo",
        "bootstrap_cookbooks_url": "https://cookbooks.example/master.tar.gz",
        "bootstrap_attributes": attributes,
    }


STEPS: Final = [step(ATTRIBUTES)]
DEFINITION: Final = {
    "source": {
        "source_type": "image",
        "mode": "pull",
        "alias": "consul",
        "fingerprint": "",
        "remote": {"name": "barito registry"},
    },
    "container_type": "stateless",
    "bootstrappers": STEPS,
    "healthcheck": {"type": "tcp"},
}


def text(value: object) -> str:
    """A value as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)):
        return str(value).lower()
    said = value if isinstance(value, str) else json.dumps(value)
    return "'" + said.replace("'", "''") + "'"


def insert(table: str, **fields: object) -> str:
    """One row; times are the same for all."""
    times = {"created_at": "2020-04-13 06:26:10.123456", "updated_at": "2020-05-01 00:00:00"}
    told = {**times, **fields}
    columns, values = ", ".join(told), ", ".join(map(text, told.values()))
    return f"INSERT INTO {table} ({columns}) VALUES ({values});\n"  # noqa: S608 - made here alone


def sha512(secret: str) -> str:
    """How the original keeps tokens."""
    return hashlib.sha512(secret.encode()).hexdigest()


def container(hostname: str, status: str, **fields: object) -> str:
    """One container's row, by source 1 on node 1 of cluster 1 unless said otherwise."""
    usual = {
        "cluster_id": 1,
        "hostname": hostname,
        "status": status,
        "node_id": 1,
        "source_id": 1,
        "bootstrappers": STEPS,
        "container_type": "STATELESS",
        "last_status_update_at": "2020-04-20 10:00:00.5",
    }
    return insert("containers", **{**usual, **fields})


def base_rows(password: str = PASSWORD) -> str:
    """One cluster with a password, one node, one remote, one source, one app."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2a$")
    return "".join(
        (
            insert("users", username="admin", email="a@example"),
            insert("clusters", name="default", hashed_password=hashed),
            insert(
                "nodes",
                cluster_id=1,
                hostname="node-01",
                ipaddress="10.0.0.5",
                hashed_authentication_token=sha512(NODE_TOKEN),
                mem_total_mb=16000,
                load_capacity=8,
                schedulable=True,
            ),
            insert(
                "remotes",
                name="barito registry",
                server="https://registry.example:8443",
                protocol="lxd",
                auth_type="tls",
                certificate=CERTIFICATE,
            ),
            insert(
                "sources",
                source_type="image",
                mode="pull",
                remote_id=1,
                fingerprint="",
                alias="consul",
            ),
            insert(
                "ext_apps",
                name="BaritoMarket",
                user_id=1,
                hashed_access_token=sha512(APP_TOKEN),
                access_token_generated_at="2020-01-01 00:00:00",
            ),
        )
    )


def all_rows() -> str:
    """The same with a deployment of two and containers in every state that can be taken over."""
    return "".join(
        (
            base_rows(),
            insert(
                "deployments",
                cluster_id=1,
                name="consul",
                desired_num_replicas=2,
                definition=DEFINITION,
                min_available_replicas=1,
            ),
            insert(
                "deployments",
                cluster_id=1,
                name="kafka",
                desired_num_replicas=1,
                definition={**DEFINITION, "bootstrappers": [step(CALLS)]},
                min_available_replicas=1,
            ),
            container(
                "kafka-01",
                "BOOTSTRAPPED",
                ipaddress="10.1.0.9",
                bootstrappers=[step(RENDERED)],
            ),
            container("consul-01", "BOOTSTRAPPED", ipaddress="10.1.0.1"),
            container("consul-02", "BOOTSTRAPPED", ipaddress="10.1.0.2"),
            container(
                "plain",
                "PROVISIONED",
                ipaddress="10.1.0.3",
                source_id=None,
                image_alias="16.04",
                bootstrappers=[],
                container_type="STATEFUL",
            ),
            container("new", "SCHEDULED"),
            container("broken", "PROVISION_ERROR"),
            container("half", "BOOTSTRAP_ERROR", ipaddress="10.1.0.4"),
            container("going", "SCHEDULE_DELETION", ipaddress="10.1.0.5"),
            container("again", "SCHEDULE_DELETION"),
            container("again", "PENDING", node_id=None),
            container("gone", "DELETED"),
            container("gone", "DELETED"),
        )
    )
