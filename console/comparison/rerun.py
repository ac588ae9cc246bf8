"""The request of a second run: that of a task with another model, precision or parameters. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from api.contract.models import ModelResource
from console.errors import ComparisonError, RequestWordsError
from streamproc.contract.masking import is_masked

KINDS = ("detect", "ocr", "feature")


class Change(msgspec.Struct, frozen=True):
    """What the second run has in place of the first one's. None: the same.

    `parameters` are merged into those of the steps of kind `step`; a null removes one, for its
    default. Without `step`, the kind is that of `model`, else `detect`, or the request's only one.
    """

    model: str | None = None
    precision: str | None = None
    parameters: Mapping[str, Any] | None = None
    step: str | None = None

    @property
    def is_empty(self) -> bool:
        return self == Change()


def read_parameters(text: str) -> dict[str, Any]:
    """Return the JSON object; raises `RequestWordsError`, which says what is wrong with it."""
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise RequestWordsError(f"--parameters is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise RequestWordsError('--parameters must be a JSON object, such as {"detail": "fine"}')
    return value


def changed_request(
    request: Mapping[str, Any], change: Change, models: Sequence[ModelResource]
) -> dict[str, Any]:
    """Return the request with the change; `models` are those of `/v1/models`.

    Raises `RequestWordsError` for an unknown model or parameter, and for a step that the request
    does not have. The api checks the values.
    """
    steps = [dict(step) for step in request.get("steps") or ()]
    kinds = [_kind(str(step.get("model", "")), models) for step in steps]
    changed = dict(request) | {"steps": steps}
    model_kind = None
    if change.model is not None:
        model_kind = _known_kind(change.model, models)
        for step in _of_kind(steps, kinds, model_kind, change.model):
            step["model"] = change.model
    if change.parameters is not None:
        kind = change.step or model_kind or _usual_kind(kinds)
        for step in _of_kind(steps, kinds, kind, "--parameters"):
            step["parameters"] = _merged(step, change.parameters, models)
    if change.precision is not None:
        changed["precision"] = change.precision
    return changed


def check_source(request: Mapping[str, Any]) -> None:
    """Raise `ComparisonError` if the stored request does not lead to its video any more."""
    if has_masked_url(request):
        raise ComparisonError(
            "the video's URL held credentials, which are not kept: submit it again with the whole"
            " URL, and compare the two tasks"
        )


def has_masked_url(request: Mapping[str, Any]) -> bool:
    """Whether the video's URL is stored without its credentials."""
    items = request.get("input") or [{}]
    return is_masked(str(items[0].get("url", "")))


def same_source(request: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two requests name the same video, and the same stream of it."""

    def named(one: Mapping[str, Any]) -> tuple[Any, ...]:
        item = (one.get("input") or [{}])[0]
        return item.get("type"), item.get("url"), item.get("data"), item.get("stream")

    return named(request) == named(other)


def source_of(request: Mapping[str, Any]) -> str:
    """Return the video's URL without credentials, or `upload`."""
    item = (request.get("input") or [{}])[0]
    return str(item.get("url") or "upload")


def resolved(name: str, models: Iterable[ModelResource]) -> ModelResource | None:
    """Return the model of a step: by id, by name (its newest version), or a kind's default."""
    listed = list(models)
    for model in listed:
        if name == model.id or (name == model.kind and model.default):
            return model
    named = [model for model in listed if name == model.name]
    return max(named, key=lambda model: _version(model.version), default=None)


def _version(text: str) -> tuple[tuple[int, str], ...]:
    parts = text.split(".")
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in parts)


def _kind(name: str, models: Sequence[ModelResource]) -> str | None:
    if name in KINDS:
        return name
    model = resolved(name, models)
    return None if model is None else model.kind


def _known_kind(name: str, models: Sequence[ModelResource]) -> str:
    kind = _kind(name, models)
    if kind is None:
        there = ", ".join(model.id for model in models)
        raise RequestWordsError(f"no model {name!r}; there are: {there}")
    return kind


def _usual_kind(kinds: Sequence[str | None]) -> str:
    known = dict.fromkeys(kind for kind in kinds if kind is not None)
    if "detect" in known or len(known) != 1:
        return "detect"
    return next(iter(known))


def _of_kind(
    steps: Sequence[dict[str, Any]], kinds: Sequence[str | None], kind: str, what: str
) -> list[dict[str, Any]]:
    """Return the steps of that kind; without any, those of models that were removed meanwhile."""
    by_kind: dict[str | None, list[dict[str, Any]]] = {}
    for step, one in zip(steps, kinds, strict=True):
        by_kind.setdefault(one, []).append(step)
    found = by_kind.get(kind) or by_kind.get(None)
    if not found:
        raise RequestWordsError(f"{what} is for a step of kind {kind}, and the request has none")
    return found


def _merged(
    step: Mapping[str, Any], parameters: Mapping[str, Any], models: Sequence[ModelResource]
) -> dict[str, Any]:
    model = resolved(str(step.get("model")), models)
    if model is not None:
        known = model.parameters.get("properties", {})
        for name in parameters:
            if name not in known:
                raise RequestWordsError(
                    f"--parameters: {model.id} has no parameter {name!r}; it has {', '.join(known)}"
                )
    merged = {**(step.get("parameters") or {}), **parameters}
    return {name: value for name, value in merged.items() if value is not None}
