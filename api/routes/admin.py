"""The operator's endpoints: projects and their keys. All need the admin key."""

from typing import Annotated, TypeVar

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, QueryParameter

from api.bodies import read_small
from api.contract import paths
from api.contract.resources import (
    KeyPage,
    KeyRequest,
    KeyResource,
    ProjectPage,
    ProjectRequest,
    ProjectResource,
)
from api.reading import check_printable, read_json
from api.routes.dependencies import NO_STORE, AnyRequest, TheServices, admin_only
from api.routes.openapi import body_operation, problems

T = TypeVar("T", bound=msgspec.Struct)


@post(
    paths.PROJECTS,
    operation_id="createProject",
    guards=[admin_only],
    operation_class=body_operation(ProjectRequest),
    responses=problems(400, 403, 409, 413, 422),
)
async def create_project(request: AnyRequest, services: TheServices) -> ProjectResource:
    """Create a project."""
    wanted = await _read(request, ProjectRequest)
    check_printable("name", wanted.name)
    return await services.projects.create_project(wanted)


@get(paths.PROJECTS, operation_id="listProjects", guards=[admin_only], responses=problems(403))
async def list_projects(services: TheServices) -> ProjectPage:
    """List all projects."""
    return ProjectPage(services.projects.list_projects())


@post(
    paths.KEYS,
    operation_id="createKey",
    guards=[admin_only],
    operation_class=body_operation(KeyRequest),
    responses=problems(400, 403, 413, 422),
    response_headers=NO_STORE,
)
async def create_key(request: AnyRequest, services: TheServices) -> KeyResource:
    """Create a key; its text is in this answer and nowhere else."""
    wanted = await _read(request, KeyRequest)
    check_printable("name", wanted.name)
    return await services.projects.create_key(wanted)


@get(paths.KEYS, operation_id="listKeys", guards=[admin_only], responses=problems(403))
async def list_keys(
    services: TheServices,
    of_project: Annotated[str | None, QueryParameter(name="project", required=False)] = None,
) -> KeyPage:
    """List keys without their texts, revoked ones too."""
    return KeyPage(services.projects.list_keys(of_project))


@delete(
    f"{paths.KEYS}/{{key_id:str}}",
    status_code=200,
    operation_id="revokeKey",
    guards=[admin_only],
    responses=problems(403, 404),
)
async def revoke_key(services: TheServices, key_id: FromPath[str]) -> KeyResource:
    """Revoke a key for ever."""
    return await services.projects.revoke_key(key_id)


async def _read(request: AnyRequest, into: type[T]) -> T:
    return read_json(await read_small(request), into)


HANDLERS = [create_project, list_projects, create_key, list_keys, revoke_key]
