"""The mruby programs: agent and `pfi`.

HTTP/1.0, a connection for each request, JSON bodies also with GET, nothing in the query, names of
headers with one capital, and a length that counts characters.
"""

import json
from typing import Any

from tests.support.original_clients.raw import RawAnswer, RawConnection


class MrubyHttp:
    """mruby-simplehttp as these programs use it."""

    def __init__(self, port: int, *, token: str = "", cluster: str = "default") -> None:
        self.port = port
        self.token = token
        self.cluster = cluster

    def request(self, method: str, path: str, payload: dict[str, Any]) -> RawAnswer:
        """One request on a connection of its own."""
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        headers = {
            "Accept": "*/*",
            "Connection": "close",
            "Content-length": str(len(text)),
            "Content-type": "application/json; charset=utf-8",
            "Host": "127.0.0.1",
        }
        if self.token:
            headers["X-auth-token"] = self.token
        lines = [f"{method} {path} HTTP/1.0"]
        lines += [f"{name}: {headers[name]}" for name in sorted(headers)]
        with RawConnection(self.port) as connection:
            connection.send("\r\n".join(lines).encode() + b"\r\n\r\n" + text.encode())
            return connection.answer_until_closed()

    def _payload(self, **fields: Any) -> dict[str, Any]:
        return {"cluster_name": self.cluster, **fields}


class MrubyAgent(MrubyHttp):
    """The agent of one node. It does not bootstrap, and keeps its token for ever."""

    def register(self, password: str, hostname: str, address: str = "10.9.8.6") -> RawAnswer:
        """Once in the life of the file that it keeps the token in."""
        payload = self._payload(password=password, node_hostname=hostname, node_ipaddress=address)
        answer = self.request("POST", "/api/v1/node/register", payload)
        if answer.status == 200:
            self.token = answer.document["data"]["authentication_token"]
        return answer

    def scheduled(self) -> RawAnswer:
        """Its poll."""
        return self.request("GET", "/api/v1/node/containers/scheduled", self._payload())

    def ipaddress(self, hostname: str, address: str | None) -> RawAnswer:
        """Say where a container is."""
        payload = self._payload(hostname=hostname, ipaddress=address)
        return self.request("POST", "/api/v1/node/containers/ipaddress", payload)

    def mark(self, what: str, hostname: str) -> RawAnswer:
        """Say how far it is."""
        path = f"/api/v1/node/containers/mark_{what}"
        return self.request("POST", path, self._payload(hostname=hostname))

    def metrics(self, free: float, used: float, total: float) -> RawAnswer:
        """Say what memory the machine has: kilobytes, divided by a thousand."""
        memory = {"free": free, "used": used, "total": total}
        payload = self._payload(memory=memory)
        return self.request("POST", "/api/v1/node/nodes/store_metrics", payload)


class MrubyPfi(MrubyHttp):
    """The command line."""

    def nodes(self) -> RawAnswer:
        """`pfi get nodes`."""
        return self.request("GET", "/api/v1/ext_app/nodes", self._payload())

    def containers(self) -> RawAnswer:
        """`pfi get containers`."""
        return self.request("GET", "/api/v1/ext_app/containers", self._payload())

    def container(self, name: str) -> RawAnswer:
        """One container."""
        return self.request("GET", f"/api/v1/ext_app/containers/{name}", self._payload())

    def create(self, name: str, image: str = "18.04") -> RawAnswer:
        """`pfi create container`."""
        payload = self._payload(container={"hostname": name, "image": image})
        return self.request("POST", "/api/v1/ext_app/containers", payload)

    def delete(self, name: str) -> RawAnswer:
        """`pfi delete container`."""
        path = f"/api/v1/ext_app/containers/{name}/schedule_deletion"
        return self.request("POST", path, self._payload())

    def reschedule(self, name: str) -> RawAnswer:
        """`pfi reschedule container`."""
        path = f"/api/v1/ext_app/containers/{name}/reschedule"
        return self.request("POST", path, self._payload())
