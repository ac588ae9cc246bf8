"""The site of the documents: the API's reference is whole, links lead where the documents' do."""

import importlib.util
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from tests.contract.documented import ROOT


def script(name: str) -> ModuleType:
    """Return a script of `deploy/docs`, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages, reference = script("pages"), script("reference")


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = reference.document()
    return found


@cache
def sections() -> dict[str, str]:
    """Return the page's sections by their headings."""
    _, *parts = reference.markdown(document()).split("\n### ")
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


def test_every_operation_has_a_section_with_its_parameters_and_answers() -> None:
    operations = {
        f"{method.upper()} {path}": operation
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    }
    assert len(operations) > 20
    assert set(operations) < set(sections())
    for heading, operation in operations.items():
        text = sections()[heading]
        for parameter in operation.get("parameters", ()):
            assert f"| `{parameter['name']}` | {parameter['in']}" in text, heading
        assert not [status for status in operation["responses"] if status not in text], heading
        assert ("\nBody: " in text) is ("requestBody" in operation), heading
        assert text.strip()[0].isupper(), f"{heading} says nothing"


def test_every_schema_has_a_section_with_its_fields() -> None:
    schemas = document()["components"]["schemas"]
    assert {"ProcessRequest", "TaskResource", "Problem"} <= set(schemas)
    for name, schema in schemas.items():
        lost = [f for f in schema.get("properties", ()) if f"| `{f}` |" not in sections()[name]]
        assert lost == [], name


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 200}, "integer, 1 to 200"),
        ({"type": "integer", "minimum": 0, "maximum": 2**53 - 1}, "integer, at least 0"),
        ({"type": "number", "exclusiveMinimum": 0}, "number above 0"),
        ({"type": "string", "minLength": 1, "maxLength": 9}, "string (1 to 9 characters)"),
        ({"enum": ["a", "b"]}, '`"a"` or `"b"`'),
        (
            {"type": "array", "minItems": 1, "maxItems": 1, "items": {"$ref": "#/x/VideoUrl"}},
            "list of 1 [VideoUrl](#videourl)",
        ),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "boolean or null"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object of string"),
    ],
)
def test_a_type_is_said_in_words(schema: dict[str, Any], text: str) -> None:
    assert reference.type_text(schema) == text


@pytest.mark.parametrize(
    ("document", "link", "there"),
    [
        ("README.md", "[api](docs/api.md#common-to-all)", "[api](api.md#common-to-all)"),
        ("README.md", "![demo](docs/images/demo.png)", "![demo](images/demo.png)"),
        ("README.md", "[CHANGELOG.md](CHANGELOG.md)", "[CHANGELOG.md](changelog.md)"),
        ("README.md", "[NOTICE](NOTICE)", "NOTICE"),
        ("docs/api.md", "[start](../README.md#start-it)", "[start](index.md#start-it)"),
        ("docs/api.md", "[worker](../streamproc/worker)", "worker (`streamproc/worker`)"),
        ("docs/api.md", "[all](../examples)", "[all](examples.md)"),
        ("docs/api.md", "[below](#tasks), [x](https://example.com/)", None),
        ("examples/upstream/README.md", "[p](../../docs/providers.md)", "[p](providers.md)"),
        ("README.md", "```sh\n[x](nothing.md)\n```", None),
    ],
)
def test_a_link_leads_to_the_page_of_its_document(
    document: str, link: str, there: str | None
) -> None:
    assert pages.site_text(link, document) == (there or link, [])


@pytest.mark.parametrize(
    ("document", "target"),
    [("README.md", "api.md"), ("docs/api.md", "none.md"), ("docs/api.md", "../../other/x.md")],
)
def test_a_link_that_leads_nowhere_is_told(document: str, target: str) -> None:
    assert pages.site_text(f"[x]({target})", document)[1] == [target]


def test_every_page_of_the_site_is_a_document() -> None:
    assert [path for path in pages.PAGES if not (ROOT / path).is_file()] == []
    assert [pages.document_of(place) for place in pages.PAGES.values()] == [*pages.PAGES]
