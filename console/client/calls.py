"""All calls of the api as values: the request, and the type of its answer."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from api.contract import paths
from api.contract.models import ModelPage, ModelTaskPage
from api.contract.projects import (
    AuditPage,
    KeyPage,
    KeyResource,
    ProjectPage,
    ProjectResource,
    UsagePage,
)
from api.contract.system import FailureGroups, SystemHistory, SystemResource
from api.contract.tasks import Accepted, CancelAccepted, ResultResource, TaskPage, TaskResource
from api.contract.tracks import TrackPage

T = TypeVar("T")
SQL_PATH = "/v1/sql"


class SqlAnswer(msgspec.Struct, frozen=True):
    """Result of an SQL query; `types` are ClickHouse type names. `truncated`: more rows exist."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    row_count: int
    elapsed_ms: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `query` values are text, `body` is sent as JSON; a 2xx is an `answer`."""

    answer: type[T]
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def target(self) -> str:
        """Return the path and the query as in the request line."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


def submit(body: dict[str, Any], *, idempotency_key: str | None = None) -> Call[Accepted]:
    headers = (("Idempotency-Key", idempotency_key),) if idempotency_key else ()
    return Call(Accepted, "POST", paths.PROCESS, body=body, headers=headers)


def task(task_id: str, *, include_request: bool = False) -> Call[TaskResource]:
    query = (("include", "request"),) if include_request else ()
    return Call(TaskResource, "GET", paths.task(_part(task_id)), query)


