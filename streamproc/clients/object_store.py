"""S3 client of the sinks: write objects once, list and read them, delete secrets.

Every failure becomes `StoreUnavailableError`; a response that rejects the request as invalid
becomes its subclass `ObjectRefusedError`. Callers do the retries, because a retry of the SDK turns
a success whose response was lost into a 412.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import structlog
from botocore.exceptions import ClientError, ParamValidationError

from streamproc.clients.conditional_writes import N_AT_ONCE, honours_conditions
from streamproc.clients.s3 import open_client
from streamproc.clients.s3_errors import FAILURES, code_of, status_of, trouble_of
from streamproc.contract.object_keys import content_md5
from streamproc.contract.store_settings import StoreSettings
from streamproc.errors import ObjectRefusedError, StoreUnavailableError

_log = structlog.get_logger("framewire.objects")

_EXISTS = 412
_FORBIDDEN = 403
_NOT_FOUND = 404
_WRONG = frozenset({400, 413, 414, 431})


class ObjectHead(NamedTuple):
    size: int
    metadata: Mapping[str, str]


class ListedObject(NamedTuple):
    """`stored_ms`: when the object was written, by the store's clock, in Unix milliseconds."""

    key: str
    size: int
    stored_ms: int = 0


class Objects(Protocol):
    """Object store interface for the sinks."""

    def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Store the object and return True; return False if the key exists."""

    def put(self, key: str, body: bytes) -> None:
        """Store the object, replacing an existing one."""

    def head(self, key: str) -> ObjectHead | None:
        """Return the object's size and metadata, None if it does not exist."""

    def get(self, key: str) -> bytes | None:
        """Return the object's bytes, None if it does not exist."""

    def keys(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        """Yield the objects below `prefix` whose keys are above `after`, ordered by key."""

    def delete(self, key: str) -> None:
        """Delete the object; a missing object is no error."""


class S3Objects:
    """`Objects` over boto3; thread-safe."""

    def __init__(self, settings: StoreSettings, *, pool_size: int = 8) -> None:
        self._bucket = settings.bucket
        self._client: Any = open_client(
            settings,
            retries={"total_max_attempts": 1},
            connect_timeout=3,
            read_timeout=20,
            max_pool_connections=max(pool_size, N_AT_ONCE),
        )
        self._is_sure = settings.unconditional or settings.tried
        self._condition = {} if settings.unconditional else {"IfNoneMatch": "*"}

    def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        if not self._condition and self.head(key) is not None:
            return False
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentMD5=content_md5(body),
                Metadata=dict(metadata),
                **self._condition,
            )
        except ClientError as exc:
            if status_of(exc) == _EXISTS:
                return False
            raise _unavailable("PUT", exc) from exc
        except FAILURES as exc:
            raise _unavailable("PUT", exc) from exc
        return True

    def put(self, key: str, body: bytes) -> None:
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentMD5=content_md5(body)
            )
        except FAILURES as exc:
            raise _unavailable("PUT", exc) from exc

    def honours_conditions(self) -> bool:
        """Return whether `put_if_absent` is reliable, by a test unless the settings assert it."""
        if self._is_sure:
            return True
        try:
            return honours_conditions(self._client, self._bucket)
        except FAILURES as exc:
            raise _unavailable("PUT", exc) from exc

    def head(self, key: str) -> ObjectHead | None:
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as exc:
            if status_of(exc) == _NOT_FOUND:
                return None
            raise _unavailable("HEAD", exc) from exc
        except FAILURES as exc:
            raise _unavailable("HEAD", exc) from exc
        return ObjectHead(int(answer["ContentLength"]), dict(answer["Metadata"]))

    def get(self, key: str) -> bytes | None:
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as exc:
            if code_of(exc) == "NoSuchKey":
                return None
            raise _unavailable("GET", exc) from exc
        except FAILURES as exc:
            raise _unavailable("GET", exc) from exc
        return body

    def keys(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        options = {"Prefix": prefix} | ({"StartAfter": after} if after else {})
        while True:
            try:
                page = self._client.list_objects_v2(Bucket=self._bucket, **options)
            except FAILURES as exc:
                raise _unavailable("LIST", exc) from exc
            for item in page.get("Contents", ()):
                yield ListedObject(item["Key"], int(item["Size"]), _unix_ms(item["LastModified"]))
            if not page.get("IsTruncated"):
                return
            options.pop("StartAfter", None)  # some stores accept only one of the two
            options["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, key: str) -> None:
        """Delete the object; if the store forbids it, log this and do not retry."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except ClientError as exc:
            if status_of(exc) == _FORBIDDEN:
                _log.error("S3 DELETE is not allowed", below=key.partition("/")[0])
                return
            if status_of(exc) != _NOT_FOUND:
                raise _unavailable("DELETE", exc) from exc
        except FAILURES as exc:
            raise _unavailable("DELETE", exc) from exc

    def close(self) -> None:
        self._client.close()


def _unix_ms(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)


def _unavailable(verb: str, exc: Exception) -> StoreUnavailableError:
    """Describe the failure without the address or the key: only task ids reach the logs."""
    if isinstance(exc, ClientError):
        kind = ObjectRefusedError if status_of(exc) in _WRONG else StoreUnavailableError
        what = f"{status_of(exc)} {code_of(exc)}: {trouble_of(exc).sentence}"
        return kind(f"S3 {verb}: {what}")
    if isinstance(exc, ParamValidationError):
        return ObjectRefusedError(f"S3 {verb}: {type(exc).__name__}")
    return StoreUnavailableError(f"S3 {verb}: {trouble_of(exc).sentence}")
