"""The upstream's bytes, however they are cut, and what they mean."""

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.framing import frame_event as framed
from streamproc.errors import TaskFailedError
from streamproc.providers.engine import EndOfStream, FrameResult
from streamproc.providers.upstream import events
from streamproc.providers.upstream.events import MAX_EVENT_BYTES, ChunkReader, EventSplitter
from tests.streamproc.providers.video_api import end_event, frame_event

LOG = b"".join(frame_event(i) for i in range(5)) + end_event("stop", 5)


def _data(event: bytes) -> bytes:
    return event.split(b"\n")[0].removeprefix(b"data: ")


@given(st.lists(st.integers(0, len(LOG)), max_size=8).map(sorted))
def test_events_and_their_places_do_not_depend_on_how_the_bytes_are_cut(cuts: list[int]) -> None:
    splitter = EventSplitter(0)
    edges = [0, *cuts, len(LOG)]
    events = [e for a, b in itertools.pairwise(edges) for e in splitter.feed(LOG[a:b])]
    assert len(events) == 7
    starts = [0, *(event.end for event in events)]
    for start, event in zip(starts, events, strict=False):
        assert LOG[start : event.end] == b"data: " + event.data + b"\n\n"
    assert starts[-1] == len(LOG)


def test_comments_crlf_and_split_data_are_read_and_every_byte_counts() -> None:
    stream = b": hello\n\nevent: chunk\r\ndata: {\r\ndata: }\r\n\r\n"
    ((data, end),) = EventSplitter(100).feed(stream)
    assert data == b"{\n}"
    assert end == 100 + len(stream)


def test_a_numeric_id_is_the_place_that_counts() -> None:
    first = framed(b"one", 0)
    with_noise = (
        b": not part of the log\n\n" + first + b": nor this\n\n" + framed(b"two", len(first))
    )
    events = EventSplitter(0).feed(with_noise)
    assert [e.end for e in events] == [len(first), len(first) + len(framed(b"two", len(first)))]


def test_an_event_without_end_is_refused_before_it_fills_the_memory() -> None:
    splitter = EventSplitter(0)
    splitter.feed(b"data: ")
    with pytest.raises(TaskFailedError) as failure:
        splitter.feed(b"x" * (MAX_EVENT_BYTES + 1))
    assert failure.value.code == "upstream_invalid"


def test_a_chunk_is_a_frame_result_with_its_counters() -> None:
    result = ChunkReader().read(_data(frame_event(7, x=3)))
    assert isinstance(result, FrameResult)
    assert (result.frame_index, result.counts, result.fps) == (7, (8, 0, 2), 25.0)
    assert (result.targets[0].class_name, result.targets[0].roi.left) == ("pedestrian", 3)


def test_vectors_are_kept_when_a_track_is_seen_better_than_before() -> None:
    reader = ChunkReader()
    vector = b"\x00<" * 4

    def read(confidence: float, feature: str) -> FrameResult:
        event = frame_event(0, confidence=confidence, feature=feature)
        result = reader.read(_data(event))
        assert isinstance(result, FrameResult)
        return result

    text = base64.b64encode(vector).decode()
    assert [v.vector for v in read(0.5, text).vectors] == [vector]
    assert read(0.4, text).vectors == ()
    assert read(0.9, "no base64").vectors == ()
    assert [v.confidence for v in read(0.8, text).vectors] == [0.8]


@pytest.mark.parametrize("reason", ["stop", "max_frames"])
def test_a_good_terminal_ends_the_stream(reason: str) -> None:
    end = ChunkReader().read(_data(end_event(reason, 4)))
    assert isinstance(end, EndOfStream)
    assert (end.reason, end.counts.decoded, end.counts.dropped) == (reason, 4, 2)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (
            end_event("error", 1, error={"code": "source_truncated", "message": "cut"}),
            "source_truncated",
        ),
        (end_event("error", 1, error={"code": "Not A Code", "message": "?"}), "upstream_failed"),
        (end_event("error", 1), "upstream_failed"),
        (end_event("cancelled", 1), "upstream_cancelled"),
        (b"data: [DONE]\n\n", "upstream_failed"),
        (b"data: <html>\n\n", "upstream_invalid"),
        (b'data: {"id": 1}\n\n', "upstream_invalid"),
    ],
)
def test_every_bad_end_has_its_code(event: bytes, code: str) -> None:
    with pytest.raises(TaskFailedError) as failure:
        ChunkReader().read(_data(event))
    assert failure.value.code == code


def test_the_upstreams_message_comes_without_addresses() -> None:
    message = "could not get https://user:pw@host/clip.mp4?sig=1 in time"
    event = end_event("error", 1, error={"code": "source_timeout", "message": message})
    with pytest.raises(TaskFailedError) as failure:
        ChunkReader().read(_data(event))
    assert failure.value.message == "could not get [address] in time"


@pytest.mark.parametrize("line", [b"data\n", b"data:\n", b": hush\n", b"id: 1\n"])
def test_an_event_of_lines_without_end_is_refused_though_they_say_nothing(
    monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(events, "MAX_EVENT_BYTES", 10_000)
    splitter = EventSplitter(0)
    assert len(splitter.feed(b"data: {}\n\n" + line * (10_000 // len(line) - 10))) == 1
    with pytest.raises(TaskFailedError, match="over the size limit"):
        splitter.feed(line * 11)


def test_comments_between_events_add_up_to_nothing() -> None:
    splitter = EventSplitter(0)
    for _ in range(3):
        assert splitter.feed((b":" + b"h" * 997 + b"\n\n") * (MAX_EVENT_BYTES // 1500)) == []
    assert [event.data for event in splitter.feed(b"data: x\n\n")] == [b"x"]
