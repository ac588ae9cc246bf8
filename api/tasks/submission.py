"""Task submission: store the request in S3, stage the upload, then write to Kafka, in this order.

With an Idempotency-Key the id is derived from the key, so the first `request.json` wins and later
calls read it: an equal request is the same task, a different one a conflict. If a request was
stored but not acknowledged by Kafka, the next attempt submits it again; duplicate messages are
harmless.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import structlog

from api.errors import ConflictError, FieldError, InvalidRequestError
from api.ids import DAY_MS, derived_task_ids, is_task_id, new_task_id
from api.kafka.producer import Publisher
from api.log.reader import LogReader
from api.store.object_store import Objects
from api.tasks.live_admission import LiveAdmission
from api.tasks.request_parser import ParsedRequest
from api.tasks.request_store import Requests
from api.tasks.source_secrets import SourceSecrets
from streamproc.contract import topics
from streamproc.contract.object_keys import upload_key
from streamproc.contract.records import FoldPoint, encode_task_message
from streamproc.contract.stored_request import StoredRequest

_log = structlog.get_logger("framewire.api.submission")


def now_ms() -> int:
    """Return the wall-clock time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class RecentTasks:
    """Tasks that this process accepted within `keep_s`: the index may not have them yet."""

    def __init__(self, keep_s: float) -> None:
        self._keep_ms = int(keep_s * 1000)
        self._tasks: OrderedDict[str, tuple[int, StoredRequest]] = OrderedDict()

    def __contains__(self, task: str) -> bool:
        return task in self._tasks

    def add(self, stored: StoredRequest, at_ms: int) -> None:
        self._tasks[stored.task] = (at_ms, stored)
        self._prune(at_ms)

    def of(self, project: str, at_ms: int) -> list[StoredRequest]:
        self._prune(at_ms)
        return [stored for _, stored in self._tasks.values() if stored.project == project]

    def all(self, at_ms: int) -> list[StoredRequest]:
        """Return those of all projects."""
        self._prune(at_ms)
        return [stored for _, stored in self._tasks.values()]

    def drop(self, task: str) -> None:
        """Remove a task that the index has."""
        self._tasks.pop(task, None)

    def _prune(self, at_ms: int) -> None:
        while self._tasks:
            task, (added_ms, _) = next(iter(self._tasks.items()))
            if added_ms > at_ms - self._keep_ms:
                return
            del self._tasks[task]


