"""Plans on an exported state, without any server, and on the state as it was earlier."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.running import Api, DriverNode
from tests.support.server_process import ServerProcess, initialised, server_process

pytestmark = pytest.mark.system
WEB = {
    "kind": "Deployment",
    "name": "web",
    "replicas": 3,
    "spec": {"image": "busybox", "resources": {"cpu": 2}},
}
CALL_S_MAX = 60.0


def pfi(directory: Path, *arguments: str, server: str = "") -> subprocess.CompletedProcess[str]:
    """Run `pfi` to its end."""
    token = (directory / "admin-token").read_text().strip()
    return subprocess.run(
        [sys.executable, "-m", "pathfinder.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=CALL_S_MAX,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PFI_SERVER": server,
            "PFI_TOKEN": token,
            "PFI_CONFIG": str(directory / "pfi.json"),
        },
    )


def joined(server: ServerProcess) -> tuple[Api, DriverNode]:
    """One node of eight cores that has said that it holds nothing."""
    api = server.api()
    node = DriverNode(api, "n1")
    node.register()
    node.exchange()
    node.exchange()
    return api, node


def test_a_plan_needs_no_server_but_the_file_that_it_wrote(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "state"
    token = initialised(data)
    with server_process(data, token) as server:
        api, _ = joined(server)
        assert api.call("POST", "/api/v3/apply", {"documents": [WEB]}).status == 200
        url = f"http://127.0.0.1:{server.port}"
        told = pfi(data, "export", str(file), server=url)
        assert told.returncode == 0, told
        assert f"pfi plan --state {file}" in told.stdout
        live = pfi(data, "plan", "--scale", "web=5", "-o", "json", server=url)
        api.connection.close()
    assert token not in file.read_bytes().decode("latin-1")
    assert file.stat().st_mode & 0o077 == 0

    offline = pfi(data, "plan", "--state", str(file), "--scale", "web=5", "-o", "json")

    assert offline.returncode == live.returncode == 0, (offline, live)
    assert json.loads(offline.stdout) == json.loads(live.stdout)
    actions = {move["name"]: move["action"] for move in json.loads(offline.stdout)["moves"]}
    assert actions["web-04"] == "created"
    assert actions["web-05"] == "unplaced"


@pytest.mark.parametrize(
    ("content", "question", "message"),
    [
        (b"no state", "--lose=n1", "this is not a state that Pathfinder has exported"),
        (None, "--lose=n1", "No such file or directory"),
    ],
)
def test_mistakes_offline_say_what_to_do(
    tmp_path: Path, content: bytes | None, question: str, message: str
) -> None:
    data, file = tmp_path / "data", tmp_path / "state"
    initialised(data)
    if content is not None:
        file.write_bytes(content)
    told = pfi(data, "plan", "--state", str(file), question)

    assert told.returncode != 0
    assert message in told.stderr
    assert "pfi export" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_plan_on_the_state_as_it_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    token = initialised(data)
    with server_process(data, token) as server:
        api, node = joined(server)
        before_ms = api.get("/api/v3/events")["items"][-1]["time_ms"]
        while round(time.time() * 1000) <= before_ms:
            node.exchange()
        assert api.call("POST", "/api/v3/apply", {"documents": [WEB]}).status == 200
        question = "/api/v3/clusters/default/what-if"
        then = api.call("POST", f"{question}?at_ms={before_ms}", {"scale": {"web": 1}})
        now = api.call("POST", question, {"scale": {"web": 1}})
        empty = api.call("POST", f"{question}?at_ms={before_ms}", {"lose": ["n1"]})
        api.connection.close()

    assert (then.status, then.code) == (404, "not_found")
    assert [move["name"] for move in now.document["moves"]] == ["web-02", "web-03"]
    assert (empty.document["lost"], empty.document["moves"]) == (["n1"], [])
