"""`pfi` as people and scripts meet it, against the stub: output, exit codes, messages."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from pathfinder.cli.main import SECTIONS, pfi, run
from tests.support.stub_api import TOKEN, StubApi, deployment, pfi_environ, stub_api

CONTAINERS = "/clusters/default/containers"
WEB = """\
kind: Container
name: web
spec: {image: busybox}
"""


@dataclass(frozen=True)
class Ended:
    """How a call ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def api() -> Iterator[StubApi]:
    with stub_api() as api:
        yield api


@pytest.fixture
def call(api: StubApi, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    environ = pfi_environ(api, tmp_path)

    def called(*arguments: str, **more: str) -> Ended:
        code = run(arguments, {**environ, **more})
        return Ended(code, *capfd.readouterr())

    return called


# Help


def test_the_help_of_each_command_agrees_with_the_table_that_loads_it() -> None:
    context = click.Context(pfi)
    for commands in SECTIONS.values():
        for name, (_, text) in commands.items():
            command = pfi.get_command(context, name)

            assert command is not None
            assert command.name in (name, "command")
            assert text.endswith(".")
            assert command.get_short_help_str(200), f"{name} explains itself"


def test_help_lists_every_command_and_every_exit_code(call: Call) -> None:
    ended = call("--help")

    assert ended.code == 0
    for commands in SECTIONS.values():
        assert all(f"  {name} " in ended.out for name in commands)
    assert "7  what was waited for did not happen in time" in ended.out


def test_no_arguments_show_the_help(call: Call) -> None:
    assert call().out == call("--help").out


def test_every_commands_help_fits_a_terminal(call: Call) -> None:
    for commands in SECTIONS.values():
        for name in commands:
            ended = call(name, "--help")

            assert ended.code == 0
            assert max(map(len, ended.out.splitlines())) <= 100


def test_a_misspelt_command_is_answered_with_the_nearest(call: Call) -> None:
    ended = call("gte", "containers")

    assert ended.code == 2
    assert ended.err == "error: 'gte' is not a command: did you mean get?\n hint: pfi --help\n"


def test_a_misspelt_option_is_a_usage_error(call: Call) -> None:
    ended = call("get", "containers", "--selecter", "a")

    assert ended.code == 2
    assert "--selector" in ended.err


# Lists


def test_a_table_in_a_pipe_is_plain_and_aligned(api: StubApi, call: Call) -> None:
    api.put_container("web-01")
    api.put_container("a", phase="PENDING", ready=False, node="", ipaddress=None)

    lines = call("get", "containers").out.splitlines()

    assert [re.split(" {3,}", line)[:5] for line in lines] == [
        ["NAME", "PHASE", "READY", "NODE", "ADDRESS"],
        ["a", "PENDING", "no", "-", "-"],
        ["web-01", "BOOTSTRAPPED", "yes", "n1", "10.0.0.7"],
    ]
    assert "\x1b" not in "".join(lines)


def test_json_has_all_pages_under_items(api: StubApi, call: Call) -> None:
    api.page_items_max = 2
    for number in range(5):
        api.put_container(f"web-{number}")

    items = json.loads(call("get", "containers", "-o", "json").out)["items"]

    assert [item["name"] for item in items] == [f"web-{number}" for number in range(5)]
    assert {"name", "cluster", "node", "phase", "ready", "ipaddress"} <= items[0].keys()


def test_yaml_says_what_json_says(api: StubApi, call: Call) -> None:
    api.put_container("web")

    assert yaml.safe_load(call("get", "co", "-o", "yaml").out) == json.loads(
        call("get", "co", "-o", "json").out
    )


def test_global_options_stand_before_or_after_the_command(api: StubApi, call: Call) -> None:
    api.put("/clusters/blue/containers/web", name="web")

    before = call("-c", "blue", "-o", "json", "get", "co")
    after = call("get", "co", "-o", "json", "-c", "blue")
    both = call("-c", "red", "get", "co", "-o", "json", "-c", "blue")

    assert json.loads(before.out)["items"][0]["name"] == "web"
    assert before == after == both


def test_nothing_to_list_is_a_remark_and_no_failure(call: Call) -> None:
    ended = call("get", "containers")

    assert (ended.code, ended.out) == (0, "")
    assert "no containers in cluster default" in ended.err


def test_one_thing_by_name_is_shown_as_itself(api: StubApi, call: Call) -> None:
    api.put_container("web")

    for words in (("container", "web"), ("co/web",)):
        assert json.loads(call("get", *words, "-o", "json").out)["name"] == "web"


def test_filters_that_fit_no_kind_are_refused(call: Call) -> None:
    ended = call("get", "nodes", "--phase", "PENDING")

    assert ended.code == 2
    assert "--phase is for containers, not for nodes" in ended.err


# Failures


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("get", "container", "nope"), 3),
        (("create", "container", "web", "--image", "busybox"), 4),
        (("--server", "http://127.0.0.1:9", "get", "nodes"), 5),
        (("--server", "", "get", "nodes"), 0),
        (("get", "contaners"), 2),
        (("wait", "co/web", "--for", "deleted", "--timeout", "0.01"), 7),
    ],
)
def test_exit_codes_tell_failures_apart(
    api: StubApi, call: Call, arguments: tuple[str, ...], code: int
) -> None:
    api.put_container("web")

    assert call(*arguments).code == code


