"""docs/original-api.md has every route of API v1 and v2, for whom it is, and no other."""

import re
from pathlib import Path

from pathfinder.api.original.app import ROUTES

PAGE = Path(__file__).parents[2] / "docs" / "original-api.md"
ROW = re.compile(r"^\| `(\w+) ([^`]+)` \| ([v12, ]+) \| (\w+) \|", re.MULTILINE)


def test_the_page_has_exactly_the_routes_that_are_served() -> None:
    told = {
        (method, path, tuple(versions.replace(" ", "").split(",")))
        for method, path, versions, _ in ROW.findall(PAGE.read_text())
    }

    assert told == {(method, path, tuple(versions.split())) for method, versions, path, _ in ROUTES}


def test_each_route_is_for_whom_its_path_says() -> None:
    for _, path, _, whom in ROW.findall(PAGE.read_text()):
        wanted = {"ext_app": "apps", "node": "nodes"}.get(path.partition("/")[0], "all")

        assert whom == wanted, path
