"""Commands whose work another program does: its words, its exit code, its report."""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from console.cli.commands.model_files import _typed
from console.cli.main import run
from console.cli.program import show_report
from console.errors import ProgramFailedError
from console.exit_codes import ExitCode
from tests.console.cli.command_tree import commands

COMMANDS = dict(commands())


def test_what_was_typed_reaches_the_program_and_nothing_else() -> None:
    typed = ["net.onnx", "--mean", "-1", "2.5", "3", "--strides", "8,16", "--kind", "detect"]
    with COMMANDS["framewire models add"].make_context("add", [*typed, "--json"]) as context:
        assert _typed(context) == (
            ["net.onnx"],
            ["--kind", "detect", "--mean", "-1.0", "2.5", "3.0", "--strides", "8", "16", "--json"],
        )
    quantize = COMMANDS["framewire models quantize"]
    with quantize.make_context("quantize", ["mine", "a.mp4", "b.mp4", "--yes"]) as context:
        assert _typed(context) == (["mine", "a.mp4", "b.mp4"], ["--yes"])


def test_strides_are_whole_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "add", "net.onnx", "--strides", "8;16"]) == ExitCode.USAGE
    assert "8,16,32" in capsys.readouterr().err


@pytest.mark.usefixtures("processes", "no_settings")
def test_a_failure_of_the_program_is_an_error_of_the_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network = str(tmp_path / "gone.onnx")
    assert run(["models", "add", network]) == ExitCode.FAILED
    assert f"cannot read {network}" in capfd.readouterr().err
    assert run(["models", "add", network, "--json"]) == ExitCode.FAILED
    output = capfd.readouterr()
    assert output.out == ""
    assert f"cannot read {network}" in json.loads(output.err)["error"]["message"]


def test_a_report_is_found_among_the_lines_of_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    report = '{"findings": [{"task": "vt_1", "where": "archive", "what": "a gap"}]}'
    output = f'verify: bucket x\n{{"event": "began"}}\n{report}\n[1, 2]\n'
    assert show_report(output, 1, key="findings", as_json=True) == ExitCode.FAILED
    assert capsys.readouterr().out == f"{report}\n"
    assert show_report(output, 1, key="findings", as_json=False) == ExitCode.FAILED
    assert capsys.readouterr().out == output


@pytest.mark.parametrize(("returncode", "code"), [(0, 1), (1, 1), (2, 2), (-9, 1)])
def test_without_a_report_its_last_line_is_the_error(returncode: int, code: int) -> None:
    with pytest.raises(ProgramFailedError, match="the store is away") as failed:
        show_report("began\nthe store is away\n\n", returncode, key="findings", as_json=True)
    assert failed.value.exit_code == code


@pytest.mark.usefixtures("processes", "no_settings")
def test_a_source_reaches_the_program_by_its_input_alone(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "rtsp://u:secret7@127.0.0.1/secret7"
    assert run(["sources", "check", url, "--json"]) == ExitCode.FAILED
    output = capfd.readouterr()
    message = json.loads(output.err)["error"]["message"]
    assert message.startswith("127.0.0.1 has no address that may be fetched from")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"camera:door\n")))
    assert run(["sources", "check", "-"]) == ExitCode.USAGE
    output = capfd.readouterr()
    assert output.err == "no source is named door; there are: none\n"
    assert "secret7" not in output.out + output.err + message


def test_the_words_of_a_trial_hold_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], bytes]] = []

    def note(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        started.append((command, options["input"]))
        return subprocess.CompletedProcess(command, 0, b"{}\n", b"")

    monkeypatch.setattr(subprocess, "run", note)
    url = "rtsp://u:secret7@cam/"
    assert run(["sources", "check", url, "--transport", "udp", "--json"]) == ExitCode.DONE
    ((command, given),) = started
    assert command[-7:] == ["sources", "check", "--seconds", "5", "--transport", "udp", "--json"]
    assert given == f"{url}\n".encode()
    assert run(["sources", "watch", "gate", "--for", "15m", "--json"]) == ExitCode.DONE
    command, given = started[1]
    assert command[-5:] == ["sources", "watch", "--json", "--seconds", "900"]
    assert given == b"gate\n"