def test_a_refused_credential_has_an_exit_code_of_its_own(call: Call) -> None:
    ended = call("get", "nodes", PFI_TOKEN="wrong")

    assert ended.code == 6
    assert "this token is not known" in ended.err


def test_a_server_that_is_not_there_is_said_with_the_next_step(call: Call) -> None:
    ended = call("get", "nodes", PFI_SERVER="http://127.0.0.1:9")

    assert ended.err == (
        "error: cannot reach http://127.0.0.1:9: connection refused\n"
        " hint: is it running? ./dev up starts one on this machine; --server names another\n"
    )


def test_programs_get_errors_as_json(call: Call) -> None:
    ended = call("get", "container", "nope", "-o", "json")

    assert json.loads(ended.err)["error"]["code"] == "not_found"
    assert ended.out == ""


def test_without_a_server_the_way_to_one_is_told(call: Call) -> None:
    ended = call("get", "nodes", PFI_SERVER="")

    assert ended.code == 2
    assert "./dev up" in ended.err


# Changes


def test_apply_shows_what_was_done_and_where(api: StubApi, call: Call, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB)

    ended = call("apply", "-f", str(tmp_path / "web.yaml"))

    assert ended.out.splitlines() == [
        "+   container/web   created   on n1   fits best",
        "Done: 1 created.",
    ]
    assert f"/api/v3{CONTAINERS}/web" in api.things


def test_a_plan_shows_what_differs_and_changes_nothing(
    api: StubApi, call: Call, tmp_path: Path
) -> None:
    api.put_container("web", spec={"kind": "system", "image": {"alias": "old"}}, type="STATEFUL")
    (tmp_path / "web.yaml").write_text(WEB)
    before = json.dumps(api.things)

    ended = call("plan", "-f", str(tmp_path))

    assert "      - spec.image.alias: old" in ended.out
    assert "      + spec.image.alias: busybox" in ended.out
    assert ended.out.endswith("Plan: 1 to change.\n")
    assert json.dumps(api.things) == before


