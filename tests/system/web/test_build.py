"""The committed files of the web UI are what its sources build, byte for byte."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pathfinder.webui.pages import STATIC
from tools.environment import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.system]

SOURCES = ROOT / "webui"
NODE_LEAST = 20  # of Vite
PATIENCE_S = 300


def node_version() -> int:
    """The major version of node; 0 without it and npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        return 0
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.strip().removeprefix("v").partition(".")[0])


def run(*argv: str, cwd: Path) -> None:
    ended = subprocess.run(
        argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def files_in(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.skipif(
    node_version() < NODE_LEAST, reason=f"node {NODE_LEAST} or later, and npm, are not here"
)
def test_committed_files_are_what_the_sources_build(tmp_path: Path) -> None:
    """`npm ci && npm run build` in webui/ makes them anew."""
    copy = tmp_path / "sources" / "webui"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules"))
    run("npm", "ci", "--no-audit", "--no-fund", cwd=copy)
    run("npm", "run", "check", cwd=copy)
    run("npm", "run", "build", cwd=copy)
    built = files_in(tmp_path / "sources" / "src" / "pathfinder" / "webui" / "static")

    assert sorted(built) == sorted(files_in(STATIC))
    assert built == files_in(STATIC)
