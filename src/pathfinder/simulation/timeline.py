"""Virtual time: a heap of moments with something to do at each, and the luck of one seed."""

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

Action = Callable[[], None]


class Timeline:
    """Runs actions in order of their moment; equal moments in order of their planning."""

    def __init__(self, seed: int) -> None:
        self.luck = Random(seed)
        self.now_ms = 0
        self._heap: list[tuple[int, int, Action]] = []
        self._order = 0

    def after(self, delay_ms: int, action: Action) -> None:
        """Do `action` in `delay_ms`."""
        assert delay_ms >= 0, delay_ms
        self._order += 1
        heappush(self._heap, (self.now_ms + delay_ms, self._order, action))

    def run_until(self, end_ms: int, after_each: Action) -> int:
        """Do everything due before `end_ms`; give the number of actions done."""
        count = 0
        while self._heap and self._heap[0][0] < end_ms:
            self.now_ms, _, action = heappop(self._heap)
            action()
            after_each()
            count += 1
        self.now_ms = end_ms
        return count
