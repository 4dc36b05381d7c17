"""The web UI in a real browser: why a container is where it is, its snapshots, its moves."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import CHROMIUM, Visits, sign_in
from tests.support.running import Api
from tests.support.web_stage import PASSWORD

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

CLUSTER = "/api/v3/clusters/default"
UI = "/ui/clusters/default"


def test_what_has_a_node_says_why_there_and_where_it_would_be_best(
    signed_in: Page, api: Api
) -> None:
    told = api.get(f"{CLUSTER}/containers/web-01/explanation")
    signed_in.goto(f"{UI}/containers/web-01")
    shown = signed_in.get_by_label("Explanation")

    expect(shown).to_contain_text(f"Why on {told['node']}")
    expect(shown).to_contain_text(told["placed"])
    choices = shown.get_by_role("listitem")
    expect(choices).to_have_count(len(told["choices"]))
    for place, choice in enumerate(told["choices"]):
        expect(choices.nth(place)).to_contain_text(choice["node"])
        expect(choices.nth(place)).to_contain_text(choice["why"])
        here = choices.nth(place).get_by_text("here", exact=True)
        expect(here).to_have_count(int(choice["is_here"]))


def test_what_has_no_node_is_explained(signed_in: Page) -> None:
    signed_in.goto(f"{UI}/containers/analytics")
    told = signed_in.get_by_label("Explanation")

    expect(told).to_contain_text("no node fits: 4 of 4 lack memory")
    expect(told).to_contain_text("Nodes that do not fit, of 4")
    expect(told.get_by_role("link", name="rack-0").first).to_be_visible()
    expect(told).to_contain_text("ask for at most")
    expect(told).to_contain_text("add a node for system containers with at least 4 CPU")


def test_what_would_help_helps_as_one_looks(signed_in: Page, api: Api) -> None:
    spec = {"image": "busybox", "constraints": ["disk = nvme"]}
    api.put(f"{CLUSTER}/containers/fast", {"spec": spec})
    signed_in.goto(f"{UI}/containers/fast")
    told = signed_in.get_by_label("Explanation")
    expect(told).to_contain_text("4 of 4 do not meet disk = nvme")
    api.call("PATCH", f"{CLUSTER}/nodes/rack-02", {"labels": {"disk": "nvme"}})

    expect(told).to_contain_text("Why on rack-02")
    expect(told).to_contain_text("the only node")
    api.call("DELETE", f"{CLUSTER}/containers/fast")


def test_what_goes_away_while_one_looks_says_who_ended_it(signed_in: Page, api: Api) -> None:
    api.put(f"{CLUSTER}/containers/brief", {"spec": {"image": "busybox"}})
    signed_in.goto(f"{UI}/containers/brief")
    expect(signed_in.get_by_text("ready", exact=True).first).to_be_visible()
    node = api.get(f"{CLUSTER}/containers/brief")["node"]
    api.call("DELETE", f"{CLUSTER}/containers/brief")
    told = signed_in.get_by_label("Explanation")
    expect(told).to_contain_text("It is gone")
    expect(told).to_contain_text("by admin-init")
    expect(told).to_contain_text(f"it was on {node}")
    expect(signed_in.get_by_label("Events, newest first")).to_contain_text("deleted")
    expect(signed_in.get_by_role("button", name="Delete")).to_have_count(0)
    signed_in.goto(f"{UI}/containers/never")

    expect(signed_in.get_by_role("alert")).to_contain_text("there is no container 'never'")


def test_snapshots_are_taken_restored_and_deleted(signed_in: Page, api: Api) -> None:
    api.put(f"{CLUSTER}/containers/kept", {"spec": {"image": "busybox"}})
    signed_in.goto(f"{UI}/containers/kept")
    shown = signed_in.get_by_label("Snapshots")
    expect(shown).to_contain_text("None. A snapshot is a state of its disk")
    name = shown.get_by_label("Name of a snapshot")
    name.fill("Not A Name")
    name.press("Enter")
    expect(shown.get_by_role("alert")).to_contain_text("snapshot")
    name.fill("before-upgrade")
    name.press("Enter")
    row = shown.get_by_role("row").filter(has_text="before-upgrade")
    expect(row).to_contain_text("128 MiB")
    expect(shown.get_by_role("alert")).to_have_count(0)
    expect(name).to_have_value("")
    shown.get_by_role("button", name="Take a snapshot").click()
    expect(shown.get_by_role("row")).to_have_count(3)
    path = f"{CLUSTER}/containers/kept/snapshots"
    assert api.call("POST", path, {"name": "by-another"}).status == 200
    theirs = shown.get_by_role("row").filter(has_text="by-another")
    expect(theirs).to_be_visible()
    assert api.call("DELETE", f"{path}/by-another").status == 200
    expect(theirs).to_have_count(0)
    row.get_by_role("button", name="Restore").click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog).to_contain_text("What has been written since is lost")
    dialog.get_by_role("button", name="Restore").click()
    expect(dialog).to_have_count(0)
    events = signed_in.get_by_label("Events, newest first")
    expect(events).to_contain_text("snapshot restore")
    row.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)

    assert [each["name"][:2] for each in api.get(path)["items"]] == ["s-"]
    api.call("DELETE", f"{CLUSTER}/containers/kept")


def test_a_refusal_is_said_where_it_was_asked(signed_in: Page, api: Api) -> None:
    api.put(f"{CLUSTER}/containers/shy", {"spec": {"image": "busybox"}})
    signed_in.goto(f"{UI}/containers/shy")
    shown = signed_in.get_by_label("Snapshots")
    shown.get_by_label("Name of a snapshot").fill("one")
    shown.get_by_role("button", name="Take a snapshot").click()
    shown.get_by_role("button", name="Restore one").click()
    # Somebody else is quicker.
    assert api.call("DELETE", f"{CLUSTER}/containers/shy/snapshots/one").status == 200
    dialog = signed_in.get_by_role("dialog")
    dialog.get_by_role("button", name="Restore").click()
    expect(dialog.get_by_role("alert")).to_contain_text("shy has no snapshot one")
    signed_in.keyboard.press("Escape")

    expect(dialog).to_have_count(0)
    expect(shown).to_contain_text("None. A snapshot is a state of its disk")
    api.call("DELETE", f"{CLUSTER}/containers/shy")


def test_readers_see_snapshots_and_change_none(visits: Visits, api: Api) -> None:
    person = {"name": "rosa", "password": PASSWORD, "role": "reader"}
    assert api.call("POST", "/api/v3/users", person).status == 201
    snapshots = f"{CLUSTER}/containers/api-01/snapshots"
    assert api.call("POST", snapshots, {"name": "kept"}).status == 200
    page = visits.page()
    sign_in(page, "rosa", PASSWORD)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.goto(f"{UI}/containers/api-01")
    shown = page.get_by_label("Snapshots")

    expect(shown).to_contain_text("kept")
    expect(shown.get_by_role("button")).to_have_count(1)  # Look again


def test_the_stage_of_a_relocation_is_shown_until_it_is_cancelled(
    signed_in: Page, api: Api
) -> None:
    """Played nodes copy nothing: it stays on its way."""
    api.put(f"{CLUSTER}/containers/mover", {"spec": {"image": "busybox"}})
    signed_in.goto(f"{UI}/containers/mover")
    expect(signed_in.get_by_text("ready", exact=True).first).to_be_visible()
    node = api.get(f"{CLUSTER}/containers/mover")["node"]
    target = "rack-02" if node != "rack-02" else "rack-03"
    path = f"{CLUSTER}/containers/mover/relocate"
    assert api.call("POST", path, {"node": target}).status == 200
    shown = signed_in.get_by_label("Relocation")
    expect(shown).to_contain_text(f"Moves to {target}, with its data")
    expect(shown.locator("[aria-current=step]")).to_contain_text("Copying")
    signed_in.get_by_role("button", name="Cancel relocation").click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog.get_by_label("Plan")).to_contain_text("mover")
    dialog.get_by_role("button", name="Cancel relocation").click()

    expect(shown).to_have_count(0)
    assert api.get(f"{CLUSTER}/containers/mover")["node"] == node
    api.call("DELETE", f"{CLUSTER}/containers/mover")
