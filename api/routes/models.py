"""Model list route: the models that steps can use."""

from litestar import get

from api.contract import paths
from api.contract.models import ModelPage, ModelResource
from api.kafka.global_table import WORKER_ALIVE_MS
from api.routes.dependencies import TheServices, known_only
from api.routes.openapi import problems
from api.tasks.submission import now_ms
from models.manifest import Manifest
from models.parameters import parameters_schema


@get(paths.MODELS, operation_id="listModels", guards=[known_only], responses=problems())
async def list_models(services: TheServices) -> ModelPage:
    """List all models with their licence, classes, and parameter schema.

    `devices` are those of the live workers that have the model loaded.
    """
    now = now_ms()
    beats = [
        beat for beat in services.directory.workers(now) if beat.beat_ms > now - WORKER_ALIVE_MS
    ]
    return ModelPage(
        [
            _resource(
                manifest,
                default=services.registry.is_default(manifest),
                devices=sorted({beat.device for beat in beats if manifest.ref in beat.models}),
            )
            for manifest in services.registry.list()
        ]
    )


def _resource(manifest: Manifest, *, default: bool, devices: list[str]) -> ModelResource:
    return ModelResource(
        id=manifest.ref,
        object="model",
        name=manifest.name,
        version=manifest.version,
        kind=manifest.kind,
        description=manifest.description,
        licence=manifest.licence,
        source=manifest.source,
        default=default,
        classes=list(manifest.classes),
        parameters=parameters_schema(manifest),
        devices=devices,
        feature_model=None if manifest.text is None else manifest.text.feature_model,
    )


HANDLERS = [list_models]
