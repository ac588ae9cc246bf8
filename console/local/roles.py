"""Framewire's own processes as children: api, archive, index, workers.

Their environment is looked up when they are started: the address of an in-process Kafka is not
known before it runs.
"""

import os
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from console.local.children import ChildSpec
from console.local.ports import LOOPBACK
from console.local.probes import answers, writes
from console.local.supervisor import Rules
from streamproc.contract import env

API = "api"
# A user's own AWS settings must not reach children that talk to the embedded S3.
_FOREIGN_AWS = ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL")


def base_environ(environ: Mapping[str, str], *, own_s3: bool) -> dict[str, str]:
    """Return the caller's environment, made fit for children that run modules of this package."""
    packages = str(Path(__file__).resolve().parents[2])
    inherited = environ.get("PYTHONPATH")
    base = {name: value for name, value in environ.items() if name != env.DATA}
    if own_s3:
        base = {name: value for name, value in base.items() if name not in _FOREIGN_AWS}
    base["PYTHONPATH"] = os.pathsep.join(filter(None, (packages, inherited)))
    base["PYTHONUNBUFFERED"] = "1"
    return base


def api(
    python: list[str], environ: MutableMapping[str, str], *, port: int, after: tuple[str, ...]
) -> ChildSpec:
    """Return the api; it is ready when all of its parts are."""
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
    """Return a role of the stream processor (`kind`, by default its name)."""
    ready_file = run / f"{name}.ready"
    return ChildSpec(
        rules=Rules(name, after=after, stop_rank=stop_rank, stop_deadline_s=10.0),
        command=[*python, "streamproc", kind or name],
        environ=ChainMap({env.READY_FILE: str(ready_file), env.WORKER_ID: name}, environ),
        probe=writes(ready_file),
        ready_file=ready_file,
    )
