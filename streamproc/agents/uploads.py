"""Staged inputs in Framewire's own bucket, read through presigned URLs."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from streamproc.contract import env

_VALID_S = 6 * 3600


class BucketUploads:
    """Implements `providers.engines.Uploads`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        endpoint = environ.get(env.S3_ENDPOINT) or None
        self._bucket = environ.get(env.S3_BUCKET, "framewire")
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=environ.get(env.S3_REGION) or "us-east-1",
            aws_access_key_id=environ.get(env.S3_KEY),
            aws_secret_access_key=environ.get(env.S3_SECRET),
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        self._host = urlsplit(endpoint).netloc if endpoint else None

    @property
    def host(self) -> str | None:
        return self._host

    def url(self, object_key: str) -> str:
        url: str = self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": object_key},
            ExpiresIn=_VALID_S,
        )
        return url
