"""The worker's settings, read once from the environment (names in `contract.env`)."""

import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from streamproc.contract import env
from streamproc.contract.kafka_options import InvalidKafkaOptionsError, read_kafka_options
from streamproc.contract.sealing import InvalidSecretKeyError, Sealer
from streamproc.contract.watchdog import DEFAULT_LIMIT_S
from streamproc.security import InvalidSecurityError, KafkaSecurity, read_security


class InvalidSettingError(ValueError):
    """An environment variable cannot be used; the message names it, not its value."""


class WorkerSettings(msgspec.Struct, frozen=True):
    """What one worker process is told."""

    environ: Mapping[str, str]
    """The whole environment, for the Kafka and S3 clients; never printed."""
    worker_id: str
    """Name of this worker in claims and on the System page."""
    kafka_security: KafkaSecurity = KafkaSecurity()
    """How Faust's consumer connects; the other clients read the options themselves."""
    device: str = "AUTO:GPU,CPU"
    """OpenVINO device of providers that name none."""
    precision: str = "auto"
    """Inference precision of providers that name none."""
    slots: int = 4
    """Tasks worked on at once."""
    slice_s: float = 3.0
    """Length of a slice of work, after which a task queues again."""
    session_timeout_s: float = 6.0
    """Kafka evicts a silent worker after this long: the larger part of a resume elsewhere."""
    models_dir: Path | None = None
    """The user's own models."""
    providers_file: Path | None = None
    """providers.toml; none: this machine's models alone."""
    file_roots: tuple[Path, ...] = ()
    """Directories below which file:// sources may lie."""
    private_hosts: frozenset[str] = frozenset()
    """host or host:port that sources may have though it is private."""
    max_source_bytes: int = 20 * 1024**3
    """Largest source that is fetched."""
    require_sandbox: bool = False
    """Decode nothing where a required part of the decoder's sandbox is missing."""
    sealer: Sealer | None = None
    """Opens the URLs that hold credentials; without it their tasks fail."""
    state_dir: Path = Path(tempfile.gettempdir())
    """Where Faust keeps its (empty) local state."""
    ready_file: Path | None = None
    """Written with this process's pid once the worker takes tasks."""
    watchdog_s: float = DEFAULT_LIMIT_S
    """A worker whose consumer stands still for so long leaves, to be started again; 0: never."""
    log_level: str = "info"

    def __repr__(self) -> str:
        return f"WorkerSettings(worker_id={self.worker_id!r}, slots={self.slots})"


def read_settings(environ: Mapping[str, str]) -> WorkerSettings:
    """Return the settings; raises `InvalidSettingError` naming the variable."""
    if not environ.get(env.KAFKA):
        raise InvalidSettingError(f"{env.KAFKA} must name the Kafka bootstrap servers")
    default = WorkerSettings(environ={}, worker_id="")
    return WorkerSettings(
        environ=environ,
        worker_id=environ.get(env.WORKER_ID) or f"{socket.gethostname()}-{os.getpid()}",
        kafka_security=_security(environ),
        device=environ.get(env.DEVICE) or default.device,
        precision=environ.get(env.PRECISION) or default.precision,
        slots=int(_number(environ, env.SLOTS, default.slots, least=1)),
        slice_s=_number(environ, env.SLICE_S, default.slice_s, least=0.1),
        session_timeout_s=_number(
            environ, env.SESSION_TIMEOUT_S, default.session_timeout_s, least=1
        ),
        models_dir=_path(environ, env.MODELS),
        providers_file=_path(environ, env.PROVIDERS),
        file_roots=tuple(
            Path(part) for part in environ.get(env.FILE_ROOTS, "").split(os.pathsep) if part
        ),
        private_hosts=frozenset(
            part.strip() for part in environ.get(env.PRIVATE_HOSTS, "").split(",") if part.strip()
        ),
        max_source_bytes=int(
            _number(environ, env.MAX_SOURCE_BYTES, default.max_source_bytes, least=1)
        ),
        require_sandbox=_switch(environ, env.REQUIRE_SANDBOX),
        sealer=_sealer(environ),
        ready_file=_path(environ, env.READY_FILE),
        watchdog_s=_number(environ, env.WATCHDOG_S, default.watchdog_s, least=0),
        log_level=environ.get(env.LOG) or default.log_level,
    )


def _security(environ: Mapping[str, str]) -> KafkaSecurity:
    try:
        return read_security(read_kafka_options(environ))
    except InvalidKafkaOptionsError as exc:
        raise InvalidSettingError(str(exc)) from exc
    except InvalidSecurityError as exc:
        raise InvalidSettingError(f"{env.KAFKA_OPTIONS}: {exc}") from exc


def _sealer(environ: Mapping[str, str]) -> Sealer | None:
    keys = environ.get(env.SECRET_KEY)
    try:
        return Sealer(keys) if keys else None
    except InvalidSecretKeyError as exc:
        raise InvalidSettingError(str(exc)) from exc


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None


def _switch(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name) or "0"
    if text not in {"0", "1"}:
        raise InvalidSettingError(f"{name} must be 0 or 1")
    return text == "1"


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError as exc:
        raise InvalidSettingError(f"{name} must be a number") from exc
    if value < least:
        raise InvalidSettingError(f"{name} must be at least {least:g}")
    return value
