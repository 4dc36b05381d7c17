"""The Python environment in `.venv`: made from the lock, and again only when the lock changed."""

import hashlib
import importlib.util
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Final

from tools import commands
from tools.console import Console
from tools.trouble import Trouble

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
STATE: Final = ROOT / ".dev"
LOCK: Final = ROOT / "requirements" / "dev.txt"
BOOTSTRAP: Final = ROOT / "requirements" / "bootstrap.txt"
STAMP: Final = VENV / ".made-from"


def prepare(console: Console) -> None:
    """Make `.venv` what the lock says. Nothing is done when it is that already."""
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted and PYTHON.exists():
        return
    with console.step("Python environment (.venv)") as step:
        if not PYTHON.exists():
            step.note = "creating"
            create()
        step.note = "installing the lock"
        install(uv_program())
        step.note = ""
    STAMP.write_text(wanted)


def fingerprint() -> str:
    """What the environment depends on: the lock, the project's own metadata, the interpreter."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    parts = [
        LOCK.read_text(),
        BOOTSTRAP.read_text(),
        json.dumps([project["project"], project["build-system"]], sort_keys=True),
        sys.version,
        str(ROOT),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def create() -> None:
    """Make an empty environment with pip; install Debian's python3-venv when it is missing."""
    interpreter = Path(sys.executable)
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        commands.apt_install([f"python{version}-venv"])
    commands.run(interpreter, "-m", "venv", "--clear", VENV)


def uv_program() -> Path | None:
    """uv, installed into the environment when that can be done; None: pip has to do."""
    uv = VENV / "bin" / "uv"
    if uv.exists():
        return uv
    if found := commands.find("uv"):
        return Path(found)
    try:
        commands.run(PYTHON, "-m", "ensurepip")  # an environment made by uv has no pip
        commands.run(*_pip(), "install", "-q", "-r", BOOTSTRAP)
    except Trouble:
        return None
    return uv if uv.exists() else None


def install(uv: Path | None) -> None:
    """Install the lock and this project itself, in place."""
    hint = "is the package registry reachable? (pip's and uv's own settings say which one)"
    if uv:
        into = ("--python", str(PYTHON), "--quiet")
        commands.run(uv, "pip", "sync", *into, LOCK, BOOTSTRAP, hint=hint)
        commands.run(uv, "pip", "install", *into, *_editable(), hint=hint)
    else:
        commands.run(*_pip(), "install", "-q", "-r", LOCK, hint=hint)
        commands.run(*_pip(), "install", "-q", *_editable(), hint=hint)


def lock(console: Console) -> None:
    """Resolve pyproject.toml anew into the lock, with hashes and without the registry's address."""
    uv = uv_program()
    if uv is None:
        raise Trouble("the lock is made by uv, which could not be installed")
    with console.step("requirements/dev.txt"):
        commands.run(
            *(uv, "pip", "compile", "--quiet", "--upgrade", "--universal"),
            *("--python-version", "3.11", "--group", "dev", "--generate-hashes"),
            *("--no-emit-index-url", "--custom-compile-command", "./dev lock"),
            *("-o", LOCK, "pyproject.toml"),
            cwd=ROOT,
        )


def program_environment() -> dict[str, str]:
    """The process environment in which the project's programs are found first."""
    surroundings = commands.environment()
    return {
        **surroundings,
        "PATH": f"{VENV / 'bin'}{os.pathsep}{surroundings['PATH']}",
        "VIRTUAL_ENV": str(VENV),
    }


def _pip() -> tuple[Path, str, str]:
    return (PYTHON, "-m", "pip")


def _editable() -> tuple[str | Path, ...]:
    return ("--no-deps", "--no-build-isolation", "-e", ROOT)
