"""Profiles of the original's command lines serve as contexts."""

import json
from pathlib import Path
from typing import Any

import pytest

from pathfinder.cli.config import Config, read_config, write_config
from pathfinder.cli.errors import Misused
from pathfinder.cli.profiles import with_profiles

TOML = """current_profile = "prod"
[profiles]
  [profiles.prod]
    name = "prod"
    server = "http://10.0.0.2:3000"
    cluster = "barito"
    token = "secret-of-go"
"""


def home(directory: Path, *, mruby: Any = None, go: str = "") -> dict[str, str]:
    if mruby is not None:
        (directory / ".pathfinder").mkdir()
        text = mruby if isinstance(mruby, str) else json.dumps(mruby)
        (directory / ".pathfinder" / "pfi-config.json").write_text(text)
    if go:
        (directory / ".pfi").mkdir()
        (directory / ".pfi" / "config").write_text(go)
    return {"HOME": str(directory)}


def test_profile_of_the_mruby_pfi_is_the_current_context(tmp_path: Path) -> None:
    profile = {
        "pf_server_scheme": "http",
        "pf_server_addr": "10.0.0.1",
        "pf_server_port": 8080,
        "cluster": "default",
        "cluster_token": "secret",
    }
    environ = home(tmp_path, mruby={"current_profile": "one", "profiles": {"one": profile}})

    assert with_profiles(Config(), environ).context(None) == {
        "server": "http://10.0.0.1:8080",
        "cluster": "default",
        "token": "secret",
    }


def test_profile_of_the_go_pfi_is_too(tmp_path: Path) -> None:
    config = with_profiles(Config(), home(tmp_path, go=TOML))

    assert config.context("prod") == config.context(None)
    assert config.context(None)["server"] == "http://10.0.0.2:3000"
    assert config.context(None)["token"] == "secret-of-go"


def test_what_a_profile_leaves_out_is_what_its_program_took(tmp_path: Path) -> None:
    environ = home(tmp_path, mruby={"current_profile": "one", "profiles": {"one": {}}})

    assert with_profiles(Config(), environ).context(None) == {"server": "http://127.0.0.1:8080"}


def test_own_contexts_outrank_profiles_and_are_all_that_is_written(tmp_path: Path) -> None:
    environ = home(tmp_path, go=TOML)
    own = Config().with_fields("mine", {"server": "https://a:1"})
    config = with_profiles(own, environ)
    assert config.current == "mine"
    assert config.context("prod")["cluster"] == "barito"

    write_config(tmp_path / "config.json", config)

    assert list(read_config(tmp_path / "config.json").contexts) == ["mine"]


def test_profile_that_is_changed_becomes_a_context(tmp_path: Path) -> None:
    config = with_profiles(Config(), home(tmp_path, go=TOML)).with_fields(None, {"cluster": "x"})

    assert config.contexts["prod"] == {
        "server": "http://10.0.0.2:3000",
        "cluster": "x",
        "token": "secret-of-go",
    }


@pytest.mark.parametrize("content", ["{", "[1"])
def test_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(Misused, match=r"pfi-config\.json"):
        with_profiles(Config(), home(tmp_path, mruby=content))


@pytest.mark.parametrize("content", ["[]", "{}", '{"profiles": []}'])
def test_file_without_profiles_is_none(tmp_path: Path, content: str) -> None:
    assert with_profiles(Config(), home(tmp_path, mruby=content)) == Config()
