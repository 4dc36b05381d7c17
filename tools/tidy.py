"""House rules that no other tool knows: sizes, banned words with what to write instead, real tests.

Run as `python -m tools.tidy`; a part of `./dev check`. Sizes are a ratchet: what is too long today
is in `LONGER`, which may only shrink.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from tools import commands
from tools.trouble import Trouble

FUNCTION_LINES_MAX: Final = 60
MODULE_LINES_MAX: Final = 500
FILE_BYTES_MAX: Final = 512 * 1024
# "path::function" or "path": lines. For what was too long before the rule came.
LONGER: Final[Mapping[str, int]] = {}
MEANINGLESS_NAMES: Final = ("utils", "util", "helpers", "helper", "common", "misc", "manager")
PURE_ROOMS: Final = ("model", "wire", "scheduler", "reconcile", "control")
# These two speak of the words that they ban.
OWN_FILES: Final = ("tools/tidy.py", "tests/unit/tools/test_tidy.py")
TEXT_SUFFIXES: Final = (".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".json", ".sh", "")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One place where a rule does not hold."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Banned:
    """Words that must not occur below `folders` (none: anywhere), and what to do instead."""

    pattern: str
    instead: str
    folders: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    only_python: bool = True

    def applies_to(self, path: str) -> bool:
        """Whether the rule is meant for this file."""
        if self.only_python and not path.endswith(".py"):
            return False
        inside = not self.folders or any(path.startswith(folder) for folder in self.folders)
        return inside and not any(path.startswith(folder) for folder in self.allowed)


PURE_FOLDERS: Final = (
    *(f"src/pathfinder/{room}/" for room in PURE_ROOMS),
    "src/pathfinder/agent/core",
)
BANNED: Final = (
    Banned(
        pattern=r"\b(datetime\.now|utcnow|date\.today)\b",
        instead="take `now` as an argument: equal input must give equal output",
        folders=PURE_FOLDERS,
    ),
    Banned(
        pattern=r"\bhash\(",
        instead="use hashlib: hash() of text differs from process to process",
        folders=PURE_FOLDERS,
    ),
    Banned(
        pattern=r"\b(unittest\.mock|monkeypatch|mocker)\b",
        instead="use the real thing, or a small fake with tests of its own (tests/support)",
        folders=("tests/",),
    ),
    Banned(
        pattern=r"\btime\.sleep\(|\bfrom time import .*\bsleep\b",
        instead="wait for a condition with a deadline (tests/support)",
        folders=("tests/",),
        allowed=("tests/support/",),
    ),
    Banned(
        pattern=r"\b(TODO|FIXME|XXX|HACK)\b",
        instead="do it now, or write an issue and name it in prose",
        only_python=False,
    ),
    Banned(
        pattern=r"#\s*noqa(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*)?\s*$",
        instead="name the rule and say why behind it: `# noqa: S311  luck is drawn by seed`",
    ),
    Banned(
        pattern=r"#\s*type:\s*ignore(\[[a-z, -]+\])?\s*$",
        instead="name the error and say why behind it",
    ),
    Banned(
        pattern=r"\bshell=True\b",
        instead="pass a list of arguments: no byte of user text reaches a shell",
    ),
)


def check(root: Path, paths: Iterable[str]) -> list[Finding]:
    """All findings in the files at `paths`, which are relative to `root`."""
    findings: list[Finding] = []
    for path in paths:
        content = (root / path).read_bytes()
        findings += check_file(path, content)
    return sorted(findings)


def check_file(path: str, content: bytes) -> Iterator[Finding]:
    """Findings in one file."""
    if len(content) > FILE_BYTES_MAX:
        yield Finding(path=path, line=1, message=f"larger than {FILE_BYTES_MAX >> 10} KiB")
        return
    if PurePath(path).suffix not in TEXT_SUFFIXES or b"\0" in content:
        return
    text = content.decode(errors="replace")
    yield from _layout(path, text)
    yield from _banned_words(path, text)
    if path.endswith(".py"):
        yield from check_python(path, text)


def check_python(path: str, text: str) -> Iterator[Finding]:
    """Findings in a Python module: sizes, names, tests that test nothing."""
    tree = ast.parse(text)
    lines = len(text.splitlines())
    if lines > LONGER.get(path, MODULE_LINES_MAX):
        yield Finding(path=path, line=lines, message=f"{lines} lines: split it by meaning")
    if PurePath(path).stem in MEANINGLESS_NAMES:
        yield Finding(path=path, line=1, message="the name says nothing: name what it holds")
    if PurePath(path).name == "__init__.py" and len(tree.body) > 1:
        yield Finding(path=path, line=1, message="an __init__.py is a docstring and nothing else")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _function(path, node)


def _function(path: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if lines > LONGER.get(f"{path}::{node.name}", FUNCTION_LINES_MAX):
        message = f"{node.name} has {lines} lines: split it by meaning"
        yield Finding(path=path, line=node.lineno, message=message)
    is_test = PurePath(path).name.startswith("test_") and node.name.startswith("test_")
    if is_test and not any(_checks_something(inner) for inner in ast.walk(node)):
        message = f"{node.name} promises something and checks nothing"
        yield Finding(path=path, line=node.lineno, message=message)


def _checks_something(node: ast.AST) -> bool:
    """An assert, `pytest.raises` and its kin, or a call of something named assert_, check_ ..."""
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    name = node.func.id if isinstance(node.func, ast.Name) else name
    return name in ("raises", "warns", "fail") or bool(
        re.match(r"_?(assert|check|expect|wait_until|run_state_machine)", name)
    )


def _layout(path: str, text: str) -> Iterator[Finding]:
    if text and not text.endswith("\n"):
        yield Finding(path=path, line=text.count("\n") + 1, message="the last line has no end")
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip() and not path.endswith(".md"):
            yield Finding(path=path, line=number, message="space at the end of the line")


def _banned_words(path: str, text: str) -> Iterator[Finding]:
    rules = [rule for rule in BANNED if path not in OWN_FILES and rule.applies_to(path)]
    for number, line in enumerate(text.splitlines(), 1):
        for rule in rules:
            if found := re.search(rule.pattern, line):
                word = found[0].strip()
                yield Finding(path=path, line=number, message=f"{word}: {rule.instead}")


def tracked_files(root: Path) -> list[str]:
    """What git knows or would know."""
    listed = commands.run("git", "ls-files", "-co", "--exclude-standard", "-z", cwd=root)
    return [path for path in listed.split("\0") if path and (root / path).is_file()]


def main() -> int:
    """Print the findings; 1 when there are any."""
    root = Path(__file__).resolve().parent.parent
    try:
        findings = check(root, tracked_files(root))
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 2
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
