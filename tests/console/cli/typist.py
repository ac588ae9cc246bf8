"""A person at an interactive program in a pseudo terminal."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self


class Typist:
    """Types keys, and waits for what appears."""

    def __init__(self, command: list[str], environ: dict[str, str], folder: Path) -> None:
        self._master, self._slave = pty.openpty()
        program = shutil.which(command[0])
        assert program is not None
        self._process = subprocess.Popen(
            [program, *command[1:]],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=environ,
            cwd=folder,
            start_new_session=True,
        )
        self._poll = select.poll()  # select() takes no descriptor above 1023
        self._poll.register(self._master, select.POLLIN)
        self._seen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)
        os.close(self._slave)

    def type(self, keys: str) -> None:
        self._seen = ""
        os.write(self._master, keys.encode())

    def sees(self, text: str) -> None:
        """Wait until the text has appeared since the last keys."""
        deadline_s = time.monotonic() + 60
        while text not in self._seen:
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, self._seen
            if self._poll.poll(left_s * 1000):
                data = os.read(self._master, 4096).decode(errors="replace")
                self._seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\b\x07]", "", data)
