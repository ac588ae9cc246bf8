"""A pasted curl command as a request: what was written for a shell is read without one."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.client import calls
from console.client.curl import curl
from console.client.curl_reader import MAX_TEXT, CurlError, is_curl, read_curl

URL = "https://video.example.com"
BODY: dict[str, Any] = {
    "input": [{"type": "video_url", "url": 'https://example.com/it\'s "a" $HOME.mp4'}],
    "steps": [{"model": "detect", "parameters": {"threshold": 0.5}}],
}
TEXT = json.dumps(BODY)


@given(st.text(max_size=60))
def test_what_the_console_writes_is_read_again(hint: str) -> None:
    body = BODY | {"model": hint}
    request = read_curl(curl(calls.submit(body), URL))
    assert (json.loads(request.body), request.upload) == (body, None)


@pytest.mark.parametrize("name", ["a.mp4", "a (1) b.mp4", "it is 100% \\ b.mp4"])
def test_a_file_that_the_shell_would_insert_is_the_upload(name: str) -> None:
    path = Path("/videos") / name
    body = {"input": [{"type": "video_base64", "data": ""}], "steps": BODY["steps"]}
    request = read_curl(curl(calls.submit(body), URL, upload=path))
    assert (json.loads(request.body), request.upload) == (body, path)


@pytest.mark.parametrize(
    "command",
    [
        f"curl {URL}/v1/video/process -d '{{}}'",
        f"$ curl -X POST '{URL}/v1/video/process/' --data-raw '{{}}' --compressed",
        f"curl --json '{{}}' --url {URL}/v1/video/process",
        f"curl -sS \\\n  -H 'Authorization: Bearer x' \\\r\n  {URL}/v1/video/process?a=b -d'{{}}'",
        f"curl -H 'A: b' --data='{{}}' {URL}/v1/video/process",
    ],
)
def test_other_spellings_are_read(command: str) -> None:
    assert is_curl(command)
    assert read_curl(command).body == "{}"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"curl {URL}/v1/video/tasks -d x", "not about /v1/video/process"),
        (f"curl {URL}/v1/video/process", "no body"),
        (f"curl {URL}/v1/video/process -d @body.json", "in the file body.json"),
        (f"curl {URL}/v1/video/process -d 'x", "not whole: no closing quotation"),
        (f"curl {URL}/v1/video/process -d", "no body"),
        ("curl " + "x" * MAX_TEXT, "more than 256 KiB"),
    ],
)
def test_what_submits_nothing_is_said(command: str, said: str) -> None:
    with pytest.raises(CurlError, match=said):
        read_curl(command)


@pytest.mark.parametrize("text", ["", "curling.mp4", "/v/curl a.mp4", "https://x/curl ", "curl"])
def test_a_video_is_no_command(text: str) -> None:
    assert not is_curl(text)


@given(st.text(max_size=200), st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str, path: str) -> None:
    for command in (f"curl {text}", f"curl {URL}/v1/video/process -d '{path}' {text}"):
        try:
            request = read_curl(command)
        except CurlError:
            continue
        assert isinstance(request.body, str)
