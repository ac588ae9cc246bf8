"""Offline maintenance of a stopped stack's data, in the stores of its last start."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from console.errors import StackError
from console.stack import bucket, environment, roles, seaweedfs
from console.stack.child_process import ChildSpec
from console.stack.data_directory import DataDirectory, Stores
from console.stack.ports import allocate
from console.stack.supervisor import Rules
from console.stack.supervisor_loop import ChildrenLoop, ChildReporter
from streamproc.contract import env
from streamproc.contract.store_settings import VARIABLES, StoreSettings

_DEADLINE_S = 24 * 3600.0


def run_maintenance(
    role: str,
    arguments: Sequence[str],
    data: Path,
    environ: Mapping[str, str],
    reporter: ChildReporter,
) -> tuple[int, str]:
    """Run one role of the stream processor to its end on the stores of the directory's stack.

    An embedded engine is started for it; an external server is used as it is. S3 keys in `environ`
    replace the stored ones. Returns the role's exit code and its output. Raises
    `DirectoryInUseError` while the stack runs; `StackError` if no stack was up here or the engine
    does not start. Call it in the main thread.
    """
    directory = DataDirectory(data)
    stores = directory.stores()
    if stores is None:
        raise StackError(
            f"no stack has been up on {directory.root}; {env.S3_ENDPOINT} and {env.CLICKHOUSE}"
            " name servers"
        )
    with ExitStack() as cleanup:
        directory.prepare()
        cleanup.callback(os.close, directory.lock())
        root = directory.memory if stores.in_memory else directory.root
        specs: list[ChildSpec] = []
        if stores.s3 is None:
            store, specs = _own_engine(directory, root, environ, cleanup)
        else:
            store = _with_keys(stores.s3, environ)
        settings = _settings(store, stores, root, environ)
        specs.append(_job(role, arguments, settings, after=tuple(s.rules.name for s in specs)))
        loop = ChildrenLoop(specs, directory.root, directory.logs, reporter)
        failure = loop.run(loop.stop)
        if failure is not None and failure.name != role:
            raise StackError(f"{failure.name} ended with {failure.code}")
        output = (directory.logs / f"{role}.log").read_text(errors="replace")
    return (0 if failure is None else max(1, failure.code)), output


def _own_engine(
    directory: DataDirectory, root: Path, environ: Mapping[str, str], cleanup: ExitStack
) -> tuple[StoreSettings, list[ChildSpec]]:
    ports = allocate(seaweedfs.PORTS, directory.ports())
    secrets = directory.secrets()
    store = seaweedfs.settings(ports, secrets.s3_access_key, secrets.s3_secret_key)
    engine = environment.environ_for(environment.ENGINE, environ)
    base = roles.base_of(environment.BUCKET, environ, own_s3=True) | store.to_environ()
    for path in seaweedfs.sockets(ports):
        cleanup.callback(path.unlink, missing_ok=True)
    python = [sys.executable, "-P", "-m"]
    return store, [
        seaweedfs.spec(root / "seaweedfs", ports, store, engine),
        bucket.spec(python, base, own=True),
    ]


def _with_keys(store: StoreSettings, environ: Mapping[str, str]) -> StoreSettings:
    """Return the stored settings, with the caller's keys if set: stored keys may have expired."""
    if not environ.get(env.S3_KEY):
        return store
    return msgspec.structs.replace(
        store,
        key=environ[env.S3_KEY],
        secret=environ.get(env.S3_SECRET),
        session_token=environ.get(env.S3_SESSION_TOKEN),
    )


def _settings(
    store: StoreSettings, stores: Stores, root: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    own_s3 = stores.s3 is None
    base = roles.base_of(environment.MAINTENANCE, environ, own_s3=own_s3)
    kept = {name: value for name, value in base.items() if name not in VARIABLES}
    clickhouse = stores.clickhouse or f"chdb://{root / 'clickhouse'}"
    return kept | store.to_environ() | {env.CLICKHOUSE: clickhouse}


def _job(
    role: str, arguments: Sequence[str], settings: Mapping[str, str], *, after: tuple[str, ...]
) -> ChildSpec:
    return ChildSpec(
        rules=Rules(
            role,
            after=after,
            stop_rank=1,
            one_shot=True,
            essential=True,
            start_deadline_s=_DEADLINE_S,
        ),
        command=[sys.executable, "-P", "-m", "streamproc", role, *arguments],
        environ=settings,
    )
