"""View model of the submit form: values to a request body, and errors to their fields. Pure.

A field's name is its path in the request, as in the api's 422 errors: `input[0].range.end`,
`steps[1].parameters.threshold`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from api.contract.models import ModelResource

SOURCE = "input[0].url"
SAMPLING = "input[0].sampling"
SAMPLING_VALUE = "input[0].sampling.value"
RANGE_START = "input[0].range.start"
RANGE_END = "input[0].range.end"
RANGE_UNIT = "input[0].range.unit"
MAX_FRAMES = "input[0].max_frames"
HINT = "model"
MODES = ("fps", "interval", "keyframe")
UNITS = ("seconds", "frames")


class StepValues(msgspec.Struct, frozen=True):
    """Typed values of one step; empty `parameters` are left out of the request."""

    model: str
    parameters: Mapping[str, str] = {}
    class_is: str = ""
    min_confidence: str = ""


class FormValues(msgspec.Struct, frozen=True):
    """Typed values of the whole form.

    `stream`, `live` and `precision` have no field; they are copied from a request.
    """

    source: str = ""
    mode: str = "fps"
    value: str = ""
    start: str = ""
    end: str = ""
    unit: str = "seconds"
    max_frames: str = ""
    hint: str = ""
    steps: tuple[StepValues, ...] = ()
    stream: int | None = None
    live: Mapping[str, Any] | None = None
    precision: str | None = None


class FormError(ValueError):
    """The form's values cannot be sent; `errors` has messages by field path."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {text}" for path, text in errors.items()))
        self.errors = dict(errors)


def build_body(
    values: FormValues, video: Mapping[str, Any], models: Mapping[str, ModelResource]
) -> dict[str, Any]:
    """Build the request body of the form; `video` has its input's type and url or data.

    Raises `FormError` with all fields whose text has the wrong type. The api validates the values.
    """
    errors: dict[str, str] = {}
    item: dict[str, Any] = dict(video)
    sampling: dict[str, Any] = {"mode": values.mode}
    if values.mode != "keyframe" and values.value.strip():
        sampling["value"] = _number(values.value, SAMPLING_VALUE, errors)
    if sampling != {"mode": "fps"}:
        item["sampling"] = sampling
    bounds = {
        name: _number(text, path, errors)
        for name, text, path in (
            ("start", values.start, RANGE_START),
            ("end", values.end, RANGE_END),
        )
        if text.strip()
    }
    if bounds:
        item["range"] = bounds | {"unit": values.unit}
    if values.max_frames.strip():
        item["max_frames"] = _number(values.max_frames, MAX_FRAMES, errors)
    if values.stream is not None:
        item["stream"] = values.stream
    if values.live is not None:
        item["live"] = dict(values.live)
    body: dict[str, Any] = {
        "input": [item],
        "steps": [_step(i, step, models, errors) for i, step in enumerate(values.steps)],
    }
    if values.hint.strip():
        body["model"] = values.hint.strip()
    if values.precision is not None:
        body["precision"] = values.precision
    if errors:
        raise FormError(errors)
    return body


def read_body(body: Mapping[str, Any]) -> FormValues:
    """Convert a request to the form's values; an uploaded video must be chosen again."""
    item = (body.get("input") or [{}])[0]
    sampling = item.get("sampling") or {}
    bounds = item.get("range") or {}
    return FormValues(
        source=item.get("url", ""),
        mode=sampling.get("mode", "fps"),
        value=_text(sampling.get("value")),
        start=_text(bounds.get("start")),
        end=_text(bounds.get("end")),
        unit=bounds.get("unit", "seconds"),
        max_frames=_text(item.get("max_frames")),
        hint=body.get("model") or "",
        steps=tuple(_read_step(step) for step in body.get("steps") or ()),
        stream=item.get("stream"),
        live=item.get("live"),
        precision=body.get("precision"),
    )


