"""OpenAPI document at `/schema`: what handler signatures lack (bodies, problems, bearer key)."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    Operation,
    Reference,
    RequestBody,
    SecurityScheme,
)

from api.contract.problem import Problem
from api.errors import PROBLEM_JSON

BEARER = "bearer"
PUBLIC: list[dict[str, list[str]]] = [{}]
_REF = "#/components/schemas/{name}"
_BODIES: dict[str, type[msgspec.Struct]] = {}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Return a handler's problem responses: these statuses, and 401, 500 and 503."""
    return {
        status: ResponseSpec(
            data_container=Problem, media_type=PROBLEM_JSON, generate_examples=False
        )
        for status in sorted({401, 500, 503, *statuses})
    }


def body_operation(body: type[msgspec.Struct]) -> type[Operation]:
    """Return an OpenAPI operation with the request body `body`, which handlers parse themselves."""
    _BODIES[body.__name__] = body

    @dataclass
    class BodyOperation(Operation):
        def __post_init__(self) -> None:
            schema = Reference(ref=_REF.format(name=body.__name__))
            self.request_body = RequestBody(
                content={"application/json": OpenAPIMediaType(schema=schema)}, required=True
            )

    return BodyOperation


class DocumentPlugin(JsonRenderPlugin):
    """Renders the document as JSON, with the schemas of the bodies that handlers parse."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        _, bodies = msgspec.json.schema_components(_BODIES.values(), ref_template=_REF)
        components = openapi_schema["components"]
        schemas = {**components["schemas"], **bodies}
        return super().render(
            request, {**openapi_schema, "components": {**components, "schemas": schemas}}
        )


def openapi_config(version: str) -> OpenAPIConfig:
    """Return the configuration of `/schema`, which serves the OpenAPI document itself."""
    return OpenAPIConfig(
        title="Framewire Video API",
        version=version,
        path="/schema",
        render_plugins=[DocumentPlugin(path=["/", "/openapi.json"])],
        security=[{BEARER: []}],
        components=[
            Components(
                security_schemes={
                    BEARER: SecurityScheme(
                        type="http", scheme="bearer", description="A project's key: fw_…"
                    )
                },
            )
        ],
    )