def test_a_wrong_manifest_is_refused_at_its_line_before_anything_is_sent(
    api: StubApi, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(WEB + "---\nkind: Container\nname: x\nspec: {imag: b}\n")

    ended = call("apply", "-f", str(tmp_path))

    assert ended.code == 1
    assert f"error: {tmp_path}/a.yaml:7: container/x: spec.imag: is not a field" in ended.err
    assert api.seen == []


def test_waiting_ends_when_everything_is_ready(api: StubApi, call: Call, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB)
    ended: list[Ended] = []

    with _when_applied(api, lambda: api.put_container("web")):
        ended.append(call("apply", "-f", str(tmp_path), "--wait", "--timeout", "30"))

    assert ended[0].code == 0
    assert "container/web: ready on n1" in ended[0].err


def test_waiting_in_vain_says_what_is_missing_and_what_would_help(api: StubApi, call: Call) -> None:
    explanation = {"text": "no node fits", "remedies": ["add a node"]}
    api.put_container("web", phase="PENDING", ready=False, node="", explanation=explanation)

    ended = call("wait", "container/web", "--timeout", "0.01")

    assert ended.code == 7
    assert "container/web is not ready after 0.01 s: PENDING: no node fits" in ended.err
    assert "hint: add a node" in ended.err


def test_single_changes_are_told_in_one_line(api: StubApi, call: Call) -> None:
    api.put_container("web")
    api.put("/clusters/default/deployments/many", **deployment("many", 2))
    api.put("/clusters/default/nodes/n1", name="n1", labels={})

    assert call("scale", "deployment", "many", "--replicas", "3").out == (
        "deployment/many has 3 replicas from now on: 0 of 2 ready\n"
    )
    assert call("reschedule", "container", "web").out == "container/web is made anew on n1\n"
    assert call("cordon", "n1").out == "node/n1 is cordoned: no new containers come\n"
    assert call("uncordon", "n1").out == "node/n1 is uncordoned: containers may come again\n"
    assert call("label", "n1", "rack=r1").out == "node/n1 has the labels: rack=r1\n"
    assert call("delete", "container", "web").out == "container/web is being deleted on n1\n"


def test_a_new_secret_stands_alone_on_standard_output(call: Call) -> None:
    ended = call("create", "token", "ci", "--role", "app")

    assert ended.out == "pft.t1.secret\n"
    assert "token t1 for ci: app" in ended.err


@pytest.mark.parametrize(
    "words",
    [("busybox",), ("-i", "busybox"), ("--image", "busybox"), ("busybox", "--", "sleep", "60")],
)
def test_image_may_be_said_as_the_original_has_it(
    api: StubApi, call: Call, words: tuple[str, ...]
) -> None:
    ended = call("create", "container", "web", *words)

    assert ended.code == 0, ended.err
    (document,) = api.requests_to("/apply")[0].body["documents"]
    assert document["spec"]["image"] == "busybox"
    assert document["spec"].get("command", []) == list(words[2:] if "--" in words else ())


def test_container_without_an_image_is_refused_with_the_way_out(call: Call) -> None:
    ended = call("create", "container", "web")

    assert ended.code == 2
    assert "pfi create container NAME IMAGE" in ended.err


def test_a_created_container_is_made_of_its_options(api: StubApi, call: Call) -> None:
    options = ["--image", "busybox", "--memory", "64MiB", "--cpu", "0.5", "-e", "A=b=c"]

    ended = call("create", "container", "web", *options, "-l", "app=web", "--", "sleep", "60")

    assert ended.code == 0
    (document,) = api.requests_to("/apply")[0].body["documents"]
    assert document == {
        "kind": "Container",
        "cluster": "default",
        "name": "web",
        "labels": {"app": "web"},
        "spec": {
            "image": "busybox",
            "resources": {"cpu": "0.5", "memory": "64MiB"},
            "environment": {"A": "b=c"},
            "command": ["sleep", "60"],
        },
    }


# Questions


def test_describe_shows_fields_explanation_and_history(api: StubApi, call: Call) -> None:
    explanation = {"text": "no node fits", "nodes_total": 1, "remedies": ["add a node"]}
    api.put_container("web", phase="PENDING", node="", explanation=explanation)
    api.emit("container", "web", "waiting", why="no room")

    out = call("describe", "container", "web").out

    assert re.search(r"^phase: +PENDING$", out, re.MULTILINE)
    assert "  - add a node" in out
    assert re.search(r"ago +waiting +no room +by stub", out)


def test_explain_of_a_placed_container_says_what_placed_it(api: StubApi, call: Call) -> None:
    choices = [
        {"node": "n2", "why": "60 % of memory free", "is_here": False},
        {
            "node": "n1",
            "why": "40 % of memory free",
            "is_here": True,
            "counts": [{"wish": "disk = nvme", "count": 0}],
        },
    ]
    api.put(
        f"{CONTAINERS}/web/explanation",
        name="web",
        phase="BOOTSTRAPPED",
        node="n1",
        explanation=None,
        why="",
        hint="",
        placed="most free memory",
        moved="is to move to n1, asked by anna",
        choices=choices,
    )

    assert call("explain", "web").out == (
        "container/web is BOOTSTRAPPED on n1\n"
        "placed there because: most free memory\n"
        "moved or made anew because: is to move to n1, asked by anna\n"
        "as things are now, the best nodes for it are:\n"
        "    n2   60 % of memory free\n"
        "  * n1   40 % of memory free   disk = nvme: 0\n"
    )


def test_events_are_shown_with_their_reason(api: StubApi, call: Call) -> None:
    api.emit("container", "web", "placed", node="n1", why="fits best")

    title, row = call("events").out.splitlines()

    assert title.split() == ["TIME", "THING", "ACTION", "NODE", "WHY"]
    assert row.endswith("container/web   placed   n1     fits best")


def test_logs_come_as_they_are(call: Call) -> None:
    assert call("logs", "web").out == "first line\nsecond line\n"


def test_versions_of_both_sides_are_shown(api: StubApi, call: Call) -> None:
    ended = call("version")

    assert f"server  9.9 at {api.url}, API v3" in ended.out


# Configuration


def test_a_context_is_kept_and_its_token_never_shown(
    api: StubApi, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    nothing = {"PFI_SERVER": "", "PFI_TOKEN": ""}
    token = f"token=@{tmp_path / 'token'}"

    assert call("config", "set", f"server={api.url}", token, "cluster=blue", **nothing).code == 0
    shown = call("config", "show", **nothing).out

    assert call("get", "nodes", **nothing).err == "no nodes in cluster blue\n"
    assert TOKEN not in shown
    assert "(hidden)" in shown
    assert call("config", "path").out == f"{tmp_path / 'config.json'}\n"


def test_a_context_that_is_forgotten_is_not_current(call: Call) -> None:
    for name in ("home", "lab-lab"):
        call("--context", name, "config", "set", "server=https://192.0.2.1:1")
    current = []
    for name in ("lab-lab", "home"):
        assert call("config", "forget", name).code == 0
        current.append(json.loads(call("config", "show", "-o", "json").out)["current"])

    assert current == ["home", "default"]


def test_a_token_on_the_command_line_is_refused(call: Call) -> None:
    ended = call("config", "set", f"token={TOKEN}")

    assert ended.code == 2
    assert "token=@FILE" in ended.err


def test_a_token_file_outranks_the_environment(call: Call, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong\n")

    assert call("get", "nodes", "--token-file", str(tmp_path / "wrong")).code == 6


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script(call: Call, shell: str) -> None:
    assert "_PFI_COMPLETE" in call("completion", shell).out


# Commands in containers


def test_options_behind_the_container_are_not_taken_for_the_command(call: Call) -> None:
    ended = call("exec", "web", "-it", "--", "sh")

    assert ended.code == 2
    assert "pfi exec -it web -- COMMAND" in ended.err


@contextmanager
def _when_applied(api: StubApi, act: Callable[[], Any]) -> Iterator[None]:
    """Act, in a thread, as soon as the container has been applied."""

    def wait_and_act() -> None:
        with api.changed:
            api.changed.wait_for(lambda: f"/api/v3{CONTAINERS}/web" in api.things, 30)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()