def place_errors(
    errors: Iterable[Mapping[str, str]], fields: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Assign the api's errors to the form's most specific fields; return those, and the others."""
    placed: dict[str, str] = {}
    others: list[str] = []
    for error in errors:
        path, message = error.get("field", ""), error.get("message", "")
        homes = [field for field in fields if _covers(field, path)]
        if homes:
            home = max(homes, key=len)
            placed[home] = f"{placed[home]}; {message}" if home in placed else message
        else:
            others.append(f"{path}: {message}" if path else message)
    return placed, others


def parameter_path(step: int, name: str) -> str:
    return f"steps[{step}].parameters.{name}"


def class_path(step: int) -> str:
    return f"steps[{step}].when.class_is"


def confidence_path(step: int) -> str:
    return f"steps[{step}].when.min_confidence"


def parameter_hint(schema: Mapping[str, Any]) -> str:
    """Return the hint for a parameter's field, from its JSON Schema."""
    kind = _kind(schema)
    default = schema.get("default")
    if kind in {"points", "object"}:
        return "none (JSON)"
    if "enum" in schema:
        return f"{_text(default)} ({', '.join(map(str, schema['enum']))})"
    if kind == "array":
        return "all" if isinstance(default, list) and len(default) > 3 else "separated by commas"
    if kind == "boolean":
        return f"{_text(default)} (true, false)"
    bounds = ""
    if "minimum" in schema and "maximum" in schema:
        bounds = f" ({schema['minimum']:g} to {schema['maximum']:g})"
    return f"{_text(default)}{bounds}"


def _step(
    i: int, step: StepValues, models: Mapping[str, ModelResource], errors: dict[str, str]
) -> dict[str, Any]:
    out: dict[str, Any] = {"model": step.model}
    schemas = properties(models, step.model)
    parameters: dict[str, Any] = {}
    for name, text in step.parameters.items():
        if text.strip():
            path = parameter_path(i, name)
            parameters[name] = _value(text, schemas.get(name, {}), path, errors)
    if parameters:
        out["parameters"] = parameters
    when: dict[str, Any] = {}
    if names := _names(step.class_is):
        when["class_is"] = names
    if step.min_confidence.strip():
        when["min_confidence"] = _number(step.min_confidence, confidence_path(i), errors)
    if when:
        out["when"] = when
    return out


def find_model(models: Mapping[str, ModelResource], name: str) -> ModelResource | None:
    """Resolve a step's `model`: an id, or a kind, for its default model. None if unknown."""
    return models.get(name) or next(
        (model for model in models.values() if model.kind == name and model.default), None
    )


def properties(models: Mapping[str, ModelResource], name: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the JSON Schemas of the model's parameters, by name."""
    model = find_model(models, name)
    found: Mapping[str, Mapping[str, Any]] = (
        {} if model is None else model.parameters.get("properties", {})
    )
    return found


def _value(text: str, schema: Mapping[str, Any], path: str, errors: dict[str, str]) -> Any:
    match _kind(schema):
        case "points" | "object":
            try:
                return msgspec.json.decode(text)
            except msgspec.DecodeError as exc:
                errors[path] = f"must be JSON: {exc}"
                return None
        case "array":
            return _names(text)
        case "boolean":
            word = text.strip().lower()
            if word not in {"true", "false"}:
                errors[path] = "must be true or false"
            return word == "true"
        case "number" | "integer":
            return _number(text, path, errors)
        case _:
            return text.strip()


def _kind(schema: Mapping[str, Any]) -> str | None:
    """Return the type of a parameter's values, besides null; `points` for a list of lists."""
    kinds = schema.get("type")
    named = [kinds] if isinstance(kinds, str) else list(kinds or ())
    kind = next((name for name in named if name != "null"), None)
    if kind == "array" and (schema.get("items") or {}).get("type") == "array":
        return "points"
    return kind


def _number(text: str, path: str, errors: dict[str, str]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        errors[path] = "must be a number"
        return 0
    return int(value) if value.is_integer() else value


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _read_step(step: Mapping[str, Any]) -> StepValues:
    when = step.get("when") or {}
    return StepValues(
        model=step.get("model", "detect"),
        parameters={name: _text(value) for name, value in (step.get("parameters") or {}).items()},
        class_is=_text(when.get("class_is")),
        min_confidence=_text(when.get("min_confidence")),
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict) or (
        isinstance(value, list) and value and isinstance(value[0], list)
    ):
        return msgspec.json.encode(value).decode() if value else ""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _covers(field: str, path: str) -> bool:
    return path == field or path.startswith((f"{field}.", f"{field}["))
