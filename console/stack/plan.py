"""Plan of a stack: its child processes, and the environment of each."""

import os
import shutil
import sys
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from console.errors import StackError
from console.stack import bucket, environment, kafka, roles, seaweedfs
from console.stack.child_process import ChildSpec
from console.stack.data_directory import DataDirectory, Secrets, Stores
from console.stack.ports import LOOPBACK, allocate, is_free
from streamproc.contract import env
from streamproc.contract.providers import load_providers
from streamproc.contract.setting_error import SettingError
from streamproc.contract.sources_file import login_variables
from streamproc.contract.store_settings import StoreSettings

EMBEDDED = "embedded"
MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """Options of `framewire up`; `port` 0 chooses a free one.

    `kafka` is `embedded`, `memory` or bootstrap servers. `s3_endpoint` and `clickhouse` None mean
    the embedded engines. `sources` is the file of named sources.
    """

    data: Path
    port: int = 0
    n_workers: int = 1
    kafka: str = EMBEDDED
    s3_endpoint: str | None = None
    clickhouse: str | None = None
    file_roots: tuple[Path, ...] = ()
    sources: Path | None = None


@dataclass(slots=True)
class Plan:
    """Children and addresses of one stack. `shared` has the variables of all Framewire processes.

    `unlocked` names the embedded engines that need no login on loopback. `unused` names the
    caller's variables that have no effect, because the stack sets them itself.
    """

    specs: list[ChildSpec]
    api_port: int
    store: StoreSettings
    clickhouse: str
    stores: Stores = field(repr=False)
    ports: dict[str, int]
    unlocked: tuple[str, ...]
    unused: tuple[str, ...]
    shared: dict[str, str] = field(repr=False)

    @property
    def kafka(self) -> str:
        return self.shared[env.KAFKA]


def make_plan(
    options: StackOptions, directory: DataDirectory, secrets: Secrets, environ: Mapping[str, str]
) -> Plan:
    """Return the plan of a stack; writes the configuration of its engines.

    Raises `StackError` if a part is not installed, the requested port is taken, or the settings
    of the store, of the providers or of the named sources are invalid.
    """
    environ = _with_sources(options, environ)
    in_memory = options.kafka == MEMORY
    ports = _ports(options, directory)
    root = _engine_root(directory, in_memory=in_memory)
    python = [sys.executable, "-P", "-m"]
    store = _store(options, ports, secrets, environ)
    clickhouse = options.clickhouse or f"chdb://{root / 'clickhouse'}"
    own_s3 = options.s3_endpoint is None
    shared = _settings(options, directory, store, environ, own_s3=own_s3)
    environments = Environments(
        environ, shared, _secrets(secrets, store, clickhouse), own_s3=own_s3
    )
    specs: list[ChildSpec] = []
    if in_memory:
        log = directory.logs / f"{kafka.NAME}.log"
        shared[env.PARTITIONS] = str(kafka.MEMORY_PARTITIONS)
        specs.append(kafka.memory(log, python, environments.engine, shared))
    elif options.kafka == EMBEDDED:
        shared[env.KAFKA] = kafka.address(ports)
        if env.SESSION_TIMEOUT_S not in environ:
            shared[env.SESSION_TIMEOUT_S] = kafka.SESSION_TIMEOUT_S
        specs.append(kafka.embedded(root / "kafka", ports, python, environments.engine))
    else:
        shared[env.KAFKA] = options.kafka
    engines: tuple[str, ...] = ()
    if own_s3:
        specs.append(seaweedfs.spec(root / "seaweedfs", ports, store, environments.engine))
        engines = (seaweedfs.NAME,)
    specs.append(bucket.spec(python, environments.of(environment.BUCKET), own=own_s3))
    brokers = tuple(spec.rules.name for spec in specs if spec.rules.name == kafka.NAME)
    specs.append(
        kafka.topics(
            python, environments.of(environment.TOPICS), after=brokers, in_memory=in_memory
        )
    )
    parts = (kafka.TOPICS, bucket.NAME)
    specs += _roles(options, directory, python, environments, ports["api"], parts)
    stores = Stores(None if own_s3 else store, options.clickhouse, in_memory=in_memory)
    unlocked = (*brokers, *engines)
    unused = _unused(environ, shared | {env.HOST: LOOPBACK})
    return Plan(specs, ports["api"], store, clickhouse, stores, ports, unlocked, unused, shared)


