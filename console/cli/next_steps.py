"""What to type next, as commands for two shells: after the demo, and once a stack is up."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from console.cli.paths import CLIP, shown_path
from console.stack.data_directory import DataDirectory, default_data_dir
from streamproc.contract import env


def after_demo(python: Path, environ: Mapping[str, str], data: Path | None = None) -> str:
    """Return what to do after the demo; `data` is the directory that keeps its tasks, if any.

    `python` is the interpreter; if it is one of an environment that is not active, that is first.
    """
    first = [] if environ.get("VIRTUAL_ENV") else _activation(python)
    option, variables, said = "", dict[str, str](), "Nothing of it is left. Next, for a service"
    if data is not None and (variables := data_variables(data, environ)):
        option, said = f"--data {shown_path(data)} ", f"Its task is in {data}. Next, for a service"
    return "\n".join(
        [
            "",
            f"{said} that stays:",
            "",
            *(f"  {line}" for line in first),
            f"  framewire up {option}--file-root {shown_path(CLIP.parent)}",
            "",
            "and in a second terminal:",
            "",
            *(f"  {line}" for line in in_second_terminal(python, variables)),
        ]
    )


def in_second_terminal(python: Path, variables: Mapping[str, str] | None = None) -> Sequence[str]:
    """Return the commands for another shell, in which no environment is active."""
    return [
        *_activation(python),
        *(f"export {name}={shlex.quote(value)}" for name, value in (variables or {}).items()),
        f"framewire run {shown_path(CLIP)} --detect pedestrian --feature",
        "framewire console",
    ]


def data_variables(data: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what another shell needs to find a stack on this data directory."""
    others = {name: value for name, value in environ.items() if name != env.DATA}
    root = DataDirectory(data).root
    is_found = DataDirectory(default_data_dir(others)).root == root
    return {} if is_found else {env.DATA: str(root)}


def _activation(python: Path) -> list[str]:
    activate = python.with_name("activate")
    return [f"source {shown_path(activate)}"] if activate.exists() else []
