"""Staged inputs and sources in Framewire's own bucket, read through presigned URLs."""

import base64
import hashlib
import os
from collections.abc import Mapping
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from streamproc.contract import env
from streamproc.providers.staging import UploadsUnavailableError

MAX_STAGED_BYTES = 5 * 1024**3  # what S3 takes in one PUT
_VALID_S = 6 * 3600
_PIECE_BYTES = 1024 * 1024
_PIN = "pin"


class BucketUploads:
    """Implements `providers.staging.Uploads`; one instance may be shared by threads."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        endpoint = environ.get(env.S3_ENDPOINT) or None
        self._bucket = environ.get(env.S3_BUCKET) or "framewire"
        config = Config(
            signature_version="s3v4",
            connect_timeout=3,
            read_timeout=30,
            retries={"total_max_attempts": 2},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        )
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=environ.get(env.S3_REGION) or "us-east-1",
            aws_access_key_id=environ.get(env.S3_KEY),
            aws_secret_access_key=environ.get(env.S3_SECRET),
            config=config,
        )
        self._prober: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=environ.get(env.S3_REGION) or "us-east-1",
            aws_access_key_id=environ.get(env.S3_KEY),
            aws_secret_access_key=environ.get(env.S3_SECRET),
            config=config.merge(
                Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
            ),
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

    def probe(self, object_key: str) -> None:
        """Read the first byte, as who opens the object will: a HEAD says nothing of its bytes."""
        try:
            answer = self._prober.get_object(Bucket=self._bucket, Key=object_key, Range="bytes=0-0")
            answer["Body"].read()
        except ClientError as exc:
            if _code(exc) not in {"NoSuchKey", "InvalidRange"}:
                raise _unavailable("GET", exc) from exc
        except BotoCoreError as exc:
            raise _unavailable("GET", exc) from exc

    def stage(self, object_key: str, file: BinaryIO, pin: str) -> None:
        """Store the file unless the key is taken; one above 5 GiB is not stored.

        The digest goes along, so a PUT that breaks off leaves no half of an object.
        """
        if os.fstat(file.fileno()).st_size > MAX_STAGED_BYTES:
            raise UploadsUnavailableError("the source is larger than one PUT may be")
        digest = hashlib.md5(usedforsecurity=False)
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
        file.seek(0)
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=object_key,
                Body=file,
                ContentMD5=base64.b64encode(digest.digest()).decode(),
                Metadata={_PIN: pin},
                IfNoneMatch="*",
            )
        except ClientError as exc:
            if _status(exc) not in {409, 412}:  # somebody else has staged it, or is about to
                raise _unavailable("PUT", exc) from exc
        except BotoCoreError as exc:
            raise _unavailable("PUT", exc) from exc

    def sealed(self, object_key: str) -> bytes | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=object_key)
            body: bytes = answer["Body"].read()
        except ClientError as exc:
            if _code(exc) == "NoSuchKey":  # no bucket, and a proxy's page, are a 404 as well
                return None
            raise _unavailable("GET", exc) from exc
        except BotoCoreError as exc:
            raise _unavailable("GET", exc) from exc
        return body

    def staged_pin(self, object_key: str) -> str | None:
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=object_key)
        except ClientError as exc:
            if _status(exc) == 404:
                return None
            raise _unavailable("HEAD", exc) from exc
        except BotoCoreError as exc:
            raise _unavailable("HEAD", exc) from exc
        pin: str | None = answer["Metadata"].get(_PIN)
        return pin


def _status(exc: ClientError) -> int:
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))


def _unavailable(verb: str, exc: Exception) -> UploadsUnavailableError:
    what = str(_status(exc)) if isinstance(exc, ClientError) else type(exc).__name__
    return UploadsUnavailableError(f"S3 {verb}: {what}")
