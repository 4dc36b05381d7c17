"""docs/life-cycle.md, drawn from the table in model/phases.py."""

from typing import Final

from pathfinder.model.phases import MEANING, MOVES, Phase

HEAD: Final = """\
# What a container goes through

Drawn from `src/pathfinder/model/phases.py` by `python -m tools.references`. Change the table, not
this page.

(generation, round, phase) only grows. Within one round of a generation the phase moves along the
arrows and never back. A replacement begins a new generation, at a small phase again. Whether the
container is *ready* is a separate fact, and so is what its node reports now.
"""
TAIL: Final = """\
## Which phases are used today

A container without steps of bootstrap goes `PENDING`, `SCHEDULED`, `BOOTSTRAPPED`; with steps also
`PROVISIONED`, `BOOTSTRAP_STARTED`, and `BOOTSTRAP_ERROR` when its last try failed. At its end come
`SCHEDULE_DELETION` and `DELETED`. It is in `PROVISION_ERROR` while its node cannot make it. Other
steps, or a person's word, begin a new *round* of bootstrap in the same generation, at
`PROVISIONED`.

## What a person sees beside the phase

- `ready`: it runs, has an address (unless it wants none), does not end again and again (a crash
  loop), and its node is heard.
- `why`, `hint` and `error_code`: the reason of the last step, or of the last failure.
- `explanation`: why a `PENDING` container has no node, and what would give it one.
- `leaving`: earlier generations that a node has not let go of. They still count.
"""


def life_cycle_page() -> str:
    """The page as it should be."""
    return "\n".join([HEAD, *_diagram(), "", *_table(), "", TAIL])


def _diagram() -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR", "    [*] --> PENDING"]
    for before in Phase:
        lines += [f"    {before.name} --> {after.name}" for after in sorted(MOVES[before])]
        if not MOVES[before]:
            lines.append(f"    {before.name} --> [*]")
    return [*lines, "```"]


def _table() -> list[str]:
    lines = ["| number | phase | meaning | may go to |", "|---|---|---|---|"]
    for phase in Phase:
        after = ", ".join(f"`{each.name}`" for each in sorted(MOVES[phase])) or "nothing"
        lines.append(f"| {phase.value} | `{phase.name}` | {MEANING[phase]} | {after} |")
    return lines
