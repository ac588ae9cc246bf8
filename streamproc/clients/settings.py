"""Settings that several roles read from the environment in the same way."""

import math
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings

_LEVELS = ("debug", "info", "warning")


def required(environ: Mapping[str, str], name: str) -> str:
    """Return the variable's value; raises `SettingError` if it is not set."""
    value = environ.get(name)
    if not value:
        raise SettingError(f"{name} is not set")
    return value


def log_level(environ: Mapping[str, str]) -> str:
    """Return the log level's name in upper case; raises `SettingError` if it is invalid."""
    level = (environ.get(env.LOG) or "info").lower()
    if level not in _LEVELS:
        raise SettingError(f"{env.LOG} is one of {', '.join(_LEVELS)}")
    return level.upper()


def read_number(environ: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    """Return a finite number of `least` or more; raises `SettingError`, with the name."""
    text = environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError as exc:
        raise SettingError(f"{name} must be a number") from exc
    if not math.isfinite(value):
        raise SettingError(f"{name} must be a number")
    if value < least:
        raise SettingError(f"{name} must be at least {least:g}")
    return value


def read_path(environ: Mapping[str, str], name: str) -> Path | None:
    """Return the path that a variable names; None if it is not set."""
    value = environ.get(name)
    return Path(value) if value else None


def describe_stores(store: StoreSettings, clickhouse: str) -> str:
    """Describe the stores that a command works on, without keys and passwords."""
    objects = f"bucket {store.bucket} at {store.endpoint or 'AWS'}"
    parts = urlsplit(clickhouse)
    place = parts.netloc.rpartition("@")[2] + parts.path
    return f"{objects}, tables at {parts.scheme}://{place}"
