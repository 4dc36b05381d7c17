"""The web UI in a real browser: a node is drained, and what stays says why. Promise 9."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import CHROMIUM, PHONE, Visits, sign_in
from tests.support.running import Api
from tests.support.web_stage import PASSWORD, lopsided

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

CLUSTER = "/api/v3/clusters/default"
UI = "/ui/clusters/default"
ONLY_HERE = {"image": "busybox", "type": "STATELESS", "constraints": ["node = full"]}
ANYWHERE = {"image": "busybox", "type": "STATELESS"}


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def begun(
    browser: Browser, tmp_path: Path, opened: ExitStack, **spec: object
) -> tuple[Visits, Api]:
    """A node `full` with six containers and a node `free`, and who looks at them."""
    server, _ = opened.enter_context(lopsided(tmp_path, **spec))
    api = server.api()
    opened.callback(api.connection.close)
    return Visits(browser, f"http://127.0.0.1:{server.port}", opened), api


def chosen(page: Page, label: str) -> Locator:
    """The dialog of an action, with its plan."""
    page.get_by_role("button", name=label, exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Plan")).to_be_visible()
    return dialog


def confirm(dialog: Locator, label: str) -> None:
    dialog.get_by_role("button", name=label, exact=True).click()
    expect(dialog).to_have_count(0)


def check_offered(page: Page, *labels: str) -> None:
    """Of what concerns a drain, these are offered and no others."""
    for label in ("Drain", "Stop draining", "Uncordon", "Cordon", "Forget"):
        button = page.get_by_role("button", name=label, exact=True)
        expect(button).to_have_count(1 if label in labels else 0)


def drain(api: Api, *, draining: bool = True, reason: str = "") -> None:
    body = {"draining": draining, "reason": reason}
    assert api.call("PATCH", f"{CLUSTER}/nodes/full", body).status == 200


def test_a_node_is_drained_on_its_page_until_nothing_is_on_it(
    browser: Browser, tmp_path: Path, opened: ExitStack
) -> None:
    visits, api = begun(browser, tmp_path, opened, type="STATELESS")
    page = visits.admin(PASSWORD)
    page.goto(f"{UI}/nodes/full")
    check_offered(page, "Cordon", "Drain")
    dialog = chosen(page, "Drain")
    expect(dialog).to_contain_text("STATELESS containers are made anew")
    expect(dialog.get_by_label("Plan")).to_contain_text("draining no -> yes")
    dialog.get_by_label("Reason").fill("new disks")
    confirm(dialog, "Drain")
    shown = page.get_by_label("Drain", exact=True)
    expect(shown).to_contain_text("nothing is on it")
    expect(shown).to_contain_text(re.compile(r"Drained since 20\d\d-"))
    expect(shown).to_contain_text("new disks")
    expect(shown).to_contain_text("Uncordon")
    check_offered(page, "Uncordon", "Forget")
    events = page.get_by_label("Events, newest first")
    expect(events).to_contain_text("draining: 6 containers go elsewhere: new disks")
    expect(events).to_contain_text("drained: all 6 containers have left it")
    assert {each["node"] for each in api.get(f"{CLUSTER}/containers")["items"]} == {"free"}
    page.goto(f"{UI}/nodes")
    row = page.get_by_role("row").filter(has_text="full")
    expect(row.get_by_text("drained", exact=True)).to_be_visible()
    expect(row.get_by_text("cordoned")).to_have_count(0)
    page.get_by_role("link", name="full").click()
    confirm(chosen(page, "Uncordon"), "Uncordon")

    expect(shown).to_have_count(0)
    check_offered(page, "Cordon", "Drain", "Forget")
    node = api.get(f"{CLUSTER}/nodes/full")
    assert (node["drain"], node["cordoned"]) == (None, False)


def test_what_would_go_where_is_asked_before(
    browser: Browser, tmp_path: Path, opened: ExitStack
) -> None:
    visits, api = begun(browser, tmp_path, opened, type="STATELESS")
    page = visits.admin(PASSWORD)
    page.goto(f"{UI}/nodes/full")
    page.get_by_role("link", name="What if it is drained?").click()
    moves = page.get_by_label("Moves", exact=True)
    expect(moves.get_by_role("row").filter(has_text="full → free")).to_have_count(6)
    page.go_back()
    chosen(page, "Drain").get_by_role("link", name="What would go where?").click()

    expect(moves.get_by_role("row").filter(has_text="full → free")).to_have_count(6)
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.url.endswith("/what-if?drain=full")
    assert api.get(f"{CLUSTER}/nodes/full")["drain"] is None


def test_what_stays_says_why_and_goes_when_the_advice_is_followed(
    browser: Browser, tmp_path: Path, opened: ExitStack
) -> None:
    visits, api = begun(browser, tmp_path, opened, type="STATELESS")
    page = visits.admin(PASSWORD)
    # There before the drain, since nothing comes to the node then.
    must = {"replicas": 1, "min_available": 1, "spec": ONLY_HERE}
    api.put(f"{CLUSTER}/deployments/must", must)
    api.put(f"{CLUSTER}/containers/tied", {"spec": ONLY_HERE})
    page.goto(f"{UI}/nodes/full")
    for name in ("must-01", "tied"):
        row = page.get_by_role("row").filter(has_text=name)
        expect(row.get_by_text("ready", exact=True)).to_be_visible()
    drain(api)
    shown = page.get_by_label("Drain", exact=True)
    stays = shown.get_by_label("What stays")
    tied = stays.get_by_role("listitem").filter(has_text="tied")
    must_01 = stays.get_by_role("listitem").filter(has_text="must-01")
    expect(tied).to_contain_text("fits on no other node: ")
    expect(tied).to_contain_text("does not meet node = full")
    expect(tied).to_contain_text("What would help: ")
    expect(must_01).to_contain_text("no more ready than the 1 of its min_available")
    expect(must_01).to_contain_text("pfi scale must --replicas 1 --min-available 0")
    expect(shown).to_contain_text("2 of 8 containers left")
    expect(shown.get_by_role("img")).to_have_attribute("aria-label", "Of 8: 6 gone, 2 stay")
    check_fits_a_phone(page)
    listing = visits.page(storage_state=page.context.storage_state())
    listing.goto(f"{UI}/nodes")
    row = listing.get_by_role("row").filter(has_text="full")
    expect(row.get_by_text("draining 2/8", exact=True)).to_be_visible()
    shown.get_by_role("link", name="What would go where?").click()
    moves = page.get_by_label("Moves", exact=True)
    expect(moves).to_contain_text("tied stays on full: ")
    expect(moves).not_to_contain_text("A rollout could not go on")
    page.go_back()
    tied.get_by_role("link", name="tied").click()
    expect(page.get_by_role("heading", name="tied")).to_be_visible()
    page.go_back()
    api.put(f"{CLUSTER}/deployments/must", {**must, "min_available": 0, "spec": ANYWHERE})
    expect(shown).to_contain_text("1 of 8 containers left")
    api.call("DELETE", f"{CLUSTER}/containers/tied")

    expect(shown).to_contain_text("nothing is on it")
    expect(row.get_by_text("drained", exact=True)).to_be_visible()


def check_fits_a_phone(page: Page) -> None:
    wide = page.viewport_size
    assert wide is not None
    page.set_viewport_size(PHONE)
    page.reload()
    expect(page.get_by_label("What stays")).to_be_visible()
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.set_viewport_size(wide)
    assert overflow <= 0


def test_a_drain_that_is_stopped_leaves_the_rest_and_the_node_cordoned(
    browser: Browser, tmp_path: Path, opened: ExitStack
) -> None:
    """Played nodes copy nothing: what is relocated stays on its way."""
    visits, api = begun(browser, tmp_path, opened, type="STATEFUL")
    person = {"name": "rita", "password": PASSWORD, "role": "reader"}
    assert api.call("POST", "/api/v3/users", person).status == 201
    drain(api, reason="a fan is loud")
    page, reader = visits.admin(PASSWORD), visits.page()
    page.goto(f"{UI}/nodes/full")
    sign_in(reader, "rita", PASSWORD)
    expect(reader.get_by_text("Live", exact=True)).to_be_visible()
    reader.goto(f"{UI}/nodes/full")
    for each in (page, reader):
        shown = each.get_by_label("Drain", exact=True)
        expect(shown).to_contain_text("6 of 6 containers left")
        expect(shown.get_by_label("How far it is")).to_contain_text("4 on the way")
        expect(shown).to_contain_text("a fan is loud")
    check_offered(reader)
    check_offered(page, "Stop draining", "Uncordon")
    dialog = chosen(page, "Stop draining")
    expect(dialog).to_contain_text("The node stays cordoned")
    confirm(dialog, "Stop draining")

    expect(page.get_by_label("Events, newest first")).to_contain_text(
        "drain stopped: 6 containers stay"
    )
    check_offered(page, "Drain", "Uncordon")
    for each in (page, reader):
        expect(each.get_by_label("Drain", exact=True)).to_have_count(0)
        expect(each.get_by_text("cordoned", exact=True).first).to_be_visible()
    node = api.get(f"{CLUSTER}/nodes/full")
    assert (node["drain"], node["cordoned"]) == (None, True)


def test_uncordon_ends_a_drain(browser: Browser, tmp_path: Path, opened: ExitStack) -> None:
    visits, api = begun(browser, tmp_path, opened, type="STATEFUL")
    drain(api)
    page = visits.admin(PASSWORD)
    page.goto(f"{UI}/nodes/full")
    dialog = chosen(page, "Uncordon")
    expect(dialog).to_contain_text("The drain ends: what is left stays")
    confirm(dialog, "Uncordon")

    check_offered(page, "Cordon", "Drain")
    node = api.get(f"{CLUSTER}/nodes/full")
    assert (node["drain"], node["cordoned"]) == (None, False)
