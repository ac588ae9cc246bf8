"""The api's settings: one frozen struct, read once from the environment at start."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Self

import msgspec

from streamproc.clients.kafka import read_kafka_options
from streamproc.clients.settings import required
from streamproc.contract import env
from streamproc.contract.sealing import Sealer
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.watchdog import DEFAULT_LIMIT_S

MIB = 1024 * 1024

RING_BYTES = "FRAMEWIRE_RING_BYTES"
CACHE_BYTES = "FRAMEWIRE_CACHE_BYTES"
SEND_DEADLINE_S = "FRAMEWIRE_SEND_DEADLINE_S"
MAX_BODY_BYTES = "FRAMEWIRE_MAX_BODY_BYTES"
MAX_UPLOAD_BYTES = "FRAMEWIRE_MAX_UPLOAD_BYTES"
CORS_ORIGINS = "FRAMEWIRE_CORS_ORIGINS"
BODY_BUDGET_BYTES = "FRAMEWIRE_BODY_BUDGET_BYTES"
MIN_BODY_RATE = "FRAMEWIRE_MIN_BODY_RATE"
HEAD_TIMEOUT_S = "FRAMEWIRE_HEAD_TIMEOUT_S"
MAX_CONNECTIONS = "FRAMEWIRE_MAX_CONNECTIONS"
MAX_CONNECTIONS_PER_ADDRESS = "FRAMEWIRE_MAX_CONNECTIONS_PER_ADDRESS"
TRUSTED_PROXIES = "FRAMEWIRE_TRUSTED_PROXIES"
SUBMISSIONS_PER_MINUTE = "FRAMEWIRE_SUBMISSIONS_PER_MINUTE"
OPEN_STREAMS = "FRAMEWIRE_OPEN_STREAMS"
UPLOAD_BYTES_PER_DAY = "FRAMEWIRE_UPLOAD_BYTES_PER_DAY"
STORED_BYTES = "FRAMEWIRE_STORED_BYTES"
OPEN_TASKS = "FRAMEWIRE_OPEN_TASKS"
MAX_RECORD_S = "FRAMEWIRE_MAX_RECORD_S"
DISK_RESERVE_BYTES = "FRAMEWIRE_DISK_RESERVE_BYTES"

_SECRETS = frozenset(
    {
        "admin_key",
        "token_secret",
        "secret_key",
        "clickhouse",
        "kafka_options",
    }
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one api process. Secrets are masked in the repr."""

    kafka: str
    """Bootstrap servers, host:port[,host:port]."""
    kafka_options: dict[str, Any] = msgspec.field(default_factory=dict)
    """Further librdkafka properties (TLS, SASL) for every client of this process."""

    s3: StoreSettings = StoreSettings()
    """Settings of every S3 client; the bucket holds requests, uploads and log segments."""

    clickhouse: str
    """chdb:///path, or http(s)://user:password@host:port/database."""

    models: str | None = None
    """Directory of the user's own models."""
    providers: str | None = None
    """Path of providers.toml; None: only the provider `local` exists."""

    host: str = "127.0.0.1"
    """Address that the server listens on."""
    port: int = 8080
    """Port that the server listens on; 0 chooses a free one."""
    port_file: str | None = None
    """File to which the port is written once the server listens."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call this server from a browser; `*` is every origin."""

    admin_key: str | None = None
    """Bearer key of the operator's endpoints; None disables them."""
    token_secret: str | None = None
    """Secret that signs `?token=`; the same in all api processes. None disables such tokens."""
    secret_key: str | None = None
    """Keys that encrypt the credentials in sources' URLs, newest first, comma-separated; the same
    in all api processes and workers. None refuses such URLs."""
    index_in_api: bool = False
    """Run the index role in this process, because one process must own chDB."""
    require_sandbox: bool = False
    """Start only if the decoders of previews have a complete sandbox."""
    log: str = "info"
    """debug | info | warning."""

    max_body_bytes: int = 96 * MIB
    """Largest request body that is read; base64 turns three bytes into four."""
    max_upload_bytes: int = 64 * MIB
    """Largest video that a request may contain as base64; its size after decoding."""

    body_budget_bytes: int = 128 * MIB
    """Bytes of submissions that one process holds at once; one project may hold about half."""
    min_body_rate: int = 16 * 1024
    """Minimum average rate of a request body, in bytes per second; 0 is no limit."""

    head_timeout_s: float = 10.0
    """Time limit for a request's head to arrive, and for a new connection to send nothing."""
    max_connections: int = 0
    """Maximum open connections; 0: as many as the descriptors allow, 16384 at most."""
    max_connections_per_address: int = 0
    """Maximum open connections of one client address; 0: half of all."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies whose `X-Forwarded-For` names the client."""
    submissions_per_minute: int = 600
    """Submissions per project and minute, in this process; 0 is no limit, here and below."""
    open_streams: int = 10_000
    """Streams that one project may have open at once, in this process."""
    upload_bytes_per_day: int = 0
    """Bytes of video that one project may upload in requests per day, in this process."""
    stored_bytes: int = 0
    """Bytes of log that one project may have stored."""
    open_tasks: int = 0
    """Tasks of one project that wait or run, as far as this process knows."""

    disk: str | None = None
    """Directory on the disk that this machine's engines write to; None: no disk is checked."""
    disk_reserve_bytes: int = 1024 * MIB
    """Free bytes of that disk below which no task is accepted."""

    max_record_s: int = 7 * 86_400
    """Longest time for which a request may have recordings of its live source kept; 0: none are."""

    ring_bytes: int = 64 * MIB
    """Budget of the tail cache: bytes of live log that one process keeps, all tasks together."""
    cache_bytes: int = 256 * MIB
    """Budget of the block cache: bytes of immutable S3 segments that one process keeps."""
    send_deadline_s: float = 30.0
    """A stream whose client reads nothing for so long is closed."""

    watchdog_s: float = DEFAULT_LIMIT_S
    """A Kafka consumer that makes no progress for so long is recreated; 0: never."""
    kafka_deadline_s: float = 10.0
    """How long a request waits for Kafka's ack before the response is 503."""
    results_wait_s: float = 5.0
    """How long a request for results waits until the index has read the finished log."""
    recent_tasks_s: float = 60.0
    """How long this process lists its own submissions, which the index may not have yet."""

    @property
    def limits(self) -> dict[str, int]:
        """The default limits by name, for projects without limits of their own."""
        return {name: getattr(self, name) for name in _LIMITS}

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={'***' if name in _SECRETS and getattr(self, name) else getattr(self, name)!r}"
            for name in self.__struct_fields__
        )
        return f"Settings({shown})"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings from the environment variables.

        Raises `SettingError`, naming the variable, when one is missing or cannot be read.
        """
        fields: dict[str, Any] = {
            "kafka": required(environ, env.KAFKA),
            "clickhouse": required(environ, env.CLICKHOUSE),
            "kafka_options": read_kafka_options(environ),
            "s3": StoreSettings.from_environ(environ),
            "index_in_api": environ.get(env.INDEX_IN_API) == "1",
            "require_sandbox": environ.get(env.REQUIRE_SANDBOX) == "1",
        }
        if origins := environ.get(CORS_ORIGINS):
            fields["cors_origins"] = _list(origins)
        if proxies := environ.get(TRUSTED_PROXIES):
            fields["trusted_proxies"] = _networks(TRUSTED_PROXIES, proxies)
        for field, name in _TEXTS.items():
            if value := environ.get(name):
                fields[field] = value
        for field, name in _NUMBERS.items():
            if value := environ.get(name):
                fields[field] = _number(name, value, least=1 if field in _POSITIVE else 0)
        _check_secret_key(fields.get("secret_key"))
        return cls(**fields)


_TEXTS = {
    "models": env.MODELS,
    "providers": env.PROVIDERS,
    "host": env.HOST,
    "port_file": env.PORT_FILE,
    "admin_key": env.ADMIN_KEY,
    "token_secret": env.TOKEN_SECRET,
    "secret_key": env.SECRET_KEY,
    "log": env.LOG,
    "disk": env.DISK,
}
_NUMBERS = {
    "port": env.PORT,
    "ring_bytes": RING_BYTES,
    "cache_bytes": CACHE_BYTES,
    "send_deadline_s": SEND_DEADLINE_S,
    "max_body_bytes": MAX_BODY_BYTES,
    "max_upload_bytes": MAX_UPLOAD_BYTES,
    "body_budget_bytes": BODY_BUDGET_BYTES,
    "min_body_rate": MIN_BODY_RATE,
    "head_timeout_s": HEAD_TIMEOUT_S,
    "max_connections": MAX_CONNECTIONS,
    "max_connections_per_address": MAX_CONNECTIONS_PER_ADDRESS,
    "watchdog_s": env.WATCHDOG_S,
    "submissions_per_minute": SUBMISSIONS_PER_MINUTE,
    "open_streams": OPEN_STREAMS,
    "upload_bytes_per_day": UPLOAD_BYTES_PER_DAY,
    "stored_bytes": STORED_BYTES,
    "open_tasks": OPEN_TASKS,
    "max_record_s": MAX_RECORD_S,
    "disk_reserve_bytes": DISK_RESERVE_BYTES,
}
_POSITIVE = frozenset({"send_deadline_s", "head_timeout_s"})  # 0 would end every response at once
_LIMITS = (
    "submissions_per_minute",
    "open_streams",
    "upload_bytes_per_day",
    "stored_bytes",
    "open_tasks",
)


def _check_secret_key(keys: str | None) -> None:
    _ = keys and Sealer(keys)


def _number(name: str, value: str, *, least: int) -> int:
    if not value.isdecimal() or int(value) < least:
        raise SettingError(f"{name} must be a whole number of {least} or more")
    return int(value)


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _networks(name: str, value: str) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(part)) for part in _list(value))
    except ValueError as exc:
        raise SettingError(f"{name} must be addresses or networks, separated by commas") from exc
