"""Admin routes for projects and keys.

Projects are for the operator. Keys are for the operator and, within one project, for keys of that
project with the scope `admin:project`.
"""

from typing import Annotated, TypeVar

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, QueryParameter

from api.audit import about
from api.contract import paths
from api.contract.projects import (
    KeyPage,
    KeyRequest,
    KeyResource,
    ProjectPage,
    ProjectRequest,
    ProjectResource,
    RotateRequest,
)
from api.http.body_limits import read_small
from api.http.body_validation import check_printable, read_json
from api.routes.dependencies import NO_STORE, AnyRequest, ThePrincipal, TheServices, admin_only
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
    made = await services.projects.create_project(wanted)
    about(request, made.id, project=made.id, detail=made.name)
    return made


@get(paths.PROJECTS, operation_id="listProjects", guards=[admin_only], responses=problems(403))
async def list_projects(services: TheServices) -> ProjectPage:
    """List all projects."""
    return ProjectPage(services.projects.list_projects())


@post(
    paths.KEYS,
    operation_id="createKey",
    operation_class=body_operation(KeyRequest),
    responses=problems(400, 403, 413, 422),
    response_headers=NO_STORE,
)
async def create_key(
    request: AnyRequest, services: TheServices, principal: ThePrincipal
) -> KeyResource:
    """Create a key; its text is only in this response."""
    principal.require_admin_of(None)
    wanted = await _read(request, KeyRequest)
    check_printable("name", wanted.name)
    principal.require_admin_of(wanted.project)
    made = await services.projects.create_key(wanted)
    about(request, made.id, project=made.project, detail=_terms(made))
    return made


@get(paths.KEYS, operation_id="listKeys", responses=problems(400, 403))
async def list_keys(
    services: TheServices,
    principal: ThePrincipal,
    of_project: Annotated[str | None, QueryParameter(name="project", required=False)] = None,
) -> KeyPage:
    """List keys without their texts, including revoked ones."""
    return KeyPage(services.projects.list_keys(principal.require_admin_of(of_project)))


@delete(
    f"{paths.KEYS}/{{key_id:str}}",
    status_code=200,
    operation_id="revokeKey",
    responses=problems(400, 403, 404),
)
async def revoke_key(
    request: AnyRequest, services: TheServices, principal: ThePrincipal, key_id: FromPath[str]
) -> KeyResource:
    """Revoke a key for ever; its tokens and open streams end with it."""
    project = principal.require_admin_of(None)
    revoked = await services.projects.revoke_key(key_id, project)
    about(request, key_id, project=revoked.project, detail=revoked.name)
    return revoked


@post(
    f"{paths.KEYS}/{{key_id:str}}/rotate",
    operation_id="rotateKey",
    operation_class=body_operation(RotateRequest),
    responses=problems(400, 403, 404, 409, 422),
)
async def rotate_key(
    request: AnyRequest, services: TheServices, principal: ThePrincipal, key_id: FromPath[str]
) -> KeyResource:
    """Replace a key with a new one; the old key remains valid for `overlap_s`, then ends."""
    project = principal.require_admin_of(None)
    wanted = await _read(request, RotateRequest)
    made = await services.projects.rotate_key(key_id, wanted, project)
    detail = f"{made.id} {_terms(made)} overlap_s={wanted.overlap_s}"
    about(request, key_id, project=made.project, detail=detail)
    return made


def _terms(key: KeyResource) -> str:
    """Return the audit detail of a new key: scopes, expiry and name."""
    return f"scopes={','.join(key.scopes)} expires={key.expires_at or 'never'} name={key.name}"


async def _read(request: AnyRequest, into: type[T]) -> T:
    return read_json(await read_small(request), into)


HANDLERS = [create_project, list_projects, create_key, list_keys, revoke_key, rotate_key]
