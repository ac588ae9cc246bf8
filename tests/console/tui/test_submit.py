"""The submit form: its values as a request, its errors at their fields, its curl command."""

import base64
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.events import Paste
from textual.widgets import Input, Label, Select, Static

from console.client import calls
from console.client.curl import curl
from console.tui.app import ConsoleApp
from console.tui.screens.file_picker import PickFileScreen, VideoTree
from console.tui.screens.live import LiveTab
from console.tui.screens.submit import SubmitScreen
from console.tui.view_models import submit_form
from console.tui.widgets.field import Field
from console.tui.widgets.step_editor import StepEditor
from tests.console.tui.conftest import RARELY_S, make_console, until
from tests.console.tui.keyboard import post_keys, typed
from tests.console.tui.recorded_api import Script

SIZE = (140, 50)
PATH = "/v1/video/process"


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


async def opened(pilot: Any, console: ConsoleApp) -> SubmitScreen:
    await pilot.press("n")
    await until(pilot, lambda: isinstance(console.screen, SubmitScreen))
    await until(pilot, lambda: len(console.screen.query(StepEditor)) == 2)
    screen = console.screen
    assert isinstance(screen, SubmitScreen)
    return screen


def field(screen: SubmitScreen, path: str) -> Field:
    return next(found for found in screen.query(Field) if found.path == path)


def wrong(screen: SubmitScreen, path: str) -> str:
    return str(field(screen, path).query_one(".field-error").render())


async def test_keys_that_follow_text_at_once_are_about_all_of_it(
    console: ConsoleApp, script: Script
) -> None:
    url = "https://example.com/a-gate-with-a-long-name.mp4"
    async with console.run_test(size=SIZE) as pilot:
        await opened(pilot, console)
        await typed(pilot, console, *url, "ctrl+y")
        assert f'"url": "{url}"' in console.clipboard
        post_keys(console, *"?a=b", "ctrl+s")
        await until(pilot, lambda: script.asked("POST", PATH))
        (asked,) = script.asked("POST", PATH)
        assert asked["input"][0]["url"] == f"{url}?a=b"


async def test_a_form_that_is_sent_twice_in_one_go_is_one_task(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await opened(pilot, console)
        await typed(pilot, console, *"https://example.com/a.mp4")
        script.hold = threading.Event()  # the api has the request, and has not answered
        post_keys(console, "ctrl+s", "ctrl+s")
        await until(pilot, lambda: script.asked("POST", PATH))
        await typed(pilot, console, "ctrl+s")
        script.hold.set()
        script.hold = None
        await until(pilot, lambda: console.active == "live")
        assert len(script.asked("POST", PATH)) == 1


async def test_a_url_with_everything_set_is_submitted_and_followed(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        for path, value in (
            (submit_form.SOURCE, "https://example.com/gate.mp4"),
            (submit_form.SAMPLING_VALUE, "5"),
            (submit_form.RANGE_START, "2"),
            (submit_form.RANGE_END, "30.5"),
            (submit_form.MAX_FRAMES, "300"),
            (submit_form.HINT, "cloud"),
            (submit_form.parameter_path(0, "classes"), "pedestrian, automobile"),
            (submit_form.parameter_path(0, "threshold"), "0.4"),
            (submit_form.parameter_path(1, "include_vector"), "true"),
            (submit_form.class_path(1), "pedestrian"),
            (submit_form.confidence_path(1), ".7"),
        ):
            field(screen, path).value = value
        await pilot.press("ctrl+s")
        await until(pilot, lambda: script.asked("POST", PATH))
        assert script.asked("POST", PATH) == [
            {
                "input": [
                    {
                        "type": "video_url",
                        "url": "https://example.com/gate.mp4",
                        "sampling": {"mode": "fps", "value": 5},
                        "range": {"start": 2, "end": 30.5, "unit": "seconds"},
                        "max_frames": 300,
                    }
                ],
                "steps": [
                    {
                        "model": "detect",
                        "parameters": {"classes": ["pedestrian", "automobile"], "threshold": 0.4},
                    },
                    {
                        "model": "feature",
                        "parameters": {"include_vector": True},
                        "when": {"class_is": ["pedestrian"], "min_confidence": 0.7},
                    },
                ],
                "model": "cloud",
            }
        ]
        await until(pilot, lambda: console.active == "live")
        assert console.query_one(LiveTab).task_id == script.tasks()[0]["id"]


async def test_a_local_file_is_uploaded(
    console: ConsoleApp, script: Script, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"not really a video")
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        field(screen, submit_form.SOURCE).value = str(clip)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: script.asked("POST", PATH))
        item = script.asked("POST", PATH)[0]["input"][0]
        assert item["type"] == "video_base64"
        assert base64.b64decode(item["data"]) == b"not really a video"


async def test_the_apis_errors_stand_at_their_fields(console: ConsoleApp, script: Script) -> None:
    script.refused[f"POST {PATH}"] = {
        "type": "about:blank",
        "title": "Unprocessable",
        "status": 422,
        "code": "invalid_request",
        "detail": "three errors",
        "errors": [
            {"field": "input[0].range.end", "message": "must be after start"},
            {"field": "steps[0].parameters.classes[1]", "message": "no such class"},
            {"field": "steps", "message": "feature needs a detect before it"},
        ],
    }
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        field(screen, submit_form.SOURCE).value = "https://example.com/gate.mp4"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: wrong(screen, submit_form.RANGE_END) == "must be after start")
        assert wrong(screen, submit_form.parameter_path(0, "classes")) == "no such class"
        assert "feature needs a detect" in str(screen.query_one("#submit-wrong").render())
        del script.refused[f"POST {PATH}"]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: console.active == "live")


