"""The upstream engine over real connections: relayed, resumed, refused, silent, cancelled."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from streamproc.contract.providers import Provider
from streamproc.errors import TaskFailedError, UploadsUnavailableError
from streamproc.providers.engine import EndOfStream, FrameResult
from streamproc.providers.upstream import engine
from streamproc.providers.upstream.client import UpstreamClient
from streamproc.providers.upstream.engine import UpstreamEngine
from streamproc.providers.upstream.position import UpstreamState, decode_state
from tests.streamproc.providers.video_api import (
    KEY,
    Handler,
    VideoApi,
    end_event,
    frame_event,
    video_api,
)

FRAMES = [frame_event(i) for i in range(6)]
LOG = b"".join(FRAMES) + end_event("stop", 6)
DONE = b"data: [DONE]\n\n"
HALF = len(b"".join(FRAMES[:3]))


def _client(server: VideoApi, answer_s: float = 2.0) -> UpstreamClient:
    provider = Provider("cloud", "upstream", url=server.url, key_env="CLOUD", answer_s=answer_s)
    return UpstreamClient(provider, KEY)


@contextmanager
def _engine(
    server: VideoApi,
    *,
    offset: int = 0,
    first_chunk_s: float = 5.0,
    silence_s: float = 5.0,
    submit_again: Callable[[], str] | None = None,
    state: UpstreamState | None = None,
) -> Iterator[UpstreamEngine]:
    engine = UpstreamEngine(
        _client(server),
        state or UpstreamState("up_1", offset),
        first_chunk_s=first_chunk_s,
        silence_s=silence_s,
        has_chunks=offset > 0 or state is not None,
        submit_again=submit_again,
    )
    try:
        yield engine
    finally:
        engine.close()


def _next(engine: UpstreamEngine) -> FrameResult | EndOfStream:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        item = engine.next(0.2)
        if item is not None:
            return item
    raise AssertionError("nothing came")


def _next_index(engine: UpstreamEngine) -> int:
    item = _next(engine)
    assert isinstance(item, FrameResult)
    return item.frame_index


def _indices(engine: UpstreamEngine) -> list[int]:
    frames: list[int] = []
    while isinstance(item := _next(engine), FrameResult):
        frames.append(item.frame_index)
    return frames


def _failure(engine: UpstreamEngine) -> TaskFailedError:
    while True:
        try:
            _next(engine)
        except TaskFailedError as exc:
            return exc


def test_the_stream_is_relayed_and_its_state_says_how_far() -> None:
    with video_api(stream=lambda h: h.serve(LOG)) as server, _engine(server) as engine:
        assert [_next_index(engine) for _ in range(3)] == [0, 1, 2]
        state = decode_state(engine.state())
        assert (state.task_id, state.offset, state.n_frames) == ("up_1", HALF, 3)
        assert engine.pin == "up_1"
        assert _indices(engine) == [3, 4, 5]


def test_a_later_engine_goes_on_at_the_byte_where_the_first_one_stood() -> None:
    with (
        video_api(stream=lambda h: h.serve(LOG)) as server,
        _engine(server, offset=HALF) as engine,
    ):
        assert _indices(engine) == [3, 4, 5]
        assert server.offsets == [HALF]


def test_a_cut_stream_goes_on_where_it_broke_also_inside_an_event() -> None:
    cuts = iter([HALF + 17, HALF + 30, len(LOG)])

    def cut(handler: Handler) -> None:
        handler.begin()
        handler.wfile.write(LOG[handler.offset : next(cuts)])
        handler.reset()

    with video_api(stream=cut) as server, _engine(server) as engine:
        assert _indices(engine) == list(range(6))
        assert server.offsets == [0, HALF, HALF]


def _failed(code: str, n_frames: int = 0) -> bytes:
    return b"".join(FRAMES[:n_frames]) + end_event(
        "error", n_frames, error={"code": code, "message": "it could not be read"}
    )


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PAUSES_OF_SOURCE_S", (0.01, 0.01, 0.01))


def test_an_upstream_that_could_not_read_from_our_store_begins_again(soon: None) -> None:
    logs = iter([_failed("source_unreachable"), _failed("source_http_status"), LOG])
    ids = iter(["up_2", "up_3"])
    with (
        video_api(stream=lambda h: h.serve(next(logs))) as server,
        _engine(server, submit_again=lambda: next(ids)) as engine,
    ):
        assert _indices(engine) == list(range(6))
        assert engine.pin == "up_3"


def test_a_task_waits_while_our_store_is_away(soon: None) -> None:
    def away() -> str:
        raise UploadsUnavailableError("S3 HEAD: 503")

    with (
        video_api(stream=lambda h: h.serve(_failed("source_timeout"))) as server,
        _engine(server, submit_again=away) as engine,
        pytest.raises(UploadsUnavailableError),
    ):
        _next(engine)


@pytest.mark.parametrize(
    ("code", "n_frames", "is_ours", "n_again"),
    [
        ("source_unreachable", 0, True, 3),
        ("source_unreachable", 0, False, 0),
        ("source_unreachable", 2, True, 3),
        ("source_unreachable", 2, False, 0),
        ("source_truncated", 3, True, 3),
        ("source_not_video", 0, True, 0),
        ("quota_exceeded", 0, True, 0),
    ],
)
def test_what_begins_again_and_how_often(
    soon: None, code: str, n_frames: int, *, is_ours: bool, n_again: int
) -> None:
    again: list[str] = []

    def submit_again() -> str:
        again.append(f"up_{len(again) + 2}")
        return again[-1]

    with (
        video_api(stream=lambda h: h.serve(_failed(code, n_frames))) as server,
        _engine(server, submit_again=submit_again if is_ours else None) as engine,
    ):
        assert _failure(engine).code == code
        assert len(again) == n_again
        assert server.cancels == []


def _stand_after(server: VideoApi, n_frames: int) -> UpstreamState:
    with _engine(server) as engine:
        for _ in range(n_frames):
            _next(engine)
        return decode_state(engine.state())


def _by_task(logs: dict[str, bytes]) -> Callable[[Handler], None]:
    return lambda h: h.serve(next(log for name, log in logs.items() if f"/{name}/" in h.path))


def test_a_task_that_lost_our_store_in_the_middle_continues_behind_what_was_relayed(
    soon: None,
) -> None:
    logs = {
        "up_1": _failed("source_unreachable", 3),
        "up_2": _failed("source_timeout", 2),  # S3 is away again, sooner
        "up_3": LOG,
    }
    ids = iter(["up_2", "up_3"])
    with (
        video_api(stream=_by_task(logs)) as server,
        _engine(server, submit_again=lambda: next(ids)) as engine,
    ):
        assert _indices(engine) == list(range(6))
        state = decode_state(engine.state())
        assert (state.task_id, state.offset, state.n_frames) == ("up_3", LOG.index(DONE), 6)


def test_a_worker_that_takes_such_a_task_over_knows_what_was_relayed(soon: None) -> None:
    logs = {"up_1": _failed("source_unreachable", 3), "up_2": LOG}
    with video_api(stream=_by_task(logs)) as server:
        state = _stand_after(server, 2)
        with _engine(server, state=state, submit_again=lambda: "up_2") as engine:
            assert _indices(engine) == [2, 3, 4, 5]


OTHER = [frame_event(i, confidence=0.25) for i in range(6)]


@pytest.mark.parametrize(
    "second",
    [
        b"".join(OTHER) + end_event("stop", 6),
        b"".join(FRAMES[:2]) + b"".join(OTHER[2:]) + end_event("stop", 6),
        b"".join(FRAMES[:2]) + end_event("stop", 2),
        b"".join(FRAMES[1:]) + end_event("stop", 6),
    ],
    ids=["other", "other-later", "shorter", "shifted"],
)
def test_a_second_run_with_other_results_is_not_appended(soon: None, second: bytes) -> None:
    again: list[str] = []

    def submit_again() -> str:
        again.append("up_2")
        return "up_2"

    logs = {"up_1": _failed("source_unreachable", 3), "up_2": second}
    with (
        video_api(stream=_by_task(logs)) as server,
        _engine(server, submit_again=submit_again) as engine,
    ):
        assert [_next_index(engine) for _ in range(3)] == [0, 1, 2]
        assert _failure(engine).code == "source_unreachable"
        assert again == ["up_2"], "it is not tried once more"


def test_a_checkpoint_without_a_digest_is_not_continued_by_a_second_run(soon: None) -> None:
    def never() -> str:
        raise AssertionError

    logs = {"up_1": _failed("source_unreachable", 4)}
    with (
        video_api(stream=_by_task(logs)) as server,
        _engine(server, offset=HALF, submit_again=never) as engine,
    ):
        assert _failure(engine).code == "source_unreachable"


def test_a_dead_upstream_ends_the_task_after_its_silence() -> None:
    def three(handler: Handler) -> None:
        handler.begin()
        handler.wfile.write(LOG[:HALF])
        handler.server.stream = Handler.reset
        handler.reset()

    with video_api(stream=three) as server, _engine(server, silence_s=1.0) as engine:
        assert [_next_index(engine) for _ in range(3)] == [0, 1, 2]
        assert _failure(engine).code == "upstream_failed"
        server.wait(lambda: server.cancels == ["/v1/video/tasks/up_1/cancel"])


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (lambda h: (h.begin(), h.hang()), "upstream_timeout"),
        (lambda h: h.answer(500, b""), "upstream_unavailable"),
        (Handler.reset, "upstream_unavailable"),
        (lambda h: h.answer(404, b""), "upstream_refused"),
        (lambda h: h.answer(204, b""), "upstream_failed"),
        (lambda h: h.serve(b"data: what?\n\n"), "upstream_invalid"),
        (
            lambda h: h.serve(end_event("error", 0, error={"code": "source_empty", "message": ""})),
            "source_empty",
        ),
    ],
)
def test_a_stream_that_never_gives_a_chunk_has_its_own_code(
    stream: Callable[[Handler], None], code: str
) -> None:
    with video_api(stream=stream) as server, _engine(server, first_chunk_s=1.5) as engine:
        assert _failure(engine).code == code


def test_a_failure_after_the_first_chunk_is_the_upstreams_whatever_it_was() -> None:
    def forgotten(handler: Handler) -> None:
        handler.server.stream = lambda h: h.answer(404, b"")
        handler.serve(LOG[:HALF])

    with video_api(stream=forgotten) as server, _engine(server) as engine:
        assert _failure(engine).code == "upstream_failed"


def test_a_failed_upstream_task_keeps_its_own_code() -> None:
    error = {"code": "source_truncated", "message": "cut"}
    log = LOG[:HALF] + end_event("error", 3, error=error)
    with video_api(stream=lambda h: h.serve(log)) as server, _engine(server) as engine:
        assert _failure(engine).code == "source_truncated"
        engine.abandon()
        assert server.cancels == []  # it has ended: there is nothing to cancel


def test_abandoning_hangs_up_at_once_and_cancels() -> None:
    def endless(handler: Handler) -> None:
        handler.begin()
        handler.wfile.write(FRAMES[0])
        handler.hang()

    with video_api(stream=endless) as server, _engine(server) as engine:
        _next(engine)
        started_s = time.monotonic()
        engine.abandon()
        assert time.monotonic() - started_s < 2
        assert server.cancels == ["/v1/video/tasks/up_1/cancel"]
        server.wait(lambda: server.n_hung_up == 1)


def test_closing_hangs_up_and_leaves_the_upstreams_task_alone() -> None:
    def endless(handler: Handler) -> None:
        handler.begin()
        handler.wfile.write(FRAMES[0])
        handler.hang()

    with video_api(stream=endless) as server:
        with _engine(server) as engine:
            _next(engine)
        server.wait(lambda: server.n_hung_up == 1)
        assert server.cancels == []


def test_a_reader_that_takes_its_time_is_no_silence() -> None:
    many = b"".join(frame_event(i) for i in range(300)) + end_event("stop", 300)
    with (
        video_api(stream=lambda h: h.serve(many)) as server,
        _engine(server, silence_s=0.3) as engine,
    ):
        _next(engine)
        assert engine._items.full() or engine._items.qsize() > 0
        started_s = time.monotonic()
        while time.monotonic() - started_s < 0.6:  # longer than the silence that is allowed
            assert engine._thread.is_alive()
        assert len(_indices(engine)) == 299


def test_a_submission_carries_the_key_and_is_one_task_however_often_it_is_sent() -> None:
    with video_api(stream=Handler.reset) as server:
        client = _client(server)
        assert client.submit({"a": 1}, "vt_1") == client.submit({"a": 1}, "vt_1") == "up_1"
        client.submit({"a": 1}, "vt_2")
        keys = [headers["idempotency-key"] for headers, _ in server.submissions]
        assert keys[0] == keys[1] != keys[2]
        assert server.submissions[0][0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("submit", "code"),
    [
        (lambda h: h.answer(401, b"{}"), "upstream_refused"),
        (lambda h: h.answer(422, b"{}"), "upstream_refused"),
        (lambda h: h.answer(302, b""), "upstream_refused"),
        (lambda h: h.answer(500, b""), "upstream_unavailable"),
        (lambda h: h.answer(202, b"<html>"), "upstream_invalid"),
        (lambda h: h.answer(202, b'{"id": "../../v1/admin/keys"}'), "upstream_invalid"),
        (Handler.hang, "upstream_timeout"),
        (Handler.reset, "upstream_unreachable"),
    ],
)
def test_a_refused_submission_has_its_code(submit: Callable[[Handler], None], code: str) -> None:
    with video_api(submit=submit, stream=Handler.reset) as server:
        client = _client(server, answer_s=0.5)
        with pytest.raises(TaskFailedError) as failure:
            client.submit({}, "vt_1")
        assert failure.value.code == code
        assert KEY not in str(failure.value)
        assert server.url not in str(failure.value)


def drip(handler: Handler) -> None:
    """Answer byte by byte, for ever."""
    handler.send_response(202)
    handler.end_headers()
    with suppress(OSError):
        while not handler.server.released.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()
    handler.close_connection = True


def begin_and_drip(handler: Handler) -> None:
    handler.begin()
    drip(handler)


def drip_headers(handler: Handler) -> None:
    with suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 202 Accepted\r\nX-Long: ")
        while not handler.server.released.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()
    handler.close_connection = True


def flood(handler: Handler) -> None:
    handler.begin()
    with suppress(OSError):
        while not handler.server.released.is_set():
            handler.wfile.write(b" " * 65536)


def zipped(handler: Handler) -> None:
    body = gzip.compress(b'{"id": "up_1"}' + b" " * 10_000_000)
    handler.send_response(202)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def zipped_stream(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    handler.close_connection = True


@pytest.mark.parametrize(
    ("submit", "code"),
    [
        (drip, "upstream_timeout"),
        (drip_headers, "upstream_timeout"),
        (flood, "upstream_invalid"),
        (zipped, "upstream_invalid"),
        (lambda h: h.answer(202, b'{"id": "' + b"x" * 70_000 + b'"}'), "upstream_invalid"),
    ],
)
def test_an_answer_without_end_or_in_another_encoding_is_refused_in_time(
    submit: Callable[[Handler], None], code: str
) -> None:
    with video_api(submit=submit, stream=Handler.reset) as server:
        started_s = time.monotonic()
        with pytest.raises(TaskFailedError) as failure:
            _client(server, answer_s=1.0).submit({}, "vt_1")
        assert time.monotonic() - started_s < 3
        assert failure.value.code == code


@pytest.mark.parametrize("submit", [drip, drip_headers, Handler.hang])
def test_an_abort_ends_a_submission_at_once(submit: Callable[[Handler], None]) -> None:
    with video_api(submit=submit, stream=Handler.reset) as server:
        client = _client(server, answer_s=20.0)

        def abort_once_asked() -> None:
            server.wait(lambda: len(server.submissions) > 0)
            client.abort()

        aborter = threading.Thread(target=abort_once_asked)
        started_s = time.monotonic()
        aborter.start()
        with pytest.raises(TaskFailedError):
            client.submit({}, "vt_1")
        assert time.monotonic() - started_s < 2
        aborter.join()


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (drip_headers, "upstream_unavailable"),
        (begin_and_drip, "upstream_timeout"),
        (lambda h: (h.begin(), h.wfile.write((b"x" * 999 + b"\n") * 2300)), "upstream_invalid"),
        (
            lambda h: (h.begin(), h.wfile.write((b": " + b"h" * 997 + b"\n") * 2300)),
            "upstream_invalid",
        ),
        (lambda h: (h.begin(), h.wfile.write(b"data: " + b"x" * 2_200_000)), "upstream_invalid"),
        (zipped_stream, "upstream_invalid"),
    ],
)
def test_a_stream_of_nothing_ends(stream: Callable[[Handler], None], code: str) -> None:
    with video_api(stream=stream) as server:
        engine = UpstreamEngine(
            _client(server, answer_s=0.4),
            UpstreamState("up_1", 0),
            first_chunk_s=4.0,
            silence_s=4.0,
            has_chunks=False,
        )
        try:
            assert _failure(engine).code == code
        finally:
            engine.close()


@pytest.mark.parametrize("stream", [drip_headers, Handler.hang])
def test_closing_ends_a_stream_that_has_not_begun(stream: Callable[[Handler], None]) -> None:
    with video_api(stream=stream) as server, _engine(server) as engine:
        server.wait(lambda: len(server.offsets) > 0)
        started_s = time.monotonic()
        engine.close()
        assert time.monotonic() - started_s < 2
        assert not engine._thread.is_alive()


def test_a_provider_without_its_key_is_not_asked() -> None:
    provider = Provider("cloud", "upstream", url="http://127.0.0.1:9", key_env="CLOUD")
    with pytest.raises(TaskFailedError) as failure:
        UpstreamClient(provider, None)
    assert failure.value.code == "upstream_unconfigured"
