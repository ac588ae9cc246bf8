"""What POST makes of a live source, and what of it is refused."""

import json
from typing import Any

import pytest

from api.contract.requests import Live, Record, VideoUrl
from api.errors import InvalidRequestError
from api.tasks.live_request import live_errors
from api.tasks.request_parser import ParsedRequest, parse_request
from models.registry import Registry
from streamproc.contract.bounds import DEFAULT_RECORDING_S
from streamproc.contract.live_url import is_live, live_url_problem
from streamproc.contract.providers import LOCAL, Provider
from streamproc.contract.task_spec import DEFAULT_MAX_FRAMES, LiveOptions, Recording

REGISTRY = Registry()
_RECORD = "live.record.retention_s"
UPSTREAM = Provider(name="cloud", kind="upstream", url="https://video.example.com", models=("far",))


def read(url: str, *providers: Provider, **fields: Any) -> ParsedRequest:
    body = {
        "input": [{"type": "video_url", "url": url, **fields}],
        "steps": [{"model": "detect"}],
        "model": "far",
    }
    return parse_request(
        json.dumps(body).encode(),
        REGISTRY,
        max_upload_bytes=1000,
        providers=providers or (LOCAL,),
    )


def test_a_live_task_has_all_its_options_and_no_limit_of_frames() -> None:
    spec = read("rtsp://camera.example.com:554/1").spec
    assert spec.live == LiveOptions("tcp", "skip", 2.0, None)
    assert spec.max_frames is None
    asked = {"transport": "udp", "on_loss": "conceal", "max_lag_s": 1, "give_up_s": 600}
    asked |= {"retention_days": 0, "record": {"retention_s": 60}}
    spec = read("camera:gate", live=asked, max_frames=7).spec
    assert spec.live == LiveOptions("udp", "conceal", 1.0, 600.0, 0, Recording(60))
    assert spec.max_frames == 7
    file = read("https://example.com/clip.mp4").spec
    assert (file.live, file.max_frames) == (None, DEFAULT_MAX_FRAMES)


def test_the_credentials_of_a_camera_are_apart_from_its_request() -> None:
    parsed = read("rtsp://us%20er:p%40ss@camera.example.com/1?key=k")
    assert parsed.spec.source.url == "rtsp://***@camera.example.com/1?key=***"
    assert parsed.spec.source.sealed
    assert parsed.secret_url == "rtsp://us%20er:p%40ss@camera.example.com/1?key=k"
    assert "p%40ss" not in json.dumps(parsed.body)


def test_a_live_source_is_read_by_this_machine_alone() -> None:
    assert read("https://example.com/a.mp4", LOCAL, UPSTREAM).spec.providers == ("cloud", "local")
    assert read("camera:gate", LOCAL, UPSTREAM).spec.providers == ("local",)


