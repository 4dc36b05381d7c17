"""Where things are in a data directory, and files that only their owner may read."""

import os
from dataclasses import dataclass
from pathlib import Path

from pathfinder.server.trouble import Trouble


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The files of one server."""

    root: Path

    @property
    def journal(self) -> Path:
        """The state."""
        return self.root / "state.db"

    @property
    def certificate(self) -> Path:
        """The server's own certificate, PEM."""
        return self.root / "tls" / "server.crt"

    @property
    def key(self) -> Path:
        """Its key, PEM, readable by the owner only."""
        return self.root / "tls" / "server.key"


def write_private(path: Path, text: str) -> None:
    """Make or replace a file that only the owner may read, durably and never half."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise Trouble(f"cannot write {path}: {error.strerror}") from None


def read_secret(path: Path) -> str:
    """A secret from a file, without the line's end; Trouble."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"cannot read {path}: {error}") from None
    if not text:
        raise Trouble(f"{path} is empty", hint="write the secret into it, or remove it")
    return text
