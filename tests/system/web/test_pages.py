"""The web UI in a real browser: what is shown, and what can be done. Promise 9."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import CHROMIUM, PHONE
from tests.support.running import Api

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

CLUSTER = "/api/v3/clusters/default"
UI = "/ui/clusters/default"
PLACES: list[tuple[str, str]] = [
    ("/ui/", "default"),
    (UI, "Any one node may be lost"),
    (f"{UI}/what-if", "No container would move"),
    (f"{UI}/what-if?lose=rack-01", "postgres-01"),
    (f"{UI}/balancing", "Moves made"),
    (f"{UI}/nodes", "rack-01"),
    (f"{UI}/nodes/rack-01", "Debian GNU/Linux 12"),
    (f"{UI}/deployments", "postgres"),
    (f"{UI}/deployments/web", "web-01"),
    (f"{UI}/new-deployment", "Show the plan"),
    (f"{UI}/containers", "analytics"),
    (f"{UI}/containers/web-01", "10.20."),
    (f"{UI}/events", "scheduled"),
    ("/ui/users", "New user"),
    ("/ui/account", "Another password"),
    ("/ui/nowhere", "no such page"),
]


def test_every_page_is_shown_and_complains_of_nothing(signed_in: Page) -> None:
    for path, text in PLACES:
        signed_in.goto(path)
        expect(signed_in.get_by_text(text).first).to_be_visible()

    expect(signed_in).to_have_title("There is no such page · Pathfinder")


def test_every_page_fits_a_phone(signed_in: Page) -> None:
    wide = signed_in.viewport_size
    assert wide is not None
    signed_in.set_viewport_size(PHONE)
    too_wide = []
    for path, text in PLACES:
        signed_in.goto(path)
        expect(signed_in.get_by_text(text).first).to_be_visible()
        overflow = signed_in.evaluate("document.documentElement.scrollWidth - innerWidth")
        too_wide += [path] if overflow > 0 else []
    signed_in.set_viewport_size(wide)

    assert too_wide == []


def test_what_happens_is_shown_as_it_happens(signed_in: Page, api: Api) -> None:
    signed_in.goto(f"{UI}/containers?text=livened")
    expect(signed_in.get_by_text("No container is like that")).to_be_visible()
    api.put(f"{CLUSTER}/containers/livened", {"spec": {"image": "busybox"}})
    row = signed_in.get_by_role("row").filter(has_text="livened")
    expect(row).to_contain_text("ready")
    api.call("DELETE", f"{CLUSTER}/containers/livened")

    expect(row).to_have_count(0)


def check_definition(page: Page, text: str) -> None:
    """The editor holds it, once it does."""
    # Not by a function of the page's: its policy lets nothing be evaluated twice.
    field = page.get_by_role("textbox", name="Definition as")
    expect(field).to_have_value(re.compile(re.escape(text)))


def test_plan_is_seen_before_it_is_applied(signed_in: Page, api: Api) -> None:
    path = f"{CLUSTER}/deployments/planned"
    api.put(path, {"replicas": 1, "min_available": 0, "spec": {"image": "busybox"}})
    signed_in.goto(f"{UI}/deployments/planned")
    signed_in.get_by_role("button", name="Edit").click()
    field = signed_in.get_by_label("Definition as YAML")
    check_definition(signed_in, "replicas: 1")
    field.fill(field.input_value().replace("replicas: 1", "replicas: 2"))
    signed_in.get_by_role("button", name="Show the plan").click()
    plan = signed_in.get_by_label("Plan")
    expect(plan).to_contain_text("container/planned-02 create")
    before = api.get(path)["replicas"]
    signed_in.get_by_role("button", name="Apply").click()

    expect(signed_in.get_by_role("row").filter(has_text="planned-02")).to_contain_text("ready")
    assert (before, api.get(path)["replicas"]) == (1, 2)


def test_definition_may_be_json_and_a_mistake_is_said(signed_in: Page) -> None:
    signed_in.goto(f"{UI}/new-deployment")
    check_definition(signed_in, "replicas: 2")
    signed_in.get_by_text("JSON", exact=True).click()
    field = signed_in.get_by_label("Definition as JSON")
    check_definition(signed_in, "{")
    field.fill('{"replicas": 2')
    signed_in.get_by_role("button", name="Show the plan").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("This is not JSON")
    field.fill('{"replicas": 2, "spec": {"image": "busybox", "memory": 1}}')
    signed_in.get_by_role("button", name="Show the plan").click()

    expect(signed_in.get_by_role("alert")).to_contain_text("spec.memory")
    expect(signed_in.get_by_role("button", name="Apply")).to_be_disabled()


def test_new_deployment_does_not_replace_one_of_its_name(signed_in: Page, api: Api) -> None:
    signed_in.goto(f"{UI}/new-deployment")
    check_definition(signed_in, "replicas: 2")
    name = signed_in.get_by_label("Name")
    name.fill("web")
    signed_in.get_by_role("button", name="Show the plan").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("There is a deployment of this name")
    expect(signed_in.get_by_role("button", name="Apply")).to_be_disabled()
    name.fill("fresh")
    signed_in.get_by_role("button", name="Show the plan").click()
    expect(signed_in.get_by_label("Plan")).to_contain_text("container/fresh-02 create")
    signed_in.get_by_role("button", name="Apply").click()

    expect(signed_in.get_by_role("heading", name="fresh")).to_be_visible()
    expect(signed_in.get_by_role("row").filter(has_text="fresh-02")).to_contain_text("ready")
    assert api.get(f"{CLUSTER}/deployments/fresh")["replicas"] == 2


def test_change_by_somebody_else_is_not_overwritten(signed_in: Page, api: Api) -> None:
    path = f"{CLUSTER}/deployments/shared"
    definition: dict[str, Any] = {"min_available": 0, "spec": {"image": "busybox"}}
    api.put(path, {**definition, "replicas": 1})
    signed_in.goto(f"{UI}/deployments/shared")
    signed_in.get_by_role("button", name="Edit").click()
    check_definition(signed_in, "replicas: 1")
    api.put(path, {**definition, "replicas": 0})
    expect(signed_in.get_by_text("Somebody has changed it meanwhile")).to_be_visible()
    signed_in.get_by_role("button", name="Show the plan").click()
    expect(signed_in.get_by_role("alert").last).to_contain_text("is at revision")
    signed_in.get_by_role("button", name="Begin anew").click()

    check_definition(signed_in, "replicas: 0")
    assert api.get(path)["replicas"] == 0


def test_scaling_and_deleting_show_their_plan_first(signed_in: Page, api: Api) -> None:
    path = f"{CLUSTER}/deployments/scaled"
    api.put(path, {"replicas": 1, "min_available": 0, "spec": {"image": "busybox"}})
    signed_in.goto(f"{UI}/deployments/scaled")
    signed_in.get_by_label("Replicas").last.wait_for()
    signed_in.get_by_role("spinbutton").fill("2")
    signed_in.get_by_role("button", name="Scale").click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog.get_by_label("Plan")).to_contain_text("scaled-02 create")
    dialog.get_by_role("button", name="Scale").click()
    expect(dialog).to_have_count(0)
    signed_in.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_label("Plan")).to_contain_text("deployment/scaled delete")
    signed_in.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    assert api.get(path)["replicas"] == 2
    assert api.get(path)["wanted"]


def test_reason_of_an_action_stands_among_the_events(signed_in: Page, api: Api) -> None:
    api.put(f"{CLUSTER}/containers/moved", {"spec": {"image": "busybox"}})
    signed_in.goto(f"{UI}/containers/moved")
    signed_in.get_by_role("button", name="Reschedule").click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog.get_by_label("Plan")).to_contain_text("container/moved replace")
    dialog.get_by_label("Reason").fill("a fan is loud")
    dialog.get_by_role("button", name="Reschedule").click()

    expect(signed_in.get_by_label("Events, newest first")).to_contain_text("a fan is loud")
    expect(dialog).to_have_count(0)
    assert api.get(f"{CLUSTER}/containers/moved")["generation"] > 1


def test_node_is_cordoned_and_uncordoned(signed_in: Page, api: Api) -> None:
    signed_in.goto(f"{UI}/nodes/rack-03")
    signed_in.get_by_role("button", name="Cordon", exact=True).click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Cordon").click()
    expect(signed_in.get_by_text("cordoned", exact=True).first).to_be_visible()
    cordoned = api.get(f"{CLUSTER}/nodes/rack-03")["cordoned"]
    signed_in.get_by_role("button", name="Uncordon").click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Uncordon").click()

    expect(signed_in.get_by_role("button", name="Cordon", exact=True)).to_be_visible()
    assert (cordoned, api.get(f"{CLUSTER}/nodes/rack-03")["cordoned"]) == (True, False)


def test_log_is_followed(signed_in: Page) -> None:
    signed_in.goto(f"{UI}/containers/web-01")
    signed_in.get_by_role("button", name="Follow the log").click()
    lines = signed_in.get_by_label("Lines of the log")

    expect(lines).to_contain_text("web-01 is up")
    expect(lines).to_contain_text("GET /basket?id=<b>42</b>")
    signed_in.get_by_role("button", name="Stop").click()
    expect(signed_in.get_by_role("button", name="Follow the log")).to_be_visible()


def test_everything_is_reached_by_keyboard(signed_in: Page) -> None:
    signed_in.goto(f"{UI}/containers")
    signed_in.get_by_role("link", name="web-01").wait_for()
    expect(signed_in.get_by_role("heading", name="Containers")).to_be_focused()
    signed_in.get_by_role("link", name="web-01").focus()
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("heading", name="web-01")).to_be_focused()
    signed_in.get_by_role("button", name="Reschedule").wait_for()
    signed_in.keyboard.press("Tab")
    expect(signed_in.get_by_role("button", name="Reschedule")).to_be_focused()
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("dialog")).to_be_visible()
    signed_in.keyboard.press("Escape")

    expect(signed_in.get_by_role("dialog")).to_have_count(0)
    expect(signed_in.get_by_role("button", name="Reschedule")).to_be_focused()
    menu = signed_in.get_by_label("Account of admin")
    menu.focus()
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("button", name="Sign out")).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(signed_in.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(menu).to_be_focused()


def test_a_thousand_containers_are_usable(signed_in: Page, api: Api) -> None:
    api.put("/api/v3/clusters/many", {})
    for hundreds in range(2):
        documents = [
            {"kind": "Container", "cluster": "many", "name": name, "spec": {"image": "busybox"}}
            for name in (
                f"crowd-{number:04}" for number in range(hundreds * 550, (hundreds + 1) * 550)
            )
        ]
        assert api.call("POST", "/api/v3/apply", {"documents": documents}).status == 200
    signed_in.goto("/ui/clusters/many/containers")
    rows = signed_in.get_by_role("row")
    expect(rows).to_have_count(51)
    first = rows.nth(1).inner_text()
    signed_in.get_by_role("button", name="Next").click()
    expect(rows.nth(1)).not_to_have_text(first)
    signed_in.get_by_label("Name contains").fill("crowd-1099")

    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("crowd-1099")
