"""ClickHouse queries on the audit table, for the list of the audit log."""

from collections.abc import Mapping

import msgspec

from api.http.pagination import AuditCursor
from api.store.clickhouse import Rows
from streamproc.contract.audit import AUDIT, AuditRecord

_COLUMNS = (
    "id, toUnixTimestamp64Milli(at), actor, project, action, object, address, outcome, status,"
    " detail, suppressed"
)


class AuditFilter(msgspec.Struct, frozen=True):
    """Filter of audit records: equal in all given fields, with times in `[from_ms, to_ms)`."""

    project: str | None = None
    actor: str | None = None
    action: str | None = None
    object: str | None = None
    outcome: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    def words(self) -> Mapping[str, str]:
        return {
            name: value
            for name in ("project", "actor", "action", "object", "outcome")
            if (value := getattr(self, name)) is not None
        }


async def list_audit(
    rows: Rows, wanted: AuditFilter, after: AuditCursor | None, limit: int
) -> list[AuditRecord]:
    """Return the matching records after the cursor, newest first."""
    parameters: dict[str, object] = {"limit": limit, **wanted.words()}
    conditions = [f"{name} = {{{name}:String}}" for name in wanted.words()]
    if wanted.from_ms is not None:
        conditions.append("at >= fromUnixTimestamp64Milli({from_ms:Int64})")
        parameters["from_ms"] = wanted.from_ms
    if wanted.to_ms is not None:
        conditions.append("at < fromUnixTimestamp64Milli({to_ms:Int64})")
        parameters["to_ms"] = wanted.to_ms
    if after is not None:
        conditions.append(
            "(toUnixTimestamp64Milli(at), id) < ({after_ms:Int64}, {after_id:String})"
        )
        parameters |= {"after_ms": after.at_ms, "after_id": after.id}
    found = await rows.query(
        f"""SELECT {_COLUMNS} FROM {AUDIT} FINAL WHERE {" AND ".join(conditions or ["1"])}
        ORDER BY at DESC, id DESC LIMIT {{limit:UInt32}}""",  # noqa: S608 - constants
        parameters,
    )
    return [AuditRecord(*row) for row in found]
