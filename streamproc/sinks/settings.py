"""The sinks' settings: one frozen struct per process, read once from the environment."""

import os
from collections.abc import Mapping
from typing import Self

import msgspec

from streamproc.contract import env
from streamproc.sinks.errors import SinkSettingsError

_LEVELS = ("debug", "info", "warning")


class StoreSettings(msgspec.Struct, frozen=True):
    """Where S3 is. The secret does not show in the repr."""

    endpoint: str | None = None
    """http(s)://host:port; None is AWS itself."""
    bucket: str = "framewire"
    """Bucket of requests, segments and final.json."""
    key: str | None = None
    """Access key; None leaves it to boto3's own search."""
    secret: str | None = None
    """Secret key."""
    region: str = "us-east-1"
    """Region that requests are signed for."""

    def __repr__(self) -> str:
        return f"StoreSettings(endpoint={self.endpoint!r}, bucket={self.bucket!r})"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        source = os.environ if environ is None else environ
        return cls(
            endpoint=source.get(env.S3_ENDPOINT) or None,
            bucket=source.get(env.S3_BUCKET) or "framewire",
            key=source.get(env.S3_KEY) or None,
            secret=source.get(env.S3_SECRET) or None,
            region=source.get(env.S3_REGION) or "us-east-1",
        )


def required(environ: Mapping[str, str], name: str) -> str:
    """Return the variable's value; raises `SinkSettingsError` when it is not set."""
    value = environ.get(name)
    if not value:
        raise SinkSettingsError(f"{name} is not set")
    return value


def log_level(environ: Mapping[str, str]) -> str:
    """Return the logging level's name in upper case; raises `SinkSettingsError` on another."""
    level = (environ.get(env.LOG) or "info").lower()
    if level not in _LEVELS:
        raise SinkSettingsError(f"{env.LOG} is one of {', '.join(_LEVELS)}")
    return level.upper()
