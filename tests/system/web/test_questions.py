"""The web UI in a real browser: what a cluster has left, and what would happen. Promise 9."""

import json
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import CHROMIUM, Visits, sign_in
from tests.support.running import Api
from tests.support.server_process import ServerProcess
from tests.support.web_stage import PASSWORD, POLICY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

CLUSTER = "/api/v3/clusters/default"
UI = "/ui/clusters/default"
PFI_S_MAX = 60


def answered(page: Page) -> Locator:
    """The moves of an answer, once it is there."""
    moves = page.get_by_label("Moves", exact=True)
    expect(moves.get_by_role("heading")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    return moves


def what_if(api: Api, question: dict[str, object], query: str = "") -> Any:
    answer = api.call("POST", f"{CLUSTER}/what-if{query}", question)
    assert answer.status == 200, answer
    return answer.document


def actions_of(answer: Any) -> dict[str, str]:
    return {move["name"]: move["action"] for move in answer["moves"]}


def test_policy_is_told_in_plain_words_with_what_is_used_of_the_quota(
    signed_in: Page, api: Api
) -> None:
    signed_in.goto(UI)
    policy = signed_in.get_by_label("Policy", exact=True)
    expect(policy).to_contain_text("All nodes are filled alike")
    expect(policy).to_contain_text("0.5 CPU, 1 GiB memory")
    expect(policy).to_contain_text("STATELESS ones of lower priority")
    expect(policy).to_contain_text("moved only when somebody asks")
    used = api.get(CLUSTER)["quota_used"]["containers"]
    expect(policy.get_by_label("Quota of Containers")).to_have_attribute(
        "aria-label", f"Quota of Containers: {used} of 200"
    )
    document = {
        "kind": "Cluster",
        "name": "default",
        "placement": "pack",
        "overcommit": {"cpu": 1.5},
        "preemption": "all",
    }
    assert api.call("POST", "/api/v3/apply", {"documents": [document]}).status == 200
    expect(policy).to_contain_text("The fullest node is filled up first")
    expect(policy).to_contain_text("Up to 1.5 times its CPU may be reserved")
    expect(policy).to_contain_text("STATEFUL ones included")
    back = {**document, "placement": "spread", "overcommit": {"cpu": 1}, "preemption": "stateless"}
    assert api.call("POST", "/api/v3/apply", {"documents": [back]}).status == 200

    expect(policy).to_contain_text("All nodes are filled alike")


def test_policy_is_changed_field_by_field_after_its_plan(signed_in: Page, api: Api) -> None:
    before = api.get(CLUSTER)["policy"]
    signed_in.goto(UI)
    policy = signed_in.get_by_label("Policy", exact=True)
    policy.get_by_role("button", name="Change").click()
    show = policy.get_by_role("button", name="Show the plan")
    expect(show).to_be_disabled()
    policy.get_by_label("Over-commit: CPU").fill("0.5")
    show.click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("is not a factor from 1")
    signed_in.keyboard.press("Escape")
    policy.get_by_label("Over-commit: CPU").fill("")
    policy.get_by_label("Quota: Disk").fill("1TiB")
    policy.get_by_label("Quota: Memory").fill("")
    policy.get_by_label("Whose place a higher priority may take").select_option("none")
    show.click()
    expect(dialog.get_by_label("Plan")).to_contain_text("cluster/default change")
    assert api.get(CLUSTER)["policy"] == before
    dialog.get_by_role("button", name="Change it").click()
    expect(policy).to_contain_text("Nobody has to go for a container of higher priority")
    expect(policy.get_by_label("Quota of Disk")).to_be_visible()
    expect(policy.get_by_label("Quota of Memory")).to_have_count(0)
    after = api.get(CLUSTER)["policy"]
    quota = {**before["quota"], "disk_mib": 1 << 20, "memory_mib": 0}
    document = {"kind": "Cluster", "name": "default", "preemption": "stateless", **POLICY}
    assert api.call("POST", "/api/v3/apply", {"documents": [document]}).status == 200

    assert after == {**before, "quota": quota, "preemption": "none"}
    expect(policy).to_contain_text("STATELESS ones of lower priority")


def test_readers_see_what_is_left_and_change_no_policy(visits: Visits, api: Api) -> None:
    person = {"name": "rosa", "password": PASSWORD, "role": "reader"}
    assert api.call("POST", "/api/v3/users", person).status == 201
    page = visits.page()
    sign_in(page, "rosa", PASSWORD)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.goto(UI)

    expect(page.get_by_label("Head-room")).to_contain_text("Any one node may be lost")
    expect(page.get_by_label("Policy", exact=True)).to_contain_text("Placement")
    expect(page.get_by_role("button", name="Change", exact=True)).to_have_count(0)
    page.goto(f"{UI}/what-if?lose=rack-01")
    expect(answered(page)).to_contain_text("rack-01 → ")


def test_head_room_and_n_plus_1_are_told_as_they_change(signed_in: Page, api: Api) -> None:
    signed_in.goto("/ui/")
    signed_in.get_by_role("link", name="default").click()
    room = signed_in.get_by_label("Head-room")
    expect(room).to_contain_text("Any one node may be lost")
    expect(room.get_by_role("row").filter(has_text="CPU")).to_contain_text("of 46")
    expect(room).to_contain_text("1 container waits for a node")
    alone = {
        "replicas": 4,
        "min_available": 0,
        "spec": {
            "image": "busybox",
            "resources": {"cpu": 0.1},
            "anti_affinity": [{"deployment": "alone", "over": "node"}],
        },
    }
    api.put(f"{CLUSTER}/deployments/alone", alone)
    expect(room).to_contain_text("Not every node may be lost")
    room.get_by_label("N+1").get_by_role("link", name="rack-02").click()
    moves = answered(signed_in)
    expect(moves).to_contain_text("was on rack-02")
    api.call("DELETE", f"{CLUSTER}/deployments/alone")
    signed_in.goto(UI)

    expect(room).to_contain_text("Any one node may be lost")


def test_priority_is_shown_and_outlives_an_edit(signed_in: Page, api: Api) -> None:
    path = f"{CLUSTER}/deployments/first"
    definition = {"replicas": 1, "min_available": 0, "priority": 7, "spec": {"image": "busybox"}}
    api.put(path, definition)
    signed_in.goto(f"{UI}/deployments")
    row = signed_in.get_by_role("row").filter(has_text="first")
    expect(row).to_contain_text("priority 7")
    signed_in.goto(f"{UI}/deployments/first")
    expect(signed_in.get_by_label("State")).to_contain_text("7: before all of less")
    signed_in.get_by_role("button", name="Edit").click()
    signed_in.get_by_role("button", name="Show the plan").click()

    expect(signed_in.get_by_label("Plan")).to_contain_text("deployment/first unchanged")
    api.call("DELETE", path)


def test_a_question_is_put_together_and_stands_in_the_address(
    signed_in: Page, api: Api, server: ServerProcess
) -> None:
    signed_in.goto(f"{UI}/what-if")
    expect(answered(signed_in)).to_contain_text("No container would move")
    lose = signed_in.get_by_label("Lose a node, or all with a label")
    lose.fill("rack-01")
    lose.press("Enter")
    expect(answered(signed_in)).to_contain_text("postgres-01")
    signed_in.get_by_label("Scale a deployment").fill("web")
    signed_in.get_by_label("to so many replicas").fill("8")
    signed_in.get_by_role("button", name="Scale").click()
    signed_in.get_by_label("Add nodes").fill("2")
    signed_in.get_by_label("like this node").fill("rack-03")
    signed_in.get_by_role("button", name="Add").click()
    signed_in.get_by_label("Drain a node").fill("rack-02")
    signed_in.get_by_role("button", name="Drain").click()
    happens = signed_in.get_by_role("list", name="What happens, in this order")
    expect(happens.get_by_role("listitem")).to_have_count(5)  # the last one takes all back
    expect(signed_in.get_by_role("row").filter(has_text="web-08")).to_contain_text("created")
    expect(answered(signed_in)).to_contain_text("only when a person confirms")
    address = signed_in.url
    told = answered(signed_in).inner_text()
    signed_in.goto("/ui/")
    signed_in.goto(address)
    expect(answered(signed_in)).to_have_text(told, use_inner_text=True)
    question: dict[str, object] = {
        "lose": ["rack-01"],
        "drain": ["rack-02"],
        "add": [{"count": 2, "like": "rack-03"}],
        "scale": {"web": 8},
    }
    expected = what_if(api, question)
    rows = signed_in.get_by_label("Moves", exact=True).get_by_role("row")
    moving = [move for move in expected["moves"] if move["action"] != "unplaced"]
    expect(rows).to_have_count(len(moving) + 1)

    command = signed_in.get_by_label("Question").locator("code").inner_text()
    assert actions_of(asked_by_pfi(command, server)) == actions_of(expected)


def asked_by_pfi(command: str, server: ServerProcess) -> Any:
    """What the command answers that the page shows."""
    program, *arguments = shlex.split(command)
    assert program == "pfi"
    done = subprocess.run(
        [sys.executable, "-m", "pathfinder.cli", *arguments, "-o", "json"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PFI_SERVER": f"http://127.0.0.1:{server.port}",
            "PFI_TOKEN": server.token,
        },
        check=False,
        timeout=PFI_S_MAX,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_happens_is_taken_back_one_by_one(signed_in: Page) -> None:
    signed_in.goto(f"{UI}/what-if?lose=rack%3Dr1&lose=rack-03&scale=web%3D3")
    happens = signed_in.get_by_role("list", name="What happens, in this order")
    expect(happens).to_contain_text("every node with rack=r1 is lost")
    expect(answered(signed_in)).to_contain_text("Lost: rack-01, rack-02, rack-03")
    signed_in.get_by_role("button", name="Not: every node with rack=r1 is lost").click()
    expect(answered(signed_in)).not_to_contain_text("Lost: rack-01")
    expect(signed_in.get_by_label("Lose a node, or all with a label")).to_be_focused()
    signed_in.go_back()
    expect(answered(signed_in)).to_contain_text("Lost: rack-01, rack-02, rack-03")
    signed_in.get_by_role("button", name="Nothing of it").click()
    expect(answered(signed_in)).to_contain_text("No container would move")

    assert signed_in.url.endswith("/what-if")


def test_what_would_fit_nowhere_comes_first_with_what_would_help(signed_in: Page) -> None:
    signed_in.goto(f"{UI}/what-if?lose=rack%3Dr1&lose=rack-03&scale=web%3D12")
    nowhere = signed_in.get_by_label("Without a place")

    expect(nowhere).to_contain_text("mail (was on rack-0")
    expect(nowhere).to_contain_text("does not meet rack = r1")
    expect(nowhere).to_contain_text("drop the constraint rack = r1 and free")
    expect(signed_in.get_by_label("N+1, after")).to_contain_text("Not every node may be lost")
    expect(signed_in.get_by_label("N+1, before")).to_contain_text("Any one node may be lost")
    signed_in.get_by_label("N+1, after").get_by_role("link", name="rack-04").click()
    happens = signed_in.get_by_role("list", name="What happens, in this order")
    expect(happens).to_contain_text("rack-04 is lost")
    expect(happens).to_contain_text("web has 12 replicas")


def test_a_mistake_in_a_question_is_said_and_can_be_mended(signed_in: Page) -> None:
    signed_in.goto(f"{UI}/what-if")
    lose = signed_in.get_by_label("Lose a node, or all with a label")
    lose.fill("rack-99")
    lose.press("Enter")
    expect(signed_in.get_by_role("alert")).to_contain_text("is neither a node nor selects one")
    signed_in.get_by_role("button", name="Not: rack-99 is lost").click()

    expect(answered(signed_in)).to_contain_text("No container would move")
    expect(signed_in.get_by_role("alert")).to_have_count(0)


def test_an_earlier_state_is_asked_by_its_time(signed_in: Page, api: Api) -> None:
    path = f"{CLUSTER}/deployments/later"
    api.put(path, {"replicas": 1, "min_available": 0, "spec": {"image": "busybox"}})
    made_ms = api.get(path)["created_ms"]
    before = datetime.fromtimestamp((made_ms - 1) / 1000, UTC).isoformat(timespec="milliseconds")
    at = before.replace("+00:00", "Z")
    signed_in.goto(f"{UI}/what-if?scale=later%3D2")
    expect(answered(signed_in)).to_contain_text("later-02")
    signed_in.goto(f"{UI}/what-if?scale=later%3D2&at={at}")
    expect(signed_in.get_by_role("alert")).to_contain_text("later")
    expect(signed_in.get_by_text("On the state as it was at").last).to_be_visible()
    expect(signed_in.get_by_label("Question").locator("code")).to_contain_text(f"--at {at}")
    signed_in.get_by_role("button", name="On the state as it is now").click()
    expect(answered(signed_in)).to_contain_text("later-02")
    signed_in.get_by_label("On the state as it was").fill("2001-02-03T04:05:06")
    signed_in.get_by_role("button", name="Look").click()

    expect(signed_in.get_by_role("alert")).to_contain_text("there is no cluster 'default'")
    expect(signed_in.get_by_text("as it was at 2001-02-03 04:05:06").first).to_be_visible()
    api.call("DELETE", path)


def test_an_answer_that_is_old_says_so(signed_in: Page, api: Api) -> None:
    signed_in.goto(f"{UI}/what-if?lose=rack-03")
    answered(signed_in)
    api.call("PATCH", f"{CLUSTER}/nodes/rack-04", {"labels": {"seen": "yes"}})
    expect(signed_in.get_by_text("Something has happened in the cluster since")).to_be_visible()
    signed_in.get_by_role("button", name="Ask again").click()

    expect(signed_in.get_by_text("Something has happened in the cluster since")).to_have_count(0)
    answered(signed_in)


def test_a_node_leads_to_what_happens_without_it(signed_in: Page) -> None:
    signed_in.goto(f"{UI}/nodes/rack-01")
    signed_in.get_by_role("link", name="What if it dies?").click()

    expect(answered(signed_in)).to_contain_text("rack-01 → ")
    assert signed_in.url.endswith("/what-if?lose=rack-01")
