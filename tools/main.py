"""The commands of `./dev`: parsed here, done elsewhere."""

import argparse
import subprocess
import sys
from typing import Final

from tools import (
    benchmarks,
    browser,
    checks,
    container_daemon,
    environment,
    local_platform,
    scenarios,
    suite,
)
from tools.console import Console
from tools.trouble import Trouble

EPILOG: Final = """A fresh Debian 12 with git and python3 is enough: what is missing is installed.
The environment is in .venv; what runs for you is in .dev, which `./dev down --purge` removes."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="./dev",
        description="Everything a developer of Pathfinder does.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    up = add("up", "start server and agent on this machine, with an example that answers")
    up.add_argument("--detach", action="store_true", help="leave them running and come back")
    down = add("down", "stop server and agent; containers keep running")
    down.add_argument(
        "--purge", action="store_true", help="remove our containers and all state too"
    )
    test = add("test", "run the tests, with all that they need")
    test.add_argument("part", nargs="*", metavar="PART", help="a folder, file or name of tests")
    add("check", "format, lint, types, rooms, house rules, fast tests, 100 seeds: under a minute")
    add("fix", "format, repair what the linter can repair, make generated pages anew")
    bench = add("bench", "measure, each value beside its floor")
    bench.add_argument("name", nargs="*", metavar="NAME", help="a module in bench/; none: all")
    bench.add_argument("--json", action="store_true", help="one line of JSON for each result")
    scenario = add("scenario", "play a scripted story against real programs")
    scenario.add_argument("name", metavar="NAME", help="a module in scenarios/")
    scenario.add_argument("arguments", nargs=argparse.REMAINDER, help="for the scenario")
    simulate = add("simulate", "run the simulation of the whole platform")
    simulate.add_argument(
        "seed", nargs="*", type=int, metavar="SEED", help="replay these alone, and say what happens"
    )
    simulate.add_argument(
        "--shrink", action="store_true", help="with a SEED that breaks: to the faults that it takes"
    )
    simulate.add_argument("--seeds", type=int, default=200, metavar="N", help="how many (200)")
    simulate.add_argument("--first", type=int, default=0, metavar="SEED", help="from this one on")
    screenshots = add("screenshots", "take a picture of every page of the web UI, light and dark")
    screenshots.add_argument("page", nargs="*", metavar="PAGE", help="only these pages")
    add("lock", "resolve pyproject.toml anew into requirements/dev.txt")
    return top


def main(argv: list[str]) -> int:
    """Do one command; the exit code."""
    options = parser().parse_args(argv)
    console = Console()
    try:
        environment.prepare(console)
        return _do(console, options)
    except Trouble as trouble:
        console.say(console.color("31", f"dev: {trouble}"))
        if trouble.hint:
            console.say(f"     next: {trouble.hint}")
        return 1
    except KeyboardInterrupt:
        return 130


def _do(console: Console, options: argparse.Namespace) -> int:
    match options.command:
        case "up":
            return local_platform.up(console, is_detached=options.detach)
        case "down":
            return local_platform.down(console, is_purge=options.purge)
        case "test":
            return suite.run_tests(console, options.part)
        case "check":
            return checks.check_all(console)
        case "fix":
            return checks.fix(console)
        case "bench":
            container_daemon.install_if_allowed(console, benchmarks.PROGRAMS)
            return benchmarks.run_benchmarks(options.name, as_json=options.json)
        case "scenario":
            return scenarios.play(options.name, options.arguments)
        case "screenshots":
            browser.install_if_allowed(console)
            return _module("tools.screenshots", *options.page)
        case "simulate":
            how = "--shrink" if options.shrink else "--say"
            return _simulate(options.seed, how, count=options.seeds, first=options.first)
        case command:
            assert command == "lock", command
            environment.lock(console)
            return 0


def _simulate(seeds: list[int], how: str, *, count: int, first: int) -> int:
    if not seeds:
        return _simulation("--seeds", str(count), "--first", str(first))
    return max(_simulation("--seed", str(seed), how) for seed in seeds)


def _simulation(*arguments: str) -> int:
    return _module("pathfinder.simulation.main", *arguments)


def _module(name: str, *arguments: str) -> int:
    argv = [str(environment.PYTHON), "-m", name, *arguments]
    return subprocess.run(argv, cwd=environment.ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
