"""An upstream may say any number: what is relayed is within bounds, or the upstream has failed."""

import copy
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.contract import bounds
from streamproc.errors import TaskFailedError
from streamproc.providers.engine import EndOfStream, FrameResult
from streamproc.providers.upstream.events import ChunkReader
from tests.streamproc.providers.video_api import end_event, frame_event

NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [-1, 0, 1, 2**24, 2**31, 2**32 - 1, 2**32, 2**40 - 1, 2**40, 2**63, 2**64, -(2**40), 10**20]
    ),
)
ANYTHING = NUMBERS | st.none() | st.booleans() | st.text(max_size=400) | st.just("x" * 70_000)


def said(event: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.split(b"\n")[0].removeprefix(b"data: "))
    return found


FRAME = said(frame_event(7, text="A1", text_confidence=0.5, feature_digest="d", feature="AAA8ADw="))
FRAME["stream_info"] |= {"time_s": 1.5, "sample_aspect_ratio": [16, 11], "frame_size": [64, 48]}
END = said(end_event("stop", 5, usage={"processed_frames": 5, "failed_frames": 1}))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, part in items for leaf in leaves(part, (*path, key))]
    return [path]


def changed(chunk: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    lie = copy.deepcopy(chunk)
    place: Any = lie
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return lie


def check(result: FrameResult | EndOfStream) -> None:
    for count in (*result.counts, result.total_frames):
        assert count is None or 0 <= count <= bounds.MAX_COUNT
    assert 0 <= result.fps <= bounds.MAX_FPS
    msgspec.msgpack.encode(result)  # what cannot be encoded cannot be stored
    if isinstance(result, EndOfStream):
        return
    assert 0 <= result.frame_index <= bounds.MAX_COUNT
    assert result.time_s is None or 0 <= result.time_s <= bounds.MAX_TIME_S
    assert all(0 < term <= bounds.MAX_TERM for term in result.sample_aspect or ())
    assert all(0 < side <= bounds.MAX_PX for side in result.frame_size or ())
    for target in result.targets:
        assert 0 <= target.track_id <= bounds.MAX_TRACK_ID
        assert 0 <= target.confidence <= 1
        assert all(abs(v) <= bounds.MAX_PX for v in msgspec.structs.astuple(target.roi))
        assert len(target.class_name) <= bounds.MAX_NAME_CHARS


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([FRAME, END]), st.data())
def test_any_value_in_any_field_is_bounded_or_refused(
    honest: dict[str, Any], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(leaves(honest)))
    lie = json.dumps(changed(honest, path, data.draw(ANYTHING))).encode()
    try:
        result = ChunkReader().read(lie)
    except TaskFailedError as exc:
        refusal = exc
    else:
        check(result)
        return
    assert len(refusal.message) <= bounds.MAX_MESSAGE_CHARS
    assert refusal.message.isprintable()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("stream_info", "frame_index"), 99_999_999_999_999_999_999),
        (("stream_info", "frame_index"), -1),
        (("stream_info", "decoded_frames"), -3),
        (("stream_info", "sample_aspect_ratio"), [0, 1]),
        (("stream_info", "frame_size"), [64, 2**40]),
        (("delta", "results", 0, "targets", 0, "track_id"), -1),
        (("delta", "results", 0, "targets", 0, "track_id"), 2**32),
        (("delta", "results", 0, "targets", 0, "roi", "left"), -(2**40)),
        (("delta", "results", 0, "targets", 0, "roi", "width"), -1),
        (("delta", "results", 0, "targets", 0, "confidence"), 1e308),
    ],
)
def test_a_value_that_identifies_or_counts_is_refused_by_its_field(
    path: tuple[Any, ...], value: Any
) -> None:
    with pytest.raises(TaskFailedError, match=str(path[-1])) as failure:
        ChunkReader().read(json.dumps(changed(FRAME, path, value)).encode())
    assert failure.value.code == "upstream_invalid"


@pytest.mark.parametrize("estimate", [-10, 10**20, 1.5e300, None])
def test_an_estimate_that_cannot_be_is_not_known(estimate: Any) -> None:
    result = ChunkReader().read(
        json.dumps(changed(FRAME, ("stream_info", "total_frames"), estimate)).encode()
    )
    assert result.total_frames is None


@pytest.mark.parametrize(
    "noise", [b"[" * 100_000, b'{"id": "\xff"}', b'{"id":"\\ud800"}', b'"' + b"9" * 5000 + b'"']
)
def test_noise_is_no_chunk(noise: bytes) -> None:
    with pytest.raises(TaskFailedError) as failure:
        ChunkReader().read(noise)
    assert failure.value.code == "upstream_invalid"


def test_more_targets_than_a_frame_can_have_are_refused() -> None:
    many = copy.deepcopy(FRAME)
    (result,) = many["delta"]["results"]
    result["targets"] = result["targets"] * (bounds.MAX_TARGETS + 1)
    with pytest.raises(TaskFailedError, match="targets"):
        ChunkReader().read(json.dumps(many).encode())


def test_a_long_message_is_scrubbed_in_no_time_and_cannot_steer_a_terminal() -> None:
    message = "\x1b]0;owned\x07 \u202e" + "a" * 1_000_000
    event = end_event("error", 1, error={"code": "source_timeout", "message": message})
    started_s = time.monotonic()
    with pytest.raises(TaskFailedError) as failure:
        ChunkReader().read(json.dumps(said(event)).encode())
    assert time.monotonic() - started_s < 2
    assert failure.value.message.isprintable()
    assert len(failure.value.message) <= bounds.MAX_MESSAGE_CHARS
