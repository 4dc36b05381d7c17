"""The house rules bite where they should, and only there."""

from pathlib import Path

import pytest

from tools import tidy


def messages(path: str, text: str) -> list[str]:
    """What the rules say about a file with this content."""
    return [finding.message for finding in tidy.check_file(path, text.encode())]


def test_long_function_is_refused_by_name() -> None:
    body = "    x = 1\n" * tidy.FUNCTION_LINES_MAX

    assert messages("src/a.py", f"def f() -> None:\n{body}") == [
        "f has 61 lines: split it by meaning"
    ]


def test_function_at_the_limit_is_accepted() -> None:
    body = "    x = 1\n" * (tidy.FUNCTION_LINES_MAX - 1)

    assert messages("src/a.py", f"def f() -> None:\n{body}") == []


def test_long_module_is_refused() -> None:
    assert messages("src/a.py", "x = 1\n" * 501) == ["501 lines: split it by meaning"]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/pathfinder/control/a.py", "now = datetime.now()"),
        ("src/pathfinder/agent/core.py", "now = datetime.utcnow()"),
        ("src/pathfinder/scheduler/a.py", "key = hash(name)"),
        ("tests/unit/test_a.py", "from unittest.mock import Mock"),
        ("tests/unit/conftest.py", "def fixture(monkeypatch): ..."),
        ("tests/system/test_a.py", "time.sleep(1)"),
        ("docs/a.md", "TODO: write this"),
        ("src/a.py", "x = 1  # noqa: S311"),
        ("src/a.py", "x = 1  # type: ignore[attr-defined]"),
        ("tools/a.py", "subprocess.run(line, shell=True)"),
    ],
)
def test_banned_words_are_refused(path: str, line: str) -> None:
    assert len(messages(path, f"{line}\n")) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/pathfinder/server/clock.py", "now = datetime.now()"),
        ("tests/support/waiting.py", "time.sleep(0.01)"),
        ("src/a.py", "x = 1  # noqa: S311  the seed makes luck repeatable"),
        ("src/a.py", "x = 1  # type: ignore[attr-defined]  the stub lacks it"),
        ("src/pathfinder/scheduler/a.py", "def __hash__(self) -> int: ..."),
    ],
)
def test_words_are_accepted_where_they_belong(path: str, line: str) -> None:
    assert messages(path, f"{line}\n") == []


def test_test_that_checks_nothing_is_refused_by_name() -> None:
    text = "def test_promise() -> None:\n    call()\n"

    assert messages("tests/test_a.py", text) == [
        "test_promise promises something and checks nothing"
    ]


@pytest.mark.parametrize(
    "line",
    ["assert call()", "with pytest.raises(ValueError):\n        call()", "check_shape(call())"],
)
def test_test_that_checks_something_is_accepted(line: str) -> None:
    assert messages("tests/test_a.py", f"def test_promise() -> None:\n    {line}\n") == []


def test_package_file_holds_a_docstring_and_nothing_else() -> None:
    assert messages("src/a/__init__.py", '"""A room."""\n') == []
    assert len(messages("src/a/__init__.py", '"""A room."""\nfrom a import b\n')) == 1


def test_meaningless_module_name_is_refused() -> None:
    assert messages("src/a/utils.py", '"""Things."""\n') == [
        "the name says nothing: name what it holds"
    ]


def test_large_file_is_refused() -> None:
    assert messages("web/app.js", "x" * (tidy.FILE_BYTES_MAX + 1)) == ["larger than 512 KiB"]


def test_binary_file_is_left_alone() -> None:
    assert messages("logo.txt", "\0TODO") == []


def test_findings_are_sorted_and_name_the_line(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("fine\nFIXME\n")
    (tmp_path / "a.yaml").write_text("x: 1 \n")

    assert [str(finding) for finding in tidy.check(tmp_path, ["b.md", "a.yaml"])] == [
        "a.yaml:1: space at the end of the line",
        "b.md:2: FIXME: do it now, or write an issue and name it in prose",
    ]
