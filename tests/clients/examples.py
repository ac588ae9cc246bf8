"""The examples of docs/clients.md, one a language, as programs."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.clients.trial import Program
from tests.contract.documented import fenced

DOCUMENT = "docs/clients.md"
LANGUAGES = {"curl": "sh", "Python": "python", "JavaScript": "js", "Go": "go", "Java": "java"}
PROGRAMS = {"curl": "curl", "JavaScript": "node", "Go": "go", "Java": "javac"}
"""What an example needs beside this environment."""


def missing_program(language: str) -> str | None:
    program = PROGRAMS.get(language)
    return None if program is None or shutil.which(program) else program


def build(language: str, folder: Path) -> Program:
    """Write the example of a language to `folder`, and compile it there where that is done."""
    text = fenced(DOCUMENT, LANGUAGES[language])
    folder.mkdir(parents=True, exist_ok=True)
    if language == "curl":
        # What it has taken are log bytes.
        return Program(
            ["bash", "-c", f"{text}\nsed -n 's/^data: {{/{{/p' events.txt"], is_example=True
        )
    if language == "Python":
        return Program([sys.executable, str(_write(folder / "follow.py", text))], is_example=True)
    if language == "JavaScript":
        return Program(["node", str(_write(folder / "follow.mjs", text))], is_example=True)
    if language == "Go":
        source = _write(folder / "main.go", text)
        program = folder / "follow"
        _compile("go", "build", "-o", str(program), str(source), folder=folder)
        return Program([str(program)], is_example=True)
    source = _write(folder / "Follow.java", text)
    _compile("javac", "-d", str(folder), str(source), folder=folder)
    return Program(
        ["java", "-cp", str(folder), "-XX:TieredStopAtLevel=1", "Follow"], is_example=True
    )


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _compile(*command: str, folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)