def tasks(
    *,
    q: str | None = None,
    status: Iterable[str] = (),
    task_ids: Iterable[str] = (),
    sort: str | None = None,
    created_from: str | None = None,
    created_to: str | None = None,
    with_counts: bool = False,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[TaskPage]:
    """One page of tasks; times are RFC 3339 or Unix milliseconds, `q` as `api.contract.query`."""
    query = _given(("q", q or None))
    query += [("status", value) for value in status]
    query += [("task", value) for value in task_ids]
    query += _given(
        ("sort", sort),
        ("from", created_from),
        ("to", created_to),
        ("include", "counts" if with_counts else None),
        ("cursor", cursor),
        ("limit", limit),
    )
    return Call(TaskPage, "GET", paths.TASKS, tuple(query))


def after_cursor(call: Call[T], cursor: str) -> Call[T]:
    """Return the call for the page that follows `cursor`."""
    query = [pair for pair in call.query if pair[0] != "cursor"]
    return replace(call, query=(*query, ("cursor", cursor)))


def stream(
    task_id: str, offset: int | str, *, live: bool = True, heartbeat_s: int | None = None
) -> Call[bytes]:
    """The log from byte `offset`. Not `live`: the answer ends after the bytes that exist now.

    `offset` may be `end`, the log's end, or a time (RFC 3339): the first frame from then on.
    With `heartbeat_s`, the answer has more than log bytes: see `console.client.log_stream`.
    """
    return Call(
        bytes,
        "GET",
        paths.stream(_part(task_id)),
        (
            ("from" if isinstance(offset, str) and offset != "end" else "offset", str(offset)),
            *(() if live else (("live", "false"),)),
            *_given(("heartbeat", heartbeat_s)),
        ),
        headers=(("Accept", "text/event-stream"),),
    )


def frame(task_id: str, index: int, *, width_px: int | None = None) -> Call[bytes]:
    """A processed frame as JPEG, at most `width_px` wide."""
    return Call(
        bytes,
        "GET",
        paths.frame(_part(task_id), index),
        tuple(_given(("width", width_px))),
        headers=(("Accept", "image/jpeg, application/problem+json"),),
    )


def latest_frame(task_id: str, *, known: str | None = None) -> Call[bytes]:
    """The last picture of a live source as JPEG; `known`: the ETag of the one that is there."""
    return Call(
        bytes,
        "GET",
        paths.frame(_part(task_id), "latest"),
        headers=(
            ("Accept", "image/jpeg, application/problem+json"),
            *(() if known is None else (("If-None-Match", known),)),
        ),
    )


def results(
    task_id: str, *, partial: bool = False, cursor: str | None = None, limit: int | None = None
) -> Call[ResultResource]:
    query = _given(("partial", "true" if partial else None), ("cursor", cursor), ("limit", limit))
    return Call(ResultResource, "GET", paths.results(_part(task_id)), tuple(query))


def cancel(task_id: str) -> Call[CancelAccepted]:
    return Call(CancelAccepted, "POST", f"{paths.task(_part(task_id))}/cancel")


def tracks(
    *,
    q: str | None = None,
    task_id: str | None = None,
    classes: Iterable[str] = (),
    text: str | None = None,
    similar_to: str | None = None,
    like_text: str | None = None,
    like_model: str | None = None,
    created_from: str | None = None,
    created_to: str | None = None,
    min_dwell_s: float | None = None,
    min_confidence: float | None = None,
    with_counts: bool = False,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[TrackPage]:
    """One page of tracks of the project; `similar_to` is `task:track`.

    `like_text` are words for what is looked for, `like_model` the feature model whose they are.
    """
    query = _given(("q", q or None), ("task", task_id))
    query += [("class", value) for value in classes]
    query += _given(
        ("text", text),
        ("similar_to", similar_to),
        ("like_text", like_text),
        ("like_model", like_model),
        ("from", created_from),
        ("to", created_to),
        ("min_dwell_s", min_dwell_s),
        ("min_confidence", min_confidence),
        ("include", "counts" if with_counts else None),
        ("cursor", cursor),
        ("limit", limit),
    )
    return Call(TrackPage, "GET", paths.TRACKS, tuple(query))


def models() -> Call[ModelPage]:
    return Call(ModelPage, "GET", paths.MODELS)


def model_tasks(model: str) -> Call[ModelTaskPage]:
    """The tasks of all projects that need a model; needs the operator's key."""
    return Call(ModelTaskPage, "GET", paths.model_tasks(_part(model)))


def system() -> Call[SystemResource]:
    return Call(SystemResource, "GET", paths.SYSTEM)


def system_history(
    *,
    worker: str | None = None,
    start: str | None = None,
    end: str | None = None,
    points: int | None = None,
    only: Literal["lag", "workers"] | None = None,
) -> Call[SystemHistory]:
    """CPU, memory, tasks and rate of workers, and the groups' lag; of the last hour unless told."""
    times = (("from", start), ("to", end), ("points", points))
    query = _given(("worker", worker), *times, ("only", only))
    return Call(SystemHistory, "GET", paths.SYSTEM_HISTORY, tuple(query))


def failures(*, created_from: str | None = None) -> Call[FailureGroups]:
    """The project's failed tasks by error code and source."""
    return Call(FailureGroups, "GET", paths.SYSTEM_FAILURES, tuple(_given(("from", created_from))))


def create_project(name: str, *, project_id: str | None = None) -> Call[ProjectResource]:
    body = {"name": name} | ({"id": project_id} if project_id else {})
    return Call(ProjectResource, "POST", paths.PROJECTS, body=body)


def create_key(
    project: str,
    *,
    name: str = "",
    scopes: Iterable[str] = (),
    expires_at: str | None = None,
) -> Call[KeyResource]:
    """Create a key. Without scopes it may read and submit; without a time it does not expire."""
    body: dict[str, Any] = {"project": project, "name": name}
    if listed := list(scopes):
        body["scopes"] = listed
    if expires_at is not None:
        body["expires_at"] = expires_at
    return Call(KeyResource, "POST", paths.KEYS, body=body)


def rotate_key(
    key_id: str, *, overlap_s: int | None = None, expires_at: str | None = None
) -> Call[KeyResource]:
    """Create a key that replaces another. The old key remains valid for `overlap_s`."""
    given = {"overlap_s": overlap_s, "expires_at": expires_at}
    body = {name: value for name, value in given.items() if value is not None}
    return Call(KeyResource, "POST", f"{paths.KEYS}/{_part(key_id)}/rotate", body=body)


def set_limits(project_id: str, limits: dict[str, Any]) -> Call[ProjectResource]:
    path = f"{paths.PROJECTS}/{_part(project_id)}"
    return Call(ProjectResource, "PATCH", path, body={"limits": limits})


def usage(
    *,
    project: str | None = None,
    day_from: str | None = None,
    day_to: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[UsagePage]:
    """One page of the projects' usage per UTC day, newest first."""
    query = _given(
        ("project", project),
        ("from", day_from),
        ("to", day_to),
        ("cursor", cursor),
        ("limit", limit),
    )
    return Call(UsagePage, "GET", paths.USAGE, tuple(query))


def keys(project: str | None = None) -> Call[KeyPage]:
    return Call(KeyPage, "GET", paths.KEYS, tuple(_given(("project", project))))


def projects() -> Call[ProjectPage]:
    return Call(ProjectPage, "GET", paths.PROJECTS)


def audit(
    *,
    project: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    touched: str | None = None,
    outcome: str | None = None,
    since: str | None = None,
    limit: int | None = None,
) -> Call[AuditPage]:
    """The newest records of the audit trail that match all given filters."""
    query = _given(
        ("project", project),
        ("actor", actor),
        ("action", action),
        ("object", touched),
        ("outcome", outcome),
        ("from", since),
        ("limit", limit),
    )
    return Call(AuditPage, "GET", paths.AUDIT, tuple(query))


def sql(query: str) -> Call[SqlAnswer]:
    """One read-only ClickHouse query; needs the operator's key."""
    return Call(SqlAnswer, "POST", SQL_PATH, body={"query": query})


def revoke_key(key_id: str) -> Call[KeyResource]:
    return Call(KeyResource, "DELETE", f"{paths.KEYS}/{_part(key_id)}")


def _given(*pairs: tuple[str, object | None]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in pairs if value is not None]


def _part(value: str) -> str:
    """Percent-encode one path segment: an id from a command line may have any characters."""
    return quote(value, safe="")
