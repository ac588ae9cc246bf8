"""The console in a real terminal, that of tmux."""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


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
