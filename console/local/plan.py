"""Which children a stack is made of, and what each of them is told."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from console.errors import StackError
from console.local import kafka, roles, seaweedfs
from console.local.children import ChildSpec
from console.local.ports import allocate, is_free
from console.local.state import DataDirectory, S3Access, Secrets
from streamproc.contract import env

EMBEDDED = "embedded"
MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What `framewire up` was asked for; `port` 0 takes a free one.

    `kafka` is `embedded`, `memory` or bootstrap servers. `s3_endpoint` and `clickhouse` None are
    the embedded engines.
    """

    data: Path
    port: int = 0
    n_workers: int = 1
    kafka: str = EMBEDDED
    s3_endpoint: str | None = None
    clickhouse: str | None = None
    file_roots: tuple[Path, ...] = ()


@dataclass(slots=True)
class Plan:
    """The children and the addresses of one stack. `shared` is every child's environment."""

    specs: list[ChildSpec]
    api_port: int
    s3: S3Access
    clickhouse: str
    ports: dict[str, int]
    shared: dict[str, str] = field(repr=False)

    @property
    def kafka(self) -> str:
        return self.shared[env.KAFKA]


def make_plan(
    options: StackOptions, directory: DataDirectory, secrets: Secrets, environ: Mapping[str, str]
) -> Plan:
    """Return the plan of a stack; writes the configuration of its engines.

    Raises `StackError` when a part is not installed or a wanted port is taken.
    """
    in_memory = options.kafka == MEMORY
    ports = _ports(options, directory)
    root = _engine_root(directory, in_memory=in_memory)
    python = [sys.executable, "-P", "-m"]
    s3 = _s3(options, ports, secrets, environ)
    clickhouse = options.clickhouse or f"chdb://{root / 'clickhouse'}"
    shared = roles.base_environ(environ, own_s3=options.s3_endpoint is None)
    shared |= _settings(options, directory, secrets, s3, clickhouse)
    specs: list[ChildSpec] = []
    if in_memory:
        log = directory.logs / f"{kafka.NAME}.log"
        shared[env.PARTITIONS] = str(kafka.MEMORY_PARTITIONS)
        specs.append(kafka.memory(log, python, shared, shared))
    elif options.kafka == EMBEDDED:
        shared[env.KAFKA] = kafka.address(ports)
        shared.setdefault(env.SESSION_TIMEOUT_S, kafka.SESSION_TIMEOUT_S)
        specs.append(kafka.embedded(root / "kafka", ports, python, shared))
    else:
        shared[env.KAFKA] = options.kafka
    stores: tuple[str, ...] = ()
    if options.s3_endpoint is None:
        specs.append(seaweedfs.spec(root / "seaweedfs", ports, s3, shared))
        stores = (seaweedfs.NAME,)
    elif not seaweedfs.has_bucket(s3, shared.get(env.S3_REGION, "us-east-1"))():
        raise StackError(f"the bucket {s3.bucket} is not to be had at {s3.endpoint}")
    brokers = tuple(spec.rules.name for spec in specs if spec.rules.name == kafka.NAME)
    specs.append(kafka.topics(python, shared, after=brokers, in_memory=in_memory))
    parts = (kafka.TOPICS, *stores)
    specs += _roles(options, directory, python, shared, ports["api"], parts)
    return Plan(specs, ports["api"], s3, clickhouse, ports, shared)


def _roles(
    options: StackOptions,
    directory: DataDirectory,
    python: list[str],
    shared: dict[str, str],
    api_port: int,
    after: tuple[str, ...],
) -> list[ChildSpec]:
    names = [("archive", "archive", 3)]
    if options.clickhouse is not None:
        names.append(("index", "index", 3))
    names += [(f"worker-{i + 1}", "worker", 4) for i in range(options.n_workers)]
    return [
        roles.api(python, shared, port=api_port, after=after),
        *(
            roles.role(
                name, python, shared, run=directory.run, after=after, stop_rank=rank, kind=kind
            )
            for name, kind, rank in names
        ),
    ]


def _ports(options: StackOptions, directory: DataDirectory) -> dict[str, int]:
    if options.port and not is_free(options.port):
        raise StackError(f"port {options.port} is taken")
    ports = allocate((*kafka.PORTS, *seaweedfs.PORTS, "api"), directory.ports())
    if options.port:
        ports["api"] = options.port
    directory.keep_ports(ports)
    return ports


def _engine_root(directory: DataDirectory, *, in_memory: bool) -> Path:
    """Return where the engines keep their data.

    An in-process Kafka forgets everything, so what the others kept of it would refer to nothing:
    they start empty too.
    """
    if not in_memory:
        return directory.root
    shutil.rmtree(directory.memory, ignore_errors=True)
    directory.memory.mkdir(mode=0o700)
    return directory.memory


def _s3(
    options: StackOptions, ports: Mapping[str, int], secrets: Secrets, environ: Mapping[str, str]
) -> S3Access:
    if options.s3_endpoint is None:
        return seaweedfs.access(ports, secrets.s3_access_key, secrets.s3_secret_key)
    try:
        return S3Access(
            endpoint=options.s3_endpoint,
            bucket=environ.get(env.S3_BUCKET, seaweedfs.BUCKET),
            access_key=environ[env.S3_KEY],
            secret_key=environ[env.S3_SECRET],
        )
    except KeyError as exc:
        raise StackError(f"--s3-endpoint needs {exc.args[0]} in the environment") from exc


def _settings(
    options: StackOptions,
    directory: DataDirectory,
    secrets: Secrets,
    s3: S3Access,
    clickhouse: str,
) -> dict[str, str]:
    settings = {
        env.S3_ENDPOINT: s3.endpoint,
        env.S3_BUCKET: s3.bucket,
        env.S3_KEY: s3.access_key,
        env.S3_SECRET: s3.secret_key,
        env.CLICKHOUSE: clickhouse,
        env.INDEX_IN_API: "0" if options.clickhouse else "1",
        env.MODELS: str(directory.models),
        env.FILE_ROOTS: os.pathsep.join(str(root.resolve()) for root in options.file_roots),
        env.ADMIN_KEY: secrets.admin_key,
        env.TOKEN_SECRET: secrets.token_secret,
    }
    if options.s3_endpoint is None:
        settings[env.S3_REGION] = "us-east-1"
    return settings
