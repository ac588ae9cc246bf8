"""Projects, their keys, limits, audit and usage: what the admin routes take and answer."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.contract.requests import RequestBody
from streamproc.contract.bounds import (
    MAX_LIMIT,
    MAX_WEIGHT,
)

DEFAULT_OVERLAP_S = 24 * 3600
MAX_OVERLAP_S = 90 * 24 * 3600
Scope = Literal["read", "submit", "admin:project"]
Limit = Annotated[int, Meta(ge=0, le=MAX_LIMIT)]
Weight = Annotated[int, Meta(ge=1, le=MAX_WEIGHT)]


class ProjectRequest(RequestBody, frozen=True):
    """The body of `POST /v1/admin/projects`; without an id the server creates one."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{1,62}$")] | None = None


class LimitsPatch(RequestBody, frozen=True):
    """A project's limits: absent keeps a limit, null resets it to the setting, 0 is no limit."""

    submissions_per_minute: Limit | UnsetType | None = UNSET
    open_streams: Limit | UnsetType | None = UNSET
    upload_bytes_per_day: Limit | UnsetType | None = UNSET
    stored_bytes: Limit | UnsetType | None = UNSET
    open_tasks: Limit | UnsetType | None = UNSET
    weight: Weight | UnsetType | None = UNSET


class ProjectPatch(RequestBody, frozen=True):
    """The body of `PATCH /v1/admin/projects/:id`."""

    limits: LimitsPatch


class KeyRequest(RequestBody, frozen=True):
    """The body of `POST /v1/admin/keys`. Default scopes: `read`, `submit`; default expiry: none."""

    project: Annotated[str, Meta(min_length=1, max_length=64)]
    name: Annotated[str, Meta(max_length=128)] = ""
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)] | None = None
    expires_at: Annotated[str, Meta(max_length=64)] | None = None


class RotateRequest(RequestBody, frozen=True):
    """The body of `POST /v1/admin/keys/:id/rotate`; the old key works for another `overlap_s`."""

    overlap_s: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_S)] = DEFAULT_OVERLAP_S
    expires_at: Annotated[str, Meta(max_length=64)] | None = None


class LimitsResource(msgspec.Struct, frozen=True):
    """A project's own limits; null is the server's setting, 0 is no limit.

    `weight` is its share of the workers, relative to the default of 1; null is 1.
    """

    submissions_per_minute: int | None = None
    open_streams: int | None = None
    upload_bytes_per_day: int | None = None
    stored_bytes: int | None = None
    open_tasks: int | None = None
    weight: int | None = None


class ProjectResource(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_at: str
    limits: LimitsResource = LimitsResource()


class ProjectPage(msgspec.Struct, frozen=True):
    data: list[ProjectResource]


class KeyResource(msgspec.Struct, frozen=True):
    """A project key. `key` is the key itself: it is shown once, and only its hash is stored.

    `last_used_at` is accurate to about ten minutes. `replaces` and `replaced_by` are key ids.
    """

    id: str
    project: str
    name: str
    prefix: str
    created_at: str
    revoked: bool
    scopes: list[str] = msgspec.field(default_factory=list)
    expires_at: str | None = None
    last_used_at: str | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    key: str | UnsetType = UNSET


class KeyPage(msgspec.Struct, frozen=True):
    data: list[KeyResource]


class AuditResource(msgspec.Struct, frozen=True):
    """One record of the audit log. `actor` is `admin`, a key's id, or `-` for an unknown caller.

    `outcome` is `done`, `denied` or `failed`. `suppressed` is how many denied attempts before this
    one exceeded the rate limit and have no record of their own.
    """

    id: str
    at: str
    actor: str
    project: str | None
    action: str
    object: str
    address: str
    outcome: str
    status: int
    detail: str
    suppressed: int


class AuditPage(msgspec.Struct, frozen=True):
    data: list[AuditResource]
    next_cursor: str | None


class UsageDay(msgspec.Struct, frozen=True):
    """A project's usage on one UTC day: the tasks submitted on that day, as far as processed.

    `processing_s` is the time from a task's first claim to its end; `log_bytes` are stored.
    """

    day: str
    project: str
    tasks: int
    processed_frames: int
    decoded_frames: int
    processing_s: float
    log_bytes: int


class UsagePage(msgspec.Struct, frozen=True):
    data: list[UsageDay]
    next_cursor: str | None
