"""Whatever fits the document, or nearly, is answered as the document says. Bounded."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import ADMIN_KEY
from tests.api.server import LiveApi

FUZZED = {"getTask", "listTasks", "searchTracks", "processVideo", "getResults", "cancelTask"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
N_EXAMPLES = 15


@pytest.fixture(scope="module")
def project_key(live: LiveApi) -> str:
    with httpx.Client(
        base_url=live.url, headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=20
    ) as admin:
        project = admin.post("/v1/admin/projects", json={"name": "fuzz"}).json()["id"]
        answer = admin.post("/v1/admin/keys", json={"project": project})
        return str(answer.json()["key"])


def test_no_request_is_answered_by_a_500(live: LiveApi, project_key: str) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{live.url}/schema")
    operations = [found.ok() for found in schema.get_all_operations()]
    asked: set[str] = set()

    @settings(
        max_examples=N_EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def ask(operation: Any, data: Any) -> None:
        case = data.draw(operation.as_strategy())
        answer = case.call(headers={"Authorization": f"Bearer {project_key}"}, timeout=20)
        assert answer.status_code != 500, case.as_curl_command()
        case.validate_response(answer, checks=CHECKS)

    for operation in operations:
        name = operation.definition.raw["operationId"]
        if name in FUZZED:
            ask(operation)
            asked.add(name)
    assert asked == FUZZED
