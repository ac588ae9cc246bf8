"""`POST /v1/sql`: read-only SQL queries of the operator."""

import asyncio
from functools import partial
from typing import Any

from clickhouse_connect import get_client
from litestar import post

from api.audit import about
from api.http.body_limits import read_small
from api.http.body_validation import read_json
from api.routes.dependencies import AnyRequest, TheServices, admin_only
from api.routes.openapi import body_operation, problems
from api.store.clickhouse import query_client_options
from api.store.sql_runner import SqlAnswer, SqlRequest, run_sql

SQL = "/v1/sql"


@post(
    SQL,
    status_code=200,
    operation_id="runSql",
    guards=[admin_only],
    operation_class=body_operation(SqlRequest),
    responses=problems(400, 403, 413, 422),
)
async def run_query(request: AnyRequest, services: TheServices) -> SqlAnswer:
    """Run one read-only query on the tables and views of all projects."""
    asked = read_json(await read_small(request), SqlRequest)
    about(request, "", detail=asked.query)
    connect = partial(get_client, **query_client_options(services.settings.clickhouse))
    return await asyncio.to_thread(run_sql, connect, asked.query)


HANDLERS: tuple[Any, ...] = (run_query,)
