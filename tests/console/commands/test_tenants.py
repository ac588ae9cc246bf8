"""`framewire projects limit` and `framewire usage`, over a real local HTTP server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.cli.main import run
from console.exit_codes import ExitCode
from tests.console.tui.recorded_api import KEY, Script, recorded_api

DAYS = [
    {
        "day": day,
        "project": project,
        "tasks": 3,
        "processed_frames": 1200,
        "decoded_frames": 4800,
        "processing_s": 61.25,
        "log_bytes": 70_000,
    }
    for day, project in (("2026-11-22", "shop"), ("2026-11-21", "gate\x1b[2J"))
]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Script]:
    script = Script()
    script.answers["usage"] = {"data": DAYS, "next_cursor": None}
    with recorded_api(script) as url:
        monkeypatch.setenv("FRAMEWIRE_URL", url)
        monkeypatch.setenv("FRAMEWIRE_ADMIN_KEY", KEY)
        monkeypatch.setenv("FRAMEWIRE_DATA", str(tmp_path))
        yield script


def test_limits_are_sent_as_they_are_named_and_shown_as_they_are_now(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["open_streams=50", "stored_bytes=0", "submissions_per_minute=default"]
    assert run(["projects", "limit", "shop", *wanted]) == 0
    (sent,) = script.asked("PATCH", "/v1/admin/projects/shop")
    assert sent == {
        "limits": {"open_streams": 50, "stored_bytes": 0, "submissions_per_minute": None}
    }
    shown = dict(line.split("  ") for line in capsys.readouterr().out.splitlines())
    assert shown == {
        "submissions_per_minute": "default",
        "open_streams": "50",
        "upload_bytes_per_day": "default",
        "stored_bytes": "0",
        "open_tasks": "default",
        "weight": "default",
    }


def test_the_changed_project_is_one_line_of_json(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["projects", "limit", "shop", "stored_bytes=7", "--json"]) == 0
    project = json.loads(capsys.readouterr().out)
    assert (project["id"], project["limits"]["stored_bytes"]) == ("shop", 7)


def test_a_limit_that_the_server_refuses_is_told(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {"type": "about:blank", "title": "Unprocessable", "status": 422}
    problem |= {"code": "invalid_request", "detail": "no such limit"}
    script.refused["PATCH /v1/admin/projects/shop"] = problem
    assert run(["projects", "limit", "shop", "pages=7"]) == ExitCode.USAGE
    assert "no such limit" in capsys.readouterr().err


def test_usage_is_a_table_by_day_and_project(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["usage", "--project", "shop", "--from", "2026-11-21", "--limit", "2"]) == 0
    (query,) = script.asked("GET", "/v1/admin/usage")
    assert query == {"project": ["shop"], "from": ["2026-11-21"], "limit": ["2"]}
    output = capsys.readouterr().out
    header, first, second = output.splitlines()
    assert header.split()[:3] == ["DAY", "PROJECT", "TASKS"]
    assert first.split() == ["2026-11-22", "shop", "3", "1200", "4800", "61.2", "70000"]
    assert second.startswith("2026-11-21")
    assert "\x1b" not in output


def test_usage_as_json_is_the_page(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["usage", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == script.answers["usage"]
