"""The worker's settings, read once from the environment (names in `contract.env`)."""

import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from streamproc.allowed_hosts import COMMON_PORTS, NO_PRIVATE_HOSTS, PrivateHosts, read_ports
from streamproc.clients.faust_security import KafkaSecurity, read_security
from streamproc.clients.kafka import KafkaSettings
from streamproc.clients.settings import log_level, read_number, read_path
from streamproc.contract import env
from streamproc.contract.providers import LOCAL, Provider, load_providers
from streamproc.contract.sealing import Sealer
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.watchdog import DEFAULT_LIMIT_S

T = TypeVar("T")


class SourceSettings(msgspec.Struct, frozen=True):
    """What a process may fetch and decode."""

    file_roots: tuple[Path, ...] = ()
    """Directories that file:// sources may be read from."""
    private_hosts: PrivateHosts = NO_PRIVATE_HOSTS
    """Private hosts, networks and ports that sources may use all the same."""
    source_ports: frozenset[int] = COMMON_PORTS
    """Ports that sources on public hosts may use."""
    max_source_bytes: int = 20 * 1024**3
    """Size of the largest source that is fetched."""
    store_ca_file: str | None = None
    """PEM file of the CAs that verify S3's certificate."""
    require_sandbox: bool = False
    """Refuse to decode if a required part of the decoder's sandbox is missing."""
    open_timeout_s: float = 30.0
    """Time limit for opening a source, plus one second for each MiB received."""
    min_source_rate: float = 6400.0
    """Minimum transfer rate of an origin while the worker waits for it, bytes/s; 0: any."""
    live_stall_s: float = 5.0
    """A live source that has sent no picture for so long is lost; HLS has a time of its own."""
    min_free_bytes: int = 512 * 1024**2
    """Bytes that copies of sources leave free on the disk of temporary files."""
    project_spool_bytes: int = 0
    """Bytes of that disk that copies of one project's sources may use; 0: no such limit."""


class WorkerSettings(msgspec.Struct, frozen=True):
    """Settings of one worker process. The repr shows no secrets."""

    worker_id: str
    """Name of this worker in claims and on the System page."""
    kafka: KafkaSettings
    """How the clients of librdkafka connect."""
    kafka_security: KafkaSecurity = KafkaSecurity()
    """How Faust's consumer connects."""
    store: StoreSettings = StoreSettings()
    """Framewire's own S3."""
    source: SourceSettings = SourceSettings()
    sources_file: Path | None = None
    """The file of named sources; their logins are in the variables that it names."""
    device: str = "AUTO:GPU,CPU"
    """OpenVINO device for providers that set none."""
    precision: str = "auto"
    """Inference precision for providers that set none."""
    slots: int = 4
    """Number of tasks processed at the same time."""
    sessions: int = 16
    """Tasks whose decoder and tracker stay open at the same time; default 4 for each slot."""
    slice_s: float = 3.0
    """Length of a slice of work; after it, the task queues again."""
    live_slots: int = 8
    """Number of live tasks that the api gives this worker, in addition to those of `slots`."""
    live_slice_s: float = 10.0
    """Length of a slice of a live task."""
    live_picture_s: float = 10.0
    """Time between two pictures of a live task that are stored as `latest.jpg`; 0: none are."""
    session_timeout_s: float = 6.0
    """Kafka evicts a silent worker after this time: most of the delay before a task resumes."""
    models_dir: Path | None = None
    """The user's own models."""
    compile_cache_dir: Path | None = None
    """Directory that keeps compiled networks, which a GPU or NPU takes long to make."""
    providers: tuple[Provider, ...] = (LOCAL,)
    """The providers of providers.toml; without the file, only this machine's models."""
    upstream_keys: Mapping[str, str] = {}
    """Bearer keys of upstream providers, by the variable that providers.toml names."""
    sealer: Sealer | None = None
    """Decrypts the URLs that hold credentials; without it, tasks with such URLs fail."""
    openings: int = 32
    """Sources that are opened at the same time, outside of the slots."""
    project_openings: int = 8
    """Maximum of these for one project."""
    state_dir: Path = Path(tempfile.gettempdir())
    """Where Faust keeps its (empty) local state."""
    ready_file: Path | None = None
    """Receives this process's pid once the worker accepts tasks."""
    watchdog_s: float = DEFAULT_LIMIT_S
    """A worker whose consumer stalls for this long exits, to be restarted; 0: never."""
    log_level: str = "INFO"

    def __repr__(self) -> str:
        return f"WorkerSettings(worker_id={self.worker_id!r}, slots={self.slots})"


