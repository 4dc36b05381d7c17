"""The daemons of one node as its core sees them: when each is listed, and which of them answer.

Pure. A node with one daemon has names as they are. With several, the core's slots are called
`DAEMON:NAME`, so that one name may stand for something in each of them; the server knows names
only. What a daemon that does not answer has is not known; that the others do is enough for theirs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pathfinder.agent.effects import ListAll
from pathfinder.runtimes.qualified import SEPARATOR, qualified

LIST_RETRY_MS_MIN: Final = 500
LIST_RETRY_MS_MAX: Final = 10_000
ONE_FOR_ALL: Final[Mapping[str, tuple[str, ...]]] = {"": ()}


@dataclass(slots=True, kw_only=True)
class Daemon:
    """One daemon. name "": the only one. kinds (): whatever is asked for.

    is_complete: it has answered a full list since it was last silent. list_ms: when to list it
    next; None: while it is listed. listing_event: the core's event counter when that began.
    """

    name: str
    kinds: tuple[str, ...]
    is_complete: bool = False
    error: str = ""
    list_ms: int | None = 0
    listing_event: int = 0
    is_listing: bool = False
    failure_count: int = 0

    def take_for_listing(self, event: int) -> None:
        """Its list is asked for now."""
        self.list_ms, self.is_listing, self.listing_event = None, True, event

    def is_due(self, now_ms: int) -> bool:
        """Whether its list shall be asked for."""
        return not self.is_listing and self.list_ms is not None and self.list_ms <= now_ms

    def answered(self, now_ms: int, relist_ms: int) -> bool:
        """It has listed; whether that is news."""
        is_news = not self.is_complete or bool(self.error)
        self.is_listing, self.is_complete = False, True
        self.error, self.failure_count = "", 0
        if self.list_ms is None:
            self.list_ms = now_ms + relist_ms
        return is_news

    def refused(self, now_ms: int) -> None:
        """It has not listed: again, later and later."""
        pause_ms = LIST_RETRY_MS_MIN << min(self.failure_count, 10)
        self.is_listing = False
        self.failure_count += 1
        self.list_ms = now_ms + min(LIST_RETRY_MS_MAX, pause_ms)

    def listing(self, effect_id: int, cluster: str) -> ListAll:
        """The call that lists it."""
        return ListAll(id=effect_id, cluster=cluster, daemon=self.name, why="what is there?")

    def went_down(self, now_ms: int, error: str) -> bool:
        """It does not answer; whether that is news. Nothing is believed until it lists again."""
        is_news = not self.error
        self.error, self.is_complete = error, False
        retry_ms = now_ms + LIST_RETRY_MS_MIN
        self.list_ms = retry_ms if self.list_ms is None else min(self.list_ms, retry_ms)
        return is_news


class Daemons:
    """All daemons of a node, by name."""

    def __init__(self, kinds_of: Mapping[str, tuple[str, ...]]) -> None:
        assert kinds_of, "a node has a daemon"
        assert len(kinds_of) == 1 or "" not in kinds_of, "several are told apart by their names"
        self._by_name = {name: Daemon(name=name, kinds=kinds) for name, kinds in kinds_of.items()}
        self.only = self._by_name.get("")  # the daemon of a node that has one; None: there are more

    def __iter__(self) -> Iterator[Daemon]:
        """Each of them, in the order in which they were named."""
        return iter(self._by_name.values())

    def named(self, name: str) -> Daemon:
        """One by its name."""
        return self._by_name[name]

    def of(self, slot_name: str) -> Daemon:
        """The daemon of a slot, or of a change."""
        if self.only is not None:
            return self.only
        daemon, separator, _ = slot_name.partition(SEPARATOR)
        return self._by_name[daemon if separator else next(iter(self._by_name))]

    def of_kind(self, kind: str) -> Daemon:
        """The daemon that runs containers of a kind; the first where none does, which says so."""
        first = next(iter(self._by_name.values()))
        return next((each for each in self._by_name.values() if kind in each.kinds), first)

    def names(self, plain: str) -> list[tuple[str, Daemon]]:
        """The names of the slots that one name may have, and their daemons."""
        if self.only is not None:
            return [(plain, self.only)]
        return [(qualified(each.name, plain), each) for each in self._by_name.values()]

    def is_any_due(self, now_ms: int) -> bool:
        """Whether a list shall be asked for."""
        if self.only is not None:
            return self.only.is_due(now_ms)
        return any(each.is_due(now_ms) for each in self._by_name.values())

    @property
    def is_any_complete(self) -> bool:
        """Whether there is a daemon that is known."""
        if self.only is not None:
            return self.only.is_complete
        return any(each.is_complete for each in self._by_name.values())

    @property
    def is_complete(self) -> bool:
        """Whether everything is known."""
        if self.only is not None:
            return self.only.is_complete
        return all(each.is_complete for each in self._by_name.values())

    @property
    def error(self) -> str:
        """Why those that do not answer do not; "": all answer."""
        if self.only is not None:
            return self.only.error
        texts = (
            f"{each.name}: {each.error}" if each.name else each.error
            for each in self._by_name.values()
            if each.error
        )
        return "; ".join(texts)

    def list_ms(self) -> int | None:
        """When the next full list is to be taken; None: one is, or none is to be."""
        if self.only is not None:
            return None if self.only.is_listing else self.only.list_ms
        idle = (each.list_ms for each in self._by_name.values() if not each.is_listing)
        return min((list_ms for list_ms in idle if list_ms is not None), default=None)

    def silent_kinds(self) -> dict[str, str]:
        """The kinds of which not all is known, and why; {} for a node with one daemon."""
        return {
            kind: each.error
            for each in self._by_name.values()
            if each.name and not each.is_complete
            for kind in each.kinds
        }
