"""The console in a real terminal (tmux), against a running stack of real parts."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.client import calls
from console.client.sync_client import Client
from console.stack.running import running_stack
from tests.plugins.missing import needs_program

ROOT = Path(__file__).resolve().parents[3]
CLIP = ROOT / "console" / "data" / "pedestrians.mp4"

pytestmark = [
    pytest.mark.usefixtures("engines"),
    needs_program("tmux", promise="the console in a real terminal over a real stack"),
]


class Tmux:
    """One terminal of 120 by 36 on a tmux server of its own."""

    def __init__(self, environ: dict[str, str], options: str = "--no-graphics") -> None:
        self._name = f"framewire-{uuid.uuid4().hex[:8]}"
        command = f"{sys.executable} -m console console {options}"
        variables = [part for k, v in environ.items() for part in ("-e", f"{k}={v}")]
        self._run(
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "120",
            "-y",
            "36",
            "-c",
            str(ROOT),
            *variables,
            command,
        )

    def screen(self) -> str:
        return self._run("capture-pane", "-p")

    def type(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._run("resize-window", "-x", str(width), "-y", str(height))

    def until(self, text: str, within_s: float = 60.0) -> str:
        deadline_s = time.monotonic() + within_s
        while text not in (screen := self.screen()):
            assert time.monotonic() < deadline_s, f"{text!r} never came:\n{screen}"
            time.sleep(0.1)
        return screen

    def end(self) -> None:
        subprocess.run(["tmux", "-L", self._name, "kill-server"], check=False, capture_output=True)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, *arguments],
            check=True,
            capture_output=True,
            text=True,
            # The terminal's size is tmux's to tell.
            env={k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")},
        )
        return done.stdout


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    arguments = ["--data", str(tmp_path / "data"), "--file-root", str(CLIP.parent)]
    with running_stack(arguments, os.environ, stderr=tmp_path / "up.log") as stack:
        yield {"FRAMEWIRE_URL": stack.url, "FRAMEWIRE_KEY": stack.key}


def test_a_video_is_submitted_followed_and_found_in_a_real_terminal(
    environ: dict[str, str],
) -> None:
    terminal = Tmux(environ)
    try:
        terminal.until("No tasks yet: press n")
        terminal.type("n")
        terminal.until("nanodet-g")
        terminal.type("-l", CLIP.as_uri())
        terminal.type("C-s")
        terminal.until("byte")
        terminal.until("■ END")
        terminal.until("pedestrian")
        terminal.until("[DONE]")
        terminal.until("▀")  # the picture, of block characters
        terminal.type("Space")
        terminal.until("HELD at byte")
        terminal.resize(80, 24)
        terminal.until("HELD at byte")
        with Client(environ["FRAMEWIRE_URL"], environ["FRAMEWIRE_KEY"]) as client:
            (task,) = client.send(calls.tasks()).data
            client.send(calls.results(task.id))  # waits until the tracks can be searched
        terminal.type("3")
        terminal.until("DWELL")
        terminal.until("○")
        terminal.type("4")
        terminal.until("worker-1")
        terminal.type("1")
        terminal.until("✔ succeeded")
        with Client(environ["FRAMEWIRE_URL"], environ["FRAMEWIRE_KEY"]) as client:
            (task,) = client.send(calls.tasks()).data
        assert task.status == "succeeded"
        terminal.type("q")
        deadline_s = time.monotonic() + 20
        while (
            subprocess.run(
                ["tmux", "-L", terminal._name, "has-session"], check=False, capture_output=True
            ).returncode
            == 0
        ):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
    finally:
        terminal.end()
