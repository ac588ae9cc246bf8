"""The bucket: requests, uploads and log segments, read and written without blocking the loop.

boto3 is synchronous: every call runs in a thread pool of this store's own, so that a slow S3
takes no thread from anybody else. Whatever botocore raises becomes `StoreUnavailableError`
(503), apart from a missing object, which is an answer and no error. So does silence: only an
upload may take its time.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Protocol, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from api.errors import UnavailableError
from api.log.segments import Segment
from api.store.ranges import RangeReader
from streamproc.contract import objects

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_EXISTS = frozenset({"412", "PreconditionFailed"})
_CONFLICT = frozenset({"409", "ConditionalRequestConflict", "OperationAborted"})
_MAX_CONFLICTS = 5

WRITE_PROBE_S = 30.0
_PROBE_KEY = "health/write"
_PROBE_BODY = bytes(8 * 1024)  # less may find room in the last block of a full disk
_PROBE_TIMEOUT_S = 2.0

T = TypeVar("T")


class StoreUnavailableError(UnavailableError):
    """S3 did not answer, or refused: try again later."""

    code = "store_unavailable"


class StoreSettings(Protocol):
    """What the store needs of the process's settings."""

    @property
    def s3_endpoint(self) -> str | None: ...
    @property
    def s3_bucket(self) -> str: ...
    @property
    def s3_key(self) -> str | None: ...
    @property
    def s3_secret(self) -> str | None: ...
    @property
    def s3_region(self) -> str: ...


