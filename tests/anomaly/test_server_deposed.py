"""Another server takes the lead over the same store: the first renews no lease from then on.

One directory has one server, which a lock holds; here the lock does not reach the other one.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pathfinder.store.memory import MemoryStore
from pathfinder.store.port import Unusable
from pathfinder.store.sqlite import SqliteStore
from pathfinder.wire.messages import Exchange
from tests.support.running import Answer, DriverNode, running_server

pytestmark = pytest.mark.slow


def exchanged(node: DriverNode) -> Answer:
    """What a node is answered when it says that all is as it was."""
    node.session = replace(node.session, sequence=node.session.sequence + 1)
    asked = Exchange(session=node.session, sent_ms=0, seen=node.revision, complete=True, holding=())
    return node.send("/api/v3/node/exchange", asked)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path, ballast_bytes=0)) as opened:
        yield opened


def test_a_deposed_leader_with_nothing_to_append_renews_no_lease_and_ends(
    path: Path, store: SqliteStore
) -> None:
    """Promise 2."""
    with running_server(store) as server:
        node = server.node()
        node.join()
        before = exchanged(node)
        path.with_name(f"{path.name}.lock").unlink()
        with closing(SqliteStore(path, ballast_bytes=0)) as rival:
            rival.lead()
            after = exchanged(node)

    assert before.status == 200
    assert (after.status, after.code) == (503, "not_leading")
    assert [failure.partition(":")[0] for failure in server.failures] == ["Deposed"]


class SilentStore(MemoryStore):
    """A store that does not say who leads while `is_silent`."""

    is_silent = False

    def confirm(self, epoch: int) -> None:
        """As the port says, or not."""
        if self.is_silent:
            raise Unusable("an I/O error")
        super().confirm(epoch)


def test_no_lease_is_renewed_while_the_store_does_not_say_who_leads() -> None:
    """Promise 2."""
    store = SilentStore()
    with running_server(store) as server:
        node = server.node()
        node.join()
        store.is_silent = True
        silent = exchanged(node)
        store.is_silent = False
        after = exchanged(node)

    assert (silent.status, silent.code) == (429, "too_busy")
    assert after.status == 200
    assert server.failures == []
