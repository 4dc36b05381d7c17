"""Secrets are neither logged nor stored in clear. Promise 10."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.support.browser_like import BrowserLike
from tests.support.running import Api, DriverNode
from tests.support.server_process import initialised, server_process

pytestmark = [pytest.mark.slow, pytest.mark.system]

PASSWORD = "a password that nobody else has"
PASSWORD_OF_ANNA = "another one of a person"
ASKED_FOR = "admin-token"  # the file that `pathfinder init` was told to write it to


def test_no_secret_is_found_in_what_the_server_writes(tmp_path: Path) -> None:
    token = initialised(tmp_path)
    with server_process(tmp_path, token, "--verbose") as server:
        api, stranger = server.api(), Api(server.port, f"{token}x")
        with closing(api.connection), closing(stranger.connection):
            secrets = [secret_of(token), *use_secrets(api)]
            refused = stranger.call("GET", "/api/v3/tokens").status
        server.end()
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    leaks = [
        (path.name, secret)
        for path, content in written.items()
        for secret in secrets
        if secret.encode() in content and path.name != ASKED_FOR
    ]

    assert refused == 401
    assert len(written) > 3
    assert leaks == []


def use_secrets(api: Api) -> list[str]:
    """Make and use one of each kind; what must not be found."""
    body = {"name": "ci", "role": "app", "clusters": ["default"]}
    made = api.call("POST", "/api/v3/tokens", body, headers={"Idempotency-Key": "a"})
    joining = api.call(
        "POST", "/api/v3/clusters/default/join-tokens", {}, headers={"Idempotency-Key": "b"}
    )
    api.put("/api/v3/clusters/default", {"password": PASSWORD})
    node = DriverNode(api, "n1")
    node.register()
    node.exchange()
    tokens = [made.document["token"], joining.document["token"], signed_in(api)]
    return [*map(secret_of, tokens), node.secret, PASSWORD, PASSWORD_OF_ANNA]


def signed_in(api: Api) -> str:
    """What the cookie of somebody who is signed in holds."""
    body = {"name": "anna", "password": PASSWORD_OF_ANNA, "role": "app"}
    api.call("POST", "/api/v3/users", body, headers={"Idempotency-Key": "c"})
    browser = BrowserLike(api.port)
    browser.sign_in("anna", f"{PASSWORD_OF_ANNA}, wrong")
    browser.sign_in(PASSWORD_OF_ANNA, PASSWORD_OF_ANNA)  # into the wrong field
    browser.sign_in("anna", PASSWORD_OF_ANNA)
    assert browser.call("GET", "/api/v3/sign-in").status == 200
    browser.close()
    return next(iter(browser.cookies.values()))


def secret_of(token: str) -> str:
    """The last part of a token, which alone is secret."""
    return token.rpartition(".")[2]
