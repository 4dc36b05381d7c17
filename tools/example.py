"""The example that `./dev up` deploys the first time, and waits for until it answers."""

import functools
import http.client
from typing import Any, Final

from pathfinder.client.kinds import CONTAINER
from tools import environment, local_server
from tools.console import Console, Step
from tools.local_server import SERVER, wait_until

MANIFEST: Final = environment.ROOT / "examples" / "hello.yaml"
# Not again the next time: people scale, change and delete what they play with.
APPLIED: Final = environment.STATE / "example-applied"
VIRTUAL_MACHINE: Final = "hello-vm"
WEB: Final = "web"
NAMES: Final = (VIRTUAL_MACHINE, f"{WEB}-01", f"{WEB}-02")
PROBE_S_MAX: Final = 2.0


def provide(console: Console) -> dict[str, str]:
    """Deploy the example the first time; the address of each of its containers that is wanted."""
    is_first = not APPLIED.exists()
    name = f"deploying {MANIFEST.relative_to(environment.ROOT)}" if is_first else "the example"
    with console.step(name) as step:
        if is_first:
            local_server.run_program("pfi", "--context", "dev", "apply", "-f", str(MANIFEST))
            APPLIED.touch()
        expected = [each["name"] for each in _containers()]
        look = functools.partial(_addresses, expected, step)
        addresses = wait_until("the example is ready", look, SERVER) if expected else {}
        for container, address in addresses.items():
            _wait_until_it_answers(container, address, step)
        step.note = ""
    return addresses


def _containers() -> list[dict[str, Any]]:
    with local_server.client() as client:
        items = list(client.items(CONTAINER))
    return [item for item in items if item["name"] in NAMES and item["wanted"]]


def _addresses(expected: list[str], step: Step) -> dict[str, str]:
    """The address of each container once all are ready; nothing before."""
    items = _containers()
    step.note = ", ".join(f"{item['name']} {item['phase']}" for item in items)
    ready = {item["name"]: str(item["ipaddress"]) for item in items if _is_complete(item)}
    return ready if set(ready) >= set(expected) else {}


def _is_complete(item: dict[str, Any]) -> bool:
    return bool(item["ready"] and item["ipaddress"])


def _wait_until_it_answers(container: str, address: str, step: Step) -> None:
    if container == VIRTUAL_MACHINE:
        step.note = f"{container} boots"
        look = functools.partial(_has_booted, container)
        wait_until(f"systemd in {container} is running", look, SERVER)
    else:
        step.note = f"http://{address}/"
        look = functools.partial(_answers_http, address)
        wait_until(f"{container} answers on http://{address}/", look, SERVER)


def _has_booted(container: str) -> bool:
    with local_server.client() as client:
        said = client.run(container, ["systemctl", "is-system-running"]).stdout
    return said.strip() == b"running"


def _answers_http(address: str) -> bool:
    connection = http.client.HTTPConnection(address, 80, timeout=PROBE_S_MAX)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
