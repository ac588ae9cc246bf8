"""A video in Framewire's own bucket: what keeps its bytes away is never held against it."""

from collections.abc import Callable

import msgspec
import pytest

from streamproc.contract.task_spec import Sampling
from streamproc.source.errors import SourceError, StoreAwayError
from streamproc.source.fetch import opener, own_store
from streamproc.source.fetch.byte_reader import ByteReader
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.data import clips
from tests.streamproc.source.conftest import digest, run, seen
from tests.streamproc.source.origin import Behaviour, Handler, Origin, serving

VIDEO = clips.BUNDLED.read_bytes()
"""More than what is read ahead of the first frame."""
NO_KEY = b"<Error><Code>NoSuchKey</Code></Error>"
NO_BUCKET = b"<Error><Code>NoSuchBucket</Code></Error>"


def cut_short(handler: Handler) -> None:
    """Promise what was asked for, give a few bytes of it, hang up."""
    start = int(handler.headers["Range"].removeprefix("bytes=").partition("-")[0])
    n_bytes = len(VIDEO) - start
    handler.send_response(206)
    handler.send_header("Content-Length", str(n_bytes))
    handler.send_header("Content-Range", f"bytes {start}-{len(VIDEO) - 1}/{len(VIDEO)}")
    handler.send_header("ETag", '"one"')
    handler.end_headers()
    handler.wfile.write(VIDEO[start : start + 10])
    handler.close_connection = True


def cut_whole(handler: Handler) -> None:
    """Do the same as a store that knows no ranges."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    handler.wfile.write(bytes(10))
    handler.close_connection = True


FAULTS: dict[str, Behaviour] = {
    "unavailable": lambda h: h.answer(503, b"", Retry_After="0"),
    "error": lambda h: h.answer(500, b"<Error><Code>InternalError</Code></Error>"),
    "skew": lambda h: h.answer(403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"),
    "no bucket": lambda h: h.answer(404, NO_BUCKET),
    "a proxy's page": lambda h: h.answer(404, b"<html>nothing here</html>"),
    "reset": Handler.reset,
    "truncated": cut_short,
    "elsewhere": lambda h: h.answer(301, b"", Location=f"http://{h.server.authority}/more"),
    "silence": Handler.hang,
}
SOME = Sampling("interval", 20)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the patience be short."""
    monkeypatch.setattr(opener, "StoreReader", Impatient)


class Impatient(own_store.StoreReader):
    def __init__(self, opens: Callable[[], ByteReader], interrupt: Interrupt) -> None:
        super().__init__(opens, interrupt, patience_s=0.3)


def own(origin: Origin, **limits: float) -> FetchPolicy:
    policy = msgspec.structs.replace(FetchPolicy(stall_timeout_s=0.3), **limits)
    return policy.for_own_store(origin.authority)


def spec_of(origin: Origin) -> SourceSpec:
    return SourceSpec(f"http://{origin.authority}/bucket/input.mp4", SOME)


def refusal(origin: Origin, policy: FetchPolicy) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_source(spec_of(origin), policy, FrameOutputs())
    return caught.value


def shown(origin: Origin, policy: FetchPolicy) -> list[tuple[int, int, str]]:
    got = []
    with open_source(spec_of(origin), policy, FrameOutputs()) as source:
        for frame in source:
            got.append((frame.index, frame.pts, digest(frame.image)))
            frame.release()
    return got


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("fault", [*FAULTS, "truncated, no ranges"])
def test_an_outage_is_no_fault_of_the_video(fault: str) -> None:
    with serving(FAULTS.get(fault, cut_whole)) as origin:
        error = refusal(origin, own(origin))
    assert isinstance(error, StoreAwayError)
    assert "bucket/input" not in str(error)


def test_an_origin_answers_for_itself() -> None:
    with serving(FAULTS["error"]) as origin:
        policy = FetchPolicy(allowed_private_hosts=own(origin).allowed_private_hosts)
        assert refusal(origin, policy).code == "source_http_status"


def test_that_there_is_no_such_object_is_an_answer() -> None:
    with serving(lambda handler: handler.answer(404, NO_KEY)) as origin:
        error = refusal(origin, own(origin))
        assert len(origin.requests) == 1
    assert error.code == "source_http_status"


@pytest.mark.parametrize("fault", ["unavailable", "error", "reset", "truncated"])
def test_a_fault_that_passes_is_not_noticed(fault: str) -> None:
    n_requests = 0

    def every_second(handler: Handler) -> None:
        nonlocal n_requests
        n_requests += 1
        behave: Behaviour = FAULTS[fault] if n_requests % 2 else lambda h: h.answer_range(VIDEO)
        behave(handler)

    with serving(every_second) as origin:
        got = shown(origin, own(origin))
    assert got == seen(run(clips.BUNDLED, SOME)[0])


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_goes_away_under_a_decode_is_told_as_such(fault: str) -> None:
    def behave(handler: Handler) -> None:
        first, _, last = handler.headers["Range"].removeprefix("bytes=").partition("-")
        start = int(first)
        if 200_000 < start < len(VIDEO) - 200_000:
            FAULTS[fault](handler)
            return
        end = min(int(last or len(VIDEO)), start + 20_000, len(VIDEO) - 1)
        place = f"bytes {start}-{end}/{len(VIDEO)}"
        handler.answer(206, VIDEO[start : end + 1], Content_Range=place, ETag='"one"')

    with serving(behave) as origin:
        error = refusal_or_end(lambda: shown(origin, own(origin)))
    assert isinstance(error, StoreAwayError)


def test_a_video_that_is_cut_short_itself_says_so() -> None:
    with serving(lambda handler: handler.answer_range(VIDEO[: len(VIDEO) // 2])) as origin:
        error = refusal_or_end(lambda: shown(origin, own(origin)))
    assert error.code in {"source_truncated", "source_not_video"}


def test_an_opening_that_the_store_holds_up_is_an_outage() -> None:
    with serving(Handler.hang) as origin:
        error = refusal(origin, own(origin, stall_timeout_s=20, open_timeout_s=0.5))
    assert isinstance(error, StoreAwayError)


def refusal_or_end(do: Callable[[], object]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        do()
    return caught.value