def read_settings(environ: Mapping[str, str]) -> WorkerSettings:
    """Return a worker's settings; raises `SettingError`, which names the variable."""
    kafka = KafkaSettings.from_environ(environ)
    default = WorkerSettings(worker_id="", kafka=kafka)
    slots = int(read_number(environ, env.SLOTS, default.slots, least=1))
    providers = load_providers(read_path(environ, env.PROVIDERS))
    keys = {provider.key_env for provider in providers if provider.key_env is not None}
    return WorkerSettings(
        worker_id=environ.get(env.WORKER_ID) or f"{socket.gethostname()}-{os.getpid()}",
        kafka=kafka,
        kafka_security=_security(kafka),
        store=StoreSettings.from_environ(environ),
        source=read_source_settings(environ),
        sources_file=read_path(environ, env.SOURCES),
        device=environ.get(env.DEVICE) or default.device,
        precision=environ.get(env.PRECISION) or default.precision,
        slots=slots,
        sessions=int(read_number(environ, env.SESSIONS, 4 * slots, least=slots)),
        slice_s=read_number(environ, env.SLICE_S, default.slice_s, least=0.1),
        live_slots=int(read_number(environ, env.LIVE_SLOTS, default.live_slots, least=1)),
        live_slice_s=read_number(environ, env.LIVE_SLICE_S, default.live_slice_s, least=0.1),
        live_picture_s=read_number(environ, env.LIVE_PICTURE_S, default.live_picture_s, least=0),
        session_timeout_s=read_number(
            environ, env.SESSION_TIMEOUT_S, default.session_timeout_s, least=1
        ),
        models_dir=read_path(environ, env.MODELS),
        compile_cache_dir=read_path(environ, env.MODEL_CACHE),
        providers=providers,
        upstream_keys={name: environ[name] for name in keys if environ.get(name)},
        sealer=_sealer(environ),
        openings=int(read_number(environ, env.OPENINGS, default.openings, least=1)),
        project_openings=int(
            read_number(environ, env.PROJECT_OPENINGS, default.project_openings, least=1)
        ),
        ready_file=read_path(environ, env.READY_FILE),
        watchdog_s=read_number(environ, env.WATCHDOG_S, default.watchdog_s, least=0),
        log_level=log_level(environ),
    )


def read_source_settings(environ: Mapping[str, str]) -> SourceSettings:
    """Return what the process may fetch; raises `SettingError`, which names the variable."""
    default = SourceSettings()
    return SourceSettings(
        file_roots=tuple(
            Path(part) for part in environ.get(env.FILE_ROOTS, "").split(os.pathsep) if part
        ),
        private_hosts=_read(environ, env.PRIVATE_HOSTS, PrivateHosts),
        source_ports=COMMON_PORTS | _read(environ, env.SOURCE_PORTS, read_ports),
        max_source_bytes=int(
            read_number(environ, env.MAX_SOURCE_BYTES, default.max_source_bytes, least=1)
        ),
        store_ca_file=environ.get(env.S3_CA_BUNDLE) or None,
        require_sandbox=_switch(environ, env.REQUIRE_SANDBOX),
        open_timeout_s=read_number(environ, env.OPEN_TIMEOUT_S, default.open_timeout_s, least=1),
        min_source_rate=read_number(environ, env.MIN_SOURCE_RATE, default.min_source_rate, least=0),
        live_stall_s=read_number(environ, env.LIVE_STALL_S, default.live_stall_s, least=0.5),
        min_free_bytes=int(
            read_number(environ, env.MIN_FREE_BYTES, default.min_free_bytes, least=0)
        ),
        project_spool_bytes=int(
            read_number(environ, env.PROJECT_SPOOL_BYTES, default.project_spool_bytes, least=0)
        ),
    )


def _security(kafka: KafkaSettings) -> KafkaSecurity:
    try:
        return read_security(kafka.options)
    except SettingError as exc:
        raise SettingError(f"{env.KAFKA_OPTIONS}: {exc}") from exc


def _sealer(environ: Mapping[str, str]) -> Sealer | None:
    keys = environ.get(env.SECRET_KEY)
    return Sealer(keys) if keys else None


def _read(environ: Mapping[str, str], name: str, reads: Callable[[str], T]) -> T:
    try:
        return reads(environ.get(name, ""))
    except SettingError as exc:
        raise SettingError(f"{name}: {exc}") from exc


def _switch(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name) or "0"
    if text not in {"0", "1"}:
        raise SettingError(f"{name} must be 0 or 1")
    return text == "1"
