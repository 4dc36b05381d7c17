"""Debian's Chromium, driven by playwright; it keeps account of what a page must never do."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

CHROMIUM: Final = shutil.which("chromium")
STEADY_CHROMIUM: Final = Path(__file__).with_name("steady_chromium.py")
PATIENCE_MS: Final = 15_000
DESKTOP: Final[Any] = {"width": 1280, "height": 800}
PHONE: Final[Any] = {"width": 390, "height": 844}
# A browser says of each answer that is no success what the page itself has said already.
ANSWERS: Final = "Failed to load resource: the server responded with a status of"
BROKEN: Final = ("net::ERR_", "Failed to load resource: net::")


@dataclass
class Account:
    """What pages have complained of: errors of scripts, and what their policy has forbidden."""

    complaints: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        """Keep what is an error and was not expected."""
        text = message.text
        is_answer = text.startswith(ANSWERS) or any(word in text for word in BROKEN)
        if message.type in ("error", "warning") and not is_answer:
            self.complaints.append(text)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    assert CHROMIUM is not None
    expect.set_options(timeout=PATIENCE_MS)
    # As root it refuses its own sandbox; what it shows here is ours.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=STEADY_CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visitor(browser: Browser, base_url: str, **more: Any) -> Iterator[tuple[Page, Account]]:
    """A fresh profile with one page, and what it complains of."""
    context: BrowserContext = browser.new_context(
        base_url=base_url, **{"viewport": DESKTOP, **more}
    )
    context.set_default_timeout(PATIENCE_MS)
    account = Account()
    page = context.new_page()
    page.on("console", account.hear)
    page.on("pageerror", lambda error: account.complaints.append(str(error)))
    try:
        yield page, account
    finally:
        context.close()


def sign_in(page: Page, name: str, password: str) -> None:
    """As a person does."""
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


@dataclass
class Visits:
    """Makes pages that are signed in, and holds each to having complained of nothing."""

    browser: Browser
    url: str
    open: contextlib.ExitStack

    def page(self, **more: Any) -> Page:
        """A page of a fresh profile."""
        page, account = self.open.enter_context(visitor(self.browser, self.url, **more))
        self.open.callback(check_nothing_forbidden, account)
        return page

    def admin(self, password: str) -> Page:
        """The administrator's page, live."""
        page = self.page()
        sign_in(page, "admin", password)
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        return page


def check_nothing_forbidden(account: Account) -> None:
    assert account.complaints == []
