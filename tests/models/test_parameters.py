import math
from typing import Any

import pytest

from models.errors import InvalidParametersError
from models.parameters import parameters_schema, validate_parameters
from models.registry import Registry

REGISTRY = Registry()
DETECT = REGISTRY.resolve("detect")


def test_defaults_are_filled_in() -> None:
    values = validate_parameters(DETECT, {})
    assert values["classes"] == list(DETECT.classes)
    assert (values["threshold"], values["low_threshold"]) == (0.5, 0.1)
    assert values["max_targets"] == 100
    assert validate_parameters(REGISTRY.resolve("ocr"), {}) == {"threshold": 0.5, "min_length": 2}
    assert validate_parameters(REGISTRY.resolve("feature"), {}) == {"include_vector": False}


def test_cocos_names_are_aliases_and_the_order_is_the_models() -> None:
    values = validate_parameters(DETECT, {"classes": ["car", "person", "pedestrian", "bus"]})
    assert values["classes"] == ["pedestrian", "automobile", "bus"]


def test_validation_is_idempotent() -> None:
    once = validate_parameters(DETECT, {"classes": ["car"], "threshold": 1})
    assert validate_parameters(DETECT, once) == once


def test_limits_are_normalised() -> None:
    values = validate_parameters(
        DETECT,
        {"roi": [[0, 0], [10, 0], [10, 5.5]], "thresholds": {"car": 1, "person": 0.25}},
    )
    assert values["roi"] == [[0.0, 0.0], [10.0, 0.0], [10.0, 5.5]]
    assert values["thresholds"] == {"pedestrian": 0.25, "automobile": 1.0}
    assert (values["min_size"], values["max_size"], values["detail"]) == (0, None, "normal")
    assert validate_parameters(DETECT, values) == values


def test_a_low_default_follows_a_lower_threshold() -> None:
    assert validate_parameters(DETECT, {"threshold": 0.05})["low_threshold"] == 0.05


@pytest.mark.parametrize(
    ("model", "parameters", "field"),
    [
        ("detect", {"classes": ["person", "dragon"]}, "parameters.classes[1]"),
        ("detect", {"classes": [["person"]]}, "parameters.classes[0]"),
        ("detect", {"classes": [7]}, "parameters.classes[0]"),
        ("detect", {"classes": []}, "parameters.classes"),
        ("detect", {"classes": "person"}, "parameters.classes"),
        ("detect", {"thresold": 0.3}, "parameters.thresold"),
        ("detect", {"threshold": 1.1}, "parameters.threshold"),
        ("detect", {"threshold": math.nan}, "parameters.threshold"),
        ("detect", {"threshold": True}, "parameters.threshold"),
        ("detect", {"threshold": "0.5"}, "parameters.threshold"),
        ("detect", {"threshold": 0.2, "low_threshold": 0.3}, "parameters.low_threshold"),
        ("detect", {"iou_threshold": -1}, "parameters.iou_threshold"),
        ("detect", {"max_targets": 0}, "parameters.max_targets"),
        ("detect", {"max_targets": 1.5}, "parameters.max_targets"),
        ("detect", {"detail": "best"}, "parameters.detail"),
        ("nanodet-g@1.0.0", {"detail": "fine"}, "parameters.detail"),
        ("detect", {"roi": [[0, 0], [1, 1]]}, "parameters.roi"),
        ("detect", {"roi": [[0, 0], [9, 9], [5, 5]]}, "parameters.roi"),
        ("detect", {"roi": [[0, 0], [1], [1, 1]]}, "parameters.roi[1]"),
        ("detect", {"roi": [[0, 0], [1, -1], [1, 1]]}, "parameters.roi[1][1]"),
        ("detect", {"roi": [[0, 0], [1, math.nan], [1, 1]]}, "parameters.roi[1][1]"),
        ("detect", {"roi": [[i, i * i] for i in range(65)]}, "parameters.roi"),
        ("detect", {"roi": "all"}, "parameters.roi"),
        ("detect", {"min_size": -1}, "parameters.min_size"),
        ("detect", {"min_size": 50, "max_size": 40}, "parameters.max_size"),
        ("detect", {"max_size": 0}, "parameters.max_size"),
        ("detect", {"thresholds": {"dragon": 0.5}}, "parameters.thresholds.dragon"),
        ("detect", {"thresholds": {"person": 2}}, "parameters.thresholds.person"),
        ("detect", {"thresholds": [0.5]}, "parameters.thresholds"),
        ("ocr", {"min_length": None}, "parameters.min_length"),
        ("ocr", {"classes": ["person"]}, "parameters.classes"),
        ("feature", {"include_vector": 1}, "parameters.include_vector"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(
    model: str, parameters: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidParametersError) as caught:
        validate_parameters(REGISTRY.resolve(model), parameters)
    assert caught.value.field == field


def test_unknown_names_list_what_exists() -> None:
    with pytest.raises(InvalidParametersError) as caught:
        validate_parameters(DETECT, {"classes": ["dragon"]})
    assert caught.value.allowed == DETECT.classes
    with pytest.raises(InvalidParametersError) as caught:
        validate_parameters(DETECT, {"x": 1})
    assert caught.value.allowed == (
        "classes",
        "threshold",
        "low_threshold",
        "iou_threshold",
        "max_targets",
        "thresholds",
        "roi",
        "min_size",
        "max_size",
        "detail",
    )


def test_the_schema_names_every_parameter_and_its_default() -> None:
    for manifest in REGISTRY.list():
        schema = parameters_schema(manifest)
        defaults = {name: entry["default"] for name, entry in schema["properties"].items()}
        assert defaults == validate_parameters(manifest, {})
        assert schema["additionalProperties"] is False
