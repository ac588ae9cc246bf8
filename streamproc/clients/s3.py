"""boto3 client of the object store, created the same way in every process."""

import threading
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings

_making = threading.Lock()
"""A session is thread-safe, except while it creates a client."""


def open_session(settings: StoreSettings) -> Any:
    """Return a session with the settings' keys and region; shared by all calls with the same key.

    Raises `SettingError` if the profile does not exist, or one half of a key is missing.
    """
    if (settings.key is None) != (settings.secret is None):
        raise SettingError(f"{env.S3_KEY} and {env.S3_SECRET} belong together")
    try:
        if settings.key is not None:
            return _session_of_key(
                settings.key, settings.secret, settings.session_token, settings.region
            )
        return boto3.session.Session(profile_name=settings.profile, region_name=settings.region)
    except BotoCoreError as exc:
        raise SettingError(f"{env.S3_PROFILE} cannot be used: {type(exc).__name__}") from exc


@lru_cache(maxsize=8)  # a session reads botocore's service model, which takes 0.1 s
def _session_of_key(key: str, secret: str | None, token: str | None, region: str | None) -> Any:
    return boto3.session.Session(
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        region_name=region,
    )


def open_client(settings: StoreSettings, *, session: Any = None, **config: Any) -> Any:
    """Return a client for `settings`; `config`: further botocore options (timeouts, retries).

    Does not connect. Raises `SettingError`.
    """
    in_path = settings.addressing == "auto" and settings.endpoint
    shared = Config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if in_path else settings.addressing},
    )
    session = session or open_session(settings)
    try:
        with _making:
            return session.client(
                "s3",
                endpoint_url=settings.endpoint,
                verify=settings.ca_bundle or True,
                config=shared.merge(Config(**config)),
            )
    except ValueError as exc:  # the endpoint is not a URL
        raise SettingError(f"{env.S3_ENDPOINT} must be http(s)://host:port") from exc


def objects_url(client: Any, bucket: str) -> str:
    """Return the part of an object's URL before its key, as the client addresses the bucket."""
    url: str = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    return url.partition("?")[0].removesuffix("k")


def host_of(client: Any, bucket: str) -> str:
    """Return host[:port] in the URLs of the bucket's objects, in lower case."""
    return urlsplit(objects_url(client, bucket)).netloc.lower()
