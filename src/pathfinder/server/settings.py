"""Settings of the server, in one list: help, documentation and reading come from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "PATHFINDER_"


class SettingWrong(Exception):
    """A setting cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One whole number from the environment, with its bounds."""

    name: str
    usual: int
    least: int
    most: int
    help: str


SETTINGS: Final = (
    Setting(
        "PATHFINDER_SNAPSHOT_RECORDS_MAX",
        20_000,
        100,
        10_000_000,
        "The state is saved whole after this many journal records.",
    ),
    Setting(
        "PATHFINDER_SNAPSHOT_MIB_MAX",
        64,
        1,
        65_536,
        "The state is saved whole after this many MiB of journal records.",
    ),
    Setting(
        "PATHFINDER_HISTORY_DAYS",
        30,
        0,
        3_650,
        "How far back the state can be told: journal records and earlier snapshots are kept.",
    ),
    Setting(
        "PATHFINDER_CONNECTIONS_MAX",
        10_000,
        10,
        1_000_000,
        "How many connections are served at once; more are answered 503.",
    ),
    Setting(
        "PATHFINDER_SIGN_IN_HOURS",
        168,
        1,
        8_760,
        "How long somebody stays signed in to the web UI at most.",
    ),
    Setting(
        "PATHFINDER_SIGN_IN_IDLE_HOURS",
        12,
        1,
        8_760,
        "How long somebody stays signed in to the web UI without using it.",
    ),
)
# Read by others than the list above; not misspelt.
OTHERS: Final = frozenset({"PATHFINDER_DATA_DIR", "PATHFINDER_LOG"})


def read_settings(environment: Mapping[str, str]) -> dict[str, int]:
    """The value of each; SettingWrong for one that is misspelt, no number or out of bounds."""
    known = {setting.name: setting for setting in SETTINGS}
    values = {setting.name: setting.usual for setting in SETTINGS}
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name in OTHERS:
            continue
        setting = known.get(name)
        if setting is None:
            raise SettingWrong(f"{name} is not a setting; settings are {', '.join(known)}")
        if not text.isascii() or not text.isdigit():
            raise SettingWrong(f"{name}={text!r} is not a whole number")
        value = int(text[:20])
        if not setting.least <= value <= setting.most:
            raise SettingWrong(f"{name}={value} is not within {setting.least} to {setting.most}")
        values[name] = value
    return values
