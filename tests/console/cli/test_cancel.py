"""`framewire cancel`: one task, several, and those that fit a query."""

import json
import sys
from typing import Any

import click
import pytest

from console.cli import bulk
from console.cli.main import run
from console.exit_codes import ExitCode
from tests.console.tui.recorded_api import Script


def cancelled(script: Script) -> list[str]:
    """Return the tasks that the api was asked to cancel, in order."""
    paths = [path for method, path, _ in script.requests if method == "POST"]
    assert all(path.endswith("/cancel") for path in paths)
    return [path.split("/")[4] for path in paths]


def ids(script: Script, *statuses: str) -> list[str]:
    return [str(task["id"]) for task in script.tasks() if task["status"] in statuses]


def test_one_task_is_cancelled(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cancel", "vt_1"]) == 0
    assert capsys.readouterr().out == "vt_1  cancelling\n"
    assert cancelled(script) == ["vt_1"]


def test_each_of_several_tasks_has_its_result_and_none_is_left_out(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    script.refuse("POST /v1/video/tasks/vt_2/cancel", 404, "not_found", "There is no such task.")
    assert run(["cancel", "vt_1", "vt_2", "vt_3", "vt_1"]) == ExitCode.NOT_FOUND
    output = capsys.readouterr()
    assert output.out == "vt_1  cancelling\nvt_3  cancelling\n"
    assert "vt_2: There is no such task." in output.err
    assert cancelled(script) == ["vt_1", "vt_2", "vt_3"]


def test_results_of_several_tasks_as_json(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    script.refuse("POST /v1/video/tasks/vt_2/cancel", 409, "conflict", "It has ended.")
    assert run(["cancel", "vt_1", "vt_2", "vt_3", "--json"]) == ExitCode.FAILED
    output = capsys.readouterr()
    assert [json.loads(line)["id"] for line in output.out.splitlines()] == ["vt_1", "vt_3"]
    assert json.loads(output.err)["error"]["message"] == "vt_2: It has ended."


def test_a_query_cancels_the_tasks_that_fit_and_have_not_ended(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ids(script, "pending", "running")
    assert wanted
    assert run(["cancel", "--query", "source:vtest*", "--yes"]) == 0
    assert cancelled(script) == wanted
    script.requests.clear()
    assert run(["cancel", "--query", "source:nothing*", "--yes"]) == 0
    assert cancelled(script) == []


@pytest.mark.parametrize("words", [["--query", "age<9h"], [], ["vt_1", "--query", "age<9h"]])
def test_nothing_is_cancelled_without_a_task_or_a_yes(
    script: Script, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cancel", *words]) == ExitCode.USAGE
    assert not cancelled(script)


@pytest.mark.parametrize("answer", [True, False])
def test_a_query_lists_the_tasks_and_asks(
    script: Script,
    answer: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []

    def confirm(text: str, **_: Any) -> bool:
        asked.append(text)
        return answer

    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)
    wanted = ids(script, "pending", "running")
    assert run(["cancel", "--query", "vtest"]) == 0
    assert asked == [f"Cancel these {len(wanted)} tasks?"]
    assert all(one in capsys.readouterr().err for one in wanted[:1])
    assert cancelled(script) == (wanted if answer else [])


def test_a_query_that_fits_too_many_cancels_none(
    script: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bulk, "MAX_TASKS", 1)
    assert run(["cancel", "--query", "vtest", "--yes"]) == ExitCode.FAILED
    assert "more than 1 tasks fit" in capsys.readouterr().err
    assert not cancelled(script)
