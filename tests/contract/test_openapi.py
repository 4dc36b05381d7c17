"""The OpenAPI document: every route is in it, and what it says is what the server does.

Promises 9 and 11.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from litestar.handlers import HTTPRouteHandler

from pathfinder.api.app import ROUTES
from pathfinder.api.conversation import EXCHANGE_PATH
from pathfinder.store.memory import MemoryStore
from tests.support.running import running_server


@pytest.fixture(scope="module")
def document() -> Iterator[Any]:
    with running_server(MemoryStore()) as server:
        yield server.api("").get("/api/v3/openapi.json")


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_every_route_is_documented(document: Any) -> None:
    documented = {operation["operationId"] for _, _, operation in operations(document)}
    routes = {route.handler_name for route in ROUTES if isinstance(route, HTTPRouteHandler)}

    assert documented == routes | {"exchange"}
    assert EXCHANGE_PATH in document["paths"]


def test_every_operation_describes_itself_and_its_errors(document: Any) -> None:
    for path, method, operation in operations(document):
        assert operation["description"], (path, method)
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorDocument"}, (path, status)


def test_every_reference_leads_somewhere(document: Any) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                if key == "$ref":
                    yield item
                else:
                    yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    schemas = document["components"]["schemas"]

    assert {
        name for ref in references(document) if (name := ref.rsplit("/", 1)[1]) not in schemas
    } == set()


def test_every_parameter_has_a_bound_or_is_a_choice(document: Any) -> None:
    for path, _, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            kinds = [schema, *schema.get("oneOf", ()), *schema.get("anyOf", ())]
            text = [kind for kind in kinds if kind.get("type") == "string"]
            assert all({"maxLength", "pattern", "enum"} & kind.keys() for kind in text), (
                path,
                parameter,
            )


def test_document_is_for_everybody_and_names_its_credentials(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert set(document["components"]["securitySchemes"]) == {"Bearer", "XAuthToken", "SignIn"}
    assert document["paths"]["/healthz"]["get"]["security"] == []
