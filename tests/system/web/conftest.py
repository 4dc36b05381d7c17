"""A platform to look at, a browser, and people who have signed in."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import Visits, chromium
from tests.support.running import Api
from tests.support.server_process import ServerProcess
from tests.support.web_stage import PASSWORD, stage


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with stage(tmp_path_factory.mktemp("stage")) as (started, _):
        yield started


@pytest.fixture(scope="module")
def api(server: ServerProcess) -> Iterator[Api]:
    made = server.api()
    yield made
    made.connection.close()


@pytest.fixture(scope="module")
def signed_in(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    """One administrator for all tests that only look: passwords are checked ten times a minute."""
    with ExitStack() as opened:
        yield visits_to(browser, server, opened).admin(PASSWORD)


@pytest.fixture
def visits(browser: Browser, server: ServerProcess) -> Iterator[Visits]:
    with ExitStack() as opened:
        yield visits_to(browser, server, opened)


def visits_to(browser: Browser, server: ServerProcess, opened: ExitStack) -> Visits:
    return Visits(browser, f"http://127.0.0.1:{server.port}", opened)
