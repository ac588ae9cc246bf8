import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.contract.version import VERSION
from console.cli.main import COMMANDS, cli, run
from console.exit_codes import ExitCode

KEY = "fw_0123456789abcdef"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("FRAMEWIRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FRAMEWIRE_DATA", str(tmp_path))


def ask(*arguments: str) -> int:
    return run(list(arguments))


def test_every_command_of_the_help_exists_and_says_what_it_does() -> None:
    context = cli.make_context("framewire", [], resilient_parsing=True)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name
        assert command.help, name


@pytest.mark.usefixtures("processes")
def test_the_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from console.cli.main import run; run(['--help']);"
        "heavy = {'httpx', 'rich', 'textual', 'boto3', 'msgspec', 'numpy'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "stream" in done.stdout


def test_show_request_prints_what_would_be_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRAMEWIRE_URL", "https://video.example.com/")
    monkeypatch.setenv("FRAMEWIRE_KEY", KEY)
    code = ask("start", "https://example.com/a.mp4", "--detect", "bus", "--idempotency-key", "once",
               "--show-request")  # fmt: skip
    assert code == 0
    assert capsys.readouterr().out == (
        "POST https://video.example.com/v1/video/process\n"
        "Authorization: Bearer fw_012…\n"
        "Accept: application/json, application/problem+json\n"
        "Idempotency-Key: once\n"
        "Content-Type: application/json\n"
        "\n"
        "{\n"
        '  "input": [\n'
        "    {\n"
        '      "type": "video_url",\n'
        '      "url": "https://example.com/a.mp4"\n'
        "    }\n"
        "  ],\n"
        '  "steps": [\n'
        "    {\n"
        '      "model": "detect",\n'
        '      "parameters": {\n'
        '        "classes": [\n'
        '          "bus"\n'
        "        ]\n"
        "      }\n"
        "    }\n"
        "  ]\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        (("status", "vt_1", "--request"), "GET {}/v1/video/tasks/vt_1?include=request"),
        (
            ("list", "--status", "failed", "--status", "running", "--limit", "5"),
            "GET {}/v1/video/tasks?status=failed&status=running&limit=5",
        ),
        (("stream", "vt_1", "--offset", "7"), "GET {}/v1/video/tasks/vt_1/stream?offset=7"),
        (("results", "../keys"), "GET {}/v1/video/tasks/..%2Fkeys/results"),
        (("cancel", "vt_1"), "POST {}/v1/video/tasks/vt_1/cancel"),
        (("wait", "vt_1"), "GET {}/v1/video/tasks/vt_1"),
        (("diff", "vt_1", "--with", "vt_2"), "GET {}/v1/video/tasks/vt_1?include=request"),
        (
            ("tracks", "vt_1", "--class", "bus"),
            "GET {}/v1/video/tracks?task=vt_1&class=bus&limit=50",
        ),
        (("models", "list"), "GET {}/v1/models"),
        (("system",), "GET {}/v1/system"),
        (("keys", "list"), "GET {}/v1/admin/keys"),
        (("keys", "revoke", "key_1"), "DELETE {}/v1/admin/keys/key_1"),
        (("projects", "create", "shop"), "POST {}/v1/admin/projects"),
        (("projects", "limit", "a/b", "open_streams=5"), "PATCH {}/v1/admin/projects/a%2Fb"),
        (
            ("usage", "--project", "shop", "--from", "2026-01-01", "--to", "2026-02-01"),
            "GET {}/v1/admin/usage?project=shop&from=2026-01-01&to=2026-02-01&limit=50",
        ),
        (("sql", "select 1"), "POST {}/v1/sql"),
    ],
)
def test_each_command_names_its_request(
    arguments: tuple[str, ...], target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(*arguments, "--show-request", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert f"{shown['method']} {shown['url']}" == target.format("http://127.0.0.1:8080")


def test_no_key_is_ever_printed_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRAMEWIRE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("FRAMEWIRE_KEY", KEY)
    monkeypatch.setenv("FRAMEWIRE_ADMIN_KEY", KEY)
    for arguments in (["list"], ["keys", "list"], ["list", "--show-request"], ["nonsense"]):
        run(arguments)
    output = capsys.readouterr()
    assert KEY not in output.out + output.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["list", "--limit", "0"],
        ["status"],
        ["run", "no-such-file.mp4", "--show-request"],
        ["projects", "limit", "shop"],
        ["projects", "limit", "shop", "open_streams", "--show-request"],
        ["projects", "limit", "shop", "open_streams=many", "--show-request"],
        ["projects", "limit", "shop", "open_streams=1.5", "--show-request"],
        ["usage", "--limit", "0"],
        ["diff"],
        ["diff", "vt_1"],
        ["diff", "vt_1", "--with", "vt_2", "--model", "detect"],
        ["diff", "vt_1", "vt_3", "--with", "vt_2"],
        ["diff", "vt_1", "--parameters", "{"],
        ["diff", "vt_1", "--step", "ocr", "--model", "detect"],
        ["diff", "vt_1", "--precision", "f8"],
        ["diff", "vt_1", "--with", "vt_2", "--iou", "0"],
        ["diff", "vt_1", "--with", "vt_2", "--allow", "many"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert run(arguments) == 2


def test_no_api_is_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("list") == 3
    assert "framewire up" in capsys.readouterr().err
    monkeypatch.setenv("FRAMEWIRE_URL", "http://127.0.0.1:1")
    assert ask("list") == 3
    monkeypatch.setenv("FRAMEWIRE_URL", "not a url")
    assert ask("list") == 3


def test_the_operators_commands_say_that_they_need_the_operators_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRAMEWIRE_URL", "http://127.0.0.1:1")
    assert ask("keys", "list") == ExitCode.DENIED
    assert "FRAMEWIRE_ADMIN_KEY" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("--version") == 0
    assert capsys.readouterr().out == f"framewire {VERSION}\n"
