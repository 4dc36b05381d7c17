"""How much an agent does at once, and at which pace. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """Bounds and paces.

    calls_max: calls in hand at once; of these at most makes_max create or start, and at most
    removals_max stop or remove, and takes_max take a copy from another node, so that slow ones of a
    kind leave room for the others.
    relist_ms: how often the daemon's full list is taken when nothing calls for it. news_gap_ms: how
    long what nobody waits for (that a create has become a start) may wait for company.
    """

    calls_max: int = 8
    makes_max: int = 6
    removals_max: int = 4
    takes_max: int = 2
    bootstraps_max: int = 5
    streams_max: int = 32
    stop_grace_s: float = 10.0
    relist_ms: int = 60_000
    news_gap_ms: int = 1_000

    def __post_init__(self) -> None:
        assert 0 < self.makes_max <= self.calls_max, self
        assert 0 < self.removals_max <= self.calls_max, self
