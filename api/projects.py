"""Projects and their keys: written to Kafka, known by heart, only hashes kept."""

from collections.abc import Callable

import msgspec
from msgspec import UNSET

from api.contract.resources import KeyRequest, KeyResource, ProjectRequest, ProjectResource
from api.directory import Directory, key_key, project_key
from api.errors import ConflictError, InvalidRequestError, NotFoundError
from api.ids import key_hash, new_key, new_project_id
from api.publish import Publisher
from api.submission import now_ms
from api.times import rfc3339
from streamproc.contract import topics
from streamproc.contract.records import Project, ProjectKey

_SHOWN = 8
_ID_HEX = 20


class Projects:
    """The operator's side of projects and keys. Use from one event loop."""

    def __init__(
        self, directory: Directory, publisher: Publisher, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self._directory = directory
        self._publisher = publisher
        self._clock_ms = clock_ms

    async def create_project(self, request: ProjectRequest) -> ProjectResource:
        """Return the new project; raises ConflictError when its id is taken."""
        project = Project(request.id or new_project_id(), request.name, self._clock_ms())
        if project.id in self._directory.projects:
            raise ConflictError("There is a project with this id.", code="project_exists")
        await self._write(project_key(project.id), project)
        return _project(project)

    def list_projects(self) -> list[ProjectResource]:
        """Return all projects by id."""
        return [_project(p) for _, p in sorted(self._directory.projects.copy().items())]

    async def create_key(self, request: KeyRequest) -> KeyResource:
        """Return a new key with its text, which nobody can be told again."""
        if request.project not in self._directory.projects:
            raise InvalidRequestError.at("project", "there is no such project")
        key = new_key()
        stored = ProjectKey(
            hash=key_hash(key),
            project=request.project,
            name=request.name,
            prefix=key[:_SHOWN],
            created_ms=self._clock_ms(),
        )
        await self._write(key_key(stored.hash), stored)
        return _key(stored, key)

    def list_keys(self, project: str | None = None) -> list[KeyResource]:
        """Return the keys of one project or of all, the oldest first, revoked ones too."""
        keys = sorted(self._directory.keys.copy().values(), key=lambda k: (k.created_ms, k.hash))
        return [_key(key) for key in keys if project is None or key.project == project]

    async def revoke_key(self, key_id: str) -> KeyResource:
        """End a key for ever; a second time changes nothing. Raises NotFoundError."""
        for key in list(self._directory.keys.values()):
            if _key_id(key) == key_id:
                revoked = msgspec.structs.replace(key, revoked=True)
                if not key.revoked:
                    await self._write(key_key(key.hash), revoked)
                return _key(revoked)
        raise NotFoundError("There is no such key.")

    async def _write(self, key: str, record: Project | ProjectKey) -> None:
        """Produce, then know it at once; the other processes read it within a second."""
        value = msgspec.msgpack.encode(record)
        await self._publisher.send(topics.PROJECTS, key, value)
        self._directory.apply(topics.PROJECTS, key, value)


def _project(project: Project) -> ProjectResource:
    return ProjectResource(project.id, project.name, rfc3339(project.created_ms))


def _key(key: ProjectKey, text: str | None = None) -> KeyResource:
    return KeyResource(
        id=_key_id(key),
        project=key.project,
        name=key.name,
        prefix=key.prefix,
        created_at=rfc3339(key.created_ms),
        revoked=key.revoked,
        key=UNSET if text is None else text,
    )


def _key_id(key: ProjectKey) -> str:
    return "key_" + key.hash[:_ID_HEX]
