"""The file that pfi keeps its contexts in."""

import json
import stat
from pathlib import Path

import pytest

from pathfinder.cli.config import Config, config_path, read_config, write_config
from pathfinder.cli.errors import Misused


def test_the_file_is_found_by_variable_then_xdg_then_home() -> None:
    everything = {"PFI_CONFIG": "/x/c.json", "XDG_CONFIG_HOME": "/xdg", "HOME": "/home/ada"}

    assert config_path(everything) == Path("/x/c.json")
    assert config_path({"XDG_CONFIG_HOME": "/xdg", "HOME": "/home/ada"}) == Path(
        "/xdg/pathfinder/config.json"
    )
    assert config_path({"HOME": "/home/ada"}) == Path("/home/ada/.config/pathfinder/config.json")


def test_what_is_written_is_read_again_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "config.json"
    config = Config().with_fields(None, {"server": "https://a:1", "token": "pft.x.y"})

    write_config(path, config)

    assert read_config(path) == config
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path], "no draft is left behind"


def test_no_file_is_an_empty_configuration(tmp_path: Path) -> None:
    assert read_config(tmp_path / "none.json") == Config()


def test_a_token_that_others_can_read_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_config(path, Config().with_fields(None, {"token": "pft.x.y"}))
    path.chmod(0o644)

    with pytest.raises(Misused, match="others on this machine") as caught:
        read_config(path)
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("content", ["{", "[]", '{"contexts": 5}', '{"contexts": {"a": {"b": 1}}}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)

    with pytest.raises(Misused, match=r"config\.json"):
        read_config(path)


def test_a_misspelt_setting_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(Misused, match="'sever' is not a setting") as caught:
        Config().with_fields(None, {"sever": "https://a"})

    assert caught.value.hint == "did you mean server?"


def test_an_empty_value_takes_a_setting_away_and_a_token_replaces_a_token_file() -> None:
    config = Config().with_fields("a", {"cluster": "blue", "token_file": "/t"})

    config = config.with_fields("a", {"cluster": "", "token": "pft.x.y"})

    assert config.context("a") == {"token": "pft.x.y"}


def test_a_missing_context_is_refused_with_those_that_exist() -> None:
    config = Config().with_fields("home", {"server": "https://a"})

    with pytest.raises(Misused, match="no context 'office'") as caught:
        config.context("office")
    assert caught.value.hint == "contexts are: home"


def test_the_context_that_was_set_last_is_current(tmp_path: Path) -> None:
    config = Config().with_fields("home", {"server": "https://a"})
    config = config.with_fields("office", {"server": "https://b"})
    write_config(tmp_path / "c.json", config)

    assert json.loads((tmp_path / "c.json").read_text())["current"] == "office"