@pytest.mark.parametrize(
    ("url", "fields", "field", "said"),
    [
        ("camera:Gate", {}, "url", "lower-case"),
        ("Camera:gate", {}, "url", "lower-case"),
        ("camera:", {}, "url", "1 to 63"),
        ("camera:" + "a" * 64, {}, "url", "1 to 63"),
        ("rtsp:///1", {}, "url", "names no host"),
        ("rtsp://camera:x/1", {}, "url", "is not a URL"),
        ("rtsp://kamerä/1", {}, "url", "ASCII"),
        ("rtsp://camera/" + "a" * 4090, {}, "url", "longer than 4096"),
        ("rtsp://***@camera/1", {}, "url", "give the whole URL again"),
        ("rtsp://user:pa/ss@camera/1", {}, "url", "a / in a user name or password"),
        ("rtsp://user:pa?ss@camera/1", {}, "url", "written as %3F"),
        ("rtsp://user:pa#ss@camera/1", {}, "url", "written as %23"),
        ("rtsp://user:pa@ss@camera/1", {}, "url", "written as %40"),
        ("rtsp://user:p%0ass@camera/1", {}, "url", "printable"),
        ("camera:gate", {"stream": 1}, "stream", "one video"),
        ("camera:gate", {"live": {"transport": "quic"}}, "live.transport", "tcp, udp"),
        ("camera:gate", {"live": {"on_loss": "x"}}, "live.on_loss", "conceal, skip"),
        ("camera:gate", {"live": {"max_lag_s": 0.1}}, "live.max_lag_s", ">= 0.2"),
        ("camera:gate", {"live": {"max_lag_s": 61}}, "live.max_lag_s", "<= 60"),
        ("camera:gate", {"live": {"give_up_s": 0}}, "live.give_up_s", "> 0"),
        ("camera:gate", {"live": {"retention_days": -1}}, "live.retention_days", ">= 0"),
        ("camera:gate", {"live": {"retention_days": 40_000}}, "live.retention_days", "<= 36500"),
        ("camera:gate", {"live": {"record": True}}, "live.record", "object"),
        ("camera:gate", {"live": {"record": {"s": 1}}}, "live.record.s", "retention_s"),
        *(
            ("camera:gate", {"live": {"record": {"retention_s": value}}}, _RECORD, reason)
            for value, reason in ((59, ">= 60"), (2_678_401, "<= 2678400"), (1.5, "int"))
        ),
        ("camera:gate", {"live": {"colour": 1}}, "live.colour", "there are: transport"),
        ("webrtc://camera/1", {}, "url", "gateway"),
        ("srt://camera:9000", {}, "url", "gives rtsp (MediaMTX or go2rtc"),
        ("rtmp://camera/live", {}, "url", "an application and a stream"),
        ("rtmp://u:ss@camera/live/1", {}, "url", "rtmp has no login"),
        ("https:///x.m3u8", {}, "url", "names no host"),
        ("https://user:pa@ss@camera/x.m3u8", {}, "url", "written as %40"),
        ("file:///x.ts", {"live": {}}, "live", "for live sources alone"),
    ],
)
def test_what_is_wrong_is_named(url: str, fields: Any, field: str, said: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(url, **fields)
    (error,) = caught.value.errors
    assert error["field"] == f"input[0].{field}"
    assert said in error["message"]
    assert "ss@" not in error["message"]


def test_a_server_whose_providers_all_are_upstreams_takes_no_camera() -> None:
    with pytest.raises(InvalidRequestError, match="only providers that read files"):
        read("camera:gate", UPSTREAM)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "rtsp://camera",
            "rtsps://camera:322/a@b",
            "rtsp://[::1]:554/a@b",
            "rtsp://camera/a@b?c@d",
        ),
        *("rtmp://camera/live/1?token=2", "rtmps://camera:444/a/b/c"),
        *("https://u:p@camera/live/x.M3U8?token=a", "http://camera/x.m3u8#t"),
        *("RTSP://camera/1", "rtsp://u:p@camera:554/1", "rtsp://u@camera/x", "camera:gate-2_a"),
    ],
)
def test_what_is_right_is_taken(url: str) -> None:
    assert is_live(url)
    assert live_url_problem(url) is None


def test_a_url_of_http_is_live_where_the_request_says_so() -> None:
    assert read("http://camera/mjpeg").spec.live is None
    assert read("http://camera/mjpeg", live={}).spec.live == LiveOptions()
    assert read("https://camera/x.m3u8?a=b").spec.live == LiveOptions()


def test_a_file_is_not_live() -> None:
    assert not any(map(is_live, ("https://rtsp/camera:a", "file:///camera:", "camera", "", "x:y")))


def test_a_source_is_recorded_where_the_request_says_so() -> None:
    assert read("camera:gate", live={}).spec.live == LiveOptions(record=None)
    assert read("camera:gate", live={"record": None}).spec.live == LiveOptions(record=None)
    recorded = read("camera:gate", live={"record": {}}).spec.live
    assert recorded == LiveOptions(record=Recording(DEFAULT_RECORDING_S))


@pytest.mark.parametrize(
    ("most_s", "field", "reason"),
    [(3599, "live.record.retention_s", "at most 3599 s"), (0, "live.record", "records no")],
)
def test_a_server_has_a_limit_of_its_own(most_s: int, field: str, reason: str) -> None:
    source = VideoUrl(url="camera:gate", live=Live(record=Record(retention_s=3600)))
    (error,) = live_errors(source, (LOCAL,), most_s)
    assert error["field"] == f"input[0].{field}"
    assert reason in error["message"]
    assert live_errors(source, (LOCAL,), 3600) == []
