"""S3 client for staged inputs and sources in Framewire's own bucket; reads use presigned URLs."""

import base64
import hashlib
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from streamproc.clients.s3 import host_of, open_client
from streamproc.clients.s3_errors import FAILURES, code_of, status_of, trouble_of
from streamproc.contract.object_keys import content_md5
from streamproc.contract.store_settings import StoreSettings
from streamproc.errors import UploadsUnavailableError

MAX_STAGED_BYTES = 5 * 1024**3  # the limit of one S3 PUT
_VALID_S = 6 * 3600
_PIECE_BYTES = 1024 * 1024
_PIN = "pin"


class BucketUploads:
    """Implements `providers.staging.Uploads`; thread-safe."""

    def __init__(self, settings: StoreSettings) -> None:
        self._bucket = settings.bucket
        self._client: Any = open_client(
            settings, connect_timeout=3, read_timeout=30, retries={"total_max_attempts": 2}
        )
        self._prober: Any = open_client(
            settings, connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1}
        )
        self._recorder: Any = open_client(
            settings, connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 1}
        )
        self._condition = {} if settings.unconditional else {"IfNoneMatch": "*"}
        self._host = host_of(self._client, self._bucket)

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
        """Read the first byte, as a later reader does: a HEAD does not test the bytes."""
        try:
            answer = self._prober.get_object(Bucket=self._bucket, Key=object_key, Range="bytes=0-0")
            answer["Body"].read()
        except ClientError as exc:
            if code_of(exc) not in {"NoSuchKey", "InvalidRange"}:
                raise _unavailable("GET", exc) from exc
        except FAILURES as exc:
            raise _unavailable("GET", exc) from exc

    def stage(self, object_key: str, file: BinaryIO, pin: str) -> None:
        """Store the file unless the key exists; a file above 5 GiB is not stored.

        The PUT has the digest, so an interrupted one leaves no partial object.
        """
        if not self._condition and self.staged_pin(object_key) is not None:
            return
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
                **self._condition,
            )
        except ClientError as exc:
            if status_of(exc) not in {409, 412}:  # another worker has staged it, or is doing so
                raise _unavailable("PUT", exc) from exc
        except FAILURES as exc:
            raise _unavailable("PUT", exc) from exc

    def put_picture(self, object_key: str, jpeg: bytes, metadata: Mapping[str, str]) -> None:
        """Store a JPEG, or replace the one before; no second attempt, and a few seconds at most.

        Raises `UploadsUnavailableError`.
        """
        try:
            self._prober.put_object(
                Bucket=self._bucket,
                Key=object_key,
                Body=jpeg,
                ContentMD5=content_md5(jpeg),
                ContentType="image/jpeg",
                Metadata=dict(metadata),
            )
        except FAILURES as exc:
            raise _unavailable("PUT", exc) from exc

    def put_piece(
        self, object_key: str, body: bytes, content_type: str, metadata: Mapping[str, str]
    ) -> None:
        """Store a piece of a recording, or the same one again; one attempt.

        Raises `UploadsUnavailableError`.
        """
        try:
            self._recorder.put_object(
                Bucket=self._bucket,
                Key=object_key,
                Body=body,
                ContentMD5=content_md5(body),
                ContentType=content_type,
                Metadata=dict(metadata),
            )
        except FAILURES as exc:
            raise _unavailable("PUT", exc) from exc

    def sealed(self, object_key: str) -> bytes | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=object_key)
            body: bytes = answer["Body"].read()
        except ClientError as exc:
            if code_of(exc) == "NoSuchKey":  # a missing bucket and a proxy's page are a 404 as well
                return None
            raise _unavailable("GET", exc) from exc
        except FAILURES as exc:
            raise _unavailable("GET", exc) from exc
        return body

    def staged_pin(self, object_key: str) -> str | None:
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=object_key)
        except ClientError as exc:
            if status_of(exc) == 404:
                return None
            raise _unavailable("HEAD", exc) from exc
        except FAILURES as exc:
            raise _unavailable("HEAD", exc) from exc
        # Some stores return metadata names in a different case.
        metadata = {name.lower(): value for name, value in answer["Metadata"].items()}
        pin: str | None = metadata.get(_PIN)
        return pin


def _unavailable(verb: str, exc: Exception) -> UploadsUnavailableError:
    refusal = f"{status_of(exc)} {code_of(exc)}: " if isinstance(exc, ClientError) else ""
    return UploadsUnavailableError(f"S3 {verb}: {refusal}{trouble_of(exc).sentence}")
