"""The pages in docs/ say what the code does: generated ones are fresh, links lead somewhere."""

import re
from pathlib import Path

import pytest

from pathfinder.cli.config import FIELDS
from pathfinder.model.errors import ERRORS
from pathfinder.wire.messages import CRASH_LOOP
from tools import references
from tools.tidy import tracked_files

ROOT = references.ROOT
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
# A file of the repository named in the text; capitals stand for what the reader fills in.
NAMED_FILE = re.compile(r"`((?:src|tests|docs|tools|bench|examples)/[a-z0-9_./-]+)`")
PAGES = sorted(path for path in tracked_files(ROOT) if path.endswith(".md"))


@pytest.mark.parametrize("path", references.pages())
def test_generated_page_is_what_the_code_says(path: str) -> None:
    assert path not in references.stale(ROOT), "type: python -m tools.references"


def test_stale_page_is_noticed_and_written(tmp_path: Path) -> None:
    references.write(tmp_path)
    page = tmp_path / "docs" / "life-cycle.md"
    fresh = page.read_text()
    page.write_text(f"{fresh}And more.\n")

    assert references.stale(tmp_path) == ["docs/life-cycle.md"]
    assert references.write(tmp_path) == ["docs/life-cycle.md"]
    assert page.read_text() == fresh


def test_every_error_has_a_next_step_and_no_step_is_left_over() -> None:
    told = (*ERRORS, *references.api_failures(), *references.client_failures())
    codes = [kind.code for kind in told]
    codes += [CRASH_LOOP, *(kind.code for kind in references.runtime_failures())]

    assert sorted(references.NEXT_STEP) == sorted(codes)


def test_every_setting_of_pfi_is_explained() -> None:
    assert sorted(references.PFI_FIELDS) == sorted(FIELDS)


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    broken = [target for target in links(ROOT / page) if not leads_somewhere(ROOT / page, target)]

    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_page_has_one_title_and_it_comes_first(page: str) -> None:
    lines = without_code((ROOT / page).read_text()).splitlines()

    assert lines[0].startswith("# ")
    assert sum(line.startswith("# ") for line in lines) == 1


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    named = NAMED_FILE.findall(without_code((ROOT / page).read_text()))

    assert [path for path in named if not (ROOT / path).exists()] == []


def links(page: Path) -> list[str]:
    """The targets of a page's links within the repository."""
    found = LINK.findall(without_code(page.read_text()))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def leads_somewhere(page: Path, target: str) -> bool:
    """Whether the file is there and, where one is named, its heading."""
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    if not file.exists():
        return False
    return not anchor or anchor in anchors(file.read_text())


def anchors(text: str) -> set[str]:
    """The names that headings can be linked by, as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in plain}


def without_code(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
