"""Settings of the server: read strictly, described in one place."""

import pytest

from pathfinder.server.settings import SETTINGS, SettingWrong, read_settings


def test_what_is_not_set_has_its_usual_value() -> None:
    values = read_settings({"HOME": "/root"})

    assert values == {setting.name: setting.usual for setting in SETTINGS}


def test_misspelt_setting_is_refused_by_name() -> None:
    with pytest.raises(SettingWrong, match="PATHFINDER_HISTRY_DAYS is not a setting"):
        read_settings({"PATHFINDER_HISTRY_DAYS": "8"})


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "99999999999999999999999", "٣"])
def test_value_that_is_no_number_within_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(SettingWrong, match="PATHFINDER_HISTORY_DAYS"):
        read_settings({"PATHFINDER_HISTORY_DAYS": text})


def test_every_usual_value_is_within_its_bounds() -> None:
    assert all(setting.least <= setting.usual <= setting.most for setting in SETTINGS)
