"""Contexts: the api of a name, with its key, for the console and for every command."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from console.cli.main import cli
from console.config import contexts as contexts_module
from console.config.contexts import endpoint_named, endpoint_of
from console.config.values import Context
from console.errors import ContextError, UnknownContextError
from console.exit_codes import ExitCode
from console.stack.discovery import discover
from streamproc.contract import env

URL = "https://video.example.com"
SECRET = "fw_very_secret"


def command(script: str) -> Context:
    return Context(name="vault", url=URL, key_command=(sys.executable, "-c", script))


def test_a_key_comes_from_a_variable_a_command_or_the_file(processes: None) -> None:
    of_variable = Context(name="a", url=URL, key_env="A_KEY", admin_key_env="A_ADMIN", project="p")
    environ = {"A_KEY": SECRET, "A_ADMIN": "fwadmin", env.ADMIN_KEY: "another's"}
    endpoint = endpoint_of(of_variable, environ)
    assert (endpoint.url, endpoint.key, endpoint.admin_key) == (URL, SECRET, "fwadmin")
    assert endpoint.project == "p"
    assert endpoint_of(command(f"print('{SECRET}')\nprint('more')"), {}).key == SECRET
    assert endpoint_of(Context(name="c", url=URL, key=SECRET), environ).key == SECRET
    assert endpoint_of(Context(name="d", url=URL), environ).admin_key is None


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("pass", "printed nothing"),
        (f"print('{SECRET}'); raise SystemExit(1)", "ended with 1"),
    ],
)
def test_a_command_that_fails_is_told_without_what_it_printed(
    processes: None, script: str, fault: str
) -> None:
    with pytest.raises(ContextError, match=fault) as caught:
        endpoint_of(command(script), {})
    assert "vault" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_command_that_does_not_end_is_ended(
    processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts_module, "COMMAND_S", 0.3)
    started_s = time.monotonic()
    with pytest.raises(ContextError, match="did not end in time"):
        endpoint_of(command("import time; time.sleep(60)"), {})
    assert time.monotonic() - started_s < 30


def test_an_unknown_context_is_told_with_what_was_meant() -> None:
    known = {"prod": Context(name="prod", url=URL)}
    match = "there is no context 'prd'; did you mean 'prod'"
    with pytest.raises(UnknownContextError, match=match) as caught:
        endpoint_named("prd", known, {})
    assert caught.value.exit_code == ExitCode.USAGE
    with pytest.raises(ContextError, match="A_KEY is not set"):
        endpoint_of(Context(name="a", url=URL, key_env="A_KEY"), {})


def configured(tmp_path: Path) -> Mapping[str, str]:
    folder = tmp_path / "framewire"
    folder.mkdir()
    text = f'[contexts.prod]\nurl = "{URL}"\nkey_env = "PROD_KEY"\n'
    (folder / "console.toml").write_text(text)
    return {"XDG_CONFIG_HOME": str(tmp_path), "PROD_KEY": SECRET}


def test_a_context_comes_before_the_other_variables(tmp_path: Path) -> None:
    environ = {
        **configured(tmp_path),
        env.URL: "http://127.0.0.1:1",
        env.KEY: "another's",
        env.ADMIN_KEY: "another's",
        env.DATA: str(tmp_path),
    }
    assert discover(environ).url == "http://127.0.0.1:1"
    endpoint = discover({**environ, env.CONTEXT: "prod"})
    assert (endpoint.url, endpoint.key, endpoint.admin_key) == (URL, SECRET, None)
    with pytest.raises(ContextError):
        discover({**environ, env.CONTEXT: "no"})


def test_every_command_takes_a_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(env.CONTEXT, "")
    for name, value in configured(tmp_path).items():
        monkeypatch.setenv(name, value)
    cli.main(["--context", "prod", "list", "--show-request"], standalone_mode=False)
    printed = capsys.readouterr().out
    assert f"{URL}/v1/video/tasks" in printed
    assert SECRET not in printed
