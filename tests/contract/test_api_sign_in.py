"""Signing in as a browser does: cookies, other sites, restarts, bounds. Promises 9 and 10."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from pathfinder.control.codec import describe_record
from pathfinder.control.commands import CreateUser
from pathfinder.server.initialise import hashed
from pathfinder.server.passwords import ATTEMPTS_MAX
from pathfinder.store.memory import MemoryStore
from tests.contract.test_api_events import EventStream
from tests.support.browser_like import BrowserLike
from tests.support.running import ADMIN, RunningServer, prepare, running_server

PASSWORD = "a good password"
HASHED = hashed(PASSWORD)
SIGN_IN = "/api/v3/sign-in"
CLUSTER = "/api/v3/clusters/default"
SCALE = f"{CLUSTER}/deployments/web/scale"


@contextmanager
def server_with_anna(store: MemoryStore) -> Iterator[RunningServer]:
    prepare(store, CreateUser("anna", HASHED, "app"), CreateUser("root", HASHED, "admin"))
    with running_server(store, is_prepared=True) as server:
        server.api().put(
            f"{CLUSTER}/deployments/web", {"spec": {"image": "busybox"}, "replicas": 1}
        )
        yield server


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def server(store: MemoryStore) -> Iterator[RunningServer]:
    with server_with_anna(store) as running:
        yield running


@pytest.fixture
def browser(server: RunningServer) -> Iterator[BrowserLike]:
    made = BrowserLike(server.port)
    yield made
    made.close()


def test_signing_in_sets_a_cookie_that_only_the_browser_sees(browser: BrowserLike) -> None:
    answer = browser.sign_in("anna", PASSWORD)
    cookie = answer.headers["set-cookie"]

    assert answer.document == {
        "name": "anna", "user": "anna", "role": "app", "clusters": [],
        "verbs": ["exec", "read", "write"],
    }  # fmt: skip
    assert cookie.startswith(f"pathfinder-{browser.api.port}=pfs.")
    assert cookie.endswith("; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict")
    assert answer.headers["cache-control"] == "no-store"
    assert browser.call("GET", SIGN_IN).document["user"] == "anna"


def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_and_this_host_alone(
    browser: BrowserLike,
) -> None:
    browser.origin = browser.origin.replace("http:", "https:")
    cookie = browser.sign_in("anna", PASSWORD).headers["set-cookie"]

    assert cookie.startswith("__Host-pathfinder-")
    assert cookie.endswith("; Secure")
    assert browser.call("GET", SIGN_IN).status == 200


def test_wrong_name_and_wrong_password_are_refused_alike(browser: BrowserLike) -> None:
    wrong = browser.sign_in("anna", "another password")
    unknown = browser.sign_in("nobody", PASSWORD)

    assert wrong.status == unknown.status == 401
    assert wrong.body == unknown.body
    assert browser.cookies == {}


def test_disabled_person_is_refused_as_an_unknown_one(
    server: RunningServer, browser: BrowserLike
) -> None:
    server.api().call("PATCH", "/api/v3/users/anna", {"disabled": True})

    assert browser.sign_in("anna", PASSWORD).status == 401


def test_who_guesses_is_slowed_down(browser: BrowserLike) -> None:
    answers = [browser.sign_in("anna", "guess").status for _ in range(ATTEMPTS_MAX + 1)]

    assert answers == [401] * ATTEMPTS_MAX + [429]


def test_signing_out_ends_the_sign_in_and_takes_the_cookie_away(browser: BrowserLike) -> None:
    browser.sign_in("anna", PASSWORD)
    kept = dict(browser.cookies)
    answer = browser.call("DELETE", SIGN_IN)
    left = dict(browser.cookies)
    browser.cookies = kept

    assert (answer.status, left) == (200, {})
    assert browser.call("GET", SIGN_IN).status == 401
    assert browser.call("GET", SIGN_IN).document["error"]["hint"] == "sign in again"


def test_token_is_nothing_to_sign_out_from(server: RunningServer) -> None:
    assert server.api().call("DELETE", SIGN_IN).status == 409
    assert server.api().get(SIGN_IN)["verbs"] == ["admin", "exec", "read", "write"]


def test_sign_in_survives_another_server_on_the_same_store(store: MemoryStore) -> None:
    with server_with_anna(store) as first:
        before = BrowserLike(first.port)
        before.sign_in("anna", PASSWORD)
        before.close()
    with running_server(store.copy(), is_prepared=True) as second:
        after = BrowserLike(second.port)
        # A cookie's name has the port, and this one listens on another.
        after.cookies = {f"pathfinder-{second.port}": next(iter(before.cookies.values()))}
        answer = after.call("GET", SIGN_IN)
        after.close()

    assert answer.document["user"] == "anna"


FOREIGN: list[tuple[dict[str, str | None], str]] = [
    ({"X-Pathfinder-Web": None}, "needs the header X-Pathfinder-Web"),
    ({"Origin": None}, "not from nowhere"),
    ({"Origin": "null"}, "not from null"),
    ({"Origin": "https://evil.example"}, "not from https://evil.example"),
    ({"Origin": "http://127.0.0.1"}, "not from http://127.0.0.1"),
    ({"Origin": "http://["}, "not from"),
    ({"Sec-Fetch-Site": "same-site"}, "this server's own page"),
    ({"Sec-Fetch-Site": "cross-site"}, "this server's own page"),
]


@pytest.mark.parametrize(("headers", "message"), FOREIGN)
def test_change_that_another_site_may_have_sent_is_refused(
    browser: BrowserLike, headers: Mapping[str, str | None], message: str
) -> None:
    browser.sign_in("anna", PASSWORD)
    refused = browser.call("POST", SCALE, {"replicas": 3}, headers)
    look = browser.call("GET", f"{CLUSTER}/deployments/web", headers=headers)

    assert (refused.status, refused.code) == (403, "forbidden")
    assert message in refused.document["error"]["message"]
    assert look.document["replicas"] == 1
    assert browser.call("POST", SCALE, {"replicas": 3}).status == 200


@pytest.mark.parametrize(("headers", "message"), FOREIGN)
def test_nobody_is_signed_in_by_another_site(
    browser: BrowserLike, headers: Mapping[str, str | None], message: str
) -> None:
    body = {"name": "anna", "password": PASSWORD}
    refused = browser.call("POST", SIGN_IN, body, headers)

    assert refused.status == 403
    assert message in refused.document["error"]["message"]
    assert browser.cookies == {}


def test_token_needs_no_proof_of_a_page(server: RunningServer) -> None:
    assert server.api().call("POST", SCALE, {"replicas": 2}).status == 200


def test_sign_in_may_what_its_person_may(browser: BrowserLike) -> None:
    browser.sign_in("anna", PASSWORD)

    assert browser.call("POST", SCALE, {"replicas": 2}).status == 200
    assert browser.call("GET", "/api/v3/users").status == 403
    assert browser.call("PUT", "/api/v3/clusters/other", {}).status == 403


def test_event_stream_ends_with_the_sign_in(server: RunningServer, browser: BrowserLike) -> None:
    browser.sign_in("anna", PASSWORD)
    (name, value), *_ = browser.cookies.items()
    stream = EventStream(server.port, "", Authorization="", Cookie=f"{name}={value}")
    browser.call("POST", SCALE, {"replicas": 2})
    seen = stream.next()
    browser.call("DELETE", SIGN_IN)
    server.api().call("POST", SCALE, {"replicas": 3})
    rest = list(iter(stream.next_or_none, None))
    stream.close()

    assert seen["who"] == "anna"
    assert {event["who"] for event in rest} <= {"anna"}


@pytest.mark.parametrize(
    "cookie",
    [
        "", ";", "=;=", "pathfinder", "pathfinder=", "pathfinder=pfs.", "pathfinder=pfs.x.y; =",
        'pathfinder="pfs.x', "pathfinder=\xff\xfe", "pathfinder=" + "x" * 10_000, "a=b; " * 500,
    ],
)  # fmt: skip
def test_cookie_that_is_none_is_no_credential(server: RunningServer, cookie: str) -> None:
    port = server.port
    named = cookie.replace("pathfinder", f"pathfinder-{port}").encode("latin-1").decode("latin-1")
    answer = server.api("").call("GET", SIGN_IN, headers={"Cookie": named})

    assert (answer.status, answer.code) == (401, "unauthorized")


def test_administrator_makes_changes_and_forgets_people(browser: BrowserLike) -> None:
    browser.sign_in("root", PASSWORD)
    body = {"name": "ben", "password": "twelve chars", "role": "reader", "clusters": ["default"]}
    made = browser.call("POST", "/api/v3/users", body)
    again = browser.call("POST", "/api/v3/users", body)
    changed = browser.call("PATCH", "/api/v3/users/ben", {"role": "app"})
    listed = browser.call("GET", "/api/v3/users")
    one = browser.call("GET", "/api/v3/users/ben")
    gone = browser.call("DELETE", "/api/v3/users/ben")

    assert (made.status, again.status, gone.status) == (201, 409, 200)
    assert again.code == "name_taken"
    assert changed.document["role"] == "app"
    assert [user["name"] for user in listed.document["items"]] == ["anna", "ben", "root"]
    assert one.document == changed.document
    assert "password_hash" not in one.document
    assert browser.call("GET", "/api/v3/users/ben").status == 404


def test_short_password_is_refused(server: RunningServer) -> None:
    body = {"name": "ben", "password": "eleven char", "role": "reader"}
    answer = server.api().call("POST", "/api/v3/users", body)

    assert answer.status == 400
    assert "password" in answer.document["error"]["message"]


def test_own_password_is_changed_by_who_knows_it_and_ends_other_sign_ins(
    server: RunningServer, browser: BrowserLike
) -> None:
    elsewhere = BrowserLike(server.port)
    elsewhere.sign_in("anna", PASSWORD)
    browser.sign_in("anna", PASSWORD)
    path, new = "/api/v3/users/anna/password", "another good one"
    unknown = browser.call("PUT", path, {"password": new})
    changed = browser.call("PUT", path, {"password": new, "current_password": PASSWORD})
    others = browser.call("PUT", "/api/v3/users/root/password", {"password": new})

    assert (unknown.status, changed.status, others.status) == (403, 200, 403)
    assert browser.call("GET", SIGN_IN).status == 200
    assert elsewhere.call("GET", SIGN_IN).status == 401
    assert elsewhere.sign_in("anna", PASSWORD).status == 401
    assert elsewhere.sign_in("anna", new).status == 200
    elsewhere.close()


def test_repeated_request_with_a_password_has_the_effect_of_one(server: RunningServer) -> None:
    api, key = server.api(), {"Idempotency-Key": "once"}
    body = {"name": "ben", "password": "twelve chars", "role": "reader"}
    first = api.call("POST", "/api/v3/users", body, headers=key)
    again = api.call("POST", "/api/v3/users", body, headers=key)
    other = api.call("DELETE", "/api/v3/users/ben", headers=key)

    assert first.body == again.body
    assert other.status == 409


def test_what_people_do_with_accounts_stands_in_the_journal_without_secrets(
    store: MemoryStore, server: RunningServer, browser: BrowserLike
) -> None:
    browser.sign_in("root", PASSWORD)
    browser.call("PATCH", "/api/v3/users/anna", {"role": "reader"})
    browser.call("DELETE", SIGN_IN)
    api = server.api(ADMIN)
    events = api.get("/api/v3/events?kind=user")["items"]
    told = [describe_record(record.body) for record in store.read(0)]
    secret = browser.call("GET", SIGN_IN).document

    assert [(event["action"], event["name"], event["who"]) for event in events][2:] == [
        ("signed_in", "root", "root"),
        ("changed", "anna", "root"),
        ("signed_out", "root", "root"),
    ]
    assert HASHED not in str(told)
    assert secret["error"]["code"] == "unauthorized"
