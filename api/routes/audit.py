"""`GET /v1/admin/audit`: the audit log."""

from typing import Annotated, Literal

from litestar import get
from litestar.params import QueryParameter

from api.contract import paths
from api.contract.projects import AuditPage, AuditResource
from api.http.pagination import AuditCursor, decode_cursor, encode_cursor
from api.routes.dependencies import ThePrincipal, TheServices
from api.routes.listing import DEFAULT_LIMIT, Cursor, From, Limit, To
from api.routes.openapi import problems
from api.store.audit_queries import AuditFilter, list_audit
from api.timestamps import parse_time_ms
from streamproc.contract.audit import AuditRecord
from streamproc.contract.timestamps import rfc3339

Word = Annotated[str | None, QueryParameter(required=False, max_length=256)]


@get(paths.AUDIT, operation_id="listAudit", responses=problems(400, 403, 422))
async def get_audit(
    services: TheServices,
    principal: ThePrincipal,
    of_project: Annotated[
        str | None, QueryParameter(name="project", required=False, max_length=256)
    ] = None,
    actor: Word = None,
    action: Word = None,
    touched: Annotated[
        str | None, QueryParameter(name="object", required=False, max_length=256)
    ] = None,
    outcome: Annotated[
        Literal["done", "denied", "failed"] | None, QueryParameter(required=False)
    ] = None,
    since: From = None,
    until: To = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> AuditPage:
    """List the audit log, newest first; a project's administrator sees that project's records."""
    wanted = AuditFilter(
        project=principal.require_admin_of(of_project),
        actor=actor,
        action=action,
        object=touched,
        outcome=outcome,
        from_ms=None if since is None else parse_time_ms(since, "from"),
        to_ms=None if until is None else parse_time_ms(until, "to"),
    )
    after = None if cursor is None else decode_cursor(cursor, AuditCursor)
    found = await list_audit(services.rows, wanted, after, limit + 1)
    page, more = found[:limit], len(found) > limit
    return AuditPage(
        data=[_resource(record) for record in page],
        next_cursor=encode_cursor(AuditCursor(page[-1].at_ms, page[-1].id)) if more else None,
    )


def _resource(record: AuditRecord) -> AuditResource:
    return AuditResource(
        id=record.id,
        at=rfc3339(record.at_ms),
        actor=record.actor,
        project=record.project or None,
        action=record.action,
        object=record.object,
        address=record.address,
        outcome=record.outcome,
        status=record.status,
        detail=record.detail,
        suppressed=record.suppressed,
    )


HANDLERS = [get_audit]
