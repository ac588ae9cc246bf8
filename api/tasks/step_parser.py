"""Step parser: validates a request's steps against the model registry, normalised for workers."""

from collections.abc import Iterable, Sequence
from typing import Any

from api.contract.requests import StepRequest, When
from api.errors import FieldError, InvalidRequestError
from models.class_names import public_class
from models.errors import InvalidParametersError, UnknownModelError
from models.manifest import Manifest
from models.parameters import validate_parameters
from models.registry import Registry
from streamproc.contract import task_spec


def read_steps(steps: Sequence[StepRequest], registry: Registry) -> tuple[task_spec.Step, ...]:
    """Return the steps with pinned model versions and complete parameters.

    Raises InvalidRequestError with every wrong field of every step.
    """
    errors: list[FieldError] = []
    manifests: list[Manifest | None] = []
    parameters: list[dict[str, Any]] = []
    for i, step in enumerate(steps):
        at = f"steps[{i}]"
        manifest = _resolve(step, at, registry, errors)
        manifests.append(manifest)
        parameters.append(_parameters(step, manifest, at, errors))
    _check_order(steps, manifests, errors)
    known = tuple(
        dict.fromkeys(name for m in manifests if m and m.kind == "detect" for name in m.classes)
    )
    whens = [_when(step.when, f"steps[{i}].when", known, errors) for i, step in enumerate(steps)]
    if errors:
        raise InvalidRequestError(errors)
    return tuple(
        task_spec.Step(kind=manifest.kind, model=manifest.ref, parameters=values, when=when)
        for manifest, values, when in zip(manifests, parameters, whens, strict=True)
        if manifest is not None and manifest.kind != "text-encoder"
    )


def _resolve(
    step: StepRequest, at: str, registry: Registry, errors: list[FieldError]
) -> Manifest | None:
    try:
        manifest = registry.resolve(step.model)
    except UnknownModelError as exc:
        errors.append(
            FieldError(field=f"{at}.model", message=_listed("no such model", exc.available))
        )
        return None
    if manifest.kind == "text-encoder":
        errors.append(
            FieldError(
                field=f"{at}.model",
                message="is a text encoder: it is for like_text of track searches, not for steps",
            )
        )
        return None
    return manifest


def _parameters(
    step: StepRequest, manifest: Manifest | None, at: str, errors: list[FieldError]
) -> dict[str, Any]:
    if manifest is None:
        return {}
    try:
        return validate_parameters(manifest, step.parameters or {})
    except InvalidParametersError as exc:
        errors.append(
            FieldError(field=f"{at}.{exc.field}", message=_listed(exc.message, exc.allowed))
        )
        return {}


def _check_order(
    steps: Sequence[StepRequest], manifests: Sequence[Manifest | None], errors: list[FieldError]
) -> None:
    """Check that steps on targets follow a detect step; only ocr can also read whole frames."""
    has_targets = False
    for i, (step, manifest) in enumerate(zip(steps, manifests, strict=True)):
        if manifest is None or manifest.kind == "detect":
            has_targets = True
            if i == 0 and step.when is not None:
                errors.append(
                    FieldError(field="steps[0].when", message="the first step has no targets yet")
                )
        elif has_targets:
            continue
        elif manifest.kind == "feature":
            errors.append(
                FieldError(
                    field=f"steps[{i}].model",
                    message="feature needs targets: a detect step must come before it",
                )
            )
        elif step.when is not None:
            errors.append(
                FieldError(
                    field=f"steps[{i}].when",
                    message="needs targets: a detect step must come before it",
                )
            )


def _when(
    when: When | None, at: str, known: Sequence[str], errors: list[FieldError]
) -> task_spec.When | None:
    if when is None or (when.class_is is None and when.min_confidence is None):
        return None
    names: list[str] = []
    for i, name in enumerate(when.class_is or ()):
        public = name if name in known else public_class(name)
        if known and public not in known:
            errors.append(
                FieldError(field=f"{at}.class_is[{i}]", message=_listed("no such class", known))
            )
        names.append(public)
    return task_spec.When(
        class_is=tuple(dict.fromkeys(names)) if when.class_is is not None else None,
        min_confidence=when.min_confidence,
    )


def _listed(message: str, available: Iterable[str]) -> str:
    names = ", ".join(available)
    return f"{message}; there are: {names}" if names else message
