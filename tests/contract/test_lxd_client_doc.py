"""docs/lxd-client.md is true: its examples are run against a real daemon."""

import doctest
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lxd import PrivateLxd

pytestmark = [pytest.mark.system, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs" / "lxd-client.md"


@pytest.fixture
def daemon(lxd: PrivateLxd) -> Iterator[PrivateLxd]:
    yield lxd
    lxd.remove_instances()
    lxd.client.request("DELETE", "/1.0/images/aliases/tiny")


def test_examples_of_the_page_give_what_it_says(daemon: PrivateLxd) -> None:
    text = PAGE.read_text().replace("/var/lib/lxd/unix.socket", daemon.socket_path)
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []

    results = doctest.DocTestRunner(verbose=False).run(test, out=said.append, clear_globs=False)

    assert results.attempted > 20
    assert not results.failed, "".join(said)
    test.globs["lxd"].close()
