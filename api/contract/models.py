"""Models as clients see them, and the tasks that use one."""

from typing import Any, Literal

import msgspec

from api.contract.tasks import Status


class ModelResource(msgspec.Struct, frozen=True):
    """A model for steps, named by `id`, or by its kind if it is that kind's `default`.

    Text encoders are for no step: their words find the pictures of `feature_model`.
    """

    id: str
    object: Literal["model"]
    name: str
    version: str
    kind: str
    description: str
    licence: str
    source: str
    default: bool
    classes: list[str]
    parameters: dict[str, Any]
    devices: list[str]
    feature_model: str | None = None


class ModelPage(msgspec.Struct, frozen=True):
    data: list[ModelResource]


class ModelTask(msgspec.Struct, frozen=True):
    """A task that waits or runs and needs a model."""

    id: str
    project: str
    status: Status
    created_at: str


class ModelTaskPage(msgspec.Struct, frozen=True):
    """The tasks that need a model, oldest first; `total` counts also those that are not listed."""

    data: list[ModelTask]
    total: int
