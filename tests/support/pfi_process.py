"""`pfi` as people run it: a process of its own, on a platform of the test's."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

from tests.support.platform import Platform

CALL_S_MAX: Final = 180.0


@dataclass(frozen=True, slots=True)
class Told:
    """How a call ended, and what it said."""

    code: int
    out: str
    error: str

    def message(self) -> str:
        """The one message of a call that failed, checked for its form: what is wrong, what next."""
        assert self.code != 0, f"it succeeded: {self}"
        assert self.error.count("error: ") == 1, self.error
        assert " hint: " in self.error, self.error
        assert "Traceback" not in self.error, self.error
        return self.error


@dataclass(frozen=True, slots=True)
class Pfi:
    """Calls on one platform, as administrator unless another token is given."""

    platform: Platform

    def __call__(self, *arguments: str, token: str = "") -> Told:
        """Run it to its end."""
        admin = (self.platform.directory / "admin").read_text().strip()
        done = subprocess.run(
            [sys.executable, "-m", "pathfinder.cli", *arguments],
            capture_output=True,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(sys.path),
                "PFI_SERVER": self.platform.url,
                "PFI_CA_FILE": str(self.platform.data / "tls" / "server.crt"),
                "PFI_TOKEN": token or admin,
                "PFI_CONFIG": str(self.platform.directory / "pfi.json"),
            },
            check=False,
            timeout=CALL_S_MAX,
        )
        return Told(done.returncode, done.stdout, done.stderr)

    def apply(self, text: str, *options: str) -> Told:
        """Apply a manifest."""
        file = self.platform.directory / "manifest.yaml"
        file.write_text(text)
        return self("apply", "-f", str(file), *options)

    def shown(self, *arguments: str) -> Any:
        """The document that a call prints for programs."""
        told = self(*arguments, "-o", "json")
        assert told.code == 0, told
        return json.loads(told.out)
