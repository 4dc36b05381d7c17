"""The web UI in a real browser: moving containers from full nodes to emptier ones. Promise 9."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import CHROMIUM, Visits, sign_in
from tests.support.played_nodes import PlayedNode
from tests.support.running import Api
from tests.support.web_stage import PASSWORD, lopsided

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

CLUSTER = "/api/v3/clusters/default"
UI = "/ui/clusters/default"
LEASE_MS_MAX = 40_000  # a node is lost after 13.4 s


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def begun(
    browser: Browser, tmp_path: Path, opened: ExitStack, **spec: object
) -> tuple[Visits, Api, list[PlayedNode]]:
    """A lopsided cluster, and who looks at it."""
    server, nodes = opened.enter_context(lopsided(tmp_path, **spec))
    api = server.api()
    opened.callback(api.connection.close)
    return Visits(browser, f"http://127.0.0.1:{server.port}", opened), api, nodes


def places(api: Api) -> dict[str, str]:
    return {each["name"]: each["node"] for each in api.get(f"{CLUSTER}/containers")["items"]}


def planned(page: Page) -> list[str]:
    """The containers that the preview would move."""
    rows = page.get_by_label("What would move").get_by_role("row").filter(has_text="→")
    rows.first.wait_for()
    return [row.split()[0] for row in rows.all_inner_texts()]


def test_what_is_previewed_is_what_then_moves(
    browser: Browser, tmp_path: Path, opened: ExitStack
) -> None:
    visits, api, _ = begun(browser, tmp_path, opened, type="STATELESS")
    page = visits.admin(PASSWORD)
    page.goto(f"{UI}/balancing")
    preview = page.get_by_label("What would move")
    expect(preview).to_contain_text("made anew")
    expect(preview).to_contain_text("full → free")
    expect(preview).to_contain_text("full has 75 % of CPU")
    expect(preview.get_by_label("CPU before: 0 to 75 % in use")).to_be_visible()
    expect(preview).to_contain_text("Counted by what containers reserve.")
    wanted = planned(page)
    plan = api.get(f"{CLUSTER}/rebalance?moves=20")
    assert wanted == [move["name"] for move in plan["moves"]]
    assert set(places(api).values()) == {"full"}
    page.get_by_role("button", name="Move up to 20").click()
    made = page.get_by_label("Moves made")
    expect(made).to_contain_text("balanced: no move is worth it")
    expect(page.get_by_label("State")).to_contain_text("Nothing is being moved")
    expect(page.get_by_label("State")).to_contain_text(f"{len(wanted)} moves within the last hour")
    expect(preview).to_contain_text("No move is worth what it costs")
    assert {name for name, node in places(api).items() if node == "free"} == set(wanted)
    made.get_by_role("link", name=wanted[0]).click()
    expect(page.get_by_role("heading", name=wanted[0])).to_be_visible()
    page.get_by_label("Events, newest first").get_by_role("link", name="balancing").first.click()

    expect(page.get_by_role("heading", name="Balancing")).to_be_visible()


def test_no_more_move_than_are_asked_for(
    browser: Browser, tmp_path: Path, opened: ExitStack
) -> None:
    visits, api, _ = begun(browser, tmp_path, opened, type="STATELESS")
    page = visits.admin(PASSWORD)
    page.goto(f"{UI}/balancing")
    page.get_by_label("Moves at most").fill("1")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("more would be worth it: raise the number")).to_be_visible()
    wanted = planned(page)
    page.get_by_role("button", name="Move up to 1", exact=True).click()
    expect(page.get_by_label("State")).to_contain_text("1 move within the last hour")
    expect(page.get_by_label("State")).to_contain_text("Nothing is being moved")

    assert page.url.endswith("?moves=1")
    assert [name for name, node in places(api).items() if node == "free"] == wanted


def test_it_is_stopped_and_what_is_on_its_way_is_named(
    browser: Browser, tmp_path: Path, opened: ExitStack
) -> None:
    """Played nodes copy nothing: what is relocated stays on its way."""
    visits, api, _ = begun(browser, tmp_path, opened, type="STATEFUL")
    person = {"name": "rita", "password": PASSWORD, "role": "reader"}
    assert api.call("POST", "/api/v3/users", person).status == 201
    page = visits.admin(PASSWORD)
    page.goto(f"{UI}/balancing")
    expect(page.get_by_label("What would move")).to_contain_text("relocated with its data")
    (first, *_) = planned(page)
    page.get_by_role("button", name="Move up to 20").click()
    state = page.get_by_label("State")
    expect(state).to_contain_text("Up to 19 more moves")
    expect(state.get_by_role("link", name=first)).to_be_visible()
    expect(page.get_by_role("button", name="Move up to 20")).to_be_disabled()
    reader = visits.page()
    sign_in(reader, "rita", PASSWORD)
    expect(reader.get_by_text("Live", exact=True)).to_be_visible()
    reader.goto(f"{UI}/balancing")
    expect(reader.get_by_label("State").get_by_role("link", name=first)).to_be_visible()
    expect(reader.get_by_role("button", name="Stop")).to_have_count(0)
    expect(reader.get_by_role("button", name="Move up to 20")).to_have_count(0)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_label("Moves made")).to_contain_text("stopped by admin")
    expect(state).not_to_contain_text("more move")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)

    expect(state.get_by_role("link", name=first)).to_be_visible()
    assert api.get(CLUSTER)["moves_left"] == 0


def test_the_hourly_budget_of_the_policy_is_told(
    browser: Browser, tmp_path: Path, opened: ExitStack
) -> None:
    visits, api, _ = begun(browser, tmp_path, opened, type="STATELESS")
    page = visits.admin(PASSWORD)
    page.goto(f"{UI}/balancing")
    expect(page.get_by_label("State")).to_contain_text("moved only when somebody asks")
    document = {"kind": "Cluster", "name": "default", "moves_per_hour": 2}
    assert api.call("POST", "/api/v3/apply", {"documents": [document]}).status == 200

    expect(page.get_by_label("State")).to_contain_text("Up to 2 containers an hour may be moved")
    expect(page.get_by_label("State")).to_contain_text("of the 2 that the policy may make")


def test_what_is_on_a_lost_node_says_what_it_waits_for_and_what_would_be(
    browser: Browser, tmp_path: Path, opened: ExitStack
) -> None:
    visits, api, nodes = begun(browser, tmp_path, opened, type="STATEFUL")
    page = visits.admin(PASSWORD)
    listing = visits.page(storage_state=page.context.storage_state())
    listing.goto(f"{UI}/containers")
    row = listing.get_by_role("row").filter(has_text="c1")
    expect(row.get_by_text("ready", exact=True)).to_be_visible()
    page.goto(f"{UI}/containers/c1")
    expect(page.get_by_label("Explanation")).to_contain_text("Why on full")
    nodes[0].fall_silent()
    expect(page.get_by_text("its node full is lost")).to_be_visible(timeout=LEASE_MS_MAX)
    expect(row.get_by_text("not ready")).to_be_visible()
    expect(page.get_by_text("when the machine is dead for certain")).to_be_visible()
    page.goto(f"{UI}/nodes/full")
    page.get_by_role("link", name="What if it is dead?").click()

    moves = page.get_by_label("Moves", exact=True)
    expect(moves).to_contain_text("they move only when a person confirms that the machine is dead")
    expect(moves.get_by_role("row").filter(has_text="full → free")).to_have_count(6)
    assert set(places(api).values()) == {"full"}
