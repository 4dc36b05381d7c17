"""A logging stack as BaritoMarket deploys it, on three real nodes: made, changed, hit.

Eight deployments, 22 replicas, whose Chef attributes refer to each other's addresses. After each
act, every replica must have been bootstrapped with the final addresses of all others, read from the
file in the container; a rollout must never take ready replicas below what must stay available.

Chef itself cannot be installed here: a stand-in at chef-solo's path keeps what it was called with.
"""

import hashlib
import http.client
import http.server
import io
import json
import ssl
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pathfinder.client.kinds import CONTAINER, DEPLOYMENT
from pathfinder.lab import daemons, images
from pathfinder.lab.images import Directory, File
from pathfinder.lab.layout import SERVER_PORT
from pathfinder.lab.platform import Server
from pathfinder.runtimes.lxdclient.images import set_alias, upload
from scenarios._stack_manifests import (
    CLUSTER,
    IMAGE,
    IMAGE_CHEF,
    PARTS,
    STACK,
    Part,
    batch,
    expected,
    manifest,
)
from tests.support.lab import Lab, running_lab, why_not

STAND_IN: Final = b"""#!/bin/sh
echo "chef-solo called with $*"
cp attributes.json /root/attributes.json
ls repo/cookbooks
"""
SAMPLE_S: Final = 0.05
DATA: Final = "/root/data"
DATA_MIB: Final = 20


class Timeline:
    """What happened when, since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """One line."""
        print(f"{time.monotonic() - self._began:7.1f} s  {text}", flush=True)


class Stack:
    """The stack on a lab, and how it is looked at."""

    def __init__(self, lab: Lab, timeline: Timeline, cookbooks_url: str) -> None:
        self.lab = lab
        self.timeline = timeline
        self.url = cookbooks_url
        self.counts = {part.name: part.replicas for part in PARTS}
        self.more: dict[str, dict[str, Any]] = {}
        self._client = Server(lab.layout).client()

    def send(self) -> None:
        """The whole batch, as the market sends it."""
        server = Server(self.lab.layout)
        token = server.secret_file("app-token").read_text().strip()
        body = {
            "deployments": [
                manifest(
                    part,
                    self.url,
                    replicas=self.counts[part.name],
                    attributes=self.more.get(part.name),
                )
                for part in PARTS
            ]
        }
        trust = ssl.create_default_context(cafile=str(server.certificate))
        connection = http.client.HTTPSConnection(
            self.lab.layout.address, SERVER_PORT, context=trust, timeout=30
        )
        connection.request(
            "POST",
            f"/api/v2/ext_app/deployments/batch?cluster_name={CLUSTER}",
            json.dumps(body),
            {"X-Auth-Token": token, "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        assert answer.status == 204, answer.read()
        connection.close()

    def containers(self) -> dict[str, dict[str, Any]]:
        """All replicas by name."""
        return {each["name"]: each for each in self._client.items(CONTAINER)}

    def ready(self, part: str) -> int:
        """How many replicas of a part are ready, as the server says."""
        return int(self._client.get(DEPLOYMENT, f"{STACK}-{part}")["ready"])

    def settle(self, promise: str) -> None:
        """Until every wanted replica is bootstrapped and nothing more is to come."""
        took = self.lab.wait_until(self._is_settled, promise)
        self.timeline.say(f"{promise}: after {took:.1f} s")

    def _is_settled(self) -> bool:
        deployments = list(self._client.items(DEPLOYMENT))
        containers = self.containers().values()
        return (
            all(each["updated"] == each["ready"] == each["replicas"] for each in deployments)
            and len(containers) == sum(self.counts.values())
            and all(each["phase"] == "BOOTSTRAPPED" and not each["leaving"] for each in containers)
        )

    def check_attributes(self) -> None:
        """Every replica's file says the final addresses of all others."""
        containers = self.containers()
        addresses: dict[str, list[str]] = {}
        for part in PARTS:
            names = [f"{STACK}-{part.name}-{n:02}" for n in range(1, self.counts[part.name] + 1)]
            addresses[part.name] = [containers[name]["ipaddress"] for name in names]
        wrong = []
        for part in PARTS:
            attributes = {**part.attributes, **self.more.get(part.name, {})}
            for ordinal in range(1, self.counts[part.name] + 1):
                name = f"{STACK}-{part.name}-{ordinal:02}"
                has = json.loads(self.lab.inside(name, "cat", "/root/attributes.json"))
                wants = expected(attributes, ordinal=ordinal, addresses=addresses)
                if has != wants:
                    wrong.append(f"{name} has {has} and should have {wants}")
        assert not wrong, "\n".join(wrong)
        self.timeline.say(f"the attributes of {len(containers)} replicas are the final ones")


def main() -> int:
    """Play it; 0 when everything held."""
    if reason := why_not():
        print(f"logging_stack: {reason}")
        return 1
    timeline = Timeline()
    with running_lab(nodes=3) as lab, served(cookbooks(), lab.layout.address) as url:
        timeline.say(f"three nodes with LXD are ready; cookbooks at {url}")
        provide_image(lab)
        stack = Stack(lab, timeline, url)
        for act in (deploy, scale, change, relocate, lose_a_node):
            timeline.say(f"== {act.__doc__}")
            act(stack)
        timeline.say("everything held")
    return 0


def deploy(stack: Stack) -> None:
    """Eight deployments in one batch."""
    body = json.dumps(batch(stack.url))
    stack.send()
    stack.timeline.say(f"204: {len(PARTS)} deployments, {len(body)} bytes")
    stack.settle(f"{sum(stack.counts.values())} replicas are BOOTSTRAPPED")
    stack.check_attributes()
    nodes = sorted({each["node"] for each in stack.containers().values()})
    assert nodes == ["n1", "n2", "n3"], nodes


