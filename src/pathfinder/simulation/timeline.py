"""Virtual time: a heap of moments with something to do at each, and the luck of one seed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

Action = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that happened. name: `cut-2`, the second of its kind that could."""

    name: str
    at_ms: int
    kind: str
    where: str


class Timeline:
    """Runs actions in order of their moment; equal moments in order of their planning.

    only: the names of the faults that may happen; None: all. Each kind of fault has luck of its own
    and is counted apart, so that one which is left out changes little of what comes after it.
    """

    def __init__(self, seed: int, only: frozenset[str] | None = None) -> None:
        self.luck = Random(seed)
        self._bits = self.luck.getrandbits
        self.struck: list[Struck] = []
        self._seed = seed
        self._only = only
        self._luck_of: dict[str, Random] = {}
        self._counts: Counter[str] = Counter()
        self.now_ms = 0
        self._heap: list[tuple[int, int, Action]] = []
        self._order = 0

    def after(self, delay_ms: int, action: Action) -> None:
        """Do `action` in `delay_ms`."""
        assert delay_ms >= 0, delay_ms
        self._order += 1
        heappush(self._heap, (self.now_ms + delay_ms, self._order, action))

    def between(self, least: int, most: int) -> int:
        """As `luck.randint`, which takes three times as long to ask for the same bits."""
        count = most - least + 1
        width = count.bit_length()
        found = self._bits(width)
        while found >= count:
            found = self._bits(width)
        return least + found

    def luck_of(self, kind: str) -> Random:
        """The luck of one kind of fault."""
        luck = self._luck_of.get(kind)
        if luck is None:
            luck = self._luck_of[kind] = Random(f"{kind} of {self._seed}")
        return luck

    def strikes(self, kind: str, chance: float, where: str = "") -> bool:
        """Whether a fault happens now, and is not left out."""
        if not chance or self.luck_of(kind).random() >= chance:
            return False
        self._counts[kind] += 1
        name = f"{kind}-{self._counts[kind]}"
        if self._only is not None and name not in self._only:
            return False
        self.struck.append(Struck(name, self.now_ms, kind, where))
        return True

    def run_until(self, end_ms: int) -> int:
        """Do everything due before `end_ms`; give the number of actions done."""
        count, heap = 0, self._heap
        while heap and heap[0][0] < end_ms:
            self.now_ms, _, action = heappop(heap)
            action()
            count += 1
        self.now_ms = end_ms
        return count
