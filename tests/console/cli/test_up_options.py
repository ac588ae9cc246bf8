"""Every option of `framewire up` has an environment variable, which counts where it is absent."""

import os
import socket
from pathlib import Path

import click
import pytest

from console.cli.commands.up import up
from console.cli.main import run
from console.exit_codes import ExitCode
from console.stack import environment
from console.stack.data_directory import DataDirectory
from console.stack.plan import StackOptions, make_plan
from streamproc.contract import env

pytestmark = pytest.mark.usefixtures("no_settings")

# Option, its variable, a value. DIR is replaced by a directory.
OPTIONS = {
    "--data": (env.DATA, "DIR"),
    "--port": (env.PORT, "8123"),
    "--workers": (env.WORKERS, "3"),
    "--kafka": (env.KAFKA, "kafka-1:9092,kafka-2:9092"),
    "--s3-endpoint": (env.S3_ENDPOINT, "https://s3.example.com"),
    "--clickhouse": (env.CLICKHOUSE, "https://framewire:pw@ch.example.com:8443/framewire"),
    "--file-root": (env.FILE_ROOTS, "DIR"),
    "--sources": (env.SOURCES, "DIR/sources.toml"),
}


def parsed(*arguments: str) -> dict[str, object]:
    with up.make_context("up", list(arguments)) as context:
        return dict(context.params)


def test_no_option_is_left_out() -> None:
    named = {param.opts[0]: param.envvar for param in up.params if param.name != "as_json"}
    assert named == {option: variable for option, (variable, _) in OPTIONS.items()}
    assert set(named.values()) - {env.DATA} == environment.OPTIONS


@pytest.mark.parametrize("option", OPTIONS)
def test_a_variable_is_what_its_option_is(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, value = OPTIONS[option]
    value = value.replace("DIR", str(tmp_path))
    nothing = parsed()
    typed = parsed(option, value)
    monkeypatch.setenv(variable, value)
    assert parsed() == typed
    assert typed != nothing


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_counts_more_than_its_variable(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, value = OPTIONS[option]
    value = value.replace("DIR", str(tmp_path))
    typed = parsed(option, value)
    other = {"--port": "9", "--workers": "9", "--kafka": "memory"}.get(option, f"http://{tmp_path}")
    other = str(Path(__file__).parent) if "DIR" in OPTIONS[option][1] else other
    monkeypatch.setenv(variable, other)
    assert parsed(option, value) == typed


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(env.DATA)
    nothing = parsed()
    for variable, _ in OPTIONS.values():
        monkeypatch.setenv(variable, "")
    assert parsed() == nothing


def test_file_roots_may_be_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = (tmp_path / "a", tmp_path / "b")
    for root in roots:
        root.mkdir()
    monkeypatch.setenv(env.FILE_ROOTS, os.pathsep.join(map(str, roots)))
    assert parsed()["file_roots"] == roots


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (env.PORT, "eighty"),
        (env.WORKERS, "65"),
        (env.KAFKA, "somewhere"),
        (env.CLICKHOUSE, "chdb:///secret-place"),
        (env.FILE_ROOTS, "/no/such/directory"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    variable: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert run(["up"]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert variable in error
    assert "secret-place" not in error


def test_up_says_what_it_took_and_heeds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv(env.PORT, str(port))
        monkeypatch.setenv(env.DATA, str(tmp_path / "data"))
        assert run(["up"]) == ExitCode.FAILED
    error = capsys.readouterr().err
    assert f"--port is taken from {env.PORT}" in error
    assert f"port {port} is taken" in error
    assert (tmp_path / "data").is_dir()


@pytest.mark.parametrize("place", ["/proc/x", "FILE/child"])
def test_a_data_directory_that_cannot_be_made_is_one_line(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    data = place.replace("FILE", str(tmp_path / "file"))
    assert run(["up", "--data", data]) == ExitCode.FAILED
    error = capsys.readouterr().err
    assert "cannot be created" in error
    assert "Traceback" not in error


def test_the_directories_reach_the_children(tmp_path: Path) -> None:
    options = StackOptions(data=tmp_path / "data", file_roots=(tmp_path,))
    children = planned(options, {env.FILE_ROOTS: "/of/the/caller"})
    assert children["worker-1"][env.FILE_ROOTS] == children["api"][env.FILE_ROOTS] == str(tmp_path)


def test_own_models_stay_where_the_caller_keeps_them(tmp_path: Path) -> None:
    options = StackOptions(data=tmp_path / "data")
    assert planned(options, {env.MODELS: "/models"})["worker-1"][env.MODELS] == "/models"
    assert planned(options, {})["api"][env.MODELS] == str(tmp_path / "data" / "models")


def test_the_demo_s_stack_uses_no_server_of_the_caller() -> None:
    caller = dict(OPTIONS.values()) | {env.SLOTS: "8"}
    assert environment.without_options(caller) == {env.DATA: "DIR", env.SLOTS: "8"}


def test_a_variable_without_effect_is_told(tmp_path: Path) -> None:
    options = StackOptions(data=tmp_path / "data", kafka="memory")
    directory = DataDirectory(options.data)
    directory.prepare()
    caller = {env.HOST: "0.0.0.0", env.PARTITIONS: "32", env.SLOTS: "8", env.S3_BUCKET: ""}
    plan = make_plan(options, directory, directory.secrets(), os.environ | caller)
    assert set(plan.unused) == {env.HOST, env.PARTITIONS}


def planned(options: StackOptions, caller: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the environment of every child, by name."""
    directory = DataDirectory(options.data)
    directory.prepare()
    plan = make_plan(options, directory, directory.secrets(), os.environ | caller)
    return {spec.rules.name: dict(spec.environ) for spec in plan.specs}


def test_the_help_names_the_variables(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["up", "--help"]) == ExitCode.DONE
    text = click.unstyle(capsys.readouterr().out)
    assert [variable for variable, _ in OPTIONS.values() if variable not in text] == []