def scale(stack: Stack) -> None:
    """Kafka gets two more brokers: whoever names them is bootstrapped again."""
    with sampled(stack, PARTS):
        stack.counts["kafka"] = 5
        stack.send()
        stack.settle("24 replicas are BOOTSTRAPPED")
    stack.check_attributes()


def change(stack: Stack) -> None:
    """Another definition for elasticsearch, never below its two available."""
    before = {name: each["generation"] for name, each in stack.containers().items()}
    with sampled(stack, PARTS):
        stack.more["elasticsearch"] = {"elasticsearch_heap": "1g"}
        stack.send()
        stack.settle("elasticsearch has its new definition")
    stack.check_attributes()
    after = {name: each["generation"] for name, each in stack.containers().items()}
    assert after == before, "other attributes bootstrap again; they replace nothing"


def relocate(stack: Stack) -> None:
    """An elasticsearch moves to another node with its data; whoever names it learns where it is."""
    name = f"{STACK}-elasticsearch-01"
    before = stack.containers()[name]
    target = next(node for node in ("n1", "n2", "n3") if node != before["node"])
    write = ("dd", "if=/dev/urandom", f"of={DATA}", "bs=1M", f"count={DATA_MIB}")
    stack.lab.inside(name, *write)
    was = stack.lab.inside(name, "md5sum", DATA)
    began_s = time.monotonic()
    stack.lab.pfi("relocate", name, target, "--wait")
    took_s = time.monotonic() - began_s
    stack.timeline.say(f"{name} is on {target} instead of {before['node']}: after {took_s:.1f} s")
    assert stack.lab.inside(name, "md5sum", DATA) == was
    stack.timeline.say(f"its file of {DATA_MIB} MiB is the same")
    stack.settle("everybody knows where it is")
    after = stack.containers()[name]
    assert after["node"] == target, after
    assert after["bootstrap"]["tries"] == before["bootstrap"]["tries"], after
    stack.check_attributes()


def lose_a_node(stack: Stack) -> None:
    """A node's power is cut, and comes back."""
    containers = stack.containers()
    stateless = {part.name for part in PARTS if part.type == "stateless"}
    hit = {name: each for name, each in containers.items() if each["node"] == "n3"}
    lost = [name for name in hit if name.removeprefix(f"{STACK}-")[:-3] in stateless]
    stack.lab.must("kill", "n3")
    stack.timeline.say(f"n3 is off: {len(hit)} replicas gone, {len(lost)} of them stateless")

    def replaced() -> bool:
        now = stack.containers()
        return all(now[name]["node"] not in ("", "n3") for name in lost)

    took = stack.lab.wait_until(replaced, "the stateless ones have another node")
    stack.timeline.say(f"the stateless ones have another node: after {took:.1f} s")
    now = stack.containers()
    waiting = [name for name in hit if name not in lost]
    assert all(now[name]["node"] == "n3" and not now[name]["ready"] for name in waiting)
    assert all("not made twice" in now[name]["why"] for name in waiting)
    stack.lab.must("start", "n3")
    stack.settle("n3 is back, and everything is BOOTSTRAPPED")
    stack.check_attributes()


@contextmanager
def sampled(stack: Stack, parts: tuple[Part, ...]) -> Iterator[None]:
    """Look at how many replicas are ready all the time; AssertionError when too few ever were."""
    stopping, lowest = threading.Event(), {part.name: 99 for part in parts}
    client = Server(stack.lab.layout).client()

    def look() -> None:
        while not stopping.wait(SAMPLE_S):
            for each in client.items(DEPLOYMENT):
                part = each["name"].removeprefix(f"{STACK}-")
                lowest[part] = min(lowest[part], each["ready"])

    sampler = threading.Thread(target=look)
    sampler.start()
    try:
        yield
    finally:
        stopping.set()
        sampler.join()
        client.close()
    low = {part.name: lowest[part.name] for part in parts if lowest[part.name] < part.available}
    assert not low, f"below min_available: {low}"
    stack.timeline.say(f"ready at the least: {', '.join(f'{n} {c}' for n, c in lowest.items())}")


def provide_image(lab: Lab) -> None:
    """Busybox with the stand-in, in the store of each node."""
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory) / "stack.tar.gz"
        chef = {IMAGE_CHEF.lstrip("/"): File(content=STAND_IN, mode=0o755)}
        tree = {**images.busybox_tree(), **chef}
        with images.fresh(archive) as packed:
            images.add_tree(packed, images.metadata("busybox", "busybox with a stand-in of Chef"))
            images.add_tree(packed, {"rootfs": Directory(), **images.under("rootfs/", tree)})
        fingerprint = images.fingerprint(archive)
        for node in lab.layout.nodes():
            client = daemons.lxd_client(node)
            upload(client, archive.read_bytes(), fingerprint=fingerprint, public=True)
            set_alias(client, IMAGE, fingerprint)
            client.close()


def cookbooks() -> bytes:
    """An archive such as a repository host makes: all in one folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        content = b"# nothing to do\n"
        member = tarfile.TarInfo("chef-repo-master/cookbooks/kafka/recipes/default.rb")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@contextmanager
def served(content: bytes, address: str) -> Iterator[str]:
    """An HTTP server that gives these bytes, on the machine's address in the lab."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """It is not of interest who asked."""

    server = http.server.ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}/{hashlib.sha256(content).hexdigest()}.tar.gz"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    sys.exit(main())
