"""BaritoMarket, which deploys whole logging stacks through v2: libcurl with JSON bodies."""

import json
from typing import Any
from urllib.parse import urlencode

from tests.support.original_clients.raw import RawAnswer, RawConnection

EXPECTS_OVER = 1_024  # bytes: above it, libcurl asks first whether it may go on


def container_definition(alias: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """What one component of a stack is made from."""
    return {
        "source": {
            "source_type": "image",
            "mode": "pull",
            "remote": {"name": "barito-registry"},
            "fingerprint": "",
            "alias": alias,
        },
        "bootstrappers": [
            {
                "bootstrap_type": "chef-solo",
                "bootstrap_cookbooks_url": "https://cookbooks.example/master.tar.gz",
                "bootstrap_attributes": attributes,
            }
        ],
    }


class Barito:
    """Typhoeus as BaritoMarket uses it: a connection for each request."""

    def __init__(self, port: int, token: str, *, cluster: str = "default") -> None:
        self.port = port
        self.token = token
        self.cluster = cluster

    def request(
        self, method: str, path: str, body: object = None, *, query: dict[str, str] | None = None
    ) -> RawAnswer:
        """One request; `query` replaces the usual name of the cluster."""
        parameters = {"cluster_name": self.cluster} if query is None else query
        target = f"/api/v2/ext_app/{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        text = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "User-Agent: Typhoeus - https://github.com/typhoeus/typhoeus",
            "Accept: */*",
            "Content-Type: application/json",
            f"X-Auth-Token: {self.token}",
        ]
        if method != "GET":
            lines.append(f"Content-Length: {len(text)}")
        expects = len(text) > EXPECTS_OVER
        if expects:
            lines.append("Expect: 100-continue")
        with RawConnection(self.port) as connection:
            connection.send("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
            return connection.answer()

    def provision(self, name: str, definition: dict[str, Any]) -> RawAnswer:
        """Make a container."""
        body = {"container": {"hostname": name, **definition}}
        return self.request("POST", "containers.json", body)

    def show(self, name: str) -> RawAnswer:
        """One container."""
        return self.request("GET", f"containers/{name}")

    def reprovision(self, name: str) -> RawAnswer:
        """Begin a container anew."""
        return self.request("POST", f"containers/{name}/reschedule")

    def rebootstrap(self, name: str, bootstrappers: list[Any]) -> RawAnswer:
        """Bootstrap a container again."""
        body = {"bootstrappers": bootstrappers}
        return self.request("POST", f"containers/{name}/rebootstrap", body)

    def update(self, name: str, definition: dict[str, Any]) -> RawAnswer:
        """Give a container another definition."""
        return self.request("PATCH", f"containers/{name}/update", {"hostname": name, **definition})

    def delete(self, name: str) -> RawAnswer:
        """Let a container go."""
        return self.request("POST", f"containers/{name}/schedule_deletion")

    def batch(self, deployments: list[dict[str, Any]]) -> RawAnswer:
        """Make or change deployments, all or none."""
        return self.request("POST", "deployments/batch", {"deployments": deployments}, query={})

    def deployment_containers(self, name: str) -> RawAnswer:
        """The replicas of a deployment."""
        return self.request("GET", f"deployments/{name}/containers")
