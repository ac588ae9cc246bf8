"""`framewire rerun` and `framewire export`: several tasks, and those that fit a query."""

import csv
import json
from pathlib import Path

import pytest

from console.cli.main import run
from console.exit_codes import ExitCode
from tests.console.tui.recorded_api import Script

PROCESS = "/v1/video/process"


def ids(script: Script, status: str) -> list[str]:
    return [str(task["id"]) for task in script.tasks() if task["status"] == status]


def test_requests_of_tasks_are_run_again_each_once_and_a_masked_one_is_not(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = ids(script, "running")
    masked = script.answers["full"][ids(script, "failed")[0]]
    masked["request"]["input"][0] = {"type": "video_url", "url": "https://***@example.com/a.mp4"}
    assert run(["rerun", first, masked["id"], second, first]) == ExitCode.FAILED
    output = capsys.readouterr()
    assert [line.split()[:3] for line in output.out.splitlines()] == [
        [first, "submitted", "as"],
        [second, "submitted", "as"],
    ]
    assert f"{masked['id']}: its URL held credentials" in output.err
    full = script.answers["full"]
    expected = [full[task]["request"] for task in (first, second)]
    assert script.asked("POST", PROCESS) == expected


def test_a_query_runs_tasks_again_only_after_a_yes(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = ids(script, "failed")
    for task in failed:
        script.answers["full"][task]["request"]["input"][0]["url"] = "https://example.com/a.mp4"
    assert run(["rerun", "--query", "status:failed"]) == ExitCode.USAGE
    assert script.asked("POST", PROCESS) == []
    assert run(["rerun", "--query", "status:failed", "--yes", "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["rerun_of"] for one in said] == failed
    assert {one["id"] for one in said} <= {task["id"] for task in script.tasks()}
    assert len(script.asked("POST", PROCESS)) == len(failed)


def test_the_tracks_of_tasks_are_written_to_one_file_that_is_not_replaced(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (task,) = script.answers["results"]
    tracks = script.answers["results"][task]["tracks"]
    path = tmp_path / "tracks.csv"
    unknown = ids(script, "running")[0]
    assert run(["export", task, unknown, "--to", str(path)]) == ExitCode.NOT_FOUND
    output = capsys.readouterr()
    assert output.out == f"{task}  {len(tracks)} tracks\n"
    assert unknown in output.err
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["task"], int(row["track_id"])) for row in rows] == [
        (task, track["track_id"]) for track in tracks
    ]
    path.write_text("mine")
    assert run(["export", task, "--to", str(path)]) == ExitCode.FAILED
    assert path.read_text() == "mine"
    assert "--force replaces it" in capsys.readouterr().err
    assert run(["export", unknown, "--to", str(path), "--force"]) == ExitCode.NOT_FOUND
    assert path.read_text() == "mine"  # nothing was read in its place
    assert run(["export", task, "--to", str(path), "--force"]) == 0
    assert path.read_text().startswith("task,")
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["tracks.csv"]


def test_a_query_exports_what_has_succeeded_to_a_file_for_each_task(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (task,) = script.answers["results"]
    assert run(["export", "--query", "age<9h", "--to", f"{tmp_path}/out/"]) == ExitCode.NOT_FOUND
    asked = {path for method, path, _ in script.requests if path.endswith("/results")}
    assert asked == {f"/v1/video/tasks/{one}/results" for one in ids(script, "succeeded")}
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == f"{task}.json"
    assert len(json.loads(path.read_text())) == len(script.answers["results"][task]["tracks"])
    assert run(["export", task, "--to", "tracks.xml"]) == ExitCode.USAGE
    assert "ends in .json or .csv" in capsys.readouterr().err
