"""Data directory of the embedded stack: lock, secrets, ports, and discovery of a running stack.

`lock`          locked (flock) by the `framewire up` that runs there
`secrets.json`  keys created at the first start; 0600
`ports.json`    the ports of the last start
`stores.json`   the stores of the last stack that was up, for maintenance; 0600
`stack.json`    the running stack: written once it is ready, removed when it stops; 0600
`logs/`, `run/` the children's logs and ready files
`kafka/`, `seaweedfs/`, `clickhouse/`, `models/` durable data; `memory/` data of one run
"""

import base64
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from console.errors import DirectoryInUseError, StackError
from streamproc.contract import env
from streamproc.contract.store_settings import StoreSettings

_OTHERS = 0o077

T = TypeVar("T")


class S3Access(msgspec.Struct, frozen=True):
    """Address and credentials of the stack's S3 bucket. The repr omits the credentials."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"S3Access(endpoint={self.endpoint!r}, bucket={self.bucket!r})"

    @classmethod
    def of(cls, store: StoreSettings) -> Self:
        """Return what `up --json` prints; it does not contain keys of an AWS profile."""
        return cls(store.endpoint or "", store.bucket, store.key or "", store.secret or "")


class Secrets(msgspec.Struct, kw_only=True):
    """Keys of one data directory. `project_key` is None until the first start has created it.

    `secret_key` encrypts the credentials in sources' URLs; to rotate it, set a list of keys, newest
    first. It is None in a file of an older version.
    """

    s3_access_key: str
    s3_secret_key: str
    admin_key: str
    token_secret: str
    project_key: str | None = None
    secret_key: str | None = None

    def __repr__(self) -> str:
        return "Secrets(***)"

    @classmethod
    def fresh(cls) -> Self:
        return cls(
            s3_access_key=f"FW{secrets.token_hex(9).upper()}",
            s3_secret_key=secrets.token_urlsafe(30),
            admin_key=f"fwadmin_{secrets.token_urlsafe(30)}",
            token_secret=secrets.token_urlsafe(32),
            secret_key=_new_secret_key(),
        )


class Stores(msgspec.Struct, frozen=True):
    """Stores of a stack's objects and rows. None: an embedded engine, in the data directory.

    `in_memory`: the data of these engines is below `memory/`.
    """

    s3: StoreSettings | None = None
    clickhouse: str | None = None
    in_memory: bool = False

    def __repr__(self) -> str:
        return f"Stores(s3={self.s3!r}, in_memory={self.in_memory})"


class StackState(msgspec.Struct, frozen=True, kw_only=True):
    """A running stack, as in `stack.json`. `children` has pids by name at the time of writing."""

    pid: int
    url: str
    key: str
    project: str
    admin_key: str
    kafka: str
    s3: S3Access
    clickhouse: str
    file_roots: list[str]
    children: dict[str, int]

    def __repr__(self) -> str:
        return f"StackState(pid={self.pid}, url={self.url!r})"

    def public(self) -> dict[str, object]:
        """Return what `framewire up --json` prints."""
        return {
            "url": self.url,
            "key": self.key,
            "project": self.project,
            "kafka": self.kafka,
            "s3": msgspec.to_builtins(self.s3),
            "clickhouse": self.clickhouse,
        }


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return the data directory: `FRAMEWIRE_DATA`, else the user's XDG data directory."""
    if named := environ.get(env.DATA):
        return Path(named).expanduser().resolve()
    base = environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "framewire"


class DataDirectory:
    """Paths in a data directory, and access to its small files."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self.models = self.root / "models"
        self.model_cache = self.root / "model_cache"
        self.memory = self.root / "memory"

    def prepare(self) -> bool:
        """Create missing directories (0700); return whether other users had access before.

        Raises `StackError` if it cannot be created, or their access cannot be removed.
        """
        try:
            for path in (self.root, self.logs, self.run, self.models):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise StackError(f"{exc.filename} cannot be created: {exc.strerror}") from exc
        if not stat.S_IMODE(self.root.stat().st_mode) & _OTHERS:
            return False
        try:
            self.root.chmod(0o700)
        except PermissionError as exc:
            raise StackError(f"{self.root} belongs to another user") from exc
        return True

    def lock(self) -> int:
        """Lock the directory for this process (flock) and return the lock's file descriptor.

        The kernel releases it whenever the process ends. Raises `DirectoryInUseError`.
        """
        import fcntl  # noqa: PLC0415 - Windows has none, and reads a directory without it

        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(descriptor)
            raise DirectoryInUseError(f"another stack runs on {self.root}") from exc
        return descriptor

    def secrets(self) -> Secrets:
        """Return the directory's keys; the first call creates them."""
        known = _read(self.root / "secrets.json", Secrets)
        if known is None:
            known = Secrets.fresh()
            self.keep_secrets(known)
        elif known.secret_key is None:
            known.secret_key = _new_secret_key()
            self.keep_secrets(known)
        return known

    def keep_secrets(self, known: Secrets) -> None:
        _write(self.root / "secrets.json", known)

    def ports(self) -> dict[str, int]:
        return _read(self.root / "ports.json", dict[str, int]) or {}

    def keep_ports(self, ports: Mapping[str, int]) -> None:
        _write(self.root / "ports.json", dict(ports))

    def stores(self) -> Stores | None:
        """Return the stores of the last stack that was up here; None if there was none.

        Older versions wrote no `stores.json`: there, the directory `seaweedfs/` indicates embedded
        stores.
        """
        known = _read(self.root / "stores.json", Stores)
        if known is None and (self.root / "seaweedfs").is_dir():
            return Stores()
        return known

    def keep_stores(self, stores: Stores) -> None:
        _write(self.root / "stores.json", stores)

    def running(self) -> StackState | None:
        """Return the stack that runs here; None if its process does not exist."""
        state = _read(self.root / "stack.json", StackState)
        return state if state is not None and is_alive(state.pid) else None

    def keep_running(self, state: StackState) -> None:
        _write(self.root / "stack.json", state)

    def forget_running(self) -> None:
        (self.root / "stack.json").unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists, of any user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_private(path: Path, data: bytes) -> None:
    """Replace the file atomically (by a rename); only this user can read it (0600)."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    fresh.replace(path)


def _new_secret_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _read(path: Path, kind: type[T]) -> T | None:
    """Return the decoded file; None if it is missing, unreadable or of another format."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: Path, value: object) -> None:
    write_private(path, msgspec.json.format(msgspec.json.encode(value)) + b"\n")
