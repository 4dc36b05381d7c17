"""Exit codes and messages."""

import pytest

from pathfinder.cli.errors import Misused, WaitedInVain
from pathfinder.cli.failures import MEANING, exit_code, hint_for
from pathfinder.client.errors import CertificateRefused, NoAnswer, Unreachable
from pathfinder.model import errors
from pathfinder.model.errors import PathfinderError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Misused("x"), 2),
        (errors.NotFound("x"), 3),
        (errors.Conflict("x"), 4),
        (errors.NameTaken("x"), 4),
        (errors.RevisionStale("x"), 4),
        (Unreachable("x"), 5),
        (CertificateRefused("x"), 5),
        (errors.NotLeading("x"), 5),
        (errors.Unauthorized("x"), 6),
        (errors.Forbidden("x"), 6),
        (WaitedInVain("x"), 7),
        (NoAnswer("x"), 1),
        (errors.DefinitionWrong("spec", "x"), 1),
    ],
)
def test_scripts_can_tell_failures_apart(error: PathfinderError, code: int) -> None:
    assert exit_code(error) == code
    assert code in dict(MEANING), "the help explains it"


def test_the_servers_own_hint_comes_first() -> None:
    assert hint_for(errors.Unauthorized("x", hint="ask Ada")) == "ask Ada"
    assert "--token-file" in hint_for(errors.Unauthorized("x"))
    assert "./dev up" in hint_for(Unreachable("x"))