class Objects:
    """One bucket. All methods may be called at once from many tasks of one loop."""

    def __init__(
        self,
        settings: StoreSettings,
        *,
        max_parallel: int = 16,
        connect_timeout_s: float = 3.0,
        read_timeout_s: float = 20.0,
        answer_s: float = 15.0,
    ) -> None:
        """`answer_s` bounds every call but `put`, with its retries and its wait for a thread."""
        self._answer_s = answer_s
        self._bucket = settings.s3_bucket
        self._threads = ThreadPoolExecutor(max_parallel, thread_name_prefix="s3")
        self._wrote_s = float("-inf")
        session = boto3.session.Session(
            aws_access_key_id=settings.s3_key,
            aws_secret_access_key=settings.s3_secret,
            region_name=settings.s3_region,
        )
        config = Config(
            connect_timeout=connect_timeout_s,
            read_timeout=read_timeout_s,
            max_pool_connections=max_parallel,
            retries={"max_attempts": 4, "mode": "standard"},
            signature_version="s3v4",
            s3={"addressing_style": "path"} if settings.s3_endpoint else {},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        at_once = Config(
            connect_timeout=_PROBE_TIMEOUT_S,
            read_timeout=_PROBE_TIMEOUT_S,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )
        self._client: Any = session.client("s3", endpoint_url=settings.s3_endpoint, config=config)
        self._prober: Any = session.client(
            "s3", endpoint_url=settings.s3_endpoint, config=config.merge(at_once)
        )
        self._ranges = RangeReader(
            self._client.meta.endpoint_url,
            settings.s3_bucket,
            settings.s3_region,
            session.get_credentials(),
            max_parallel=max_parallel,
            timeout_s=(connect_timeout_s, read_timeout_s),
        )

    def close(self) -> None:
        """Drop the connections; calls under way still end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()
        self._prober.close()
        self._ranges.close()

    async def get(self, key: str) -> bytes | None:
        """Return the object's bytes, None when there is no such object."""
        return await self._call(lambda: self._get(key, None))

    async def get_range(self, key: str, start: int, end: int) -> bytes | None:
        """Return the object's bytes `[start, end)`, None when there is no such object."""

        def get() -> bytes | None:
            data = self._ranges.get(key, start, end)
            return self._get(key, f"bytes={start}-{end - 1}") if data is None else data

        return await self._call(get)

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        """Return the object's own metadata, None when there is no such object."""

        def head() -> Mapping[str, str] | None:
            found = self._known(lambda: self._client.head_object(Bucket=self._bucket, Key=key))
            return None if found is None else found["Metadata"]

        return await self._call(head)

    async def exists(self, key: str) -> bool:
        return await self.metadata(key) is not None

    async def put(self, key: str, data: bytes | bytearray, content_type: str) -> None:
        """Write the object, whatever was there."""
        await self._write(lambda: self._put(self._client, key, data, content_type), patient=True)

    async def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        """Write the object unless there is one; return whether `data` is what stands there now.

        An SDK retry can turn our own success into a 412, so the winner's bytes are compared: the
        same bytes are the same success.
        """
        return await self._write(lambda: self._put_if_absent(key, data, content_type))

    async def list_segments(
        self, project: str, task: str, after_start: int | None = None
    ) -> list[Segment]:
        """Return the task's segments by start, all or those that start after `after_start`."""
        return await self._call(lambda: self._list_segments(project, task, after_start))

    def presign(self, key: str, ttl_s: int) -> str:
        """Return a URL that reads the object for `ttl_s` seconds; asks nobody."""
        url: str = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=ttl_s
        )
        return url

    async def probe(self) -> None:
        """Raise `StoreUnavailableError` unless the bucket can be reached and takes objects.

        A store whose disk is full still answers reads. So one that refused the last object, or has
        not been given any for `WRITE_PROBE_S`, is given a small one.
        """
        await self._call(lambda: self._prober.head_bucket(Bucket=self._bucket))
        if time.monotonic() - self._wrote_s < WRITE_PROBE_S:
            return
        try:
            await self._write(
                lambda: self._put(self._prober, _PROBE_KEY, _PROBE_BODY, "application/octet-stream")
            )
        except StoreUnavailableError as exc:
            raise StoreUnavailableError(
                "The object store answers, but takes no objects: it may be full."
            ) from exc

    async def _write(self, work: Callable[[], T], *, patient: bool = False) -> T:
        """Do as `_call` does, and remember whether the store takes objects."""
        try:
            written = await self._call(work, patient=patient)
        except StoreUnavailableError:
            self._wrote_s = float("-inf")
            raise
        self._wrote_s = time.monotonic()
        return written

    async def _call(self, work: Callable[[], T], *, patient: bool = False) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.wait_for(running, None if patient else self._answer_s)
        except (BotoCoreError, ClientError, HTTPError, TimeoutError) as exc:
            raise StoreUnavailableError("The object store does not answer.") from exc

    def _put(self, client: Any, key: str, data: bytes | bytearray, content_type: str) -> None:
        client.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=data,
            ContentMD5=objects.content_md5(data),
            ContentType=content_type,
        )

    def _get(self, key: str, byte_range: str | None) -> bytes | None:
        options = {} if byte_range is None else {"Range": byte_range}
        found = self._known(
            lambda: self._client.get_object(Bucket=self._bucket, Key=key, **options)
        )
        if found is None:
            return None
        with closing(found["Body"]) as body:
            data: bytes = body.read()  # of botocore's own stream: its errors, and all bytes or one
        return data

    def _put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        for attempt in range(_MAX_CONFLICTS):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=data,
                    ContentMD5=objects.content_md5(data),
                    ContentType=content_type,
                    IfNoneMatch="*",
                )
            except ClientError as exc:
                if _code(exc) in _EXISTS:
                    return self._get(key, None) == data
                if _code(exc) not in _CONFLICT or attempt == _MAX_CONFLICTS - 1:
                    raise
            else:
                return True
        return False

    def _list_segments(self, project: str, task: str, after_start: int | None) -> list[Segment]:
        options: dict[str, str] = {"Prefix": objects.segment_prefix(project, task)}
        if after_start is not None:
            options["StartAfter"] = objects.segment_key(project, task, after_start)
        found: list[Segment] = []
        while True:
            page = self._client.list_objects_v2(Bucket=self._bucket, **options)
            found.extend(
                Segment(objects.segment_start(entry["Key"]), entry["Size"])
                for entry in page.get("Contents", ())
            )
            if not page.get("IsTruncated"):
                return found
            options["ContinuationToken"] = page["NextContinuationToken"]

    @staticmethod
    def _known(call: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        try:
            return call()
        except ClientError as exc:
            if _code(exc) in _MISSING:
                return None
            raise


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
