"""`framewire list` and `framewire tracks`: what they ask, and what they print, of a real server."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from console.cli.main import run
from tests.console.tui.recorded_api import KEY, Script, recorded_api


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    script = Script()
    with recorded_api(script) as url:
        monkeypatch.setenv("FRAMEWIRE_URL", url)
        monkeypatch.setenv("FRAMEWIRE_KEY", KEY)
        yield script


def asked(script: Script, path: str) -> list[dict[str, list[str]]]:
    queries: list[dict[str, list[str]]] = script.asked("GET", path)
    return queries


def words_of(line: str) -> list[str]:
    return line.split()


def test_the_query_is_the_apis(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "status:failed,cancelled age<2h", "gate", "--sort", "-fps"]) == 0
    (query,) = asked(script, "/v1/video/tasks")
    assert query["q"] == ["status:failed,cancelled age<2h gate"]
    assert query["sort"] == ["-fps"]
    assert query["include"] == ["counts"]


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (["status:failed", "-ocr", "source:gate*"], "status:failed source:gate* -ocr"),
        (["-source:gate*", "--limit", "5", "-h-is-in-it"], "-source:gate* -h-is-in-it"),
        (['-"red car"', "--sort", "-fps", "a"], 'a -"red car"'),
        (["-ocr", "--", "-status:failed"], "-ocr -status:failed"),
    ],
)
def test_a_negated_term_is_no_option(script: Script, words: list[str], query: str) -> None:
    assert run(["list", *words]) == 0
    (sent,) = asked(script, "/v1/video/tasks")
    assert sent["q"] == [query]
    assert sent["limit"] == ["5" if "--limit" in words else "20"]
    assert sent.get("sort") == (["-fps"] if "--sort" in words else None)


def test_a_negated_term_stands_behind_the_tracks_task(script: Script) -> None:
    assert run(["tracks", script.log_task, "-car", "dwell>3"]) == 0
    assert run(["tracks", "-car"]) == 0
    first, second = asked(script, "/v1/video/tracks")
    assert (first["task"], first["q"]) == ([script.log_task], ["dwell>3 -car"])
    assert ("task" in second, second["q"]) == (False, ["-car"])


@pytest.mark.parametrize("words", [["-o"], ["--ocr"], ["ok", "--lastt"], ["--limit"]])
def test_what_looks_like_an_option_is_one(
    script: Script, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list", *words]) == 2
    assert words[-1] in capsys.readouterr().err
    assert not script.requests


def test_a_row_says_source_steps_age_and_frames(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    done = next(task for task in script.tasks() if task["status"] == "succeeded")
    done["progress"] |= {"processed_frames": 30, "total_frames": 120, "expected_frames": 30}
    running = next(task for task in script.tasks() if task["status"] == "running")
    running["progress"] |= {"processed_frames": 10, "expected_frames": 40}
    assert run(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = ["ID", "STATUS", "AGE", "SOURCE", "STEPS", "FRAMES", "TRACKS", "ERROR"]
    assert words_of(lines[0]) == titles
    rows = {words_of(line)[0]: words_of(line) for line in lines[1:]}
    assert rows[done["id"]][5] == "30"
    assert rows[running["id"]][5] == "10/40"
    assert rows[running["id"]][4] == ",".join(running["steps"])
    assert rows[running["id"]][3] in running["source"]


@pytest.mark.parametrize("command", ["list", "tracks"])
def test_a_faulty_query_is_shown_where_it_is_wrong(
    script: Script, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "ok", "place:x"]) == 2
    error = capsys.readouterr().err
    assert "  ok place:x\n     ^" in error
    assert not script.requests


def test_all_pages_are_read(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    script.page = 2
    assert run(["list", "--all", "--json"]) == 0
    ids = [task["id"] for task in json.loads(capsys.readouterr().out)]
    assert ids == [task["id"] for task in script.tasks()]
    script.requests.clear()
    assert run(["list", "--limit", "3", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert len(asked(script, "/v1/video/tasks")) == 2


def test_a_time_is_a_duration_a_date_or_a_moment(script: Script) -> None:
    assert run(["list", "--since", "2h", "--to", "2026-01-31"]) == 0
    assert run(["tracks", "--from", "2026-01-31T10:00:00Z"]) == 0
    (query,) = asked(script, "/v1/video/tasks")
    assert query["from"][0].endswith("Z")
    assert query["to"] == ["2026-01-31T00:00:00Z"]
    (query,) = asked(script, "/v1/video/tracks")
    assert query["from"] == ["2026-01-31T10:00:00Z"]


def test_csv_has_a_header_and_every_row(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    first = script.tasks()[0]
    first["source"] = 'https://a.example/a,"b"\x1b[31m.mp4'
    assert run(["list", "--csv", "--all"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["id"] for row in rows] == [task["id"] for task in script.tasks()]
    assert rows[0]["source"] == 'https://a.example/a,"b"\\x1b[31m.mp4'
    assert run(["tracks", "--csv", "--all"]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    tracks: list[dict[str, Any]] = script.answers["tracks"]["data"]
    assert [(row["task"], row["track_id"]) for row in found] == [
        (track["task"], str(track["track_id"])) for track in tracks
    ]
    assert found[0]["class"] == tracks[0]["class"]


def test_a_task_before_the_query_is_the_tracks_task(script: Script) -> None:
    assert run(["tracks", "vt_1", "class:person", "dwell>5", "--class", "a", "--class", "b"]) == 0
    (query,) = asked(script, "/v1/video/tracks")
    assert query["task"] == ["vt_1"]
    assert query["q"] == ["class:person dwell>5"]
    assert query["class"] == ["a", "b"]
