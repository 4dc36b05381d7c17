"""docs/client.md and docs/pfi.md are true: examples are run, tables are compared."""

import doctest
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathfinder.cli.config import FIELDS
from pathfinder.cli.failures import MEANING
from pathfinder.client.client import Client
from tests.support.stub_api import TOKEN, StubApi, stub_api

DOCS = Path(__file__).parents[2] / "docs"
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def api() -> Iterator[StubApi]:
    with stub_api() as api:
        yield api


def test_the_examples_of_the_client_do_what_the_page_says(api: StubApi) -> None:
    page = (DOCS / "client.md").read_text(encoding="utf-8")
    # The page's server and token are a reader's own; here they are the stub's.
    page = re.sub(r'Client\(".*?\)', f'Client("{api.url}", "{TOKEN}")', page)
    examples = doctest.DocTestParser().get_doctest(page, {}, "client.md", "client.md", 0)
    failed = doctest.DocTestRunner(verbose=False).run(examples)

    assert len(examples.examples) > 8
    assert failed.failed == 0


def test_the_other_examples_are_python_that_the_client_has() -> None:
    page = (DOCS / "client.md").read_text(encoding="utf-8")

    for example in PYTHON.findall(page):
        compile(example, "client.md", "exec")
        for name in re.findall(r"client\.(\w+)\(", example):
            assert hasattr(Client, name)


def test_the_page_of_pfi_has_every_exit_code_and_every_setting() -> None:
    page = (DOCS / "pfi.md").read_text(encoding="utf-8")

    for code, meaning in MEANING:
        assert f"| {code} | {meaning} |" in page
    for setting in FIELDS:
        assert f"`{setting}=" in page
