"""POST /v1/sql over a real server."""

import httpx
import pytest

from api.routes.sql import SQL


async def test_the_operator_is_answered(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(SQL, json={"query": "SELECT 1 AS one, 'x' AS letter"})
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("elapsed_ms") >= 0
    assert body == {
        "columns": ["one", "letter"],
        "types": ["UInt8", "String"],
        "rows": [[1, "x"]],
        "row_count": 1,
        "truncated": False,
    }


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT * FROM file('/etc/passwd')", "sql_refused"),
        ("SELECT nope FROM tasks", "sql_failed"),
        ("SELEC", "sql_failed"),
    ],
)
async def test_a_refusal_is_a_problem(admin: httpx.AsyncClient, query: str, code: str) -> None:
    answer = await admin.post(SQL, json={"query": query})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code


async def test_unknown_fields_are_named(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(SQL, json={"query": "SELECT 1", "settings": {}})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_without_the_admin_key_nothing_is_asked(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(SQL, json={"query": "SELECT 1"}, headers={"Authorization": ""})
    assert answer.status_code == 401
