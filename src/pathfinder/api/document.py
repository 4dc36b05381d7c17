"""The OpenAPI 3.1 document: made from the routes, completed by what the framework cannot know.

The framework sees parameters, bodies and answers in the handlers' types. Added here: bodies that
`control.manifests` reads, the errors that every route may answer, the headers of answers, and the
exchange, which has its own way past the framework.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from pathfinder.api import bodies, cookies
from pathfinder.api.answers import ErrorDocument
from pathfinder.api.asking import DEPENDENCIES
from pathfinder.api.conversation import EXCHANGE_PATH
from pathfinder.wire.messages import Exchange, Registered, Registration, Reply

REFERENCE: Final = "#/components/schemas/{name}"
# Documents are read by `control.manifests`; these types describe them.
BODY_OF_OPERATION: Final[Mapping[str, type]] = {
    "put_container": bodies.ContainerBody,
    "put_deployment": bodies.DeploymentBody,
    "put_image": bodies.ImageBody,
    "put_remote": bodies.RemoteBody,
    "register": Registration,
}
# Answers that are made elsewhere: by the wire room's codec, or frame by frame.
ANSWER_OF_OPERATION: Final[Mapping[str, type]] = {"register": Registered, "exchange": Reply}
TYPES: Final = (*BODY_OF_OPERATION.values(), Exchange, Reply, Registered, ErrorDocument)
# These need no credential.
OPEN: Final = frozenset({"healthz", "readyz", "get_document", "register", "sign_in"})
ERRORS_OF_ALL: Final[Mapping[str, str]] = {
    "400": "The request cannot be understood.",
    "413": "The request is larger than a bound allows.",
    "429": "A queue with a bound is full; try again.",
    "503": "This server does not lead, or a node is silent; try again.",
}
ERRORS_OF_KNOWN: Final[Mapping[str, str]] = {
    "401": "No credential, or one that is unknown, revoked or expired.",
    "403": "The credential is good for other things.",
    "404": "There is nothing of this name.",
}
ERRORS_OF_CHANGES: Final[Mapping[str, str]] = {
    "409": "The present state does not allow it.",
    "412": "The revision that had to match does not.",
    "507": "The store's disk is full: reads go on, changes are refused until there is room.",
}
DESCRIPTION: Final = (
    'Errors are always `{"error": {code, message, hint, retry, details}}`. Lists are pages: pass '
    "`next` as `after`. Terminals are WebSockets at "
    "`/api/v3/clusters/{cluster}/containers/{name}/exec?command=...&command=...&tty=1`: binary "
    "messages begin with a byte for the channel (0 input, 1 output, 2 errors), text messages are "
    '`{"resize": {columns, rows}}` to, `{"exit": code}` or `{"error": {...}}` from the server.'
)


@cache
def document(version: str, routes: tuple[Any, ...]) -> bytes:
    """The document as JSON; made when first asked for."""
    described = Litestar(
        list(routes),
        dependencies={**DEPENDENCIES, "backend": Provide(_no_backend, sync_to_thread=False)},
        openapi_config=OpenAPIConfig(
            title="Pathfinder",
            version=version,
            description=DESCRIPTION,
            use_handler_docstrings=True,
            operation_id_creator=lambda handler, method, path: handler.handler_name,
            components=Components(
                security_schemes={
                    "Bearer": SecurityScheme(type="http", scheme="bearer"),
                    "XAuthToken": SecurityScheme(
                        type="apiKey", name="X-Auth-Token", security_scheme_in="header"
                    ),
                    "SignIn": SecurityScheme(
                        type="apiKey", name=cookies.NAME, security_scheme_in="cookie"
                    ),
                }
            ),
            security=[{"Bearer": []}, {"XAuthToken": []}, {"SignIn": []}],
        ),
        logging_config=None,
    ).openapi_schema.to_schema()
    return msgspec.json.encode(_completed(described))


def _no_backend() -> None:
    """Nothing is asked of the application that only describes itself."""


def _completed(described: dict[str, Any]) -> dict[str, Any]:
    schemas, components = msgspec.json.schema_components(TYPES, ref_template=REFERENCE)
    reference_of = dict(zip(TYPES, schemas, strict=True))
    described["components"].setdefault("schemas", {}).update(components)
    described["paths"][EXCHANGE_PATH] = {"post": _exchange(reference_of)}
    for method, operation in _operations(described["paths"]):
        name = operation["operationId"]
        if name in OPEN:
            operation["security"] = []
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _without_null(parameter["schema"])
        if name in BODY_OF_OPERATION:
            operation["requestBody"] = _body(reference_of[BODY_OF_OPERATION[name]])
        if name in ANSWER_OF_OPERATION:
            content = operation["responses"]["200"]["content"]["application/json"]
            content["schema"] = reference_of[ANSWER_OF_OPERATION[name]]
        _add_errors(method, operation, reference_of[ErrorDocument])
        _add_special(name, operation)
    return described


def _operations(paths: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in paths.values():
        for method in ("get", "put", "post", "patch", "delete"):
            if method in item:
                yield method, item[method]


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that may be absent: it is absent, never the word null."""
    choices = [each for each in schema.get("oneOf", ()) if each != {"type": "null"}]
    if len(choices) != 1:
        return dict(schema)
    rest = {key: value for key, value in schema.items() if key != "oneOf"}
    return {**choices[0], **rest}


def _exchange(reference_of: Mapping[type, Any]) -> dict[str, Any]:
    return {
        "operationId": "exchange",
        "summary": "Exchange",
        "description": "A node's report, heartbeat and poll in one; parked until there is news.",
        "tags": ["node"],
        "parameters": [],
        "requestBody": _body(reference_of[Exchange]),
        "responses": {"200": {"description": "The reply.", "content": _json({})}},
    }


def _add_errors(method: str, operation: dict[str, Any], error: Mapping[str, Any]) -> None:
    statuses: dict[str, str] = dict(ERRORS_OF_ALL)
    if operation["operationId"] not in OPEN - {"register", "sign_in"}:
        statuses |= ERRORS_OF_KNOWN
    if method != "get" or operation["operationId"] == "container_logs":
        statuses |= ERRORS_OF_CHANGES
    responses = operation["responses"]
    for status, what in statuses.items():
        responses[status] = {"description": what, "content": _json(error)}
    for status in ("429", "503", "507"):
        if status in responses:
            responses[status]["headers"] = {"Retry-After": _header("Seconds.", "integer")}
    if "401" in responses:
        responses["401"]["headers"] = {"WWW-Authenticate": _header("Bearer.", "string")}


def _add_special(name: str, operation: dict[str, Any]) -> None:
    """What single routes answer besides."""
    responses = operation["responses"]
    if name.startswith("get_") and name not in ("get_version", "get_document"):
        responses["200"]["headers"] = {"ETag": _header("The revision, in quotes.", "string")}
    if name == "container_logs":
        responses["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    if name == "list_events":
        fields = {key: {"type": "string"} for key in ("id", "event", "data")}
        described = {"type": "object", "description": "Server-sent events.", "properties": fields}
        stream = {"schema": described}
        responses["200"]["content"]["text/event-stream"] = stream
    if name in ("create_token", "create_join_token", "create_user"):
        plan = {"$ref": REFERENCE.format(name="Plan")}
        responses["200"] = {"description": "The plan of a dry run.", "content": _json(plan)}


def _body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": _json(schema), "required": True}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _header(description: str, kind: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}
