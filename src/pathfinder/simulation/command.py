"""`pathfinder simulate`: what becomes of a person's own cluster when things go wrong.

The exit code: 0, 1 when a deployment fell below its `min_available` or a promise was broken, 2 for
what cannot be played, 130 when interrupted.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from pathfinder.cli.manifests import read_manifests
from pathfinder.model.errors import PathfinderError
from pathfinder.simulation.rehearsal import KINDS, Outcome, Plan, rehearse

SEEDS: Final = 5
SEEDS_MAX: Final = 10_000
MINUTES_MAX: Final = 24 * 60
SHOWN_MAX: Final = 10
HEADS: Final = (
    "DEPLOYMENT",
    "REPLICAS",
    "MIN AVAILABLE",
    "FEWEST RUNNING",
    "BELOW, WORST",
    "NONE, WORST",
    "MADE ANEW",
    "WORST SEED",
)
EPILOG: Final = """\
Nodes, their daemons and the network are played; every decision is made by the code that makes it in
production. Calls to daemons take milliseconds here: it is a rehearsal of what happens, not of how
long images and bootstraps take. One seed is one course of events, the same whenever it is played.

  pfi export tonight.state
  pathfinder simulate --state tonight.state -f kafka.yaml --lose n7
  pathfinder simulate --state tonight.state -f kafka.yaml --lose n7 --seed 3     # its story
