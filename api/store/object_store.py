"""Async S3 client for one bucket: requests, uploads and log segments.

boto3 is synchronous: all calls run in this store's own thread pool, so that a slow S3 does not use
up the threads of other parts. botocore's errors become `StoreUnavailableError` (503) with a
sentence that names the fault; a missing object is a normal result, not an error. A call that takes
too long fails in the same way; only `put` has no overall time limit. Before the first conditional
write (`If-None-Match`), a test checks once that the store honours it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog
from botocore.exceptions import ClientError

from api.errors import UnavailableError
from api.store.ranged_get import RangeReader
from api.store.segment import Segment
from streamproc.clients.conditional_writes import N_AT_ONCE, REFUSAL, honours_conditions
from streamproc.clients.s3 import objects_url, open_client, open_session
from streamproc.clients.s3_errors import FAILURES, Trouble, code_of, diagnose, status_of, trouble_of
from streamproc.contract import object_keys
from streamproc.contract.store_settings import StoreSettings

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_EXISTS = frozenset({"412", "PreconditionFailed"})
_CONFLICT = frozenset({"409", "ConditionalRequestConflict", "OperationAborted"})
_MAX_CONFLICTS = 5

WRITE_PROBE_S = 30.0
_PROBE_KEY = "health/write"
_PROBE_BODY = bytes(8 * 1024)  # a smaller object may still fit into a full disk's last block
_PROBE_TIMEOUT_S = 2.0
_JUDGE_AGAIN_S = 30.0
_SAY_AGAIN_S = 30.0
_log = structlog.get_logger("framewire.api.store")

T = TypeVar("T")


class SegmentPage(NamedTuple):
    """The segments that one request listed; `is_cut`: there are more."""

    segments: list[Segment]
    is_cut: bool


class StoredObject(NamedTuple):
    data: bytes
    metadata: Mapping[str, str]


class StoreUnavailableError(UnavailableError):
    """S3 did not answer, or refused the request: try again later."""

    code = "store_unavailable"


class Objects:
    """One bucket. Methods may be called concurrently from many tasks of one event loop."""

    def __init__(
        self,
        store: StoreSettings,
        *,
        max_parallel: int = 16,
        connect_timeout_s: float = 3.0,
        read_timeout_s: float = 20.0,
        answer_s: float = 15.0,
    ) -> None:
        """`answer_s` limits every call but `put`, including retries and the wait for a thread."""
        self._answer_s = answer_s
        self._bucket = store.bucket
        self._threads = ThreadPoolExecutor(max_parallel, thread_name_prefix="s3")
        self._wrote_s = float("-inf")
        self._conditional = not store.unconditional
        self._honours = store.unconditional or store.tried
        self._judged_s = float("-inf")
        self._trial: asyncio.Task[None] | None = None
        self._said: tuple[str, float] = ("", float("-inf"))
        session = open_session(store)
        self._open = partial(open_client, store, session=session)
        self._client: Any = self._open(
            connect_timeout=connect_timeout_s,
            read_timeout=read_timeout_s,
            max_pool_connections=max_parallel,
            retries={"max_attempts": 4, "mode": "standard"},
        )
        self._prober: Any = self._open(
            connect_timeout=_PROBE_TIMEOUT_S,
            read_timeout=_PROBE_TIMEOUT_S,
            max_pool_connections=max_parallel,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )
        self._ranges = RangeReader(
            objects_url(self._client, store.bucket),
            store.region,
            session.get_credentials(),
            max_parallel=max_parallel,
            timeout_s=(connect_timeout_s, read_timeout_s),
            verify=store.ca_bundle or True,
        )

    def close(self) -> None:
        """Close the connections; running calls still end."""
        if self._trial is not None:
            self._trial.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()
        self._prober.close()
        self._ranges.close()

    async def get(self, key: str) -> bytes | None:
        """Return the object's bytes, None if it does not exist."""
        found = await self.get_with_metadata(key)
        return None if found is None else found.data

    async def get_with_metadata(self, key: str) -> StoredObject | None:
        """Return the object's bytes and its user metadata, None if it does not exist."""
        return await self._call(lambda: self._get_object(key, {}))

    async def get_range(self, key: str, start: int, end: int) -> bytes | None:
        """Return the object's bytes `[start, end)`, None if it does not exist."""

        def get() -> bytes | None:
            data = self._ranges.get(key, start, end)
            return self._get(key, f"bytes={start}-{end - 1}") if data is None else data

        return await self._call(get)

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        """Return the object's user metadata, None if the object does not exist."""

        def head() -> Mapping[str, str] | None:
            found = self._known(lambda: self._client.head_object(Bucket=self._bucket, Key=key))
            return None if found is None else found["Metadata"]

        return await self._call(head)

    async def exists(self, key: str) -> bool:
        return await self.metadata(key) is not None

    async def put(self, key: str, data: bytes | bytearray, content_type: str) -> None:
        """Write the object, replacing an existing one."""
        await self._write(lambda: self._put(self._client, key, data, content_type), patient=True)

    async def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        """Write the object unless it exists (conditional PUT); return whether it holds `data` now.

        An SDK retry can turn our own success into a 412, so the stored bytes are compared: equal
        bytes count as success. Raises `StoreUnavailableError`, also if the store does not honour
        conditional writes.
        """
        await self._assure()
        return await self._write(lambda: self._put_if_absent(key, data, content_type))

    async def list_segments(
        self, project: str, task: str, after_start: int | None = None
    ) -> list[Segment]:
        """Return the task's segments ordered by start: all, or those after `after_start`."""
        return await self._call(lambda: self._list_segments(project, task, after_start))

    async def list_keys(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return the keys below `prefix` that are above `after`, in order: the first `limit`."""
        return await self._call(lambda: self._list_keys(prefix, after, limit))

    async def list_page(
        self, project: str, task: str, after_start: int | None = None, limit: int | None = None
    ) -> SegmentPage:
        """Return as many of the same segments as one request lists, at most `limit`."""
        return await self._call(lambda: self._list_page(project, task, after_start, limit))

    def presign(self, key: str, ttl_s: int) -> str:
        """Return a presigned URL that reads the object for `ttl_s` seconds; no request is sent."""
        url: str = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=ttl_s
        )
        return url

    async def probe(self) -> None:
        """Raise `StoreUnavailableError` unless the bucket can be reached and accepts objects.

        A store with a full disk still answers reads. So a small object is written if the last write
        failed or if there was none for `WRITE_PROBE_S`.
        """
        await self._call(lambda: self._prober.head_bucket(Bucket=self._bucket), of_bucket=True)
        if time.monotonic() - self._wrote_s >= WRITE_PROBE_S:
            await self._probe_write()
        await self._assure()

    async def _probe_write(self) -> None:
        try:
            await self._write(
                lambda: self._put(self._prober, _PROBE_KEY, _PROBE_BODY, "application/octet-stream")
            )
        except StoreUnavailableError as exc:
            raise StoreUnavailableError(_takes_nothing(exc)) from exc

    async def _assure(self) -> None:
        """Raise `StoreUnavailableError` unless the store honours conditional writes.

        The test runs once; a store that failed it is tested again after `_JUDGE_AGAIN_S`.
        """
        if not self._honours:
            # The test may take longer than this caller may wait: it continues for the next one.
            if self._trial is None or self._trial.done():
                self._trial = asyncio.create_task(self._try_out())
            try:
                await asyncio.wait_for(asyncio.shield(self._trial), self._answer_s)
            except TimeoutError as exc:
                raise StoreUnavailableError(trouble_of(exc).sentence) from exc
        if not self._honours:
            raise StoreUnavailableError(REFUSAL)

    async def _try_out(self) -> None:
        if time.monotonic() - self._judged_s < _JUDGE_AGAIN_S:
            return

        def judge() -> bool:
            client = self._open(
                max_pool_connections=N_AT_ONCE, read_timeout=20, retries={"total_max_attempts": 1}
            )
            try:
                return honours_conditions(client, self._bucket)
            finally:
                client.close()

        self._honours = await self._call(judge, patient=True)
        self._judged_s = time.monotonic()
        if not self._honours:
            self._say(REFUSAL)

    async def _write(self, work: Callable[[], T], *, patient: bool = False) -> T:
        """Call `_call`, and record whether the store accepted the write."""
        try:
            written = await self._call(work, patient=patient)
        except StoreUnavailableError:
            self._wrote_s = float("-inf")
            raise
        self._wrote_s = time.monotonic()
        return written

    async def _call(
        self, work: Callable[[], T], *, patient: bool = False, of_bucket: bool = False
    ) -> T:
        """Run `work` in a thread.

        `of_bucket`: if S3 refuses without a reason, send one more request to learn it.
        """
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.wait_for(running, None if patient else self._answer_s)
        except FAILURES as exc:
            trouble = await self._diagnosed(exc) if of_bucket else trouble_of(exc)
            self._say(trouble.sentence)
            raise StoreUnavailableError(trouble.sentence) from exc

    async def _diagnosed(self, exc: Exception) -> Trouble:
        ask = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: diagnose(self._prober, self._bucket, exc)
        )
        try:
            return await asyncio.wait_for(ask, _PROBE_TIMEOUT_S)
        except TimeoutError:
            return trouble_of(exc)

    def _say(self, sentence: str) -> None:
        """Log what is wrong with the store; the same sentence at most every `_SAY_AGAIN_S`."""
        said, said_s = self._said
        now_s = time.monotonic()
        if sentence != said or now_s - said_s >= _SAY_AGAIN_S:
            self._said = (sentence, now_s)
            _log.warning("S3 cannot be used", reason=sentence)

    def _put(self, client: Any, key: str, data: bytes | bytearray, content_type: str) -> None:
        client.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=data,
            ContentMD5=object_keys.content_md5(data),
            ContentType=content_type,
        )

    def _get(self, key: str, byte_range: str | None) -> bytes | None:
        found = self._get_object(key, {} if byte_range is None else {"Range": byte_range})
        return None if found is None else found.data

    def _get_object(self, key: str, options: Mapping[str, str]) -> StoredObject | None:
        found = self._known(
            lambda: self._client.get_object(Bucket=self._bucket, Key=key, **options)
        )
        if found is None:
            return None
        with closing(found["Body"]) as body:
            data: bytes = body.read()  # botocore's stream: returns all bytes or raises its errors
        return StoredObject(data, found["Metadata"])

    def _put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        if not self._conditional:
            found = self._get(key, None)
            if found is None:
                self._put(self._client, key, data, content_type)
            return found is None or found == data
        for attempt in range(_MAX_CONFLICTS):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=data,
                    ContentMD5=object_keys.content_md5(data),
                    ContentType=content_type,
                    IfNoneMatch="*",
                )
            except ClientError as exc:
                if code_of(exc) in _EXISTS:
                    return self._get(key, None) == data
                if code_of(exc) not in _CONFLICT or attempt == _MAX_CONFLICTS - 1:
                    raise
            else:
                return True
        return False

    def _list_segments(self, project: str, task: str, after_start: int | None) -> list[Segment]:
        options: dict[str, str] = {"Prefix": object_keys.segment_prefix(project, task)}
        if after_start is not None:
            options["StartAfter"] = object_keys.segment_key(project, task, after_start)
        found: list[Segment] = []
        while True:
            page = self._client.list_objects_v2(Bucket=self._bucket, **options)
            found.extend(
                Segment(object_keys.segment_start(entry["Key"]), entry["Size"])
                for entry in page.get("Contents", ())
            )
            if not page.get("IsTruncated"):
                return found
            options.pop("StartAfter", None)  # some stores accept only one of the two
            options["ContinuationToken"] = page["NextContinuationToken"]

    def _list_keys(self, prefix: str, after: str, limit: int) -> list[str]:
        page = self._client.list_objects_v2(
            Bucket=self._bucket, Prefix=prefix, StartAfter=after, MaxKeys=limit
        )
        return [entry["Key"] for entry in page.get("Contents", ())]

    def _list_page(
        self, project: str, task: str, after_start: int | None, limit: int | None
    ) -> SegmentPage:
        options: dict[str, Any] = {"Prefix": object_keys.segment_prefix(project, task)}
        if after_start is not None:
            options["StartAfter"] = object_keys.segment_key(project, task, after_start)
        if limit is not None:
            options["MaxKeys"] = limit
        page = self._client.list_objects_v2(Bucket=self._bucket, **options)
        listed = [
            Segment(object_keys.segment_start(entry["Key"]), entry["Size"])
            for entry in page.get("Contents", ())
        ]
        return SegmentPage(listed, bool(listed) and bool(page.get("IsTruncated")))

    @staticmethod
    def _known(call: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        try:
            return call()
        except ClientError as exc:
            if code_of(exc) in _MISSING:
                return None
            raise


def _takes_nothing(exc: StoreUnavailableError) -> str:
    said = "The object store answers but does not accept writes"
    cause = exc.__cause__
    if isinstance(cause, ClientError) and status_of(cause) < 500:
        return f"{said}. {exc.detail}"
    return f"{said}: it may be full."
