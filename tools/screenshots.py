"""`./dev screenshots`: every page of the web UI, light and dark, wide and on a phone.

A real server, with nodes that are played and things in every state; the pictures go to
.dev/screenshots.
"""

import contextlib
import itertools
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, expect

from tests.support.browser import DESKTOP, PHONE, chromium, sign_in, visitor
from tests.support.running import Api
from tests.support.server_process import ServerProcess
from tests.support.web_stage import PASSWORD, stage, wait_until_listed
from tools import environment

FOLDER: Final = environment.STATE / "screenshots"
CLUSTER: Final = "/ui/clusters/default"


def _nothing(page: Page) -> None:
    """The page as it is."""


def _follow_log(page: Page) -> None:
    page.get_by_role("button", name="Follow the log").click()
    expect(page.get_by_label("Lines of the log")).to_contain_text("is up")


def _plan(page: Page) -> None:
    page.get_by_role("button", name="Edit").click()
    field = page.get_by_label("Definition as YAML")
    expect(field).not_to_have_value("")
    field.fill(field.input_value().replace("busybox", "debian"))
    page.get_by_role("button", name="Show the plan").click()
    page.get_by_label("Plan").wait_for()


def _confirm(page: Page) -> None:
    page.get_by_role("button", name="Reschedule").click()
    page.get_by_role("dialog").get_by_label("Plan").wait_for()


def _change_policy(page: Page) -> None:
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_label("Quota: Containers").fill("250")


def _relocate(page: Page) -> None:
    page.get_by_role("button", name="Relocate").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Node").select_option(index=1)
    dialog.get_by_label("Plan").get_by_text("with its data").wait_for()


def _ask_to_drain(page: Page) -> None:
    page.get_by_role("button", name="Drain", exact=True).click()
    page.get_by_role("dialog").get_by_label("Plan").wait_for()


def _begin_drain(page: Page) -> None:
    """Unless another page has: the first who comes begins it."""
    if not page.get_by_label("Drain", exact=True).is_visible():
        _ask_to_drain(page)
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Reason").fill("new disks")
        dialog.get_by_role("button", name="Drain").click()


def _drain(page: Page) -> None:
    """It does not end: the played nodes copy nothing, and one container fits nowhere else."""
    _begin_drain(page)
    page.get_by_label("What stays").wait_for()


def _drain_all(page: Page) -> None:
    """All that is there is STATELESS, and has room elsewhere."""
    _begin_drain(page)
    page.get_by_text("nothing is on it").wait_for()


def _restore(page: Page) -> None:
    page.get_by_role("button", name="Restore before-upgrade").click()
    page.get_by_role("dialog").get_by_text("is lost").wait_for()


# Name, address, what is to be there, what is done before the picture is taken. Last come those with
# lines that grow with time.
PAGES: Final[tuple[tuple[str, str, str, Callable[[Page], None]], ...]] = (
    ("clusters", "/ui/", "default", _nothing),
    ("cluster", CLUSTER, "N+1", _nothing),
    ("cluster-policy", CLUSTER, "N+1", _change_policy),
    ("what-if-nothing", f"{CLUSTER}/what-if", "N+1", _nothing),
    ("what-if", f"{CLUSTER}/what-if?lose=rack%3Dr1&scale=web%3D12", "moved", _nothing),
    ("what-if-wrong", f"{CLUSTER}/what-if?lose=rack-99", "neither", _nothing),
    ("balancing", f"{CLUSTER}/balancing", "node to node", _nothing),
    ("deployments", f"{CLUSTER}/deployments", "postgres", _nothing),
    ("deployment", f"{CLUSTER}/deployments/web", "web-01", _nothing),
    ("deployment-plan", f"{CLUSTER}/deployments/web", "web-01", _plan),
    ("new-deployment", f"{CLUSTER}/new-deployment", "Definition", _nothing),
    ("containers", f"{CLUSTER}/containers", "web-01", _nothing),
    ("containers-none", f"{CLUSTER}/containers?text=nothing", "like that", _nothing),
    ("container", f"{CLUSTER}/containers/web-01", "10.20.", _follow_log),
    ("container-bootstrap", f"{CLUSTER}/containers/postgres-01", "Bootstrap", _nothing),
    ("container-pending", f"{CLUSTER}/containers/analytics", "What would help", _nothing),
    ("container-failed", f"{CLUSTER}/containers/mail", "image", _nothing),
    ("container-reschedule", f"{CLUSTER}/containers/api-01", "10.20.", _confirm),
    ("container-relocate", f"{CLUSTER}/containers/web-02", "10.20.", _relocate),
    ("container-relocating", f"{CLUSTER}/containers/api-02", "its data is copied", _nothing),
    ("container-gone", f"{CLUSTER}/containers/retired", "It is gone", _nothing),
    ("container-snapshots", f"{CLUSTER}/containers/web-03", "before-upgrade", _restore),
    ("events", f"{CLUSTER}/events", "scheduled", _nothing),
    ("account", "/ui/account", "Another password", _nothing),
    ("users", "/ui/users", "anna", _nothing),
    ("not-found", "/ui/nowhere", "no such page", _nothing),
    ("empty-nodes", "/ui/clusters/empty/nodes", "no node yet", _nothing),
    ("empty-cluster", "/ui/clusters/empty", "no room", _nothing),
    ("empty-balancing", "/ui/clusters/empty/balancing", "no node yet", _nothing),
    ("empty-deployments", "/ui/clusters/empty/deployments", "no deployment yet", _nothing),
    ("empty-containers", "/ui/clusters/empty/containers", "no container yet", _nothing),
    ("node-drain", f"{CLUSTER}/nodes/rack-01", "Kernel", _ask_to_drain),
    ("node-lost", f"{CLUSTER}/nodes/rack-04", "lost", _nothing),
    ("nodes", f"{CLUSTER}/nodes", "rack-01", _nothing),
    ("node", f"{CLUSTER}/nodes/rack-01", "Kernel", _nothing),
    ("node-draining", f"{CLUSTER}/nodes/rack-01", "Kernel", _drain),
    ("node-drained", f"{CLUSTER}/nodes/rack-03", "Kernel", _drain_all),
    ("nodes-draining", f"{CLUSTER}/nodes", "drained", _nothing),
)
THEMES: Final = ("light", "dark")
SIZES: Final = {"wide": DESKTOP, "phone": PHONE}
# What a click on a link does; the connection stays, and with it what the page has seen so far.
GO: Final = (
    "to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }"
)


