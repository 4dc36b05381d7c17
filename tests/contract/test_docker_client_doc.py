"""docs/docker-client.md is true: its examples are run against a real daemon."""

import doctest
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dockerd import PrivateDocker

pytestmark = [pytest.mark.system, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs" / "docker-client.md"


@pytest.fixture
def daemon(docker: PrivateDocker) -> Iterator[PrivateDocker]:
    yield docker
    docker.remove_containers()


def test_examples_of_the_page_give_what_it_says(daemon: PrivateDocker) -> None:
    text = PAGE.read_text().replace("/run/docker.sock", daemon.socket_path)
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []

    results = doctest.DocTestRunner(verbose=False).run(test, out=said.append, clear_globs=False)

    assert results.attempted > 20
    assert not results.failed, "".join(said)
    test.globs["docker"].close()
