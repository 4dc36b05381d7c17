"""The web UI in a real browser: who comes in, and what others cannot do. Promises 9 and 10."""

import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import CHROMIUM, Visits, sign_in, visitor
from tests.support.platform import free_port
from tests.support.running import Api
from tests.support.server_process import ServerProcess, server_process
from tests.support.web_stage import PASSWORD, prepared, wait_until_listed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

CLUSTER = "/api/v3/clusters/default"
UI = "/ui/clusters/default"
EVIL = '<img src="/x" onerror="document.title=\'pwned\'">'

SEND = """async ([url, headers, credentials]) => {
    const body = JSON.stringify({replicas: 0});
    try {
        const answer = await fetch(url, {method: "POST", headers, credentials, body, mode: "cors"});
        return answer.status;
    } catch { return "blocked"; }
}"""
BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"


def test_wrong_password_is_said_and_the_right_one_opens(visits: Visits) -> None:
    page = visits.page()
    sign_in(page, "admin", "not the password")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="Clusters")).to_be_visible()
    page.get_by_label("Account of admin").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.goto(f"{UI}/containers")
    expect(page.get_by_label("Password")).to_be_visible()


def test_text_of_people_is_text_and_never_markup(signed_in: Page, api: Api) -> None:
    spec = {"image": "busybox", "environment": {"GREETING": EVIL}}
    api.put(f"{CLUSTER}/containers/evil", {"spec": spec})
    api.call("POST", f"{CLUSTER}/containers/evil/reschedule", {"reason": EVIL})
    for path in (f"{UI}/containers/evil", f"{UI}/events?name=evil", f"{UI}/containers?text={EVIL}"):
        signed_in.goto(path)
        if "text=" not in path:
            expect(signed_in.get_by_text(EVIL).first).to_be_visible()
        expect(signed_in.locator("img[src='/x']")).to_have_count(0)

    assert "pwned" not in signed_in.title()


def test_policy_runs_no_script_that_got_into_the_page(browser: Browser, signed_in: Page) -> None:
    """On a page of its own: what it complains of is wanted here."""
    with visitor(browser, signed_in.url.partition("/ui")[0]) as (page, _):
        page.goto("/ui/")
        page.get_by_label("Password").wait_for()
        with page.expect_console_message(lambda said: "Content Security Policy" in said.text):
            page.evaluate(f"document.body.insertAdjacentHTML('beforeend', `{EVIL}`)")
        expect(page.locator("img[src='/x']")).to_have_js_property("complete", value=True)

        assert "pwned" not in page.title()


def test_change_from_elsewhere_is_refused(signed_in: Page, api: Api, server: ServerProcess) -> None:
    scale = f"http://127.0.0.1:{server.port}{CLUSTER}/deployments/web/scale"
    json = {"Content-Type": "application/json"}
    own = {**json, "X-Pathfinder-Web": "1"}
    before = api.get(f"{CLUSTER}/deployments/web")["replicas"]
    signed_in.goto("/ui/")
    unmarked = signed_in.evaluate(SEND, [scale, json, "same-origin"])
    elsewhere = signed_in.context.new_page()
    # Another origin with the same server behind it.
    elsewhere.goto(f"http://localhost:{server.port}/healthz")
    simple = elsewhere.evaluate(SEND, [scale, {"Content-Type": "text/plain"}, "include"])
    marked = elsewhere.evaluate(SEND, [scale, own, "include"])
    elsewhere.close()

    assert unmarked == 403
    assert (simple, marked) == ("blocked", "blocked")
    assert api.get(f"{CLUSTER}/deployments/web")["replicas"] == before


def test_who_may_only_look_is_offered_nothing_else(visits: Visits, api: Api) -> None:
    body = {"name": "reader", "password": PASSWORD, "role": "reader"}
    api.call("POST", "/api/v3/users", body)
    page = visits.page()
    sign_in(page, "reader", PASSWORD)
    expect(page.get_by_role("heading", name="Clusters")).to_be_visible()
    for path, text in ((f"{UI}/deployments/web", "web-01"), (f"{UI}/nodes/rack-01", "Kernel")):
        page.goto(path)
        expect(page.get_by_text(text).first).to_be_visible()
        for button in ("Edit", "Delete", "Scale", "Cordon", "Set"):
            expect(page.get_by_role("button", name=button, exact=True)).to_have_count(0)

    assert api.get("/api/v3/users/reader")["role"] == "reader"


