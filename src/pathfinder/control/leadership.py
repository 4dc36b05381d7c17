"""Until when a server knows that it leads: what it promises to nodes must not outlive that.

A lease runs from when the node sent the exchange that is answered. Another server that takes the
lead waits, from its own beginning, until every lease given before is over. So each must have run
from before that beginning. It has, when the store said that nobody else leads, and was asked after
the exchange had come. An append says so too. How long any of it takes does not matter.
"""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Leadership:
    """What the store has said. confirmed_ms: when it was asked, on the clock of durations."""

    confirmed_ms: int

    def confirm(self, asked_ms: int) -> None:
        """The store, asked at that moment, has said that nobody else leads."""
        self.confirmed_ms = max(self.confirmed_ms, asked_ms)

    def covers(self, heard_ms: int) -> bool:
        """Whether an exchange that came at that moment may be answered.

        In whole milliseconds: what is asked in the same one counts, and what others wait longer
        than a lease has room for it.
        """
        return self.confirmed_ms >= heard_ms