class Submissions:
    """Accepts requests as tasks. Use from one event loop."""

    def __init__(
        self,
        *,
        publisher: Publisher,
        objects: Objects,
        requests: Requests,
        secrets: SourceSecrets,
        log: LogReader,
        recent: RecentTasks,
        live: LiveAdmission,
        weight_of: Callable[[str], int] = lambda _: 1,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`weight_of` returns a project's share of the workers, relative to the default of 1."""
        self._publisher = publisher
        self._objects = objects
        self._requests = requests
        self._secrets = secrets
        self._log = log
        self._recent = recent
        self._live = live
        self._weight_of = weight_of
        self._clock_ms = clock_ms
        self._sending: dict[str, asyncio.Task[None]] = {}

    async def submit(
        self, project: str, parsed: ParsedRequest, idempotency_key: str | None = None
    ) -> StoredRequest:
        """Return the accepted task: Kafka has acknowledged it, so it will not be lost.

        Raises InvalidRequestError if the request names an upload that the project does not have,
        ConflictError if the Idempotency-Key was used for another request within 24 hours, and
        UnavailableError if Kafka or S3 is down, or if no worker has room for another live task: the
        same call may then be repeated. Raises ForbiddenError if the URL holds credentials and this
        server has no key to encrypt them.
        """
        if parsed.staged_key is not None:
            await self._check_staged(project, parsed.staged_key)
        digests = self._digests(parsed)
        created_ms = self._clock_ms()
        if idempotency_key is None:
            task = new_task_id(created_ms)
        else:
            task, earlier = derived_task_ids(project, idempotency_key, created_ms)
            found = await self._requests.find(project, earlier)
            if found is not None and found.created_ms > created_ms - DAY_MS:
                return await self._again(found, parsed, digests)
            if parsed.spec.live is not None:  # a repetition needs no room
                found = await self._requests.find(project, task)
                if found is not None:
                    return await self._again(found, parsed, digests)
        n_partitions = await self._publisher.n_partitions()
        if parsed.spec.live is not None:
            await self._live.wait_for_start(parsed.spec, created_ms)
        with self._partition(task, parsed, created_ms, n_partitions) as partition:
            return await self._submit_new(project, task, parsed, digests, created_ms, partition)

    def _partition(
        self, task: str, parsed: ParsedRequest, created_ms: int, n_partitions: int
    ) -> AbstractContextManager[int]:
        if parsed.spec.live is not None:
            return self._live.partition(task, parsed.spec, created_ms)
        return nullcontext(topics.partition_of(task.encode(), n_partitions))

    async def _submit_new(
        self,
        project: str,
        task: str,
        parsed: ParsedRequest,
        digests: tuple[str, ...],
        created_ms: int,
        partition: int,
    ) -> StoredRequest:
        spec, body = parsed.with_task_id(project, task)
        wanted = StoredRequest(
            task=task,
            project=project,
            partition=partition,
            created_ms=created_ms,
            point=FoldPoint(position=self._log.position(partition)),
            body=body,
            body_sha256=digests[0],
            spec=spec,
            weight=self._weight_of(project),
        )
        stored = await self._requests.add(wanted)
        if stored is not wanted:
            return await self._again(stored, parsed, digests)
        await self._send_once(stored, parsed)
        return stored

    async def _check_staged(self, project: str, key: str) -> None:
        """Check that an object is the upload of a task of the same project."""
        task = key.removeprefix(f"{project}/").partition("/")[0]
        is_ours = is_task_id(task) and key == upload_key(project, task)
        if not is_ours or not await self._objects.exists(key):
            raise InvalidRequestError(
                [FieldError(field="input[0].data", message="this project has no such upload")]
            )

    def _digests(self, parsed: ParsedRequest) -> tuple[str, ...]:
        """Return the hashes that match this request; a new request is stored with the first."""
        plain = parsed.body_sha256
        if parsed.secret_url is None:
            return (plain,)
        return (*self._secrets.require().digests(plain), plain)

    async def _again(
        self, stored: StoredRequest, parsed: ParsedRequest, digests: tuple[str, ...]
    ) -> StoredRequest:
        if stored.body_sha256 not in digests:
            raise ConflictError(
                "This Idempotency-Key was used for another request within the last 24 hours.",
                code="idempotency_conflict",
            )
        state = await self._log.state(stored.project, stored.task, stored.partition)
        if not state.claimed:
            await self._send_once(stored, parsed)
        return stored

    async def _send_once(self, stored: StoredRequest, parsed: ParsedRequest) -> None:
        """Stage the upload and produce the message; concurrent calls for one task share one.

        The work continues if the caller is cancelled, so that a stored request is submitted.
        """
        if stored.task in self._recent:
            return
        task = self._sending.get(stored.task)
        if task is None:
            task = asyncio.create_task(self._send(stored, parsed))
            self._sending[stored.task] = task
            task.add_done_callback(lambda done: self._sent(stored.task, done))
        await asyncio.shield(task)

    async def _send(self, stored: StoredRequest, parsed: ParsedRequest) -> None:
        if parsed.secret_url is not None:
            await self._secrets.keep(stored.project, stored.task, parsed.secret_url)
        if parsed.upload is not None:
            key = upload_key(stored.project, stored.task)
            await self._objects.put(key, parsed.upload, "application/octet-stream")
        submission = stored.submission()
        await self._publisher.send(
            submission.topic,
            stored.task,
            encode_task_message(submission),
            partition=stored.partition,
        )
        self._recent.add(stored, self._clock_ms())
        self._log.open_tasks.accepted(stored.project, stored.task)

    def _sent(self, task: str, done: asyncio.Task[None]) -> None:
        del self._sending[task]
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.warning("submission failed", task=task, error=type(error).__name__)
