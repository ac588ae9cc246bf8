"""Object store configuration: address, credentials and options, the same for all clients."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

import msgspec

from streamproc.contract import env
from streamproc.contract.setting_error import SettingError

Addressing = Literal["auto", "path", "virtual"]
DEFAULT_BUCKET = "framewire"
DEFAULT_REGION = "us-east-1"
VARIABLES = (
    *(env.S3_ENDPOINT, env.S3_BUCKET, env.S3_ADDRESSING, env.S3_UNCONDITIONAL, env.S3_TRIED),
    *(env.S3_KEY, env.S3_SECRET, env.S3_SESSION_TOKEN, env.S3_PROFILE),
    *(env.S3_REGION, env.S3_DEFAULT_REGION, env.S3_CA_BUNDLE),
)
"""The names of all variables that `StoreSettings` reads."""


class StoreSettings(msgspec.Struct, frozen=True):
    """Settings of the S3 client. The repr shows no secrets."""

    endpoint: str | None = None
    """http(s)://host:port; None is AWS itself."""
    bucket: str = DEFAULT_BUCKET
    """Bucket for requests, uploads, segments and final.json."""
    key: str | None = None
    """Access key; None: from the profile, or from boto3's own search."""
    secret: str | None = None
    """Secret key."""
    session_token: str | None = None
    """Session token of temporary keys."""
    profile: str | None = None
    """Profile in AWS's own files; ignored if a key is set."""
    region: str = DEFAULT_REGION
    """Region that requests are signed for."""
    ca_bundle: str | None = None
    """PEM file of the CAs that verify S3's certificate; None: the usual ones."""
    addressing: Addressing = "auto"
    """Where a request has the bucket's name; `auto`: in an endpoint's path, in AWS's host name."""
    unconditional: bool = False
    """The store does not support `If-None-Match`, and a single writer is guaranteed."""
    tried: bool = False
    """The store is known to honour `If-None-Match`: this is not tested again."""

    def __repr__(self) -> str:
        return f"StoreSettings(endpoint={self.endpoint!r}, bucket={self.bucket!r})"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables; raises `SettingError`, which names an invalid one."""
        addressing: Any = environ.get(env.S3_ADDRESSING) or "auto"
        if addressing not in get_args(Addressing):
            raise SettingError(f"{env.S3_ADDRESSING} is auto, path or virtual")
        ca_bundle = environ.get(env.S3_CA_BUNDLE) or None
        if ca_bundle is not None and not Path(ca_bundle).is_file():
            raise SettingError(f"{env.S3_CA_BUNDLE} names no file")
        return cls(
            endpoint=environ.get(env.S3_ENDPOINT) or None,
            bucket=environ.get(env.S3_BUCKET) or DEFAULT_BUCKET,
            key=environ.get(env.S3_KEY) or None,
            secret=environ.get(env.S3_SECRET) or None,
            session_token=environ.get(env.S3_SESSION_TOKEN) or None,
            profile=environ.get(env.S3_PROFILE) or None,
            region=environ.get(env.S3_REGION)
            or environ.get(env.S3_DEFAULT_REGION)
            or DEFAULT_REGION,
            ca_bundle=ca_bundle,
            addressing=addressing,
            unconditional=environ.get(env.S3_UNCONDITIONAL) == "1",
            tried=environ.get(env.S3_TRIED) == "1",
        )

    def to_environ(self) -> dict[str, str]:
        """Return the equivalent variables, without those that are not set."""
        texts = {
            env.S3_ENDPOINT: self.endpoint,
            env.S3_BUCKET: self.bucket,
            env.S3_KEY: self.key,
            env.S3_SECRET: self.secret,
            env.S3_SESSION_TOKEN: self.session_token,
            env.S3_PROFILE: self.profile,
            env.S3_REGION: self.region,
            env.S3_CA_BUNDLE: self.ca_bundle,
            env.S3_ADDRESSING: self.addressing,
            env.S3_UNCONDITIONAL: str(int(self.unconditional)),
            env.S3_TRIED: str(int(self.tried)),
        }
        return {name: text for name, text in texts.items() if text}
