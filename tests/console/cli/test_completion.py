"""What a shell is offered, by click's own completion and by real shells."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from console.cli.completion_scripts import SHELLS
from console.cli.main import COMMANDS, COMPLETE_VARIABLE, cli, run
from tests.console.cli.typist import Typist
from tests.console.tui.recorded_api import Script
from tests.plugins.missing import needs_program

PROMISE = "completion in a real shell"


def offered(*words: str) -> list[CompletionItem]:
    """Return what is offered for the last of the words after `framewire`."""
    shell = ShellComplete(cli, {}, "framewire", COMPLETE_VARIABLE)
    return shell.get_completions(list(words[:-1]), words[-1])


def values(*words: str) -> list[str]:
    return [item.value for item in offered(*words)]


@pytest.mark.usefixtures("no_settings")
def test_commands_and_options_are_offered() -> None:
    assert values("") == list(COMMANDS)
    assert values("st") == ["start", "status", "stream"]
    assert values("keys", "r") == ["revoke", "rotate"]
    assert "--idempotency-key" in values("run", "a.mp4", "--i")
    assert values("list", "--status", "s") == ["succeeded"]
    assert values("completion", "") == ["bash", "zsh", "fish"]


@pytest.mark.usefixtures("processes")
def test_the_first_word_is_completed_without_loading_a_command() -> None:
    code = (
        "import sys; from console.cli.main import run\n"
        "try: run([])\n"
        "except SystemExit: pass\n"
        "sys.exit(', '.join({'httpx', 'rich', 'textual', 'msgspec'} & set(sys.modules)) or 0)"
    )
    environ = os.environ | {
        COMPLETE_VARIABLE: "bash_complete", "COMP_WORDS": "framewire l", "COMP_CWORD": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["plain,list", "plain,logs"]


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("command", ["run", "start"])
def test_a_video_is_a_file(command: str) -> None:
    (item,) = offered(command, "clips/a")
    assert (item.type, item.value) == ("file", "clips/a")


@pytest.mark.parametrize(
    "words",
    [["status"], ["stream"], ["results"], ["tracks"], ["reindex", "vt_1"]],
    ids=lambda words: words[0],
)
def test_a_task_is_one_of_the_newest(script: Script, words: list[str]) -> None:
    tasks = script.tasks()
    assert values(*words, "") == [task["id"] for task in tasks]
    last = tasks[-1]["id"]
    (item,) = offered(*words, last[:-1])
    assert item.value == last
    assert item.help == f"{tasks[-1]['status']} {tasks[-1]['created_at']}"
    assert values(*words, "vt_none") == []


@pytest.mark.parametrize("words", [["cancel"], ["wait"], ["wait", "vt_1"]])
def test_what_can_be_cancelled_or_waited_for_has_not_ended(
    script: Script, words: list[str]
) -> None:
    open_ones = [t["id"] for t in script.tasks() if t["status"] in {"pending", "running"}]
    assert open_ones
    assert values(*words, "") == open_ones


def test_classes_are_those_of_the_models(script: Script) -> None:
    known = {name for model in script.answers["models"]["data"] for name in model["classes"]}
    assert set(values("run", "a.mp4", "--detect", "")) == known | {"all"}
    assert set(values("tracks", "--class", "")) == known
    assert values("run", "a.mp4", "--detect", "pedes") == ["pedestrian"]


def test_a_list_of_classes_goes_on_behind_its_comma(script: Script) -> None:
    found = values("start", "a.mp4", "--detect", "bus,pedestrian,t")
    assert "bus,pedestrian,truck" in found
    assert all(value.startswith("bus,pedestrian,t") for value in found)
    assert "bus,bus" not in values("start", "a.mp4", "--detect", "bus,")


def test_models_are_offered_with_their_kind(script: Script) -> None:
    items = offered("models", "quantize", "")
    assert [item.value for item in items] == [m["id"] for m in script.answers["models"]["data"]]
    assert items[0].help is not None
    assert items[0].help.startswith("detect: ")


def test_what_others_named_cannot_control_the_terminal(script: Script) -> None:
    script.answers["models"]["data"][0]["classes"].append("evil\x1b[2J\nplain,rm")
    (value,) = values("tracks", "--class", "evil")
    assert value.isprintable()


@pytest.mark.usefixtures("no_settings")
def test_without_an_api_nothing_is_offered_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert values("status", "") == []
    monkeypatch.setenv("FRAMEWIRE_URL", "http://127.0.0.1:1")
    assert values("status", "") == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("FRAMEWIRE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert values("status", "") == []
    assert capsys.readouterr() == ("", "")


def test_a_refused_key_offers_nothing(script: Script) -> None:
    script.status = 401
    assert values("status", "") == []


def test_click_s_scripts_are_corrected_where_they_are_wrong() -> None:
    assert "read -r type value" in SHELLS["bash"].source_template
    assert 'string split --max 1 ","' in SHELLS["fish"].source_template


@pytest.fixture
def reader(script: Script, tmp_path: Path) -> dict[str, str]:
    """The environment of a person with `framewire` on the path, in a folder with a video."""
    script.answers["models"]["data"][0]["classes"] += ["traffic light"]
    (tmp_path / "clip-of-the-yard.mp4").touch()
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "framewire").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m console "$@"\n')
    (folder / "framewire").chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if name != "ENV"}
    root = str(Path(__file__).parents[3])
    return environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": root,
        "HOME": str(tmp_path),
        "TERM": "dumb",
    }


@needs_program("bash", promise=PROMISE)
@pytest.mark.usefixtures("processes")
def test_bash_is_offered_tasks_and_classes(
    script: Script, reader: dict[str, str], tmp_path: Path
) -> None:
    code = """
        eval "$(framewire completion bash)"
        ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _framewire_completion "$1"
                printf '%s\n' "${COMPREPLY[@]}"; }
        ask framewire cancel vt_
        ask framewire run a.mp4 --detect bus,traf
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", code], env=reader, capture_output=True, text=True, check=True
    )
    open_ones = [t["id"] for t in script.tasks() if t["status"] in {"pending", "running"}]
    assert done.stdout.splitlines() == [*open_ones, r"bus,traffic\ light"]


