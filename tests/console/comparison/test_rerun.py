"""The request of a second run, and how many differences are accepted."""

import json
from typing import Any

import pytest

from api.contract.models import ModelResource
from console.comparison.rerun import (
    Change,
    changed_request,
    check_source,
    read_parameters,
    resolved,
    same_source,
)
from console.comparison.tolerance import read_tolerance
from console.errors import ComparisonError, RequestWordsError
from models.parameters import parameters_schema
from models.registry import Registry

REQUEST: dict[str, Any] = {
    "input": [{"type": "video_url", "url": "https://example.com/clip.mp4", "max_frames": 7}],
    "steps": [
        {"model": "detect", "parameters": {"classes": ["bus"], "threshold": 0.6}},
        {"model": "ocr", "when": {"min_confidence": 0.5}},
    ],
    "model": "a hint",
}


@pytest.fixture(scope="module")
def models() -> list[ModelResource]:
    registry = Registry(None)
    return [
        ModelResource(
            id=manifest.ref,
            object="model",
            name=manifest.name,
            version=manifest.version,
            kind=manifest.kind,
            description="",
            licence="",
            source="",
            default=registry.is_default(manifest),
            classes=list(manifest.classes),
            parameters=parameters_schema(manifest),
            devices=[],
        )
        for manifest in registry.list()
    ]


def steps(change: Change, models: list[ModelResource]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = changed_request(REQUEST, change, models)["steps"]
    return found


def test_a_model_replaces_that_of_its_kinds_step(models: list[ModelResource]) -> None:
    before = json.dumps(REQUEST)
    changed = changed_request(REQUEST, Change(model="nanodet-g@1.0.0"), models)
    assert changed["steps"] == [
        {**REQUEST["steps"][0], "model": "nanodet-g@1.0.0"},
        REQUEST["steps"][1],
    ]
    assert {k: v for k, v in changed.items() if k != "steps"} == {
        k: v for k, v in REQUEST.items() if k != "steps"
    }
    assert steps(Change(model="ppocr@4.6.0"), models)[1]["model"] == "ppocr@4.6.0"
    assert json.dumps(REQUEST) == before


def test_a_precision_is_the_whole_tasks(models: list[ModelResource]) -> None:
    assert changed_request(REQUEST, Change(precision="f32"), models) == {
        **REQUEST,
        "precision": "f32",
    }


def test_parameters_are_merged_and_null_is_the_default(models: list[ModelResource]) -> None:
    change = Change(parameters={"detail": "fine", "threshold": None})
    assert steps(change, models)[0]["parameters"] == {"classes": ["bus"], "detail": "fine"}
    assert steps(change, models)[1] == REQUEST["steps"][1]


@pytest.mark.parametrize(
    "change",
    [
        Change(parameters={"min_length": 3}, step="ocr"),
        Change(parameters={"min_length": 3}, model="ppocr@4.6.0"),
    ],
)
def test_parameters_are_of_the_step_that_is_named(
    change: Change, models: list[ModelResource]
) -> None:
    assert steps(change, models)[1]["parameters"] == {"min_length": 3}


def test_parameters_of_a_request_of_one_kind_are_that_kinds(models: list[ModelResource]) -> None:
    request = REQUEST | {"steps": [{"model": "ppocr"}]}
    changed = changed_request(request, Change(parameters={"min_length": 3}), models)
    assert changed["steps"] == [{"model": "ppocr", "parameters": {"min_length": 3}}]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (Change(model="yolo"), "no model 'yolo'; there are: nanodet-g@1.0.0"),
        (Change(model="strip512"), "a step of kind feature"),
        (Change(parameters={"detial": "fine"}), "no parameter 'detial'; it has classes"),
        (Change(parameters={"detail": "fine"}, model="nanodet-g@1.0.0"), "'detail'"),
        (Change(parameters={"threshold": 1}, step="feature"), "a step of kind feature"),
    ],
)
def test_what_the_request_or_the_model_does_not_have_is_named(
    change: Change, says: str, models: list[ModelResource]
) -> None:
    with pytest.raises(RequestWordsError, match=says):
        changed_request(REQUEST, change, models)


def test_a_model_that_was_removed_is_replaced(models: list[ModelResource]) -> None:
    request = REQUEST | {"steps": [{"model": "forklifts@1"}, {"model": "ocr"}]}
    changed = changed_request(request, Change(model="nanodet-g@1.1.0"), models)
    assert changed["steps"] == [{"model": "nanodet-g@1.1.0"}, {"model": "ocr"}]


@pytest.mark.parametrize("name", ["detect", "ocr", "nanodet-g", "ppocr", "ppocr@4.6.0", "none"])
def test_names_mean_what_they_mean_to_the_api(name: str, models: list[ModelResource]) -> None:
    found = resolved(name, models)
    if name == "none":
        assert found is None
    else:
        assert found is not None
        assert found.id == Registry(None).resolve(name).ref


@pytest.mark.parametrize(
    ("text", "says"), [("{", "is not JSON"), ("[1]", "a JSON object"), ('"fine"', "a JSON object")]
)
def test_parameters_that_are_no_object_are_refused(text: str, says: str) -> None:
    with pytest.raises(RequestWordsError, match=says):
        read_parameters(text)
    assert read_parameters('{"detail": "fine"}') == {"detail": "fine"}


def test_a_url_whose_credentials_are_gone_cannot_be_used_again() -> None:
    masked = {"input": [{"type": "video_url", "url": "https://***@example.com/clip.mp4"}]}
    with pytest.raises(ComparisonError, match="the whole URL"):
        check_source(masked)
    check_source(REQUEST)


def test_two_requests_have_the_same_video_or_not() -> None:
    item = REQUEST["input"][0]
    assert same_source(REQUEST, {"input": [item | {"max_frames": 9}], "steps": []})
    assert not same_source(REQUEST, {"input": [item | {"stream": 1}]})
    assert not same_source(REQUEST, {"input": [item | {"url": "https://example.com/2.mp4"}]})


def test_a_tolerance_is_by_kind_and_in_all() -> None:
    counts = {"lost": 2, "text": 5, "new": 0}
    assert read_tolerance(["7"]).accepts(counts)
    assert not read_tolerance(["6"]).accepts(counts)
    assert read_tolerance(["text=5", "2"]).accepts(counts)
    assert not read_tolerance(["text=4", "2"]).accepts(counts)
    assert not read_tolerance(["new=9"]).accepts(counts)
    assert read_tolerance([]).accepts({"lost": 0})


@pytest.mark.parametrize("word", ["", "many", "-1", "1.5", "lots=3", "text=", "=3", "9" * 30, "٣"])
def test_a_tolerance_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(RequestWordsError, match="--allow"):
        read_tolerance([word])
