"""Settings of the archive and index roles, read once from the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from streamproc.clients.kafka import KafkaSettings
from streamproc.clients.settings import read_number, read_path
from streamproc.contract import env
from streamproc.contract.audit import DEFAULT_DAYS, read_days
from streamproc.contract.bounds import MAX_RETENTION_DAYS
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.watchdog import DEFAULT_LIMIT_S

DEFAULT_LIVE_RETENTION_DAYS = 30


class ArchiveSettings(msgspec.Struct, frozen=True):
    """Settings of the archive role."""

    kafka: KafkaSettings
    store: StoreSettings
    watchdog_s: float = DEFAULT_LIMIT_S
    """A consumer that stalls for this long is replaced; 0: never."""
    ready_file: Path | None = None
    """Receives the process's pid once partitions are assigned."""
    live_retention_days: int = DEFAULT_LIVE_RETENTION_DAYS
    """How long segments of live tasks are kept that do not say it themselves; 0: for ever."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables; raises `SettingError`, which names an invalid one."""
        return cls(
            KafkaSettings.from_environ(environ),
            StoreSettings.from_environ(environ),
            _watchdog_s(environ),
            read_path(environ, env.READY_FILE),
            _live_retention_days(environ),
        )


class IndexSettings(msgspec.Struct, frozen=True):
    """Settings of the index role, which also copies the audit log."""

    kafka: KafkaSettings
    watchdog_s: float = DEFAULT_LIMIT_S
    """A consumer that stalls for this long is replaced; 0: never."""
    ready_file: Path | None = None
    """Receives the process's pid once partitions are assigned."""
    audit_days: int = DEFAULT_DAYS
    """How long audit records are kept."""
    live_retention_days: int = DEFAULT_LIVE_RETENTION_DAYS
    """How long rows of live tasks are kept that do not say it themselves; 0: for ever."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables; raises `SettingError`, which names an invalid one."""
        try:
            days = read_days(environ.get(env.AUDIT_DAYS))
        except ValueError as exc:
            raise SettingError(f"{env.AUDIT_DAYS} must be a whole number from 1 on") from exc
        return cls(
            KafkaSettings.from_environ(environ),
            _watchdog_s(environ),
            read_path(environ, env.READY_FILE),
            days,
            _live_retention_days(environ),
        )


def _live_retention_days(environ: Mapping[str, str]) -> int:
    name = env.LIVE_RETENTION_DAYS
    days = read_number(environ, name, DEFAULT_LIVE_RETENTION_DAYS, least=0)
    if days != int(days) or days > MAX_RETENTION_DAYS:
        raise SettingError(f"{name} must be whole days, at most {MAX_RETENTION_DAYS}")
    return int(days)


def _watchdog_s(environ: Mapping[str, str]) -> float:
    return read_number(environ, env.WATCHDOG_S, DEFAULT_LIMIT_S, least=0)