@pytest.mark.parametrize("word", ["many", "nan", "inf"])
async def test_what_is_no_number_is_said_before_sending(
    console: ConsoleApp, script: Script, word: str
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        field(screen, submit_form.SOURCE).value = "https://example.com/gate.mp4"
        field(screen, submit_form.MAX_FRAMES).value = word
        await pilot.press("ctrl+s")
        await until(pilot, lambda: wrong(screen, submit_form.MAX_FRAMES) == "must be a number")
        field(screen, submit_form.SOURCE).value = "no/such/file.mp4"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "no such file" in wrong(screen, submit_form.SOURCE))
        assert not script.asked("POST", PATH)


@pytest.mark.parametrize("word", ["~nobody/clip.mp4", "http://[", "x" * 5000, "a\x00b", "[/]"])
async def test_words_that_are_no_video_are_said_at_the_field(
    console: ConsoleApp, script: Script, word: str
) -> None:
    script.refused[f"POST {PATH}"] = {
        "type": "about:blank",
        "title": "Unprocessable",
        "status": 422,
        "code": "invalid_request",
        "detail": "one error",
        "errors": [{"field": "input[0].url", "message": "no such file [/]"}],
    }
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        field(screen, submit_form.SOURCE).value = word
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "no such file" in wrong(screen, submit_form.SOURCE))


async def test_steps_are_added_and_removed(console: ConsoleApp) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        await pilot.click("#add-ocr")
        await until(pilot, lambda: len(screen.query(StepEditor)) == 3)
        assert [editor.values.model for editor in screen.query(StepEditor)] == [
            "detect",
            "feature",
            "ocr",
        ]
        assert field(screen, submit_form.parameter_path(2, "min_length"))
        await pilot.click(screen.query(".step-remove").first())
        await until(pilot, lambda: len(screen.query(StepEditor)) == 2)
        assert [editor.values.model for editor in screen.query(StepEditor)] == ["feature", "ocr"]


async def test_sampling_modes_are_chosen(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        field(screen, submit_form.SOURCE).value = "https://example.com/gate.mp4"
        screen.query_one("#mode Select", Select).value = "keyframe"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: script.asked("POST", PATH))
        assert script.asked("POST", PATH)[0]["input"][0]["sampling"] == {"mode": "keyframe"}


