"""What a person types behind `./dev test` selects what they mean."""

import pytest

from tools import environment, suite
from tools.trouble import Trouble


def test_folder_is_meant_by_its_name() -> None:
    assert suite.selection(["unit"]) == [str(suite.TESTS / "unit")]


def test_file_is_meant_by_what_it_is_about() -> None:
    assert suite.selection(["tidy"]) == [str(suite.TESTS / "unit" / "tools" / "test_tidy.py")]


def test_single_test_is_meant_by_its_path() -> None:
    one = "tests/unit/tools/test_suite.py::test_folder_is_meant_by_its_name"

    assert suite.selection([one]) == [str(environment.ROOT / one)]


def test_other_words_select_tests_by_name() -> None:
    assert suite.selection(["misspelt", "refused"]) == ["-k", "misspelt or refused"]


def test_nothing_means_everything() -> None:
    assert suite.selection([]) == []


def test_path_that_does_not_exist_is_refused_with_what_there_is() -> None:
    with pytest.raises(Trouble, match="no tests are called tests/nowhere") as caught:
        suite.selection(["tests/nowhere"])

    assert "unit" in caught.value.hint
