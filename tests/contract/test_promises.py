"""Every promise of ARCHITECTURE.md is named by a test that holds it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NAMING: Final = re.compile(r"\bPromises? ((?:\d+(?:, | and |,\s+|\s+and\s+)?)+)")


def promises(page: str) -> dict[int, str]:
    """The promises of section 4 that hold today, by number: those not marked *(later)*."""
    section = page.partition("## 4. Promises")[2].partition("\n## ")[0]
    numbered = re.findall(r"^(\d+)\. (.+)$", section, re.MULTILINE)
    return {int(number): text for number, text in numbered if not text.startswith("*(later)*")}


def named(text: str) -> set[int]:
    """The promises that a docstring names: `Promise 1`, `Promises 1, 2 and 7`."""
    return {int(number) for found in NAMING.findall(text) for number in re.findall(r"\d+", found)}


def docstrings(module: str) -> Iterator[str]:
    """Those of a module of tests and of its tests."""
    tree = ast.parse(module)
    yield ast.get_docstring(tree) or ""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield ast.get_docstring(node) or ""


def test_every_promise_is_named_by_a_test() -> None:
    wanted = promises((ROOT / "ARCHITECTURE.md").read_text())
    held: set[int] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for text in docstrings(path.read_text()):
            held |= named(text)

    assert len(wanted) > 5
    assert sorted(wanted.keys() - held) == []


def test_promises_are_found_as_people_write_them() -> None:
    assert named("Something. Promise 4.") == {4}
    assert named("Promises 1, 2, 4 and\n11 of ARCHITECTURE.md, since 2026") == {1, 2, 4, 11}
    assert named("It promises 3 things.") == set()


def test_what_comes_later_is_not_asked_for() -> None:
    page = (
        "## 4. Promises\n\n1. Now. *(Half of it later.)*\n2. *(later)* Then.\n\n## 5. Next\n3. No\n"
    )

    assert set(promises(page)) == {1}