@pytest.mark.usefixtures("processes")
async def test_the_curl_command_is_the_same_request(
    console: ConsoleApp, script: Script, tmp_path: Path
) -> None:
    clip = tmp_path / "a clip's.mp4"
    clip.write_bytes(b"bytes of a clip")
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        field(screen, submit_form.SOURCE).value = str(clip)
        field(screen, submit_form.parameter_path(0, "threshold")).value = "0.4"
        await until(pilot, lambda: "base64 -w0" in str(screen.query_one("#submit-curl").render()))
        await pilot.press("ctrl+y")
        command = console.clipboard
        await pilot.press("ctrl+s")
        await until(pilot, lambda: script.asked("POST", PATH))
        environ = {"FRAMEWIRE_KEY": "fw_recorded", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(  # noqa: ASYNC221 - the server has a thread of its own
            ["bash", "-c", command], env=environ, capture_output=True, check=True
        )
        assert b'"pending"' in done.stdout
        by_form, by_curl = script.asked("POST", PATH)
        assert by_curl == by_form


async def test_a_pasted_curl_command_fills_the_form(console: ConsoleApp, script: Script) -> None:
    item = {"type": "video_url", "url": "https://example.com/a.mp4", "max_frames": 7}
    step = {"model": "ocr", "parameters": {"threshold": 0.25}, "when": {"class_is": ["car"]}}
    body = {"input": [item], "steps": [step], "model": "gate", "precision": "f32"}
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        console.post_message(Paste("curl https://video.example.com/v1/models -d x"))
        said = screen.query_one("#submit-wrong", Label)
        await until(pilot, lambda: "not about /v1/video/process" in str(said.content))
        assert field(screen, submit_form.SOURCE).value == ""
        console.post_message(Paste(curl(calls.submit(body), "https://other.example.com")))
        post_keys(console, "ctrl+s")  # at once: about the pasted request
        await until(pilot, lambda: script.asked("POST", PATH))
        assert script.asked("POST", PATH) == [body]


async def test_the_curl_command_names_a_file_below_a_root_as_the_request_does(
    url: str, script: Script, tmp_path: Path
) -> None:
    clip = tmp_path / "a clip.mp4"
    clip.write_bytes(b"bytes of a clip")
    console = make_console(url)
    console.backend.endpoint = replace(console.backend.endpoint, file_roots=(tmp_path,))
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        field(screen, submit_form.SOURCE).value = str(clip)
        shown = screen.query_one("#submit-curl", Static)
        await until(pilot, lambda: "a%20clip.mp4" in str(shown.content))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: script.asked("POST", PATH))
        (body,) = script.asked("POST", PATH)
        assert body["input"][0]["url"] == f"file://{tmp_path}/a%20clip.mp4"
        assert f'"url": "file://{tmp_path}/a%20clip.mp4"' in str(shown.content)


async def test_an_error_is_folded_and_goes_when_its_field_is_edited(
    console: ConsoleApp, script: Script
) -> None:
    message = "a word " * 40
    errors = [
        {"field": "input[0].range.end", "message": message},
        {"field": "input[0].range.start", "message": "too late"},
    ]
    script.refuse(f"POST {PATH}", 422, "invalid_request", "two errors", errors=errors)
    async with console.run_test(size=(80, 40)) as pilot:
        screen = await opened(pilot, console)
        field(screen, submit_form.SOURCE).value = "https://example.com/gate.mp4"
        await pilot.press("ctrl+s")
        end, start = (field(screen, f"input[0].range.{name}") for name in ("end", "start"))
        await until(pilot, lambda: wrong(screen, end.path))
        label = end.query_one(".field-error")
        await until(pilot, lambda: label.size.height > 1)
        assert label.size.width * label.size.height >= len(message)
        end.value = "5"
        await until(pilot, lambda: not wrong(screen, end.path))
        assert wrong(screen, start.path) == "too late"


async def test_a_file_is_picked(console: ConsoleApp, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    async with console.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, console)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(console.screen, PickFileScreen))
        tree = console.screen.query_one("#video-tree", VideoTree)
        await until(pilot, lambda: len(tree.root.children) == 1)
        tree.focus()
        await pilot.press("down", "enter")
        await until(pilot, lambda: console.screen is screen)
        assert screen.query_one("#source Input", Input).value == str(tmp_path / "clip.mp4")


async def test_escape_leaves_without_sending(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await opened(pilot, console)
        await pilot.press("escape")
        assert not isinstance(console.screen, SubmitScreen)
        assert not script.asked("POST", PATH)
