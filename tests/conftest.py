"""Fixtures that several folders of tests share."""

from collections.abc import Iterator

import pytest

from tests.support import dockerd
from tests.support.dockerd import PrivateDocker, private_docker
from tests.support.lxd import PrivateLxd, private_lxd, why_not


@pytest.fixture(scope="session")
def lxd() -> Iterator[PrivateLxd]:
    """A private LXD for the whole run; tests clean up after themselves."""
    if reason := why_not():
        pytest.skip(reason)
    with private_lxd() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def docker() -> Iterator[PrivateDocker]:
    """A private dockerd for the whole run, with live-restore; tests clean up after themselves."""
    if reason := dockerd.why_not():
        pytest.skip(reason)
    with private_docker() as daemon:
        yield daemon


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: at the end one of two workers would wait for the other."""
    items.sort(key=lambda item: "system" not in item.path.parts)
