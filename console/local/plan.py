"""Which children a stack is made of, and what each of them is told."""

import os
import shutil
import sys
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from console.errors import StackError
from console.local import environment, kafka, roles, seaweedfs
from console.local.children import ChildSpec
from console.local.ports import allocate, is_free
from console.local.state import DataDirectory, S3Access, Secrets
from streamproc.contract import env
from streamproc.contract.providers import InvalidProvidersError, load_providers

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
    """The children and the addresses of one stack. `shared` is what all of our processes are told.

    `unlocked` names the embedded engines that ask nobody on loopback for a login.
    """

    specs: list[ChildSpec]
    api_port: int
    s3: S3Access
    clickhouse: str
    ports: dict[str, int]
    unlocked: tuple[str, ...]
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
    own_s3 = options.s3_endpoint is None
    shared = _settings(options, directory, s3)
    told = Environments(environ, shared, _secrets(secrets, s3, clickhouse), own_s3=own_s3)
    specs: list[ChildSpec] = []
    if in_memory:
        log = directory.logs / f"{kafka.NAME}.log"
        shared[env.PARTITIONS] = str(kafka.MEMORY_PARTITIONS)
        specs.append(kafka.memory(log, python, told.engine, shared))
    elif options.kafka == EMBEDDED:
        shared[env.KAFKA] = kafka.address(ports)
        if env.SESSION_TIMEOUT_S not in environ:
            shared[env.SESSION_TIMEOUT_S] = kafka.SESSION_TIMEOUT_S
        specs.append(kafka.embedded(root / "kafka", ports, python, told.engine))
    else:
        shared[env.KAFKA] = options.kafka
    stores: tuple[str, ...] = ()
    if own_s3:
        specs.append(seaweedfs.spec(root / "seaweedfs", ports, s3, told.engine))
        stores = (seaweedfs.NAME,)
    elif not seaweedfs.has_bucket(s3, environ.get(env.S3_REGION, "us-east-1"))():
        raise StackError(f"the bucket {s3.bucket} is not to be had at {s3.endpoint}")
    brokers = tuple(spec.rules.name for spec in specs if spec.rules.name == kafka.NAME)
    specs.append(
        kafka.topics(python, told.of(environment.TOPICS), after=brokers, in_memory=in_memory)
    )
    parts = (kafka.TOPICS, *stores)
    specs += _roles(options, directory, python, told, ports["api"], parts)
    return Plan(specs, ports["api"], s3, clickhouse, ports, (*brokers, *stores), shared)


class Environments:
    """What each child is told: `shared`, which may still change, and its role's own secrets."""

    def __init__(
        self,
        caller: Mapping[str, str],
        shared: MutableMapping[str, str],
        secrets: Mapping[str, str],
        *,
        own_s3: bool,
    ) -> None:
        """Raises `StackError` when the list of providers cannot be read."""
        self._caller, self._shared, self._secrets = caller, shared, secrets
        self._own_s3 = own_s3
        self._provider_keys = _provider_keys(caller)
        self.engine = roles.base_of(environment.ENGINE, caller, own_s3=True)

    def of(self, role: str) -> MutableMapping[str, str]:
        """Return the environment of a role of ours, as it will be when it is looked up."""
        more = self._provider_keys if role == environment.WORKER else ()
        base = roles.base_of(role, self._caller, own_s3=self._own_s3, more=more)
        known = environment.SECRETS[role]
        own = {name: value for name, value in self._secrets.items() if name in known}
        return ChainMap(own, self._shared, base)


def _provider_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables in which the workers find the keys of other services."""
    path = environ.get(env.PROVIDERS)
    try:
        providers = load_providers(Path(path) if path else None)
    except InvalidProvidersError as exc:
        raise StackError(str(exc)) from exc
    return tuple(provider.key_env for provider in providers if provider.key_env)


def _roles(
    options: StackOptions,
    directory: DataDirectory,
    python: list[str],
    told: Environments,
    api_port: int,
    after: tuple[str, ...],
) -> list[ChildSpec]:
    names = [("archive", environment.ARCHIVE, 3)]
    if options.clickhouse is not None:
        names.append(("index", environment.INDEX, 3))
    names += [(f"worker-{i + 1}", environment.WORKER, 4) for i in range(options.n_workers)]
    return [
        roles.api(python, told.of(environment.API), port=api_port, after=after),
        *(
            roles.role(
                name,
                python,
                told.of(kind),
                run=directory.run,
                after=after,
                stop_rank=rank,
                kind=kind,
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


def _settings(options: StackOptions, directory: DataDirectory, s3: S3Access) -> dict[str, str]:
    settings = {
        env.S3_ENDPOINT: s3.endpoint,
        env.S3_BUCKET: s3.bucket,
        env.INDEX_IN_API: "0" if options.clickhouse else "1",
        env.MODELS: str(directory.models),
        env.FILE_ROOTS: os.pathsep.join(str(root.resolve()) for root in options.file_roots),
        env.DISK: str(directory.root),
    }
    if options.s3_endpoint is None:
        settings[env.S3_REGION] = "us-east-1"
    return settings


def _secrets(secrets: Secrets, s3: S3Access, clickhouse: str) -> dict[str, str]:
    return {
        env.S3_KEY: s3.access_key,
        env.S3_SECRET: s3.secret_key,
        env.CLICKHOUSE: clickhouse,
        env.ADMIN_KEY: secrets.admin_key,
        env.TOKEN_SECRET: secrets.token_secret,
        env.SECRET_KEY: secrets.secret_key or "",
    }
