"""Profiles of the original's command lines, read as contexts.

`~/.pathfinder/pfi-config.json` is the mruby one's, `~/.pfi/config` (TOML) the Go one's:

    {"current_profile": "default", "profiles": {"default": {"pf_server_scheme": "http",
     "pf_server_addr": "10.0.0.1", "pf_server_port": 8080, "cluster": "default",
     "cluster_token": "..."}}}
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pathfinder.cli.config import Config, Context
from pathfinder.cli.errors import Misused

MRUBY_FILE: Final = Path(".pathfinder/pfi-config.json")
GO_FILE: Final = Path(".pfi/config")
SCHEME_DEFAULT, HOST_DEFAULT, PORT_DEFAULT = "http", "127.0.0.1", 8080


def with_profiles(config: Config, environ: Mapping[str, str]) -> Config:
    """The contexts, and behind them the profiles; a profile is current while there is no context.

    Misused when a file of profiles is there and cannot be understood: silence would be a riddle.
    """
    home = Path(environ.get("HOME") or Path.home())
    found: dict[str, Context] = {}
    current = ""
    for path, read in ((GO_FILE, _toml), (MRUBY_FILE, _json)):
        content = _content(home / path, read)
        profiles = content.get("profiles")
        if isinstance(profiles, dict):
            found |= {str(name): _context(profile) for name, profile in profiles.items()}
            current = str(content.get("current_profile") or current)
    if not found:
        return config
    has_own = bool(config.contexts)
    chosen = current if not has_own and current in found else config.current
    return replace(config, current=chosen, profiles=found)


def _content(path: Path, read: Any) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Misused(f"cannot read {path}: {error}") from None
    try:
        content = read(text)
    except ValueError as error:
        raise Misused(f"{path} cannot be understood: {error}", hint="repair or remove it") from None
    return content if isinstance(content, dict) else {}


def _json(text: str) -> Any:
    return json.loads(text)


def _toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _context(profile: object) -> Context:
    """A profile of either form; what it does not say is what its program would have taken."""
    told = profile if isinstance(profile, dict) else {}
    if "server" in told:
        server = str(told["server"]).rstrip("/")
    else:
        scheme = told.get("pf_server_scheme") or SCHEME_DEFAULT
        host = told.get("pf_server_addr") or HOST_DEFAULT
        server = f"{scheme}://{host}:{told.get('pf_server_port') or PORT_DEFAULT}"
    fields = {
        "server": server,
        "cluster": str(told.get("cluster") or ""),
        "token": str(told.get("cluster_token") or told.get("token") or ""),
    }
    return {key: value for key, value in fields.items() if value}
