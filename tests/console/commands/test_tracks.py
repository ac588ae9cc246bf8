"""`framewire tracks --like-text`, over a real local HTTP server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.cli.main import run
from tests.console.tui.recorded_api import KEY, Script, recorded_api

PATH = "/v1/video/tracks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Script]:
    script = Script()
    with recorded_api(script) as url:
        monkeypatch.setenv("FRAMEWIRE_URL", url)
        monkeypatch.setenv("FRAMEWIRE_KEY", KEY)
        monkeypatch.setenv("FRAMEWIRE_DATA", str(tmp_path))
        yield script


def test_words_and_their_model_are_sent_and_distances_are_shown(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--like-text", "red truck", "--like-model", "clip@1"]
    assert run(["tracks", *words, "--class", "truck", "--limit", "9"]) == 0
    (asked,) = script.asked("GET", PATH)
    assert asked == {
        "class": ["truck"],
        "like_text": ["red truck"],
        "like_model": ["clip@1"],
        "limit": ["9"],
        "include": ["counts"],
    }
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header.split()[-1] == "DISTANCE"
    nearest = script.answers["similar"]["data"][0]["distance"]
    assert float(first.split()[-1]) == round(nearest, 4)


def test_without_words_there_is_no_distance(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tracks"]) == 0
    assert "DISTANCE" not in capsys.readouterr().out
    assert run(["tracks", "--like-text", "red", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    expected = script.answers["similar"]["data"]
    assert [t["distance"] for t in listed] == [t["distance"] for t in expected]
