"""Rebuilds the public request of a task from its spec, for another Video API."""

from typing import Any
from urllib.parse import urlsplit

from models.errors import ModelError
from models.parameters import validate_parameters
from models.registry import Registry
from streamproc.contract.task_spec import FrameRange, Sampling, Step, TaskSpec
from streamproc.errors import TaskFailedError


def public_request(
    spec: TaskSpec, url: str, registry: Registry, *, hint: str | None
) -> dict[str, Any]:
    """Return the body of `POST /v1/video/process`; the upstream reads the video from `url`.

    Parameters with default values are omitted. Raises `TaskFailedError` for a source that only this
    machine can read.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise TaskFailedError(
            "upstream_source", "a source that is not http(s) cannot be given to another service"
        )
    if spec.stream is not None:
        raise TaskFailedError(
            "upstream_source", "another service cannot be told which stream of a file to read"
        )
    source: dict[str, Any] = {
        "type": "video_url",
        "url": url,
        "sampling": _sampling(spec.sampling),
        **({} if spec.max_frames is None else {"max_frames": spec.max_frames}),
    }
    wanted = _range(spec.range)
    if wanted is not None:
        source["range"] = wanted
    body: dict[str, Any] = {
        "input": [source],
        "steps": [_step(step, registry) for step in spec.steps],
    }
    if hint is not None:
        body["model"] = hint
    if spec.precision is not None:
        body["precision"] = spec.precision
    return body


def _sampling(sampling: Sampling) -> dict[str, Any]:
    if sampling.mode == "keyframe":
        return {"mode": "keyframe"}
    return {"mode": sampling.mode, "value": _number(sampling.value)}


def _range(wanted: FrameRange) -> dict[str, Any] | None:
    if wanted == FrameRange():
        return None
    out: dict[str, Any] = {"start": _number(wanted.start), "unit": wanted.unit}
    if wanted.end is not None:
        out["end"] = _number(wanted.end)
    return out


def _step(step: Step, registry: Registry) -> dict[str, Any]:
    """Return a step; a default model is named by its kind, the only name all services share."""
    out: dict[str, Any] = {"model": step.model}
    parameters = step.parameters
    try:
        manifest = registry.resolve(step.model)
    except ModelError:
        pass  # it was added only at the api: the upstream may still know it
    else:
        if registry.is_default(manifest):
            out["model"] = step.kind
        defaults = validate_parameters(manifest, {})
        parameters = {k: v for k, v in parameters.items() if k not in defaults or v != defaults[k]}
    if parameters:
        out["parameters"] = parameters
    if step.when is not None:
        when: dict[str, Any] = {}
        if step.when.class_is is not None:
            when["class_is"] = list(step.when.class_is)
        if step.when.min_confidence is not None:
            when["min_confidence"] = step.when.min_confidence
        out["when"] = when
    return out


def _number(value: float) -> float | int:
    """Return whole numbers as int: some services do not accept `3.0` as a count."""
    return int(value) if value == int(value) else value
