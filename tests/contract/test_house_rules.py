"""The repository keeps its own rules: formatting, lint, types, rooms, sizes and banned words."""

import pytest

from tools import checks


@pytest.mark.slow
@pytest.mark.parametrize("check", checks.STATIC, ids=lambda check: check.name)
def test_rule_holds_everywhere(check: checks.Check) -> None:
    verdict = checks.run_check(check)

    if not verdict.passed:
        pytest.fail(verdict.output, pytrace=False)