"""


def main(arguments: Sequence[str]) -> int:
    """Play, and say what became of each deployment."""
    given = _parser().parse_args(arguments)
    try:
        content = Path(given.state).read_bytes()
    except OSError as error:
        return _refuse(f"{given.state}: {error.strerror}", "pfi export FILE writes one")
    try:
        found = [rehearse(content, _plan(given), seed) for seed in _seeds(given)]
    except PathfinderError as error:
        return _refuse(error.message, error.hint)
    except KeyboardInterrupt:
        return 130
    if given.json:
        sys.stdout.write(msgspec.json.encode(_document(found)).decode() + "\n")
    else:
        sys.stdout.write("\n".join(_lines(found, given)) + "\n")
    is_good = all(not one.broken and not _below(one) for one in found)
    return 0 if is_good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pathfinder simulate",
        description="Play an exported state, and what you mean to apply, under troubles.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--state", required=True, metavar="FILE", help="what `pfi export` has written")
    add("--cluster", default="default", metavar="NAME", help="usual: default")
    add("-f", "--file", action="append", default=[], metavar="FILE", help="applied first")
    add("--drain", action="append", default=[], metavar="NODE", help="drained from then on")
    add("--lose", action="append", default=[], metavar="NODE", help="dies meanwhile, for good")
    add(
        "--trouble",
        action="append",
        choices=(*KINDS, "none"),
        metavar="KIND",
        help=f"what may strike now and then: {', '.join(KINDS)}; or none (usual: all)",
    )
    add("--every", type=_within(86_400), default=30, metavar="SECONDS", help="usual: 30")
    add("--minutes", type=_within(MINUTES_MAX), default=5, metavar="N", help="usual: 5")
    add("--seeds", type=_within(SEEDS_MAX), default=SEEDS, metavar="N", help=f"usual: {SEEDS}")
    add("--seed", type=int, metavar="SEED", help="this one alone, with all that happens in it")
    add("--json", action="store_true", help="for programs")
    return parser


def _within(most: int) -> Any:
    def read(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {most:,}")
        return int(text)

    return read


def _plan(given: argparse.Namespace) -> Plan:
    kinds = tuple(given.trouble or KINDS)
    manifests = read_manifests(given.file, given.cluster) if given.file else []
    return Plan(
        cluster=given.cluster,
        documents=tuple(each.document for each in manifests),
        drain=tuple(dict.fromkeys(given.drain)),
        lose=tuple(dict.fromkeys(given.lose)),
        troubles=() if "none" in kinds else kinds,
        gap_ms=1_000 * given.every,
        minutes=given.minutes,
    )


def _seeds(given: argparse.Namespace) -> Iterable[int]:
    return range(given.seeds) if given.seed is None else (given.seed,)


def _refuse(message: str, hint: str) -> int:
    sys.stderr.write(f"pathfinder: {message}\n" + (f"  {hint}\n" if hint else ""))
    return 2


def _below(one: Outcome) -> bool:
    return any(course.below_s for course in one.courses.values())


def _lines(found: Sequence[Outcome], given: argparse.Namespace) -> Iterable[str]:
    if given.seed is not None:
        for at_ms, text in found[0].story:
            yield f"{at_ms / 1000:8.1f} s  {text}"
        yield ""
    rows = [HEADS, *(_row(name, found) for name in sorted(found[0].courses))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    yield ""
    runs = f"of {len(found)} {'run' if len(found) == 1 else 'runs'}"
    yield from _drained(found, given.drain, runs)
    waiting = Counter((name, why) for one in found for name, why in one.waiting.items())
    for (name, why), count in waiting.most_common(SHOWN_MAX):
        yield f"without a node at the end in {count} {runs}: {name}: {why}"
    stranded = Counter(pair for one in found for pair in one.stranded.items())
    for (name, node), count in stranded.most_common(SHOWN_MAX):
        confirm = f"pfi delete node {node} --force"
        yield f"on dead {node} in {count} {runs}: {name}: moves when a person confirms: {confirm}"
    unready = Counter(name for one in found for name in one.unready)
    for name, count in unready.most_common(SHOWN_MAX):
        yield f"not ready five minutes after the last trouble in {count} {runs}: {name}"
    struck = sum((one.reached for one in found), Counter[str]())
    told = ", ".join(f"{kind} {struck[kind]}" for kind in KINDS if struck[kind])
    yield f"{runs.removeprefix('of ')} of {given.minutes} minutes; troubles: {told or 'none'}"
    for one in found:
        if one.broken:
            yield f"seed {one.seed} broke a promise, which is our mistake: {one.broken}"


def _drained(found: Sequence[Outcome], nodes: Sequence[str], runs: str) -> Iterable[str]:
    for name in dict.fromkeys(nodes):
        took = sorted({one.drained[name] for one in found if name in one.drained})
        span = f" to {took[-1]}" if len(took) > 1 else ""
        count = sum(name in one.drained for one in found)
        yield f"{name} is empty in {count} {runs}" + (f", after {took[0]}{span} s" if took else "")
    stays = Counter(pair for one in found for pair in one.staying.items())
    for (name, why), count in stays.most_common(SHOWN_MAX):
        yield f"stays on a drained node in {count} {runs}: {name}: {why}"


def _row(name: str, found: Sequence[Outcome]) -> tuple[str, ...]:
    courses = {one.seed: one.courses[name] for one in found if name in one.courses}
    worst = max(courses, key=lambda seed: (courses[seed].below_s, -courses[seed].fewest, -seed))
    each = courses.values()
    made_anew = sorted(course.made_anew for course in each)
    below = max(course.below_s for course in each)
    return (
        name,
        str(courses[worst].replicas),
        str(courses[worst].min_available),
        str(min(course.fewest for course in each)),
        f"{below} s" if below else "never",
        f"{none} s" if (none := max(course.none_s for course in each)) else "never",
        str(made_anew[-1]) if made_anew[0] == made_anew[-1] else f"{made_anew[0]}-{made_anew[-1]}",
        str(worst) if below else "",
    )


def _document(found: Sequence[Outcome]) -> list[Mapping[str, Any]]:
    return [
        {
            "seed": one.seed,
            "deployments": {name: msgspec.to_builtins(c) for name, c in one.courses.items()},
            "waiting": one.waiting,
            "stranded": one.stranded,
            "unready": one.unready,
            "drained": one.drained,
            "staying": one.staying,
            "troubles": {kind: one.reached[kind] for kind in KINDS if one.reached[kind]},
            "broken": one.broken,
        }
        for one in found
    ]
