"""The Go agent with a real LXD behind it: what it polls for, it makes, sets up and removes."""

import json
import time
from typing import Any, Final

from pathfinder.runtimes.lxdclient.commands import run_command
from pathfinder.runtimes.lxdclient.errors import LxdError, NotFound
from pathfinder.runtimes.lxdclient.files import write_file
from tests.support.lxd import PrivateLxd
from tests.support.original_clients.go import GoAgent
from tests.support.processes import LOOK_S

SCRIPT: Final = "/opt/bootstrap.sh"
TRIES: Final = 3
ADDRESS_S_MAX: Final = 60.0
STOP_S_MAX: Final = 60


class GoAgentWithLxd(GoAgent):
    """One round of its two loops is one call; the pauses between them are the test's."""

    def __init__(self, port: int, hostname: str, lxd: PrivateLxd) -> None:
        super().__init__(port, hostname)
        self.lxd = lxd

    def provision(self) -> list[str]:
        """Make and remove what is scheduled, one after another; what was done."""
        done = []
        for item in self.scheduled().items:
            name, status = item["hostname"], item["status"]
            if status == "SCHEDULED":
                self._provision(item)
            elif status == "SCHEDULE_DELETION":
                self._delete(name)
            elif status == "SCHEDULE_RELOCATION":
                self._take_over(name)
            done.append(f"{status} {name}")
        return done

    def bootstrap(self) -> list[str]:
        """Set up what is provisioned; who was."""
        done = []
        for item in self.bootstrap_scheduled().items:
            self._bootstrap(item)
            done.append(item["hostname"])
        return done

    def _provision(self, item: Any) -> None:
        name = item["hostname"]
        if self._is_there(name):
            self.mark("provisioned", name)
            return
        source, remote = item["source"], item["source"]["remote"]
        request = {
            "name": name,
            "source": {
                "type": source["source_type"],
                "alias": source["alias"],
                "mode": source["mode"],
                "server": remote["server"] or "",
                "protocol": remote["protocol"] or "",
                "certificate": remote["certificate"] if remote["auth_type"] == "tls" else "",
            },
        }
        try:
            self.lxd.client.run("POST", "/1.0/instances", request)
            self._state(name, {"action": "start", "timeout": -1})
            address = self._address(name)
        except LxdError:
            self.mark("provision_error", name)
            return
        self.ipaddress(name, address)
        self.mark("provisioned", name)

    def _take_over(self, name: str) -> None:
        """Move an instance here within the LXD cluster, where its name stays the same.

        One daemon stands for the cluster: what is left of the move is a stop and a start.
        """
        self.mark("relocate_started", name)
        try:
            self._state(name, {"action": "stop", "timeout": STOP_S_MAX, "force": True})
            self._state(name, {"action": "start", "timeout": -1})
            address = self._address(name)
        except LxdError:
            self.mark("relocate_error", name)
            return
        self.ipaddress(name, address)
        self.mark("provisioned", name)

    def _delete(self, name: str) -> None:
        if self._is_there(name):
            self._state(name, {"action": "stop", "timeout": STOP_S_MAX, "force": True})
            self.lxd.client.run("DELETE", f"/1.0/instances/{name}")
        self.mark("deleted", name)

    def _bootstrap(self, item: Any) -> None:
        name, steps = item["hostname"], item["bootstrappers"]
        if not steps:
            self.mark("bootstrap_error", name)
            return
        for step in steps:
            write_file(self.lxd.client, name, SCRIPT, script_of(step).encode(), mode=0o600)
        self.mark("bootstrap_started", name)
        for _ in range(TRIES):
            code, _, _ = run_command(self.lxd.client, name, ("sh", SCRIPT))
            if code == 0:
                self.mark("bootstrapped", name)
                return
        self.mark("bootstrap_error", name)

    def _is_there(self, name: str) -> bool:
        try:
            self.lxd.client.get(f"/1.0/instances/{name}")
        except NotFound:
            return False
        return True

    def _state(self, name: str, body: dict[str, Any]) -> None:
        self.lxd.client.run("PUT", f"/1.0/instances/{name}/state", body)

    def _address(self, name: str) -> str:
        deadline = time.monotonic() + ADDRESS_S_MAX
        while time.monotonic() < deadline:
            network = self.lxd.client.get(f"/1.0/instances/{name}/state")["network"] or {}
            for address in network.get("eth0", {}).get("addresses", ()):
                if address["family"] == "inet":
                    return str(address["address"])
            time.sleep(LOOK_S)
        raise LxdError(f"{name} has no address")


def script_of(step: dict[str, Any]) -> str:
    """What the agent writes into a container, as far as it can run without Chef.

    The attributes arrive by a here-document, as there; Chef's place is taken by a copy of them.
    """
    attributes = json.dumps(step["bootstrap_attributes"], separators=(",", ":"))
    return (
        f"cat > /tmp/attributes.json << EOF\n{attributes}\nEOF\ncp /tmp/attributes.json /tmp/run\n"
    )
