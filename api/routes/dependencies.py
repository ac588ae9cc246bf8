"""What handlers are given: the process's services, and who asks."""

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

# Of answers that hold a key or a token: no cache on the way may keep one.
NO_STORE = {"Cache-Control": "no-store"}


def get_services(state: State) -> Services:
    services: Services = state.services
    return services


def get_principal(request: AnyRequest, services: TheServices) -> Principal:
    """Return who asks; raises UnauthorizedError."""
    return services.authenticator.authenticate(request)


def get_project(request: AnyRequest, principal: ThePrincipal) -> str:
    """Return the project that asks; raises ForbiddenError for the operator.

    The key needs the scope that the handler names as its `scope`, `read` unless it names one.
    """
    return principal.require_project(request.route_handler.opt.get(SCOPE, READ))


def known_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let projects and the operator in; raises UnauthorizedError."""
    get_services(connection.app.state).authenticator.authenticate(connection)


def admin_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let the operator in; raises UnauthorizedError or ForbiddenError for anyone else."""
    get_services(connection.app.state).authenticator.require_admin(connection)


DEPENDENCIES = {
    "services": Provide(get_services, sync_to_thread=False),
    "principal": Provide(get_principal, sync_to_thread=False),
    "project": Provide(get_project, sync_to_thread=False),
}
