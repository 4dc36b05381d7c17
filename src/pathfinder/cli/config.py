"""What `pfi` remembers between calls: contexts, each a server with its credential and cluster.

    {"current": "default", "contexts": {"default": {"server": "https://...", "token": "pft..."}}}

The file is readable by its owner alone, and is replaced as a whole.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pathfinder.cli.errors import Misused
from pathfinder.cli.kinds import nearest

FIELDS: Final = ("server", "token", "token_file", "cluster", "ca_file", "pin")
FIRST_CONTEXT: Final = "default"

Context = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All contexts. `current`: the one that is used when no other is named.

    `profiles` are those of the original's command lines: read like contexts of lower rank, and
    never written.
    """

    current: str = FIRST_CONTEXT
    contexts: Mapping[str, Context] = field(default_factory=dict)
    profiles: Mapping[str, Context] = field(default_factory=dict)

    @property
    def everything(self) -> Mapping[str, Context]:
        """Contexts and, under other names, profiles."""
        return {**self.profiles, **self.contexts}

    def context(self, name: str | None) -> Context:
        """The context with this name, or the current one; Misused when a named one is missing."""
        everything = self.everything
        if name is None:
            return everything.get(self.current, {})
        if name not in everything:
            known = ", ".join(sorted(everything)) or "none yet"
            raise Misused(f"there is no context {name!r}", hint=f"contexts are: {known}")
        return everything[name]

    def with_fields(self, name: str | None, fields: Mapping[str, str]) -> "Config":
        """A copy with these fields set in one context ("" takes one away); it becomes current."""
        name = name or self.current
        for key in fields:
            if key not in FIELDS:
                near = nearest(key, FIELDS)
                hint = f"did you mean {near}?" if near else f"settings are {', '.join(FIELDS)}"
                raise Misused(f"{key!r} is not a setting", hint=hint)
        together = {**self.everything.get(name, {}), **fields}
        if fields.get("token"):
            together.pop("token_file", None)
        kept = {key: value for key, value in together.items() if value}
        return replace(self, current=name, contexts={**self.contexts, name: kept})


def config_path(environ: Mapping[str, str]) -> Path:
    """PFI_CONFIG, else `pathfinder/config.json` where XDG wants it."""
    if chosen := environ.get("PFI_CONFIG"):
        return Path(chosen)
    base = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config"
    return Path(base) / "pathfinder" / "config.json"


def read_config(path: Path) -> Config:
    """The file's content, an empty Config when there is none; Misused when it is damaged."""
    try:
        with path.open(encoding="utf-8") as file:
            content = json.load(file)
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise Misused(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise Misused(f"{path} is not JSON: {error}", hint="repair it, or remove it") from None
    contexts = content.get("contexts") if isinstance(content, dict) else None
    if not isinstance(contexts, dict) or not all(map(_is_context, contexts.values())):
        raise Misused(f"{path} is not a configuration of pfi", hint="repair it, or remove it")
    if mode & 0o077 and any("token" in context for context in contexts.values()):
        raise Misused(
            f"{path} holds a token, and others on this machine may read it",
            hint=f"chmod 600 {path}",
        )
    return Config(current=str(content.get("current") or FIRST_CONTEXT), contexts=contexts)


def write_config(path: Path, config: Config) -> None:
    """Replace the file, mode 0600; Misused when it cannot be written."""
    content = {"current": config.current, "contexts": dict(config.contexts)}
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise Misused(f"cannot write {path}: {error.strerror}") from None


def _is_context(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
