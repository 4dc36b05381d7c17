"""Names of things, and the bounds on them."""

import re
from typing import Final

from pathfinder.model.errors import DefinitionWrong

HOSTNAME_LENGTH_MAX: Final = 63  # RFC 1123: one DNS label, which daemons require of a container
NAME_LENGTH_MAX: Final = 63
SUFFIXES: Final = tuple(f"-{ordinal:02}" for ordinal in range(100))
HOSTNAME: Final = re.compile(r"(?!-)[a-zA-Z0-9-]{1,63}(?<!-)")
NAME: Final = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?")
LABEL_KEY: Final = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._/-]{0,61}[a-zA-Z0-9])?")
LABEL_VALUE: Final = re.compile(r"[a-zA-Z0-9._/:@+ -]{0,128}")


def hostname(value: object, place: str) -> str:
    """`value` when it can name a container, node or deployment; else DefinitionWrong."""
    if not isinstance(value, str) or not HOSTNAME.fullmatch(value):
        raise DefinitionWrong(
            place,
            f"{value!r} cannot be a name: letters, digits and hyphens, "
            f"1 to {HOSTNAME_LENGTH_MAX}, no hyphen at either end",
        )
    return value


def name(value: object, place: str) -> str:
    """`value` when it can name a cluster, image, remote or token; else DefinitionWrong."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise DefinitionWrong(
            place,
            f"{value!r} cannot be a name: letters, digits, '.', '_' and '-', "
            f"1 to {NAME_LENGTH_MAX}, beginning and ending with a letter or digit",
        )
    return value


def replica_name(deployment: str, ordinal: int) -> str:
    """`NAME-01` to `NAME-99`, as Pathfinder has always named replicas."""
    assert 1 <= ordinal <= 99, ordinal
    return deployment + SUFFIXES[ordinal]
