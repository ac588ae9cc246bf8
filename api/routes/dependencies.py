"""Dependency injection and guards for handlers: the services, the caller and its project."""

from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler

from api.auth import Connection, Principal
from api.scopes import READ
from api.services import Services

SCOPE = "scope"

AnyRequest = Request[Any, Any, Any]
TheServices = NamedDependency[Services]
ThePrincipal = NamedDependency[Principal]
TheProject = NamedDependency[str]

# For responses that contain a key or a token: no cache may store them.
NO_STORE = {"Cache-Control": "no-store"}


def get_services(state: State) -> Services:
    services: Services = state.services
    return services


def get_principal(request: AnyRequest, services: TheServices) -> Principal:
    """Return the authenticated caller; raises UnauthorizedError."""
    return services.authenticator.authenticate(request)


def get_project(request: AnyRequest, principal: ThePrincipal) -> str:
    """Return the caller's project; raises ForbiddenError for the operator.

    The key needs the scope that the handler sets as its `scope`; the default is `read`.
    """
    return principal.require_project(request.route_handler.opt.get(SCOPE, READ))


def known_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Guard that admits projects and the operator; raises UnauthorizedError for other callers."""
    get_services(connection.app.state).authenticator.authenticate(connection)


def admin_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Guard that admits only the operator; raises UnauthorizedError or ForbiddenError."""
    get_services(connection.app.state).authenticator.require_admin(connection)


DEPENDENCIES = {
    "services": Provide(get_services, sync_to_thread=False),
    "principal": Provide(get_principal, sync_to_thread=False),
    "project": Provide(get_project, sync_to_thread=False),
}
