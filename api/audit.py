"""Audit log writer: one record per action, sent to Kafka without delaying the request.

A handler names the object of the request (`about`), `Authenticator` names the caller, and one
middleware writes the record when the head of the response is known. Nothing waits for Kafka.
Records that Kafka does not accept are counted and logged. Denied attempts are limited to a rate;
those above it are only counted, in the next record of a denied attempt.
"""

import secrets
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from streamproc.contract import topics
from streamproc.contract.audit import AuditRecord, Outcome, encode_audit

ACTIONS = {
    "createProject": "project.create",
    "patchProject": "project.limit",
    "createKey": "key.create",
    "rotateKey": "key.rotate",
    "revokeKey": "key.revoke",
    "processVideo": "task.submit",
    "cancelTask": "task.cancel",
    "createStreamToken": "token.create",
    "runSql": "sql.run",
    "listAudit": "audit.read",
}
"""The audited action of each operation. Other operations are recorded only when denied."""

NOBODY = "-"
ADMIN = "admin"
MAX_OBJECT = 128
MAX_DETAIL = 500
DENIED_PER_S = 10.0
DENIED_BURST = 100.0
_TELL_EVERY_S = 10.0
_STATE = "framewire.audit"
_log = structlog.get_logger("framewire.api.audit")


class AuditFields(msgspec.Struct):
    """The audit fields of one request, as far as they are known when it is answered."""

    actor: str = NOBODY
    project: str = ""
    object: str = ""
    detail: str = ""


class Poster(Protocol):
    """The part of `api.kafka.producer.Publisher` that is used here."""

    def post(self, topic: str, key: str, value: bytes, lost: Callable[[], None]) -> None: ...


class Counted(Protocol):
    """The part of `prometheus_client.Counter` that is used here."""

    def inc(self, amount: float = 1) -> None: ...


class Audit:
    """Writes audit records. Use from one event loop.

    `lost` and `suppressed` count the records that were not written.
    """

    def __init__(
        self,
        publisher: Poster,
        *,
        lost: Counted,
        suppressed: Counted,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._publisher = publisher
        self._lost = lost
        self._suppressed = suppressed
        self._clock_ms = clock_ms
        self._tokens = DENIED_BURST
        self._filled_ms = clock_ms()
        self._n_suppressed = 0
        self._told_s = float("-inf")

    def write(
        self, fields: AuditFields, *, action: str, address: str, outcome: Outcome, status: int
    ) -> None:
        """Write one record; return without waiting for Kafka."""
        now_ms = self._clock_ms()
        if outcome == "denied" and not self._may_write(now_ms):
            self._n_suppressed += 1
            self._suppressed.inc()
            return
        suppressed = 0
        if outcome == "denied":
            suppressed, self._n_suppressed = self._n_suppressed, 0
        record = AuditRecord(
            id=secrets.token_hex(8),
            at_ms=now_ms,
            actor=fields.actor,
            project=fields.project,
            action=action,
            object=_plain(fields.object, MAX_OBJECT),
            address=address,
            outcome=outcome,
            status=status,
            detail=_plain(fields.detail, MAX_DETAIL),
            suppressed=suppressed,
        )
        self._publisher.post(topics.AUDIT, record.actor, encode_audit(record), self._lose)

    def _may_write(self, now_ms: int) -> bool:
        """Take a token from the token bucket of denied attempts; return whether there was one."""
        since_s = max(0, now_ms - self._filled_ms) / 1000
        self._tokens = min(DENIED_BURST, self._tokens + since_s * DENIED_PER_S)
        self._filled_ms = now_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _lose(self) -> None:
        """Count a record that Kafka did not accept. Thread-safe."""
        self._lost.inc()
        if time.monotonic() - self._told_s >= _TELL_EVERY_S:
            self._told_s = time.monotonic()
            _log.error("audit records lost: Kafka does not accept them")


class AuditRequests(ASGIMiddleware):
    """Middleware that writes a request's audit record once the response head is sent."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        async def observed(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                _record(scope, message["status"])

        await next_app(scope, receive, observed)


def audit_fields(scope: Any) -> AuditFields:
    """Return the request's audit fields, which the caller may change; create them if needed."""
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    fields: AuditFields = state.setdefault(_STATE, AuditFields())
    return fields


def about(request: Any, touched: str, *, project: str | None = None, detail: str = "") -> None:
    """Set the request's audit fields: `touched` is the object's id, `detail` describes it."""
    fields = audit_fields(request.scope)
    fields.object, fields.detail = touched, detail
    if project is not None:
        fields.project = project


def _record(scope: Any, status: int) -> None:
    handler = scope.get("route_handler")
    operation = getattr(handler, "operation_id", None)
    denied = status in {401, 403}
    if not isinstance(operation, str) or not (denied or operation in ACTIONS):
        return
    fields = audit_fields(scope)
    if not fields.object:
        fields.object = next((str(value) for value in scope.get("path_params", {}).values()), "")
    client = scope.get("client")
    outcome: Outcome = "denied" if denied else "done" if status < 400 else "failed"
    audit: Audit = scope["litestar_app"].state.services.audit
    audit.write(
        fields,
        action=ACTIONS.get(operation, operation),
        address=client[0] if client else "",
        outcome=outcome,
        status=status,
    )


def _plain(text: str, limit: int) -> str:
    """Return at most `limit` characters of client-chosen text, unprintable ones as spaces."""
    return "".join(char if char.isprintable() else " " for char in text[:limit])
