"""Fixtures that several folders of tests share."""

from collections.abc import Iterator

import pytest

from tests.support.lxd import PrivateLxd, private_lxd, why_not


@pytest.fixture(scope="session")
def lxd() -> Iterator[PrivateLxd]:
    """A private LXD for the whole run; tests clean up after themselves."""
    if reason := why_not():
        pytest.skip(reason)
    with private_lxd() as daemon:
        yield daemon
