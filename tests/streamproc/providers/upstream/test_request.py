"""The request that an upstream gets is the one the client would have sent it."""

from typing import Any

import msgspec
import pytest

from api.tasks.request_parser import parse_request
from models.registry import Registry
from streamproc.contract.task_spec import TaskSpec
from streamproc.errors import TaskFailedError
from streamproc.providers.upstream.request import public_request

REGISTRY = Registry(None)
URL = "https://example.com/clip.mp4"


def _spec(request: dict[str, Any]) -> TaskSpec:
    return parse_request(msgspec.json.encode(request), REGISTRY, max_upload_bytes=1).spec


@pytest.mark.parametrize(
    "request_",
    [
        {"input": [{"type": "video_url", "url": URL}], "steps": [{"model": "detect"}]},
        {
            "input": [
                {
                    "type": "video_url",
                    "url": URL,
                    "sampling": {"mode": "keyframe"},
                    "range": {"start": 2.5, "end": 30},
                    "max_frames": 7,
                }
            ],
            "steps": [
                {"model": "detect", "parameters": {"classes": ["pedestrian"], "threshold": 0.6}},
                {"model": "ocr", "when": {"class_is": ["truck"], "min_confidence": 0.7}},
                {"model": "feature", "parameters": {"include_vector": True}},
            ],
            "model": "qwen-vl-max",
            "precision": "f32",
        },
        {
            "input": [
                {
                    "type": "video_url",
                    "url": URL,
                    "sampling": {"mode": "interval", "value": 3},
                    "range": {"start": 10, "unit": "frames"},
                }
            ],
            "steps": [{"model": "detect"}, {"model": "feature", "when": {"min_confidence": 0.5}}],
        },
    ],
)
def test_a_service_of_our_own_reads_the_same_task_from_it(request_: dict[str, Any]) -> None:
    spec = _spec(request_)
    assert _spec(public_request(spec, URL, REGISTRY, hint=spec.model_hint)) == spec


def test_what_was_left_to_its_default_is_left_out() -> None:
    spec = _spec({"input": [{"type": "video_url", "url": URL}], "steps": [{"model": "detect"}]})
    body = public_request(spec, URL, REGISTRY, hint=None)
    assert body["steps"] == [{"model": "detect"}]
    assert "range" not in body["input"][0]
    assert "model" not in body


def test_a_local_file_is_not_handed_to_another_service() -> None:
    spec = _spec({"input": [{"type": "video_url", "url": URL}], "steps": [{"model": "detect"}]})
    with pytest.raises(TaskFailedError) as failure:
        public_request(spec, "file:///srv/clip.mp4", REGISTRY, hint=None)
    assert failure.value.code == "upstream_source"


def test_a_stream_of_a_file_cannot_be_named_to_another_service() -> None:
    source = {"type": "video_url", "url": URL, "stream": 1}
    spec = _spec({"input": [source], "steps": [{"model": "detect"}]})
    with pytest.raises(TaskFailedError, match="which stream") as failure:
        public_request(spec, URL, REGISTRY, hint=None)
    assert failure.value.code == "upstream_source"
