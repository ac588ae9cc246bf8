"""Children that are Framewire processes: api, archive, index, workers.

Their environment is resolved when they are started, because the address of an in-process Kafka
is not known before it runs.
"""

import os
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from console.stack.child_process import ChildSpec
from console.stack.environment import environ_for
from console.stack.ports import LOOPBACK
from console.stack.probes import answers, writes
from console.stack.supervisor import Rules
from streamproc.contract import env

API = "api"


def base_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's whole environment, for a child that acts on behalf of the caller."""
    return {name: value for name, value in environ.items() if name != env.DATA} | _python(environ)


def base_of(role: str, environ: Mapping[str, str], *, own_s3: bool, **more: Any) -> dict[str, str]:
    """Return the environment of a child of this role, with the variables to run our modules."""
    base = environ_for(role, environ, own_s3=own_s3, **more)
    return base | _python(environ)


def _python(environ: Mapping[str, str]) -> dict[str, str]:
    packages = str(Path(__file__).resolve().parents[2])
    inherited = environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, (packages, inherited))),
        "PYTHONUNBUFFERED": "1",
    }


def api(
    python: list[str], environ: MutableMapping[str, str], *, port: int, after: tuple[str, ...]
) -> ChildSpec:
    """Return the child of the api; it is ready when all of its parts are."""
    return ChildSpec(
        rules=Rules(API, after=after, stop_rank=2, stop_deadline_s=10.0),
        command=[*python, "api"],
        environ=ChainMap({env.HOST: LOOPBACK, env.PORT: str(port)}, environ),
        probe=answers(port, "/health/ready"),
    )


def role(
    name: str,
    python: list[str],
    environ: MutableMapping[str, str],
    *,
    run: Path,
    after: tuple[str, ...],
    stop_rank: int,
    kind: str | None = None,
) -> ChildSpec:
    """Return the child of a stream processor role (`kind`, by default `name`)."""
    ready_file = run / f"{name}.ready"
    return ChildSpec(
        rules=Rules(name, after=after, stop_rank=stop_rank, stop_deadline_s=10.0),
        command=[*python, "streamproc", kind or name],
        environ=ChainMap({env.READY_FILE: str(ready_file), env.WORKER_ID: name}, environ),
        probe=writes(ready_file),
        ready_file=ready_file,
    )