def take(names: list[str]) -> int:
    """Take the pictures of these pages (none: all)."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, stage(Path(name)) as (server, nodes):
        api = server.api()
        api.put("/api/v3/clusters/empty", {})
        for person, role in (("anna", "app"), ("ben", "reader")):
            body = {"name": person, "password": PASSWORD, "role": role}
            api.call("POST", "/api/v3/users", body)
        api.call("PATCH", "/api/v3/users/ben", {"disabled": True})
        # The played nodes copy nothing: it stays on its way.
        moving = api.call("POST", "/api/v3/clusters/default/containers/api-02/relocate", {})
        assert moving.status == 200, moving.body
        tied = {"image": "debian", "constraints": ["node = rack-01"]}
        api.put("/api/v3/clusters/default/containers/licence-server", {"spec": tied})
        _snapshot_and_retire(api)
        nodes[-1].stop()
        wait_until_listed(
            api,
            "/api/v3/clusters/default/nodes",
            lambda items: any(item["status"] == "lost" for item in items),
            "a silent node is lost",
        )
        api.connection.close()
        _take_all(f"http://127.0.0.1:{server.port}", names, server)
    print(f"{len(list(FOLDER.iterdir()))} pictures in {FOLDER}")
    return 0


def _snapshot_and_retire(api: Api) -> None:
    containers = "/api/v3/clusters/default/containers"
    for name in ("before-upgrade", "friday"):
        assert api.call("POST", f"{containers}/web-03/snapshots", {"name": name}).status == 200
    api.put(f"{containers}/retired", {"spec": {"image": "busybox"}})
    wait_until_listed(
        api,
        f"{containers}?text=retired&ready=true",
        lambda items: len(items) == 1,
        "the container that is to go is ready",
    )
    assert api.call("DELETE", f"{containers}/retired").status == 200


def _take_all(url: str, names: list[str], server: ServerProcess) -> None:
    with chromium() as browser, contextlib.ExitStack() as visitors:
        pages: dict[str, Page] = {}
        for theme, size in itertools.product(THEMES, SIZES):
            options = {"viewport": SIZES[size], "color_scheme": theme}
            page, _ = visitors.enter_context(visitor(browser, url, **options))
            pages[f"{theme}-{size}"] = page
            page.goto("/")
            page.get_by_label("Password").wait_for()
            _picture(page, f"sign-in-{theme}-{size}")
            sign_in(page, "admin", PASSWORD)
            page.get_by_text("Live").wait_for()
        chosen = [each for each in PAGES if not names or each[0] in names]
        for name, path, text, prepare in chosen:
            for variant, page in pages.items():
                page.evaluate(GO, path)
                page.get_by_text(text).first.wait_for()
                prepare(page)
                _picture(page, f"{name}-{variant}")
                page.keyboard.press("Escape")  # a dialog would stay where the next page is the same
        if not names or "lost" in names:
            server.end(signal.SIGKILL)
            for variant, page in pages.items():
                page.get_by_text("The connection to the server is lost").wait_for()
                _picture(page, f"lost-{variant}")


def _picture(page: Page, name: str) -> None:
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True, animations="disabled")


if __name__ == "__main__":
    sys.exit(take(sys.argv[1:]))