@needs_program("fish", promise=PROMISE)
@pytest.mark.usefixtures("processes")
def test_fish_is_offered_tasks_and_classes(script: Script, reader: dict[str, str]) -> None:
    code = (
        "framewire completion fish | source;"
        "complete --do-complete 'framewire cancel vt_';"
        "complete --do-complete 'framewire run a.mp4 --detect bus,traf'"
    )
    done = subprocess.run(
        ["fish", "-c", code], env=reader, capture_output=True, text=True, check=True
    )
    words = [line.split("\t")[0] for line in done.stdout.splitlines()]
    open_ones = [t["id"] for t in script.tasks() if t["status"] in {"pending", "running"}]
    assert words == [*sorted(open_ones), "bus,traffic light"]


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("shell", "start"),
    [
        pytest.param(
            "bash", ["bash", "--norc", "-i"], marks=needs_program("bash", promise=PROMISE)
        ),
        pytest.param("zsh", ["zsh", "-f", "-i"], marks=needs_program("zsh", promise=PROMISE)),
    ],
)
def test_the_tab_key_completes(
    script: Script, reader: dict[str, str], tmp_path: Path, shell: str, start: list[str]
) -> None:
    task = next(t["id"] for t in script.tasks() if t["status"] == "running")
    setup = "autoload -U compinit; compinit -u -D; " if shell == "zsh" else ""
    with Typist(start, reader, tmp_path) as typist:
        typist.type(f'{setup}eval "$(framewire completion {shell})"; echo re""ady\r')
        typist.sees("ready")
        typist.type("framewire run clip-of\t")
        typist.sees("-the-yard.mp4")
        typist.type(f"\x15framewire cancel {task[:-3]}\t")
        typist.sees(task)
        typist.type("\x15framewire run a.mp4 --detect traf\t")
        typist.sees(r"traffic\ light")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"{COMPLETE_VARIABLE}={shell}_complete" in script
