"""The user's editor and pager, and requests as text."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.contract.requests import Live
from console.tui.own_programs import (
    MAX_BYTES,
    NoProgramError,
    editor_command,
    pager_command,
    read_bounded,
    run_on_file,
)
from console.tui.view_models.request_text import RequestTextError, parse_request, request_text
from console.tui.view_models.submit_form import read_body
from tests.console.tui.recorded_api import KEY, Script
from tests.console.tui.tmux import Tmux
from tests.plugins.missing import needs_program

REQUEST: dict[str, Any] = {
    "input": [{"type": "video_url", "url": "https://example.com/a.mp4", "max_frames": 5}],
    "steps": [{"model": "detect", "parameters": {"threshold": 0.5}, "when": {"class_is": ["car"]}}],
    "precision": "f32",
}


def nowhere(_: str) -> None:
    return None


def test_the_editor_is_visual_then_editor_with_its_options() -> None:
    assert editor_command({"EDITOR": "vi"}) == ["vi"]
    assert editor_command({"EDITOR": "vi", "VISUAL": "code -w 'a b'"}) == ["code", "-w", "a b"]
    with pytest.raises(NoProgramError, match="export EDITOR="):
        editor_command({})
    with pytest.raises(NoProgramError, match=r"\$EDITOR cannot be read"):
        editor_command({"EDITOR": "vi 'x"})


def test_the_pager_is_the_users_or_one_that_is_installed() -> None:
    assert pager_command({"PAGER": "less -R"}, nowhere) == ["less", "-R"]
    assert pager_command({}, lambda name: f"/bin/{name}") == ["/bin/less"]
    with pytest.raises(NoProgramError, match="export PAGER="):
        pager_command({}, nowhere)


@pytest.mark.usefixtures("processes")
def test_a_program_that_fails_is_told_with_its_status(tmp_path: Path) -> None:
    file = tmp_path / "a"
    assert run_on_file(["touch"], str(file)) == ""
    assert file.exists()
    assert run_on_file(["false"], str(file)) == "false ended with status 1"
    assert "No such file" in run_on_file(["no-such-editor"], str(file))
    file.write_text("ä")
    assert read_bounded(file) == "ä"
    os.truncate(file, MAX_BYTES + 1)
    with pytest.raises(ValueError, match="more than"):
        read_bounded(file)


def test_every_option_of_a_live_source_may_be_edited() -> None:
    live = dict.fromkeys(Live.__struct_fields__)
    body = {"input": [{"url": "camera:gate", "live": live}], "steps": [{"model": "detect"}]}
    assert parse_request(json.dumps(body)) == body


def test_a_request_and_its_text_are_each_other() -> None:
    assert parse_request(request_text(REQUEST)) == REQUEST
    uploaded = {"input": [{"type": "video_base64", "data": "staged:x"}], "steps": []}
    assert parse_request(request_text(uploaded))["input"] == [{"type": "video_url", "url": ""}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 3}, "steps: expected `array`, got `int`"),
        ({"input": []}, "input: must have exactly one video"),
        ({"input": [{"maxframes": 3}]}, "input[0]: object contains unknown field `maxframes`"),
        ({"input": [{"max_frames": "x"}]}, "input[0].max_frames: expected `int | null`"),
        ({"steps": [{"model": 1}]}, "steps[0].model: expected `str`"),
        ({"steps": [{"model": "ocr", "when": {"class": "x"}}]}, "steps[0].when: object contains"),
        ({"colour": 1}, "the request: object contains unknown field `colour`"),
    ],
)
def test_what_is_no_request_is_said_with_its_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestTextError) as failure:
        parse_request(json.dumps(REQUEST | change))
    assert str(failure.value).startswith(said)


def test_what_is_no_json_is_said_with_its_line() -> None:
    with pytest.raises(RequestTextError, match=r"this is not JSON: .* in line 3$"):
        parse_request('{\n"a": 1,\n!}')


NAMES = st.sampled_from(["input", "steps", "model", "url", "when"])
LEAVES = st.none() | st.integers() | st.text(max_size=9)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=9,
)


@given(st.text(max_size=200) | VALUES.map(json.dumps))
def test_any_text_is_a_request_that_the_form_can_show_or_an_error(text: str) -> None:
    try:
        body = parse_request(text)
    except RequestTextError:
        return
    read_body(body)


EDITOR = """
import json, pathlib, sys
option, path = sys.argv[1:]
assert option == "--wait"
file = pathlib.Path(path)
log = pathlib.Path(__file__).with_suffix(".log")
body = file.read_text()
log.write_text(body)
if "max_frames" not in body and "oops" not in body:
    file.write_text(body.replace('"steps"', '"oops"'))
else:
    body = json.loads(body.replace("oops", "steps"))
    body["input"][0]["max_frames"] = 7
    file.write_text(json.dumps(body))
"""


@pytest.mark.usefixtures("processes")
@needs_program("tmux", promise="a request in the user's own editor")
def test_a_request_is_edited_in_a_real_terminal_and_submitted(
    script: Script, url: str, tmp_path: Path
) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(EDITOR)
    first = script.tasks()[0]["id"]
    request = REQUEST | {"input": [{"type": "video_url", "url": "https://example.com/a.mp4"}]}
    script.answers["full"][first]["request"] = request
    terminal = Tmux(
        {
            "FRAMEWIRE_URL": url,
            "FRAMEWIRE_KEY": KEY,
            "EDITOR": f"{sys.executable} {editor} --wait",
            "PAGER": "false",
        }
    )
    try:
        terminal.until("vtest.avi")
        terminal.type("E")
        terminal.until("opens the text again")
        assert "the request: object" in terminal.screen()
        assert json.loads(editor.with_suffix(".log").read_text()) == request
        terminal.type("C-e")
        terminal.until('"max_frames": 7')
        terminal.type("C-s")
        terminal.until("LIVE")
        (sent,) = script.asked("POST", "/v1/video/process")
        assert sent == request | {"input": [{**request["input"][0], "max_frames": 7}]}
        terminal.until("■ END")
        terminal.type("P")
        terminal.until("false ended with status 1")
    finally:
        terminal.end()
