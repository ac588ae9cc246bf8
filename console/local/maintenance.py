"""Work on an embedded stack's data while the stack is stopped: chDB has one owner at a time."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from console.local import environment, roles, seaweedfs
from console.local.children import ChildSpec
from console.local.loop import ChildrenLoop, ChildReporter
from console.local.ports import allocate
from console.local.state import DataDirectory
from console.local.supervisor import Rules
from streamproc.contract import env

_DEADLINE_S = 24 * 3600.0


def run_maintenance(
    role: str,
    arguments: Sequence[str],
    data: Path,
    environ: Mapping[str, str],
    reporter: ChildReporter,
) -> tuple[int, str]:
    """Run one role of the stream processor to its end, beside SeaweedFS alone.

    Returns its exit code and what it wrote. Raises `DirectoryInUseError` while the stack runs.
    For the main thread.
    """
    directory = DataDirectory(data)
    with ExitStack() as cleanup:
        directory.prepare()
        cleanup.callback(os.close, directory.lock())
        ports = allocate(seaweedfs.PORTS, directory.ports())
        secrets = directory.secrets()
        s3 = seaweedfs.access(ports, secrets.s3_access_key, secrets.s3_secret_key)
        engine = environment.environ_for(environment.ENGINE, environ)
        settings = roles.base_of(environment.INDEX, environ, own_s3=True) | {
            env.S3_ENDPOINT: s3.endpoint,
            env.S3_BUCKET: s3.bucket,
            env.S3_KEY: s3.access_key,
            env.S3_SECRET: s3.secret_key,
            env.S3_REGION: "us-east-1",
            env.CLICKHOUSE: f"chdb://{directory.root / 'clickhouse'}",
        }
        job = ChildSpec(
            rules=Rules(
                role,
                after=(seaweedfs.NAME,),
                stop_rank=1,
                one_shot=True,
                essential=True,
                start_deadline_s=_DEADLINE_S,
            ),
            command=[sys.executable, "-P", "-m", "streamproc", role, *arguments],
            environ=settings,
        )
        store = seaweedfs.spec(directory.root / "seaweedfs", ports, s3, engine)
        loop = ChildrenLoop([store, job], directory.root, directory.logs, reporter)
        failure = loop.run(loop.stop)
        for path in seaweedfs.sockets(ports):
            path.unlink(missing_ok=True)
        output = (directory.logs / f"{role}.log").read_text(errors="replace")
    return (0 if failure is None else max(1, failure.code)), output
