"""`pathfinder lab`: several real nodes on one machine, to try Pathfinder and to break it."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from pathfinder.lab import delay, labs, network, programs, records
from pathfinder.lab.layout import RUNTIMES, Layout, Record
from pathfinder.lab.nodes import Node
from pathfinder.lab.platform import Server, context_name, program
from pathfinder.lab.trouble import Trouble

EXAMPLES: Final = """\
examples:
  pathfinder lab up --nodes 3                 three nodes, each with an LXD and an agent
  pathfinder lab up --nodes 3 --runtime mixed each with LXD and Docker
  pfi get nodes                               pfi knows the lab as its current context
  pathfinder lab exec n1 lxc list             a command in a node
  pathfinder lab cut n2; pathfinder lab heal n2
  pathfinder lab kill n3; pathfinder lab start n3
  pathfinder lab kill n1 --program agent      end one program as kill -9 does
  pathfinder lab down                         nothing stays behind
"""
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except Trouble as trouble:
        print(f"pathfinder lab: {trouble}", file=sys.stderr)
        if trouble.hint:
            print(f"  next: {trouble.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pathfinder lab: interrupted; the same command goes on, down takes all away")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pathfinder lab",
        description="A cluster of several real nodes on this machine, each in its own namespaces.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Command, text: str, *, node: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--name", default="lab", help="which lab (usual: lab)")
        if node:
            command.add_argument("node", metavar="NODE", help="n1, n2, ...")
        command.set_defaults(run=run)
        return command

    up = add("up", _up, "make a lab, or repair and extend the one that is there")
    up.add_argument("--nodes", type=int, default=3, metavar="N", help="usual: 3")
    up.add_argument("--runtime", choices=tuple(RUNTIMES), default="lxd", help="usual: lxd")
    up.add_argument(
        "--capacity", default=labs.CAPACITY, metavar="AMOUNTS", help=f"usual: {labs.CAPACITY}"
    )
    up.add_argument("--network", default="", metavar="A.B", help="usual: the first that is free")
    up.add_argument("--storage", choices=("dir", "btrfs"), default="dir", help="usual: dir")
    status = add("status", _status, "what each node is and does")
    status.add_argument("--json", action="store_true", help="for programs")
    add("list", _list, "the labs of this machine")
    execute = add("exec", _exec, "run a command in a node", node=True)
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND...")
    logs = add("logs", _logs, "what a program of a node has said", node=True)
    logs.add_argument("--program", default="agent", help="agent (usual), lxd, docker")
    logs.add_argument("-f", "--follow", action="store_true", help="and what it says from now on")
    add("cut", _cut, "let nothing pass between a node and all others", node=True)
    add("heal", _heal, "undo cut and delay", node=True)
    slow = add("delay", _delay, "let everything to and from a node take longer", node=True)
    slow.add_argument("time", metavar="TIME", help="each way: 50ms, 1s; 0ms takes it away")
    add("freeze", _freeze, "stop everything in a node where it is", node=True)
    add("thaw", _thaw, "let a frozen node go on", node=True)
    kill = add("kill", _kill, "cut a node's power, or end one program", node=True)
    kill.add_argument("--program", metavar="NAME", help="agent, lxd, docker: only this, by kill -9")
    add("start", _start, "switch a node on, and start what does not run in it", node=True)
    add("down", _down, "take the lab away, whatever state it is in")
    return parser


def _layout(given: argparse.Namespace) -> Layout:
    return records.read_layout(records.ROOT / given.name)


def _node(given: argparse.Namespace) -> Node:
    return Node(_layout(given).node(given.node))


def _up(given: argparse.Namespace) -> int:
    began = time.monotonic()
    wanted = Record(
        name=given.name,
        network=given.network,
        node_count=given.nodes,
        runtimes=RUNTIMES[given.runtime],
        capacity=given.capacity,
        storage=given.storage,
    )
    layout = labs.up(wanted, _say)
    count = layout.record.node_count
    print(f"{count} node{'s' * (count > 1)} ready in {labs.run_seconds(began)}.\n")
    _status(given)
    password = Server(layout).secret_file("admin-password")
    print(f"\nThe web UI is {layout.url}/: sign in as admin, the password is in {password}.")
    print(f'Type next (pfi knows this lab as its context "{context_name(layout)}"):')
    if labs.installation() not in os.environ.get("PATH", "").split(os.pathsep):
        print(f'  export PATH="{labs.installation()}:$PATH"')
    other = "" if given.name == "lab" else f" --name {given.name}"
    kind = "" if "lxd" in layout.record.runtimes else " --kind application"
    print("  pfi get nodes")
    print(f"  pfi create container hello --image busybox{kind} && pfi explain hello")
    print(f"  pathfinder lab cut n1{other}; pfi get nodes; pathfinder lab heal n1{other}")
    print(f"  pathfinder lab down{other}")
    return 0


def _say(text: str) -> None:
    print(f"… {text}", flush=True)


def _status(given: argparse.Namespace) -> int:
    rows = labs.status(_layout(given))
    if getattr(given, "json", False):
        print(json.dumps(rows, indent=1))
        return 0
    table = [("NODE", "ADDRESS", "POWER", "CABLE", "PROGRAMS", "PATHFINDER SAYS")]
    table += [
        (
            row["node"],
            row["address"],
            row["power"],
            row["cable"] + (f", {row['delay_ms']:g} ms late" if row["delay_ms"] else ""),
            ", ".join(name if runs else f"no {name}" for name, runs in row["programs"].items()),
            row["status"],
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print("   ".join(padded).rstrip())
    return 0


def _list(_: argparse.Namespace) -> int:
    found = records.known()
    if not found:
        print("There is no lab on this machine: pathfinder lab up --nodes 3")
    for record in found:
        runtimes = ", ".join(record.runtimes)
        print(f"{record.name}: {record.node_count} nodes with {runtimes} on {record.network}")
    return 0


def _exec(given: argparse.Namespace) -> int:
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    return _node(given).execute(command or ["bash"])


def _logs(given: argparse.Namespace) -> int:
    path = _node(given).log(given.program)
    if not path.exists():
        there = ", ".join(sorted(each.stem for each in path.parent.glob("*.log"))) or "none"
        raise Trouble(f"{given.node} has no log of {given.program}", hint=f"there are: {there}")
    argv = ["tail", "-n", "+1", *(["-f"] if given.follow else []), str(path)]
    return subprocess.run(argv, check=False).returncode


def _cut(given: argparse.Namespace) -> int:
    network.cut(_node(given).layout)
    return 0


def _heal(given: argparse.Namespace) -> int:
    node = _node(given)
    delay.speed_up(node.layout)
    network.heal(node.layout)
    return 0


def _delay(given: argparse.Namespace) -> int:
    delay.slow_down(_node(given).layout, network.milliseconds(given.time))
    return 0


def _freeze(given: argparse.Namespace) -> int:
    _node(given).freeze()
    return 0


def _thaw(given: argparse.Namespace) -> int:
    _node(given).freeze(thaw=True)
    return 0


def _kill(given: argparse.Namespace) -> int:
    node = _node(given)
    if given.program:
        node.kill(given.program)
    else:
        node.switch_off()
    return 0


def _start(given: argparse.Namespace) -> int:
    layout = _layout(given)
    with records.alone(layout.directory):
        labs.start(layout, [given.node], _say)
    return 0


def _down(given: argparse.Namespace) -> int:
    if not programs.is_root():
        raise Trouble("a lab needs root", hint="sudo pathfinder lab down")
    was_there = labs.down(given.name)
    print(f"The lab {given.name} is gone." if was_there else f"There was no lab {given.name}.")
    return 0


if __name__ == "__main__":
    assert program("pathfinder")
    sys.exit(main())
