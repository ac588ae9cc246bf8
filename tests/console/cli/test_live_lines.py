"""What the command line tells of a live source: frames as they come, losses, results so far."""

import json
import time
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from api.contract.tasks import ResultResource
from console.cli.chunk_lines import LiveLines
from console.cli.commands import submit
from console.cli.commands.submit import follow_to_end
from console.cli.commands.tasks import fetch_results
from console.cli.main import run
from console.cli.terminal import Terminal
from console.client.calls import Call
from console.client.sync_client import Client
from console.comparison.frames import read_frames
from streamproc.contract.chunk import Chunk, RecordingLoss, decode_chunk
from streamproc.contract.framing import DONE, parse_events
from tests.console.live_log import live_log
from tests.console.tui.recorded_api import Script

LINES = [
    "12:00:00.2  pictures are 1280 x 720",
    "12:00:00.2  frame    0  lag 150 ms   1 targets  #1 pedestrian 0.50",
    "12:00:01.2  frame   29  lag 150 ms   2 targets  #1 pedestrian 0.50  #2 bus 0.75",
    "12:00:08.4  lost: source_timeout, 3 attempts",
    "12:00:11.4  lost: source_unreachable, 3 attempts",
    "12:00:23.5  back after 22.3 s (source_lost)",
    "12:00:23.5  frame   30  lag 150 ms   1 targets  #1 pedestrian 0.50",
]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def chunks(log: bytes) -> list[Chunk]:
    return [decode_chunk(event.data) for event in parse_events(log) if event.data != DONE]


def test_frames_losses_and_returns_are_lines_with_the_time_of_day() -> None:
    lines = LiveLines()
    log = live_log("vt_01KAN7W0000000000000000001")
    log.terminal("cancelled")
    assert [line for chunk in chunks(log.log) for line in lines.lines(chunk)] == LINES


def test_a_notice_before_the_first_frame_has_no_time() -> None:
    _, _, notice, *_ = chunks(live_log("vt_01KAN7W0000000000000000001").log)
    assert list(LiveLines().lines(notice)) == ["--:--:--.-  lost: source_timeout, 3 attempts"]


def test_a_comparison_reads_frames_alone() -> None:
    log = live_log("vt_01KAN7W0000000000000000001")
    assert [frame.frame for frame in read_frames(parse_events(log.log))] == [0, 29, 30]


@pytest.fixture
def task(script: Script) -> str:
    """Serve a live task that was cancelled."""
    task = "vt_01KAN7W0000000000000000001"
    log = live_log(task)
    log.terminal("cancelled")
    script.logs[task] = log.log
    full = script.answers["full"]
    full[task] = full[script.log_task] | {"id": task, "status": "cancelled", "live": None}
    return task


@pytest.mark.parametrize("as_json", [False, True])
def test_a_followed_camera_prints_each_frame_as_it_comes_and_its_results(
    script: Script, task: str, capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    script.answers["results"][task] = results(task)
    assert follow_to_end(Terminal(as_json=as_json), task, shows_chunks=True) == 0
    printed = capsys.readouterr().out.splitlines()
    if as_json:
        infos = [json.loads(line).get("stream_info", {}) for line in printed]
        assert [info.get("frame_index") for info in infos[:5]] == [0, 29, 29, 29, 30]
        assert infos[2]["source"]["code"] == "source_timeout"
    else:
        assert printed[: len(LINES)] == LINES
        assert "FIRST SEEN" in printed[len(LINES)]


def test_only_a_run_of_a_live_source_prints_frames(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[bool] = []

    def follow(*_: object, shows_chunks: bool) -> int:
        shown.append(shows_chunks)
        return 0

    monkeypatch.setattr(submit, "follow_to_end", follow)
    assert run(["run", "camera:gate", "--give-up", "60"]) == 0
    assert run(["run", "https://example.com/a.mp4"]) == 0
    assert shown == [True, False]
    first, _ = script.asked("POST", "/v1/video/process")
    assert first["input"][0]["live"] == {"give_up_s": 60}


def test_a_live_task_that_was_cancelled_has_ended_well(script: Script, task: str) -> None:
    assert run(["wait", task]) == 0
    del script.answers["full"][task]["live"]
    assert run(["wait", task]) == 1


def test_results_so_far_are_asked_for_and_have_times_of_capture(
    script: Script, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script.answers["results"][task] = results(task) | {"partial": True, "log_length": 100}
    assert run(["results", "--partial", task]) == 0
    assert "2026-11-22T12:00:31.500Z" in capsys.readouterr().out
    assert script.asked("GET", f"/v1/video/tasks/{task}/results") == [{"partial": ["true"]}]


def test_pages_of_results_are_put_together() -> None:
    pages = {
        None: results("vt_1") | {"next_cursor": "c2"},
        "c2": results("vt_1") | {"next_cursor": "c3"},
        "c3": results("vt_1"),
    }

    class Pages:
        def send(self, call: Call[ResultResource]) -> ResultResource:
            return msgspec.convert(pages[dict(call.query).get("cursor")], ResultResource)

    found = fetch_results(cast("Client", Pages()), "vt_1", partial=True)
    assert (len(found.tracks), found.next_cursor) == (3, None)


def test_the_state_of_a_source_is_a_line_of_its_task(
    script: Script, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source: dict[str, object] = {
        "state": "lost",
        "since": "2026-11-22T12:00:05.000Z",
        "code": "source_timeout",
    }
    source |= {"reconnects": 2, "last_frame_at": None, "fps": 0.0, "lag_ms": None}
    script.answers["full"][task]["live"] = source | {"keyframe_interval_s": None}
    assert run(["status", task]) == 0
    line = "live      lost since 2026-11-22T12:00:05.000Z (source_timeout), 2 reconnects"
    assert line in capsys.readouterr().out


def results(task: str) -> dict[str, Any]:
    track = {"track_id": 1, "class": "bus", "first_frame": 0, "last_frame": 9, "frames_seen": 10}
    track |= {"best_confidence": 0.5, "dwell_s": 31.25}
    track["first_seen_at"] = "2026-11-22T12:00:00.250Z"
    track["last_seen_at"] = "2026-11-22T12:00:31.500Z"
    return {
        "id": task,
        "object": "mm.pipeline.result",
        "model": None,
        "usage": {"processed_frames": 3, "processing_time_ms": 24_450},
        "tracks": [track],
        "next_cursor": None,
    }


def test_what_is_not_recorded_is_a_line_before_the_next_frame() -> None:
    first, *_ = chunks(live_log("vt_01KAN7W0000000000000000001").log)
    loss = RecordingLoss("no_store", 2, 301, 880, 1180)
    info = msgspec.structs.replace(first.stream_info, recording_lost=loss, size=msgspec.UNSET)
    line, frame = LiveLines().lines(msgspec.structs.replace(first, stream_info=info))
    assert line == "12:00:00.2  not recorded: frames 880 to 1180, 301 pictures (no_store)"
    assert frame.startswith("12:00:00.2  frame    0")
