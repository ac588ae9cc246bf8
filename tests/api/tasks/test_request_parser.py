"""What POST refuses, with the field's path, and what it makes of what it takes."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import BadRequestError, InvalidRequestError, ProblemError, TooLargeError
from api.tasks.request_parser import ParsedRequest, parse_request
from models.registry import Registry
from streamproc.contract.task_spec import FrameRange, Sampling, SourceRef, TaskSpec, When

REGISTRY = Registry()
LIMIT = 1000
URL = "https://example.com/clip.mp4"
BODY: dict[str, Any] = {
    "input": [{"type": "video_url", "url": URL}],
    "steps": [{"model": "detect"}],
}


def body(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(BODY), **changes}


def with_input(**changes: Any) -> dict[str, Any]:
    return body(input=[{**BODY["input"][0], **changes}])


def with_step(**changes: Any) -> dict[str, Any]:
    return body(steps=[{"model": "detect"}, {"model": "ocr", **changes}])


def read(value: Any, **options: Any) -> ParsedRequest:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse_request(data, REGISTRY, max_upload_bytes=LIMIT, **options)


BAD: list[tuple[Any, str, str]] = [
    ([], "", "must be object"),
    (3, "", "must be object"),
    ({}, "input", "is required"),
    ({"input": BODY["input"]}, "steps", "is required"),
    (body(colour=1), "colour", "there are: input, steps, model"),
    (body(model=3), "model", "must be str"),
    (body(precision="f8"), "precision", "f8"),
    (body(input=[]), "input", "must not be empty"),
    (body(input=BODY["input"] * 2), "input", "must hold exactly one element"),
    (body(input={}), "input", "must be array"),
    (body(input=[{"url": URL}]), "input[0].type", "is required"),
    (body(input=[{"type": "image", "url": URL}]), "input[0].type", "video_url, video_base64"),
    (body(input=[{"type": 3, "url": URL}]), "input[0].type", "str"),
    (body(input=[{"type": "video_url"}]), "input[0].url", "is required"),
    (body(input=[{"type": "video_base64"}]), "input[0].data", "is required"),
    (with_input(data="AAAA"), "input[0].data", "there are: type, url, sampling"),
    (with_input(url=""), "input[0].url", "must not be empty"),
    (with_input(url="clip.mp4"), "input[0].url", "http, https, file"),
    (with_input(url="ftp://example.com/a"), "input[0].url", "http, https, file"),
    (with_input(url="https:///a.mp4"), "input[0].url", "names no host"),
    (with_input(url="https://exa mple.com/a"), "input[0].url", "spaces"),
    (with_input(url="https://example.com:port/a"), "input[0].url", "is not a URL"),
    (with_input(url="https://[::1/a"), "input[0].url", "is not a URL"),
    (with_input(url="CAMERA:gate"), "input[0].url", "lower-case"),
    (with_input(url="srt://example.com:9000"), "input[0].url", "a gateway before it"),
    (
        with_input(url="file:///clip.mp4", live={"transport": "udp"}),
        "input[0].live",
        "for live sources alone",
    ),
    (with_input(url="file://elsewhere/clip.mp4"), "input[0].url", "absolute path"),
    (with_input(url="https://e.com/" + "a" * 9000), "input[0].url", "length <= 8192"),
    (with_input(sampling={}), "input[0].sampling.mode", "is required"),
    (with_input(sampling={"mode": "all"}), "input[0].sampling.mode", "fps, keyframe, interval"),
    (with_input(sampling={"mode": "fps", "value": 0}), "input[0].sampling.value", "> 0"),
    (with_input(sampling={"mode": "fps", "value": -1}), "input[0].sampling.value", "> 0"),
    (with_input(sampling={"mode": "fps", "value": "5"}), "input[0].sampling.value", "float"),
    (with_input(sampling={"mode": "interval"}), "input[0].sampling.value", "is required"),
    (with_input(sampling={"mode": "interval", "value": 0}), "input[0].sampling.value", ">= 1"),
    (with_input(sampling={"mode": "interval", "value": 2.5}), "input[0].sampling.value", "int"),
    (with_input(sampling={"mode": "keyframe", "value": 1}), "input[0].sampling.value", "unknown"),
    (with_input(sampling={"mode": "fps", "rate": 1}), "input[0].sampling.rate", "mode, value"),
    (with_input(range={"start": -1}), "input[0].range.start", ">= 0"),
    (with_input(range={"start": 5, "end": 5}), "input[0].range.end", "after start (5)"),
    (with_input(range={"start": 5, "end": 3}), "input[0].range.end", "after start (5)"),
    (with_input(range={"end": 0}), "input[0].range.end", "> 0"),
    (with_input(range={"unit": "hours"}), "input[0].range.unit", "frames, seconds"),
    (with_input(range={"start": 0.5, "unit": "frames"}), "input[0].range.start", "whole number"),
    (with_input(range={"begin": 0}), "input[0].range.begin", "start, end, unit"),
    (with_input(max_frames=0), "input[0].max_frames", ">= 1"),
    (with_input(max_frames=-3), "input[0].max_frames", ">= 1"),
    (with_input(max_frames="many"), "input[0].max_frames", "int"),
    (with_input(max_frames=2**40), "input[0].max_frames", "<="),
    (with_input(stream=-1), "input[0].stream", ">= 0"),
    (with_input(stream=128), "input[0].stream", "<="),
    (body(steps=[]), "steps", "must not be empty"),
    (body(steps="detect"), "steps", "must be array"),
    (body(steps=["detect"]), "steps[0]", "must be object"),
    (body(steps=[{}]), "steps[0].model", "is required"),
    (body(steps=[{"model": "detect"}] * 33), "steps", "length <= 32"),
    (body(steps=[{"model": "detect", "extra": 1}]), "steps[0].extra", "model, parameters, when"),
    (body(steps=[{"model": "segment"}]), "steps[0].model", "there are: detect, ocr, feature"),
    (body(steps=[{"model": "detect@9"}]), "steps[0].model", "no such model"),
    (
        body(steps=[{"model": "detect", "parameters": {"classes": ["unicorn"]}}]),
        "steps[0].parameters.classes[0]",
        "pedestrian",
    ),
    (
        body(steps=[{"model": "detect", "parameters": {"speed": 1}}]),
        "steps[0].parameters.speed",
        "there are: classes",
    ),
    (
        body(steps=[{"model": "detect", "parameters": {"threshold": 2}}]),
        "steps[0].parameters.threshold",
        "between 0 and 1",
    ),
    (
        body(steps=[{"model": "detect", "parameters": []}]),
        "steps[0].parameters",
        "must be object",
    ),
    (body(steps=[{"model": "feature"}]), "steps[0].model", "detect step must come before"),
    (
        body(steps=[{"model": "feature"}, {"model": "detect"}]),
        "steps[0].model",
        "detect step must come before",
    ),
    (
        body(steps=[{"model": "ocr", "when": {"min_confidence": 0.5}}]),
        "steps[0].when",
        "needs targets",
    ),
    (
        body(steps=[{"model": "detect", "when": {"min_confidence": 0.5}}]),
        "steps[0].when",
        "no targets yet",
    ),
    (with_step(when={"class_is": []}), "steps[1].when.class_is", "must not be empty"),
    (with_step(when={"class_is": "bus"}), "steps[1].when.class_is", "must be array"),
    (with_step(when={"class_is": ["bus", "cube"]}), "steps[1].when.class_is[1]", "no such class"),
    (with_step(when={"min_confidence": 1.5}), "steps[1].when.min_confidence", "<= 1"),
    (with_step(when={"colour": "red"}), "steps[1].when.colour", "class_is, min_confidence"),
    (
        body(input=[{"type": "video_base64", "data": "not base64!"}]),
        "input[0].data",
        "is not base64",
    ),
    (body(input=[{"type": "video_base64", "data": "AAA"}]), "input[0].data", "is not base64"),
    (body(input=[{"type": "video_base64", "data": "é"}]), "input[0].data", "is not base64"),
    (
        body(input=[{"type": "video_base64", "data": "data:video/mp4,raw"}]),
        "input[0].data",
        "must hold base64",
    ),
    (
        body(input=[{"type": "video_base64", "data": "data:video/mp4;base64,"}]),
        "input[0].data",
        "is empty",
    ),
]


@pytest.mark.parametrize(("value", "field", "message"), BAD)
def test_bad_field_is_named_by_its_path(value: Any, field: str, message: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(value)
    (error,) = caught.value.errors
    assert error["field"] == field
    assert message in error["message"]
    assert caught.value.status == 422


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"NaN", b"{'a': 1}", b"[" * 100_000])
def test_what_is_not_json_is_400(data: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(data)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


def test_all_wrong_fields_are_named_at_once() -> None:
    bad = body(
        input=[{"type": "video_url", "url": "ftp://x/y", "range": {"start": 4, "end": 2}}],
        steps=[{"model": "x"}, {"model": "detect", "parameters": {"y": 1}}],
    )
    with pytest.raises(InvalidRequestError) as caught:
        read(bad)
    assert [error["field"] for error in caught.value.errors] == [
        "input[0].url",
        "input[0].range.end",
        "steps[0].model",
        "steps[1].parameters.y",
    ]


def test_too_large_upload_names_the_limit() -> None:
    data = base64.b64encode(bytes(LIMIT + 1)).decode()
    with pytest.raises(TooLargeError) as caught:
        read(body(input=[{"type": "video_base64", "data": data}]))
    assert (caught.value.status, caught.value.extra["limit_bytes"]) == (413, LIMIT)
    assert str(LIMIT) in caught.value.detail
    fits = base64.b64encode(bytes(LIMIT)).decode()
    assert read(body(input=[{"type": "video_base64", "data": fits}])).upload == bytes(LIMIT)


def test_defaults_are_the_references() -> None:
    spec = read(BODY).spec
    assert spec.source == SourceRef(url=URL)
    assert spec.sampling == Sampling("fps", 1.0)
    assert spec.range == FrameRange(0.0, None, "seconds")
    assert spec.max_frames == 3000
    assert spec.model_hint is None
    assert spec.providers == ("local",)


def test_everything_given_arrives() -> None:
    spec = read(
        {
            "input": [
                {
                    "type": "video_url",
                    "url": URL,
                    "sampling": {"mode": "interval", "value": 3},
                    "range": {"start": 10, "end": 30, "unit": "frames"},
                    "max_frames": 300,
                    "stream": 2,
                }
            ],
            "steps": [
                {"model": "detect", "parameters": {"classes": ["car", "person"]}},
                {"model": "ocr", "when": {"class_is": ["car", "truck"], "min_confidence": 0.7}},
            ],
            "model": "qwen-vl-max",
        }
    ).spec
    assert spec.sampling == Sampling("interval", 3.0)
    assert spec.range == FrameRange(10.0, 30.0, "frames")
    assert spec.max_frames == 300
    assert spec.stream == 2
    assert spec.model_hint == "qwen-vl-max"
    detect, ocr = spec.steps
    assert detect.model == REGISTRY.resolve("detect").ref
    assert detect.parameters["classes"] == ["pedestrian", "automobile"]
    assert ocr.when == When(class_is=("automobile", "truck"), min_confidence=0.7)


def test_keyframe_and_ocr_of_whole_frames_are_taken() -> None:
    value = with_input(sampling={"mode": "keyframe"})
    value["steps"] = [{"model": "ocr"}]
    spec = read(value).spec
    assert spec.sampling.mode == "keyframe"
    assert spec.steps[0].kind == "ocr"


def test_upload_is_placed_below_its_task_and_never_echoed() -> None:
    data = "data:video/mp4;base64," + base64.b64encode(b"video").decode()
    parsed = read(body(input=[{"type": "video_base64", "data": data}]))
    assert parsed.upload == b"video"
    spec, echoed = parsed.with_task_id("p1", "vt_1")
    assert spec.source == SourceRef(object_key="p1/vt_1/upload")
    assert echoed["input"][0]["data"] == "staged:p1/vt_1/upload"


def test_the_echo_of_an_upload_can_be_submitted_again() -> None:
    echo = body(input=[{"type": "video_base64", "data": "staged:p1/vt_1/upload"}])
    parsed = read(echo)
    assert (parsed.upload, parsed.staged_key) == (None, "p1/vt_1/upload")
    spec, echoed = parsed.with_task_id("p1", "vt_2")
    assert spec.source == SourceRef(object_key="p1/vt_1/upload")
    assert echoed == echo


def test_the_precision_is_the_tasks() -> None:
    assert read(body(precision="i8-bf16")).spec.precision == "i8-bf16"
    assert read(BODY).spec.precision is None


def test_order_and_spacing_do_not_make_another_request() -> None:
    turned = json.dumps(dict(reversed(BODY.items())), indent=3).encode()
    assert read(turned).body_sha256 == read(BODY).body_sha256
    assert read(body(model="x")).body_sha256 != read(BODY).body_sha256


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    field=st.sampled_from(["input", "steps", "model"]),
    key=st.sampled_from(
        ["type", "url", "data", "sampling", "range", "max_frames", "stream", "model", "when"]
    ),
    value=JSON,
)
def test_no_json_is_anything_but_a_spec_or_a_problem(field: str, key: str, value: Any) -> None:
    whole = body(**{field: value})
    inner = copy.deepcopy(BODY)
    if field != "model":
        inner[field][0][key] = value
    for candidate in (whole, inner, value):
        try:
            assert isinstance(read(candidate).spec, TaskSpec)
        except ProblemError as problem:
            assert problem.status in {400, 413, 422}  # noqa: PT017 - either outcome is right


def test_user_models_are_named_in_the_refusal(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_request(
            json.dumps(body(steps=[{"model": "mine"}])).encode(),
            Registry(tmp_path),
            max_upload_bytes=LIMIT,
        )
    for manifest in REGISTRY.list():
        assert manifest.ref in caught.value.errors[0]["message"]