def test_administrator_lets_people_in_and_locks_them_out(signed_in: Page, api: Api) -> None:
    signed_in.goto("/ui/users")
    signed_in.get_by_role("button", name="New user").click()
    dialog = signed_in.get_by_role("dialog")
    dialog.get_by_label("Name").fill("carla")
    dialog.get_by_label("Role").select_option("app")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Let in").click()
    row = signed_in.get_by_role("row").filter(has_text="carla")
    expect(row).to_contain_text("app")
    row.get_by_role("button", name="Disable").click()
    dialog.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("disabled")

    shown = api.get("/api/v3/users/carla")
    assert (shown["role"], shown["disabled"], shown["created_by"]) == ("app", True, "admin")


def test_theme_follows_the_system_until_one_is_chosen(visits: Visits) -> None:
    page = visits.page(color_scheme="dark")
    page.goto("/ui/")
    page.get_by_label("Password").wait_for()
    dark = page.evaluate(BACKGROUND)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(BACKGROUND)
    page.get_by_text("Dark", exact=True).click()
    chosen = page.evaluate(BACKGROUND)
    page.reload()
    page.get_by_label("Password").wait_for()

    assert light != dark
    assert chosen == dark
    assert page.evaluate(BACKGROUND) == dark
    expect(page.get_by_label("Dark")).to_be_checked()


def test_cookie_is_bound_to_host_and_tls(browser: Browser, tmp_path: Path) -> None:
    token, tls = prepared(tmp_path), tmp_path / "tls"
    arguments = ("--tls-cert", tls / "server.crt", "--tls-key", tls / "server.key")
    with (
        server_process(tmp_path, token, *arguments) as server,
        visitor(browser, f"https://127.0.0.1:{server.port}", ignore_https_errors=True) as (
            page,
            account,
        ),
    ):
        sign_in(page, "admin", PASSWORD)
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        (cookie,) = page.context.cookies()
        seen_by_scripts = page.evaluate("document.cookie")

    assert cookie.get("name") == f"__Host-pathfinder-{server.port}"
    assert cookie.get("secure")
    assert cookie.get("httpOnly")
    assert cookie.get("sameSite") == "Strict"
    assert (seen_by_scripts, account.complaints) == ("", [])


def test_sign_in_survives_the_server_and_the_page_says_when_it_is_alone(
    browser: Browser, tmp_path: Path
) -> None:
    token, port = prepared(tmp_path), free_port()
    listen = ("--listen", f"127.0.0.1:{port}")
    with visitor(browser, f"http://127.0.0.1:{port}") as (page, account):
        with server_process(tmp_path, token, *listen) as first:
            sign_in(page, "admin", PASSWORD)
            expect(page.get_by_text("Live", exact=True)).to_be_visible()
            page.goto(f"{UI}/containers")
            expect(page.get_by_text("There is no container yet")).to_be_visible()
            first.end(signal.SIGKILL)
            expect(page.get_by_role("alert")).to_contain_text(
                "The connection to the server is lost"
            )
        with server_process(tmp_path, token, *listen) as second:
            expect(page.get_by_text("Live", exact=True)).to_be_visible()
            expect(page.get_by_role("alert")).to_have_count(0)
            api = second.api()
            api.put(f"{CLUSTER}/containers/after", {"spec": {"image": "busybox"}})
            expect(page.get_by_role("link", name="after")).to_be_visible()
            wait_until_listed(api, f"{CLUSTER}/containers", len, "it is there")
            page.reload()
            expect(page.get_by_role("link", name="after")).to_be_visible()
            signed_out = api.call("PATCH", "/api/v3/users/admin", {"disabled": True})
            api.connection.close()
            page.get_by_role("link", name="after").click()
            expect(page.get_by_text("Your sign-in has ended")).to_be_visible()

    assert signed_out.status == 200
    assert account.complaints == []
