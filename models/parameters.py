"""Schema and validation of a step's `parameters`: names, ranges and defaults per kind of model.

Import-light. POST validates with it, `/v1/models` shows its JSON Schema, and the worker reads the
normalised dict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.class_names import public_class
from models.errors import InvalidParametersError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.manifest import Manifest

MAX_TARGETS = 1000
"""Upper limit of a step's `max_targets` per frame."""
DETAILS: dict[str, int | None] = {"normal": None, "fine": 640, "finest": 960}
"""Longer side at which a frame is seen a second time, by the value of `detail`."""
MAX_ROI_POINTS = 64
MAX_SIDE_PX = 65_535


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `default` is used when it is absent; `check` returns the normalised value."""

    description: str
    default: Any
    check: Callable[[str, Any, Parameter], Any]
    schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParameterSchema:
    """All parameters of one model, by name."""

    parameters: Mapping[str, Parameter]

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, normalised. Raises InvalidParametersError for the first invalid one."""
        for name in values:
            if name not in self.parameters:
                raise InvalidParametersError(
                    f"parameters.{name}", "no such parameter", tuple(self.parameters)
                )
        return {
            name: parameter.check(f"parameters.{name}", values[name], parameter)
            if name in values
            else parameter.default
            for name, parameter in self.parameters.items()
        }

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the step's `parameters`."""
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {"description": p.description, **p.schema, "default": p.default}
                for name, p in self.parameters.items()
            },
        }


def parameter_schema(manifest: Manifest) -> ParameterSchema:
    """The parameters that a step with this model accepts."""
    return ParameterSchema(_BUILDERS[manifest.kind](manifest))


def parameters_schema(manifest: Manifest) -> dict[str, Any]:
    """`parameter_schema` as JSON Schema, for `/v1/models`."""
    return parameter_schema(manifest).json_schema()


def validate_parameters(manifest: Manifest, params: Mapping[str, Any]) -> dict[str, Any]:
    """Validate a step's `parameters` for its model; the result has all, with defaults filled in.

    Idempotent: a second validation of the result changes nothing. Raises InvalidParametersError,
    whose `field` is a path such as `parameters.classes[1]`.
    """
    values = parameter_schema(manifest).validate(params)
    if manifest.kind == "detect":
        if "low_threshold" not in params:
            values["low_threshold"] = min(values["low_threshold"], values["threshold"])
        if values["low_threshold"] > values["threshold"]:
            raise InvalidParametersError(
                "parameters.low_threshold", f"must not be above threshold ({values['threshold']})"
            )
        if values["max_size"] is not None and values["max_size"] < values["min_size"]:
            raise InvalidParametersError(
                "parameters.max_size", f"must not be below min_size ({values['min_size']})"
            )
    return values


def _detect(manifest: Manifest) -> dict[str, Parameter]:
    thresholds = manifest.thresholds
    parameters = {
        "classes": _classes(manifest),
        "threshold": _fraction(
            "The score from which a detection counts; a new track needs 0.1 more",
            thresholds.threshold,
        ),
        "low_threshold": _fraction(
            "The score from which an object continues a track; at most `threshold`",
            thresholds.low_threshold,
        ),
        "iou_threshold": _fraction(
            "Of two boxes of a class that overlap more (IoU), the weaker is dropped",
            thresholds.iou_threshold,
        ),
        "max_targets": _integer("At most this many targets in one frame", 100, 1, MAX_TARGETS),
        "thresholds": _class_thresholds(manifest),
        "roi": Parameter(
            "Only targets whose middle is in this polygon: points [x, y] in pixels of the source",
            default=None,
            check=_check_polygon,
            schema={
                "type": ["array", "null"],
                "items": {
                    "type": "array",
                    "items": {"type": "number", "minimum": 0, "maximum": MAX_SIDE_PX},
                    "minItems": 2,
                    "maxItems": 2,
                },
                "minItems": 3,
                "maxItems": MAX_ROI_POINTS,
            },
        ),
        "min_size": _integer(
            "Targets whose longer side is shorter are dropped (pixels)", 0, 0, MAX_SIDE_PX
        ),
        "max_size": Parameter(
            "Targets whose longer side is longer are dropped (pixels)",
            default=None,
            check=_check_optional_integer,
            schema={"type": ["integer", "null"], "minimum": 1, "maximum": MAX_SIDE_PX},
        ),
    }
    if manifest.input is not None and manifest.input.shape == "source":
        parameters["detail"] = Parameter(
            "fine and finest see each frame a second time, larger: for small objects",
            default="normal",
            check=_check_choice,
            schema={"type": "string", "enum": list(DETAILS)},
        )
    return parameters


def _ocr(manifest: Manifest) -> dict[str, Parameter]:
    return {
        "threshold": _fraction(
            "The confidence from which a line counts", manifest.thresholds.threshold
        ),
        "min_length": _integer("Shorter lines are dropped (characters)", 2, 1, 100),
    }


