"""What goes wrong in one seed, and how often. Some seeds have no faults, or rivals alone."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Probabilities per message or call, and kinds of trouble that may strike.

    loss, repeat, late: of a message. slip: that a runtime call fails without effect; doubt: that
    its outcome stays unknown. troubles: names of what `World` may do to a server or node.
    """

    loss: float = 0.0
    repeat: float = 0.0
    late: float = 0.0
    slip: float = 0.0
    doubt: float = 0.0
    disk_full: float = 0.0
    troubles: tuple[str, ...] = ()
    gap_ms: int = 5_000  # mean time between two troubles


NONE = Faults()

TROUBLES = (
    "server_crash",
    "server_crash",
    "agent_crash",
    "agent_crash",
    "daemon_crash",
    "node_reboot",
    "cut",
    "one_way",
    "container_dies",
    "container_readdressed",
    "restore",
    "rival",
    "clock_jump",
    "node_clock_jump",
)


def draw(luck: Random) -> Faults:
    """The faults of one seed: one in eight has next to none; others have each kind on or off."""
    if luck.random() < 0.125:
        # A deposed leader has nothing to append, and so does not learn of it, where all is quiet.
        return Faults(troubles=("rival",), gap_ms=12_000) if luck.random() < 0.5 else Faults()

    def maybe(most: float) -> float:
        return luck.uniform(0, most) if luck.random() < 0.6 else 0.0

    troubles = tuple(trouble for trouble in TROUBLES if luck.random() < 0.5)
    return Faults(
        loss=maybe(0.1),
        repeat=maybe(0.1),
        late=maybe(0.15),
        slip=maybe(0.2),
        doubt=maybe(0.1),
        disk_full=maybe(0.1),
        troubles=troubles,
        gap_ms=luck.choice((2_000, 5_000, 12_000)),
    )


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that strikes at a moment. node: which. with_backup: one is made then."""

    at_ms: int
    kind: str
    node: int
    for_ms: int
    with_backup: bool


def troubles(faults: Faults, luck: Random, *, nodes: int, until_ms: int) -> list[Trouble]:
    """The troubles of one seed, in order: drawn beforehand, whatever comes of them."""
    drawn: list[Trouble] = []
    at_ms = luck.randint(1_000, 10_000)
    while faults.troubles and at_ms < until_ms:
        drawn.append(
            Trouble(
                at_ms=at_ms,
                kind=luck.choice(faults.troubles),
                node=luck.randrange(nodes),
                for_ms=luck.randint(200, 20_000),
                with_backup=luck.random() < 0.3,
            )
        )
        at_ms += luck.randint(100, 2 * faults.gap_ms)
    return drawn
