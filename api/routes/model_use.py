"""`GET /v1/admin/models/{model}/tasks`: which tasks need a model that is to be removed."""

from litestar import get
from litestar.params import FromPath

from api.contract import paths
from api.contract.models import ModelTaskPage
from api.errors import UnavailableError
from api.routes.dependencies import TheServices, admin_only
from api.routes.openapi import problems
from api.services import Services


@get(
    f"{paths.ADMIN_MODELS}/{{model:str}}/tasks",
    operation_id="listModelTasks",
    guards=[admin_only],
    responses=problems(400, 403),
)
async def list_model_tasks(services: TheServices, model: FromPath[str]) -> ModelTaskPage:
    """List the tasks of all projects that wait or run and have a step of `model` (name@version).

    At most 100, oldest first; `total` counts all of them.
    """
    await _require_index(services)
    return await services.model_use.open_tasks(model)


async def _require_index(services: Services) -> None:
    """Raise UnavailableError while the index stands still: it would know of old tasks alone."""
    await services.consumer_lag()
    for part in services.role_parts():
        if part.name == "index" and not part.ready:
            raise UnavailableError(
                "The index does not read, so it is not known which tasks there are.",
                code="index_behind",
            )


HANDLERS = [list_model_tasks]