def _feature(manifest: Manifest) -> dict[str, Parameter]:
    return {
        "include_vector": Parameter(
            f"Put the vector ({manifest.dimensions} float16, base64) beside its digest",
            default=False,
            check=_check_boolean,
            schema={"type": "boolean"},
        )
    }


_BUILDERS: dict[str, Callable[[Manifest], dict[str, Parameter]]] = {
    "detect": _detect,
    "ocr": _ocr,
    "feature": _feature,
    "text-encoder": lambda _: {},  # no step has one
}


def _classes(manifest: Manifest) -> Parameter:
    known = manifest.classes

    def check(path: str, value: Any, _: Parameter) -> list[str]:
        if not isinstance(value, list | tuple) or not value:
            raise InvalidParametersError(path, "must be a list of at least one class name", known)
        wanted: set[str] = set()
        for i, name in enumerate(value):
            public = (
                name if name in known else public_class(name) if isinstance(name, str) else None
            )
            if public not in known:
                raise InvalidParametersError(f"{path}[{i}]", f"unknown class {name!r}", known)
            wanted.add(public)
        return [name for name in known if name in wanted]

    return Parameter(
        "Only targets of these classes (default: all); COCO's names are accepted as aliases",
        default=list(known),
        check=check,
        schema={"type": "array", "items": {"type": "string", "enum": list(known)}, "minItems": 1},
    )


def _class_thresholds(manifest: Manifest) -> Parameter:
    known = manifest.classes

    def check(path: str, value: Any, _: Parameter) -> dict[str, float]:
        if not isinstance(value, dict):
            raise InvalidParametersError(path, "must be an object: class name to threshold", known)
        found: dict[str, float] = {}
        for name, threshold in value.items():
            public = name if name in known else public_class(name)
            if public not in known:
                raise InvalidParametersError(f"{path}.{name}", f"unknown class {name!r}", known)
            found[public] = _check_number(f"{path}.{name}", threshold, _SHARE)
        return {name: found[name] for name in known if name in found}

    return Parameter(
        "`threshold` of single classes, by name",
        default={},
        check=check,
        schema={
            "type": "object",
            "propertyNames": {"enum": list(known)},
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
        },
    )


def _fraction(description: str, default: float) -> Parameter:
    return Parameter(
        description,
        default=default,
        check=_check_number,
        schema={"type": "number", "minimum": 0, "maximum": 1},
    )


def _integer(description: str, default: int, minimum: int, maximum: int) -> Parameter:
    return Parameter(
        description,
        default=default,
        check=_check_integer,
        schema={"type": "integer", "minimum": minimum, "maximum": maximum},
    )


def _check_number(path: str, value: Any, parameter: Parameter) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidParametersError(path, "must be a number")
    _check_range(path, value, parameter)
    return float(value)


def _check_integer(path: str, value: Any, parameter: Parameter) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidParametersError(path, "must be an integer")
    _check_range(path, value, parameter)
    return value


def _check_optional_integer(path: str, value: Any, parameter: Parameter) -> int | None:
    return None if value is None else _check_integer(path, value, parameter)


def _check_choice(path: str, value: Any, parameter: Parameter) -> str:
    choices = parameter.schema["enum"]
    if value not in choices:
        raise InvalidParametersError(path, f"must be one of {', '.join(choices)}", choices)
    return str(value)


def _check_polygon(path: str, value: Any, _: Parameter) -> list[list[float]] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not 3 <= len(value) <= MAX_ROI_POINTS:
        raise InvalidParametersError(path, f"must be a list of 3 to {MAX_ROI_POINTS} points [x, y]")
    points: list[list[float]] = []
    for i, point in enumerate(value):
        if not isinstance(point, list | tuple) or len(point) != 2:
            raise InvalidParametersError(f"{path}[{i}]", "must be a point [x, y]")
        points.append(
            [
                _check_number(f"{path}[{i}][{axis}]", number, _PIXEL)
                for axis, number in enumerate(point)
            ]
        )
    if not _area(points):
        raise InvalidParametersError(path, "has no area")
    return points


def _area(points: list[list[float]]) -> float:
    """Area of a polygon, by the shoelace formula."""
    ends = [*points[1:], points[0]]
    twice = sum(x * y1 - x1 * y for (x, y), (x1, y1) in zip(points, ends, strict=True))
    return abs(twice) / 2


def _check_range(path: str, value: float, parameter: Parameter) -> None:
    minimum, maximum = parameter.schema["minimum"], parameter.schema["maximum"]
    if not minimum <= value <= maximum:  # also rejects NaN
        raise InvalidParametersError(path, f"must be between {minimum} and {maximum}")


def _check_boolean(path: str, value: Any, _: Parameter) -> bool:
    if not isinstance(value, bool):
        raise InvalidParametersError(path, "must be true or false")
    return value


_SHARE = Parameter("", 0, _check_number, {"minimum": 0, "maximum": 1})
_PIXEL = Parameter("", 0, _check_number, {"minimum": 0, "maximum": MAX_SIDE_PX})
