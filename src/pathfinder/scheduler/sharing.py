"""Indexes whose copies are cheap: what neither side has changed since is one and the same."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T", set[str], dict[str, int])
A = TypeVar("A")


class Index(Mapping[str, T]):
    """Collections by key. Read as a mapping; changed through `to_change` alone.

    A question about a million containers is answered on a copy of the state, which it changes in a
    few places: those are copied when it comes to them, on whichever side comes first.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] = make
        self._collections: dict[str, T] = {}
        self._own: set[str] | None = None  # None: all of them

    def copy(self) -> "Index[T]":
        """The same, to be changed apart."""
        twin = Index(self._make)
        twin._collections = self._collections.copy()
        self._own, twin._own = set(), set()
        return twin

    def to_change(self, key: str) -> T:
        """The collection of a key, which need not be there yet."""
        found = self._collections.get(key)
        if found is None:
            found = self._collections[key] = self._make()
        elif self._own is None or key in self._own:
            return found
        else:
            found = self._collections[key] = found.copy()
        if self._own is not None:
            self._own.add(key)
        return found

    def pack(self) -> None:
        """Let collections that have grown bit by bit take no more room than they need."""
        for key, collection in self._collections.items():
            self._collections[key] = collection.copy()

    def drop(self, key: str) -> None:
        """Forget a key, which must be there."""
        del self._collections[key]

    def __getitem__(self, key: str) -> T:
        return self._collections[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._collections)

    def __len__(self) -> int:
        return len(self._collections)


def copied(original: A, twin: A, *, but: tuple[str, ...] = ()) -> A:
    """`twin` with the tables and indexes of `original`; what is never changed is shared."""
    for name, value in vars(original).items():
        if name not in but:
            setattr(twin, name, _copied(value))
    return twin


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return value.copy() if hasattr(value, "copy") else value
