"""Foreign S3 servers: moto in a thread, and those that Go builds from its own module proxy."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from tests.engines import S3Server
from tests.foreign_s3 import moto, served
from tests.ports import die_with_parent, free_ports, wait_for_port

Serving = Callable[[Path], AbstractContextManager[S3Server]]


class Foreign(NamedTuple):
    """A server by name and version, and how to run it in a directory. The bucket is not there."""

    name: str
    version: str
    serve: Serving


class GoServer(NamedTuple):
    """A server that `go install` makes: its module and its arguments. It takes any key."""

    module: str
    version: str
    arguments: tuple[str, ...]


GO: Final = {
    "gofakes3": GoServer(
        "github.com/johannesboyne/gofakes3/cmd/gofakes3",
        "v1.2.0",
        ("-backend", "mem", "-host", "127.0.0.1:{port}"),
    ),
}


def foreign_servers(names: list[str], built: Path) -> Iterator[Foreign]:
    """Yield the servers of these names (none: all); Go's are built into `built` as they come.

    Raises `LookupError` for a name that is none, or where Go is missing.
    """
    for name in names or ["moto", *GO]:
        if name == "moto":
            yield Foreign(name, version(name), _moto)
        elif name in GO:
            yield Foreign(name, GO[name].version.removeprefix("v"), _of_go(name, built))
        else:
            raise LookupError(f"{name} is none of moto, {', '.join(GO)}")


@contextmanager
def _moto(_: Path) -> Iterator[S3Server]:
    with served(moto()) as server:
        yield server


def _of_go(name: str, built: Path) -> Serving:
    go = shutil.which("go")
    if go is None:
        raise LookupError(f"{name} needs Go to be built")
    one, program = GO[name], built / name
    if not program.exists():
        source = f"{one.module}@{one.version}"
        environ = os.environ | {"GOBIN": str(built)}
        subprocess.run([go, "install", source], env=environ, check=True)

    @contextmanager
    def serve(directory: Path) -> Iterator[S3Server]:
        (port,) = free_ports(1)
        key, secret = secrets.token_hex(8), secrets.token_hex(16)
        with directory.with_suffix(".log").open("wb") as log:
            process = subprocess.Popen(
                [str(program), *(argument.format(port=port) for argument in one.arguments)],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
            )
        try:
            wait_for_port(port)
            bucket = f"framewire-{secrets.token_hex(4)}"
            yield S3Server(f"http://127.0.0.1:{port}", key, secret, bucket)
        finally:
            process.kill()
            process.wait()

    return serve
