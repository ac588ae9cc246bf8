"""Projects and API keys: written to Kafka, held in memory; only hashes of keys are stored."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from api.contract.projects import (
    KeyRequest,
    KeyResource,
    LimitsResource,
    ProjectPatch,
    ProjectRequest,
    ProjectResource,
    RotateRequest,
    Scope,
)
from api.errors import ConflictError, InvalidRequestError, NotFoundError
from api.ids import key_hash, key_id, new_key, new_project_id
from api.kafka.global_table import GlobalTable, end_key, key_key, project_key
from api.kafka.producer import Publisher
from api.scopes import DEFAULT, SCOPES, known_scopes
from api.tasks.submission import now_ms
from api.timestamps import parse_time_ms, rfc3339_or_none
from streamproc.contract import topics
from streamproc.contract.records import KeyEnd, Project, ProjectKey
from streamproc.contract.timestamps import rfc3339

_SHOWN = 8


class Projects:
    """Creates and changes projects; creates, rotates and revokes keys. Use from one event loop."""

    def __init__(
        self, directory: GlobalTable, publisher: Publisher, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self._directory = directory
        self._publisher = publisher
        self._clock_ms = clock_ms
        self._changing = asyncio.Lock()

    async def create_project(self, request: ProjectRequest) -> ProjectResource:
        """Return the new project; raises ConflictError when its id is taken."""
        project = Project(request.id or new_project_id(), request.name, self._clock_ms())
        async with self._changing:
            if project.id in self._directory.projects:
                raise ConflictError("There is a project with this id.", code="project_exists")
            await self._write(project_key(project.id), project)
        return _project(project)

    def list_projects(self) -> list[ProjectResource]:
        """Return all projects, ordered by id."""
        return [_project(p) for _, p in sorted(self._directory.projects.copy().items())]

    async def change(self, project_id: str, patch: ProjectPatch) -> ProjectResource:
        """Change the limits that the patch gives; keep the others. Raises NotFoundError."""
        given = {
            name: value
            for name, value in msgspec.structs.asdict(patch.limits).items()
            if value is not UNSET
        }
        async with self._changing:  # of two changes at a time, none may undo the other
            project = self._directory.projects.get(project_id)
            if project is None:
                raise NotFoundError("There is no such project.")
            limits = msgspec.structs.replace(project.limits, **given)
            changed = msgspec.structs.replace(project, limits=limits)
            await self._write(project_key(project.id), changed)
        return _project(changed)

    async def create_key(self, request: KeyRequest) -> KeyResource:
        """Return a new key with its text, which cannot be retrieved again."""
        if request.project not in self._directory.projects:
            raise InvalidRequestError.at("project", "there is no such project")
        scopes: Sequence[Scope] = DEFAULT if request.scopes is None else request.scopes
        return await self._create(
            project=request.project,
            name=request.name,
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            expires_ms=self._expiry_ms(request.expires_at),
        )

    def list_keys(self, project: str | None = None) -> list[KeyResource]:
        """Return the keys of one project or of all, oldest first, with revoked and expired ones."""
        keys = sorted(self._directory.keys.copy().values(), key=lambda k: (k.created_ms, k.hash))
        return [self._shown(key) for key in keys if project is None or key.project == project]

    async def revoke_key(self, wanted: str, project: str | None = None) -> KeyResource:
        """Revoke a key for ever. A second call changes nothing.

        Raises NotFoundError, also for a key of another project than the given one.
        """
        key = self._find(wanted, project)
        revoked = msgspec.structs.replace(key, revoked=True)
        if not key.revoked:
            await self._write(key_key(key.hash), revoked)
        return self._shown(revoked)

    async def rotate_key(
        self, wanted: str, request: RotateRequest, project: str | None = None
    ) -> KeyResource:
        """Return a new key with the old key's name and scopes; the old key ends after the overlap.

        If the old key has an expiry and the request gives none, the new key gets a lifetime of the
        same length. Raises NotFoundError as `revoke_key` does, and ConflictError for a key that is
        revoked or has expired.
        """
        now_ms = self._clock_ms()
        key = self._find(wanted, project)
        if self._directory.key_of(key.hash, now_ms) is None:
            raise ConflictError("The key is revoked or has expired.", code="key_dead")
        expires_ms = self._expiry_ms(request.expires_at)
        if expires_ms is None and key.expires_ms is not None:
            expires_ms = now_ms + key.expires_ms - key.created_ms
        made = await self._create(
            project=key.project,
            name=key.name,
            scopes=key.scopes,
            expires_ms=expires_ms,
            replaces=key_id(key.hash),
        )
        end = KeyEnd(key.hash, now_ms + request.overlap_s * 1000, made.id)
        await self._write(end_key(key.hash), end)
        return made

    def _find(self, wanted: str, project: str | None) -> ProjectKey:
        for key in list(self._directory.keys.values()):
            if key_id(key.hash) == wanted and project in {None, key.project}:
                return key
        raise NotFoundError("There is no such key.")

    async def _create(self, **fields: Any) -> KeyResource:
        text = new_key()
        stored = ProjectKey(
            hash=key_hash(text), prefix=text[:_SHOWN], created_ms=self._clock_ms(), **fields
        )
        await self._write(key_key(stored.hash), stored)
        return self._shown(stored, text)

    def _expiry_ms(self, text: str | None) -> int | None:
        if text is None:
            return None
        expires_ms = parse_time_ms(text, "expires_at")
        if expires_ms <= self._clock_ms():
            raise InvalidRequestError.at("expires_at", "must lie in the future")
        return expires_ms

    def _shown(self, key: ProjectKey, text: str | None = None) -> KeyResource:
        scopes = known_scopes(key.scopes)
        return KeyResource(
            id=key_id(key.hash),
            project=key.project,
            name=key.name,
            prefix=key.prefix,
            created_at=rfc3339(key.created_ms),
            revoked=key.revoked,
            scopes=[scope for scope in SCOPES if scope in scopes],
            expires_at=rfc3339_or_none(self._directory.ends_ms(key)),
            last_used_at=rfc3339_or_none(self._directory.used_ms(key.hash, None)),
            replaces=key.replaces,
            replaced_by=self._directory.replaced_by(key),
            key=UNSET if text is None else text,
        )

    async def _write(self, key: str, record: Project | ProjectKey | KeyEnd) -> None:
        """Write the record to Kafka, then apply it here; other processes read it within 1 s."""
        value = msgspec.msgpack.encode(record)
        offset = await self._publisher.send(topics.PROJECTS, key, value)
        self._directory.apply(topics.PROJECTS, key, value, offset=offset if offset >= 0 else None)


def _project(project: Project) -> ProjectResource:
    limits = LimitsResource(**msgspec.structs.asdict(project.limits))
    return ProjectResource(project.id, project.name, rfc3339(project.created_ms), limits)
