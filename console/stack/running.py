"""Context manager that runs `framewire up` as a child process, killed if the parent dies."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from console.errors import StackError
from console.stack import kafka
from console.stack.child_process import bound_to
from console.stack.data_directory import S3Access
from console.stack.roles import base_environ

_STOP_DEADLINE_S = 40.0


class Addresses(msgspec.Struct, frozen=True):
    """The line that `framewire up --json` prints."""

    url: str
    key: str
    project: str
    kafka: str
    s3: S3Access
    clickhouse: str

    def __repr__(self) -> str:
        return f"Addresses(url={self.url!r})"


def kafka_available(environ: Mapping[str, str]) -> bool:
    """Return whether Apache Kafka's jars are available; downloads them if they are missing.

    A download is announced on stderr.
    """
    command = [sys.executable, "-P", "-m", "streamproc", "broker", "--resolve-only"]
    done = subprocess.run(
        command,
        env=base_environ(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode != kafka.EXIT_NO_JARS


@contextlib.contextmanager
def running_stack(
    arguments: list[str], environ: Mapping[str, str], *, stderr: Path | None = None
) -> Iterator[Addresses]:
    """Run `framewire up --json` with `arguments` and yield its addresses; stop it on exit.

    Its stderr is ours, or a file. Raises `StackError` if it does not become ready.
    """
    with contextlib.ExitStack() as files:
        err = files.enter_context(stderr.open("ab")) if stderr is not None else None
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "console", "up", "--json", *arguments],
            env=base_environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
            process_group=0,
            preexec_fn=bound_to(os.getpid()),  # noqa: PLW1509 - no other thread exists
        )
        with process:
            try:
                line = process.stdout.readline() if process.stdout is not None else b""
                if not line:
                    raise StackError("the embedded stack did not come up")
                yield msgspec.json.decode(line, type=Addresses)
            finally:
                process.terminate()
                try:
                    process.wait(_STOP_DEADLINE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
