"""The Go programs: agent 0.6.2, `pfi` 0.1.1 and the client library, byte for byte.

HTTP/1.1 with keep-alive; parameters in the query; forms without a Content-Type.
"""

import json
import weakref
from typing import Any
from urllib.parse import urlencode

from tests.support.original_clients.raw import RawAnswer, RawConnection

CLUSTER = "default"


class GoHttp:
    """Go's net/http as these programs use it."""

    def __init__(self, port: int, *, token: str = "", cluster: str = CLUSTER) -> None:
        self.port = port
        self.token = token
        self.cluster = cluster
        self._connection = RawConnection(port)
        weakref.finalize(self, self._connection.close)  # tests forget these clients

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: bytes | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> RawAnswer:
        """One request and its answer; `url.Values` come sorted by name."""
        target = f"/{path}?{urlencode(sorted(query.items()))}"
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "User-Agent: Go-http-client/1.1",
        ]
        if method != "GET":
            lines.append(f"Content-Length: {len(body or b'')}")
        lines += [f"{name}: {value}" for name, value in headers]
        if self.token:
            lines.append(f"X-Auth-Token: {self.token}")
        lines.append("Accept-Encoding: gzip")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        self._connection.send(head + (body or b""))
        return self._connection.answer()

    def form(self, path: str, query: dict[str, str], fields: dict[str, str]) -> RawAnswer:
        """A form whose type is not said."""
        return self.request("POST", path, query, urlencode(sorted(fields.items())).encode())


class GoAgent(GoHttp):
    """The agent of one node."""

    def __init__(self, port: int, hostname: str, *, cluster: str = CLUSTER) -> None:
        super().__init__(port, cluster=cluster)
        self.hostname = hostname

    def register(self, password: str, address: str = "10.9.8.7") -> RawAnswer:
        """Once, when it starts; it keeps the token in memory."""
        answer = self.form(
            "api/v1/node/register",
            {
                "cluster_name": self.cluster,
                "node_hostname": self.hostname,
                "node_ipaddress": address,
            },
            {"password": password},
        )
        if answer.status == 200:
            self.token = answer.document["data"]["authentication_token"]
        return answer

    def scheduled(self) -> RawAnswer:
        """Its poll."""
        return self.request("GET", "api/v2/node/containers/scheduled", self._node())

    def bootstrap_scheduled(self) -> RawAnswer:
        """Its other poll."""
        return self.request("GET", "api/v2/node/containers/bootstrap_scheduled", self._node())

    def ipaddress(self, hostname: str, address: str) -> RawAnswer:
        """Say where a container is."""
        query = {**self._node(), "hostname": hostname}
        return self.form("api/v1/node/containers/ipaddress", query, {"ipaddress": address})

    def mark(self, what: str, hostname: str, *, version: str = "") -> RawAnswer:
        """Say how far it is: v2 for what v1 did not have when the agent was written."""
        v2 = ("bootstrap_started", "bootstrapped", "bootstrap_error")
        relocates = ("relocate_started", "relocate_error")
        version = version or ("v2" if what in v2 + relocates else "v1")
        path = f"api/{version}/node/containers/mark_{what}"
        return self.request("POST", path, {**self._node(), "hostname": hostname})

    def metrics(self, **parts: Any) -> RawAnswer:
        """Say what the machine has and uses."""
        told = {"memory": None, "load": None, "disk_root": None, "disk_zfs": None, **parts}
        return self.request(
            "POST",
            "api/v1/node/nodes/store_metrics",
            {"cluster_name": self.cluster},
            json.dumps(told, separators=(",", ":")).encode(),
            (("Content-Type", "application/json"),),
        )

    def _node(self) -> dict[str, str]:
        return {"cluster_name": self.cluster, "node_hostname": self.hostname}


class GoPfi(GoHttp):
    """The command line, which speaks v1."""

    def nodes(self) -> RawAnswer:
        """`pfi get nodes`."""
        return self.request("GET", "api/v1/ext_app/nodes", self._query())

    def node(self, name: str) -> RawAnswer:
        """One node."""
        return self.request("GET", f"api/v1/ext_app/nodes/{name}", self._query())

    def containers(self) -> RawAnswer:
        """`pfi get containers`."""
        return self.request("GET", "api/v1/ext_app/containers", self._query())

    def container(self, name: str) -> RawAnswer:
        """One container."""
        return self.request("GET", f"api/v1/ext_app/containers/{name}", self._query())

    def create(self, name: str, image: str = "18.04") -> RawAnswer:
        """`pfi create container`."""
        fields = {"container[hostname]": name, "container[image]": image}
        return self.form("api/v1/ext_app/containers", self._query(), fields)

    def delete(self, name: str) -> RawAnswer:
        """`pfi delete container`."""
        path = f"api/v1/ext_app/containers/{name}/schedule_deletion"
        return self.request("POST", path, self._query())

    def reschedule(self, name: str) -> RawAnswer:
        """`pfi reschedule container`."""
        path = f"api/v1/ext_app/containers/{name}/reschedule"
        return self.request("POST", path, self._query())

    def _query(self) -> dict[str, str]:
        return {"cluster_name": self.cluster}


class GoLibrary(GoPfi):
    """The client library, with what its later users call in v2."""

    def relocate(self, name: str, node: str) -> RawAnswer:
        """Move a container; the header's name is spelled as it is there."""
        body = json.dumps({"cluster_name": self.cluster, "node_hostname": node}).encode()
        path = f"api/v2/ext_app/containers/{name}/schedule_relocation"
        return self.request("POST", path, {}, body, (("Content-type", "application/json"),))
