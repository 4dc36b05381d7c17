"""Bootstraps in real containers on real nodes: each step runs once, as it was written.

Chef cannot be installed here: a stand-in at chef-solo's path keeps what it was called with.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.lab import Lab, running_lab, why_not

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
ATTRIBUTES = {
    "text": "$(id) `id` \"q\" 's' \\ é 漢 \n\t%s ${HOME} $1",
    "deep": [{"run_list": ["role[x]"]}, None, True, 1.5],
}
STAND_IN = """\
#!/bin/sh
echo "chef called with $*"
cp attributes.json /root/attributes.json
cp solo.rb /root/solo.rb
"""
INSTALL = f"cat > /bin/chef-solo <<'END'\n{STAND_IN}END\nchmod +x /bin/chef-solo\n"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(nodes=1) as running:
        yield running


def apply(lab: Lab, name: str, *steps: dict[str, Any]) -> None:
    """A container with these steps."""
    spec = {"image": "busybox", "resources": {"memory": "32MiB"}, "bootstrap": list(steps)}
    lab.apply({"kind": "Container", "name": name, "spec": spec})


def phase(lab: Lab, name: str) -> str:
    """Where a container is."""
    return str(lab.containers()[name]["phase"])


def content(lab: Lab, name: str, path: str) -> str:
    """A file in a container."""
    return lab.inside(name, "cat", path)


def log(lab: Lab, name: str) -> str:
    """What the container's bootstraps have written."""
    with lab.client() as client:
        return b"".join(client.logs(name, bootstrap=True)).decode()


def test_chef_gets_its_attributes_byte_for_byte(lab: Lab) -> None:
    chef = {"type": "chef-solo", "attributes": ATTRIBUTES}
    apply(lab, "chef", {"type": "shell", "script": INSTALL}, chef)
    lab.wait_until(lambda: phase(lab, "chef") == "BOOTSTRAPPED", "chef is bootstrapped")
    written = content(lab, "chef", "/root/attributes.json")

    assert written == json.dumps(ATTRIBUTES, ensure_ascii=False, separators=(",", ":"))
    assert "chef called with -c solo.rb -j attributes.json" in log(lab, "chef")
    assert "cookbook_path" in content(lab, "chef", "/root/solo.rb")


def test_a_failing_step_is_tried_again_and_says_how_it_ended(lab: Lab) -> None:
    script = "echo x >> /root/tries; echo no luck; exit 7"
    apply(lab, "bad", {"type": "shell", "script": script, "tries": 2})
    lab.wait_until(lambda: phase(lab, "bad") == "BOOTSTRAP_ERROR", "bad has failed")
    shown = lab.containers()["bad"]

    assert content(lab, "bad", "/root/tries") == "x\nx\n"
    assert shown["bootstrap"]["tries"] == 2
    assert shown["bootstrap"]["exit_code"] == 7
    assert shown["why"] == "step 1 (shell) ended with 7: no luck"
    assert log(lab, "bad").count("no luck") == 2


def test_a_step_over_its_limit_is_ended(lab: Lab) -> None:
    step = {"type": "shell", "script": "sleep 1000", "tries": 1, "timeout_s": 1}
    apply(lab, "slow", step)
    lab.wait_until(lambda: phase(lab, "slow") == "BOOTSTRAP_ERROR", "slow has been ended")

    assert "1 s" in lab.containers()["slow"]["why"]


def test_a_try_that_runs_when_the_agent_dies_is_followed_and_not_made_twice(lab: Lab) -> None:
    script = "echo begun >> /root/runs; while ! [ -e /root/go ]; do sleep 0.1; done; echo end"
    apply(lab, "long", {"type": "shell", "script": script})
    lab.wait_until(lambda: phase(lab, "long") == "BOOTSTRAP_STARTED", "long has begun")
    lab.must("kill", "n1", "--program", "agent")
    lab.must("start", "n1")
    lab.must("exec", "n1", "--", "lxc", "exec", "long", "--", "touch", "/root/go")
    lab.wait_until(lambda: phase(lab, "long") == "BOOTSTRAPPED", "long has been followed")

    assert content(lab, "long", "/root/runs") == "begun\n"
    assert log(lab, "long").rstrip().endswith("ends: done ==")


def test_other_steps_run_again_in_the_same_container(lab: Lab) -> None:
    apply(lab, "again", {"type": "shell", "script": "echo one >> /root/said"})
    lab.wait_until(lambda: phase(lab, "again") == "BOOTSTRAPPED", "the first round has ended")
    before = lab.containers()["again"]
    apply(lab, "again", {"type": "shell", "script": "echo two >> /root/said"})
    lab.wait_until(
        lambda: (
            phase(lab, "again") == "BOOTSTRAPPED"
            and lab.containers()["again"]["bootstrap"]["round"] > before["bootstrap"]["round"]
        ),
        "the second round has ended",
    )

    assert content(lab, "again", "/root/said") == "one\ntwo\n"
    assert lab.containers()["again"]["generation"] == before["generation"]
