"""Print the API's reference as Markdown, made from the OpenAPI document that the API serves.

    python deploy/docs/reference.py

Nothing is started: the routes, their docstrings and the types of bodies and answers are enough.
"""

import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from litestar import Litestar
from litestar.testing import RequestFactory

from api.app import create_app
from api.contract import counts, models, problem, projects, requests, system, tasks, tracks
from api.routes.openapi import DocumentPlugin
from api.settings import Settings

CONTRACT = (counts, models, problem, projects, requests, system, tasks, tracks)
METHODS = ("get", "head", "post", "put", "patch", "delete")
LARGEST = 2**53 - 1  # no limit but that of JSON's numbers
INTRODUCTION = """\
# API reference

Made from the OpenAPI document that `GET /schema` answers. [The HTTP API](api.md) says what all of
this means, with examples; [the protocol](protocol.md) is the log that a stream gives.
"""

Json = Mapping[str, Any]


def document() -> dict[str, Any]:
    """Return what `GET /schema` answers, and what docstrings say of operations and schemas."""
    app = create_app(Settings(kafka="", clickhouse=""))
    plugin = DocumentPlugin(path="/")
    request = RequestFactory(app=app).get("/schema")
    found: dict[str, Any] = json.loads(plugin.render(request, app.openapi_schema.to_schema()))
    said = _docstrings(app)
    for _, _, operation in _operations(found):
        operation.setdefault("description", said.get(operation["operationId"], ""))
    for name, schema in found["components"]["schemas"].items():
        kind = next((vars(module)[name] for module in CONTRACT if name in vars(module)), None)
        schema.setdefault("description", inspect.cleandoc(kind.__doc__ or "") if kind else "")
    return found


def markdown(found: Json) -> str:
    """Return the document as one page: operations in their order, then schemas by name."""
    parts = [INTRODUCTION, "## Requests\n"]
    parts += [_operation(*operation) for operation in _operations(found)]
    parts.append("## Bodies and answers\n")
    schemas = found["components"]["schemas"]
    parts += [_schema(name, schemas[name]) for name in sorted(schemas)]
    return "\n".join(parts)


def type_text(schema: Json) -> str:
    """Return what a value may be, in words: links to other schemas, limits, alternatives."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if alternatives := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(dict.fromkeys(type_text(kind) for kind in alternatives))
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return " or ".join(f"`{json.dumps(value)}`" for value in values)
    kind = schema.get("type", "any value")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {_limits(schema, 'minItems', 'maxItems')}{type_text(schema['items'])}"
    if kind == "object" and schema.get("additionalProperties"):
        return f"object of {type_text(schema['additionalProperties'])}"
    if kind == "string":
        text = "string" if "pattern" not in schema else f"string like `{schema['pattern']}`"
        length = _limits(schema, "minLength", "maxLength").strip()
        return f"{text} ({length} characters)" if length else text
    if "exclusiveMinimum" in schema:
        kind = f"{kind} above {_number(schema['exclusiveMinimum'])}"
    limits = _limits(schema, "minimum", "maximum").strip()
    return f"{kind}, {limits}" if limits else kind


def _docstrings(app: Litestar) -> dict[str, str]:
    """Return the docstrings of handlers by the ids of their operations."""
    return {
        str(handler.operation_id): inspect.cleandoc(handler.fn.__doc__ or "")
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if getattr(handler, "operation_id", None)
    }


def _operations(found: Json) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in found["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def _operation(path: str, method: str, operation: Json) -> str:
    lines = [f"### {method.upper()} {path}", "", operation["description"], ""]
    if operation.get("security") == [{}]:
        lines += ["It needs no key.", ""]
    if parameters := operation.get("parameters"):
        rows = [
            (
                f"`{parameter['name']}`",
                parameter["in"] + (", required" if parameter["required"] else ""),
                type_text(_without_null(parameter["schema"])),
                _default(parameter["schema"]),
                parameter.get("description", ""),
            )
            for parameter in parameters
        ]
        lines += _table(("parameter", "in", "type", "default", "meaning"), rows)
    if body := operation.get("requestBody"):
        lines += [f"Body: {_content(body)}", ""]
    return "\n".join([*lines, *_table(("status", "answer", "headers"), _answers(operation))])


def _answers(operation: Json) -> list[tuple[str, str, str]]:
    """Return rows of statuses with the same answer, what it holds, and its headers."""
    statuses: dict[tuple[str, str], list[str]] = {}
    for status, answer in sorted(operation["responses"].items()):
        headers = ", ".join(f"`{name}`" for name in answer.get("headers", ()))
        statuses.setdefault((_content(answer), headers), []).append(status)
    return [(", ".join(same), *answer) for answer, same in statuses.items()]


def _schema(name: str, schema: Json) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"`{field}`",
            type_text(kind),
            "required" if field in required else _default(kind),
            kind.get("description", ""),
        )
        for field, kind in schema.get("properties", {}).items()
    ]
    lines = [f"### {name}", "", schema["description"], ""]
    return "\n".join([*lines, *_table(("field", "type", "default", "meaning"), rows)])


def _content(message: Json) -> str:
    return ", ".join(
        f"`{kind}`" + (f" {type_text(media['schema'])}" if "$ref" in str(media) else "")
        for kind, media in message.get("content", {}).items()
    )


def _without_null(schema: Json) -> Json:
    """Return what a parameter may be when it is there: none can be null."""
    alternatives = [kind for kind in schema.get("oneOf", ()) if kind != {"type": "null"}]
    return {"oneOf": alternatives} if alternatives else schema


def _default(schema: Json) -> str:
    default = schema.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


def _limits(schema: Json, least: str, most: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if high is not None and high >= LARGEST:
        high = None
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {_number(low)} "
    if low is None:
        return f"at most {_number(high)} "
    return f"{_number(low)} " if low == high else f"{_number(low)} to {_number(high)} "


def _number(value: float | None) -> str:
    return f"{value:.17g}"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a table; columns in which no row has anything are left out."""
    columns = [
        [head, *column]
        for head, column in zip(heads, zip(*rows, strict=True), strict=False)
        if any(column)
    ]
    lines = [f"| {' | '.join(_cell(text) for text in row)} |" for row in zip(*columns, strict=True)]
    return [*lines[:1], "|" + "---|" * len(columns), *lines[1:], ""] if columns else []


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(markdown(document()))