class Environments:
    """Environment of each child: `shared`, which may still change, and the secrets of its role."""

    def __init__(
        self,
        caller: Mapping[str, str],
        shared: MutableMapping[str, str],
        secrets: Mapping[str, str],
        *,
        own_s3: bool,
    ) -> None:
        """Raises `StackError` if the list of providers, or of sources, cannot be read."""
        self._caller, self._shared, self._secrets = caller, shared, secrets
        self._own_s3 = own_s3
        self._worker_secrets = (*_provider_keys(caller), *_login_variables(caller))
        self.engine = roles.base_of(environment.ENGINE, caller, own_s3=True)

    def of(self, role: str) -> MutableMapping[str, str]:
        """Return the environment of a Framewire role: a live view, resolved at each look-up."""
        more = self._worker_secrets if role == environment.WORKER else ()
        base = roles.base_of(role, self._caller, own_s3=self._own_s3, more=more)
        known = environment.SECRETS[role]
        own = {name: value for name, value in self._secrets.items() if name in known}
        return ChainMap(own, self._shared, base)


def _provider_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the variables with the workers' keys of other services (providers)."""
    path = environ.get(env.PROVIDERS)
    try:
        providers = load_providers(Path(path) if path else None)
    except SettingError as exc:
        raise StackError(str(exc)) from exc
    return tuple(provider.key_env for provider in providers if provider.key_env)


def _login_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the variables with the cameras' logins."""
    path = environ.get(env.SOURCES)
    try:
        return login_variables(Path(path) if path else None)
    except SettingError as exc:
        raise StackError(str(exc)) from exc


def _with_sources(options: StackOptions, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the caller's variables with the option's file of named sources."""
    path = "" if options.sources is None else str(options.sources.resolve())
    return {**environ, env.SOURCES: path}


def _roles(
    options: StackOptions,
    directory: DataDirectory,
    python: list[str],
    environments: Environments,
    api_port: int,
    after: tuple[str, ...],
) -> list[ChildSpec]:
    names = [("archive", environment.ARCHIVE, 3)]
    if options.clickhouse is not None:
        names.append(("index", environment.INDEX, 3))
    names += [(f"worker-{i + 1}", environment.WORKER, 4) for i in range(options.n_workers)]
    return [
        roles.api(python, environments.of(environment.API), port=api_port, after=after),
        *(
            roles.role(
                name,
                python,
                environments.of(kind),
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
    """Return the directory of the engines' data.

    An in-process Kafka loses all records, so stored data of the other engines would refer to
    nothing. Therefore `memory/` is emptied at each start.
    """
    if not in_memory:
        return directory.root
    shutil.rmtree(directory.memory, ignore_errors=True)
    directory.memory.mkdir(mode=0o700)
    return directory.memory


def _store(
    options: StackOptions, ports: Mapping[str, int], secrets: Secrets, environ: Mapping[str, str]
) -> StoreSettings:
    if options.s3_endpoint is None:
        return seaweedfs.settings(ports, secrets.s3_access_key, secrets.s3_secret_key)
    try:
        store = StoreSettings.from_environ({**environ, env.S3_ENDPOINT: options.s3_endpoint})
    except SettingError as exc:
        raise StackError(str(exc)) from exc
    if store.key is None and store.profile is None:
        raise StackError(f"--s3-endpoint needs {env.S3_KEY} in the environment")
    return store


def _settings(
    options: StackOptions,
    directory: DataDirectory,
    store: StoreSettings,
    environ: Mapping[str, str],
    *,
    own_s3: bool,
) -> dict[str, str]:
    settings = {
        env.S3_ENDPOINT: store.endpoint or "",
        env.S3_BUCKET: store.bucket,
        env.S3_TRIED: "1",  # the bucket one-shot tests the store for all
        env.INDEX_IN_API: "0" if options.clickhouse else "1",
        env.MODELS: environ.get(env.MODELS) or str(directory.models),
        env.MODEL_CACHE: environ.get(env.MODEL_CACHE, str(directory.model_cache)),
        env.FILE_ROOTS: os.pathsep.join(str(root.resolve()) for root in options.file_roots),
        env.DISK: str(directory.root),
    }
    if own_s3:
        settings |= {
            env.S3_REGION: store.region,
            env.S3_ADDRESSING: store.addressing,
            env.S3_UNCONDITIONAL: "0",
        }
    return settings


def _unused(environ: Mapping[str, str], settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the caller's variables whose values are replaced by the stack's own."""
    return tuple(
        name
        for name, value in settings.items()
        if name not in environment.OPTIONS and environ.get(name, "") not in {"", value}
    )


def _secrets(secrets: Secrets, store: StoreSettings, clickhouse: str) -> dict[str, str]:
    keys = {env.S3_KEY: store.key, env.S3_SECRET: store.secret}
    return {
        **{name: key for name, key in keys.items() if key is not None},
        env.CLICKHOUSE: clickhouse,
        env.ADMIN_KEY: secrets.admin_key,
        env.TOKEN_SECRET: secrets.token_secret,
        env.SECRET_KEY: secrets.secret_key or "",
    }
