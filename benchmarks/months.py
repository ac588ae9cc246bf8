"""What a camera's endless task costs after a day, or a part of one: `python -m benchmarks.months`.

A writer sends the log of a live task through Kafka as fast as it is taken, with the timestamps that
it would have: two frames a second, each with two tracks out of `--tracks`. Then

- the server's memory while it indexed that, by the hour of the log;
- S3 objects per hour, as the archive would write them at the camera's own speed (by a simulated
  clock: a log that comes in minutes has its segments cut by size);
- a cold server: where the log ends (`?offset=end`), the task's status, a read from the middle, by
  byte and by time;
- the same, once more, of a log of as many segments as a day has, which no record of Kafka tells of;
- the log's beginning after it has expired: 410, with the first byte that is kept.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import msgspec
from confluent_kafka import KafkaError, Message, Producer

from benchmarks.log_stack import LogStack, log_stack
from benchmarks.stack import add_stack_option
from streamproc.clients.object_store import ListedObject, ObjectHead, S3Objects
from streamproc.contract import object_keys, topics
from streamproc.contract.chunk import Chunk, Delta, Result, Roi, StreamInfo, Target, encode_chunk
from streamproc.contract.framing import frame_event
from streamproc.contract.object_keys import SegmentInfo
from streamproc.contract.records import ChunkRecord, Claim
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.timestamps import rfc3339
from streamproc.sinks.archive.actions import StoreAction, perform
from streamproc.sinks.archive.partition import Archiver
from streamproc.sinks.archive.retention import DAY_MS, sweep

DAY_CHUNKS = 172_800
DAY_TRACKS = 50_000
FRAME_MS = 500
LAG_MS = 150
SEGMENT_MS = 30_000
IN_MEMORY_BYTES = 32 << 20
"""Half of the server's memory for logs: one below that may be there as a whole."""
N_ASKED = 20
WAIT_S = 1800.0
MIB = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--chunks", type=int, default=DAY_CHUNKS)
    parser.add_argument("--tracks", type=int, default=DAY_TRACKS)
    add_stack_option(parser)
    args = parser.parse_args()
    log = CameraLog(args.chunks, args.tracks)
    print(f"{args.chunks} chunks ({args.chunks / 7200:.1f} h at 2 a second), {args.tracks} tracks")
    with (
        tempfile.TemporaryDirectory(prefix="framewire-months-") as name,
        log_stack(Path(name) / "data", args.stack) as stack,
    ):
        task = live_task(stack)
        positions = feed(stack, task, log)
        print(f"S3 objects per hour, simulated clock: {objects_per_hour(task, log, positions)}")
        ask(stack, task, log, "through Kafka")
        ask(stack, stored(stack, log), log, f"{SEGMENT_MS // 1000} s segments, S3 alone")
        expire(stack, task, log)


class CameraLog:
    """The records of one camera's task, made again and alike each time that they are asked for."""

    def __init__(self, n_chunks: int, n_tracks: int) -> None:
        self.n_chunks, self.n_tracks = n_chunks, n_tracks
        self.start_ms = round(time.time() * 1000) - n_chunks * FRAME_MS
        self.length = 0

    def records(self, task: str, project: str) -> Iterator[ChunkRecord]:
        """Yield the chunks, without an epoch."""
        end = 0
        for n in range(self.n_chunks):
            value = frame_event(self._chunk(n), end)
            yield ChunkRecord(
                *(task, project, "chunk", 0, n, end, n, n, value),
                time_ms=self.time_ms(n) + LAG_MS,
            )
            end += len(value)
        self.length = end

    def time_ms(self, n: int) -> int:
        return self.start_ms + n * FRAME_MS

    def _chunk(self, n: int) -> bytes:
        newest = n * self.n_tracks // self.n_chunks
        targets = tuple(
            Target(1 + track, "pedestrian", 0.9, Roi(track % 700, 20, 30, 80))
            for track in (max(0, newest - 1), newest)
        )
        info = StreamInfo(
            *(n, None, n + 1, 0, 2.0, n * FRAME_MS),
            time_s=n * FRAME_MS / 1000,
            captured_at=rfc3339(self.time_ms(n)),
            lag_ms=LAG_MS,
        )
        chunk = Chunk(
            "mm-pipe-months", "mm.pipeline.chunk", info, Delta((Result(0, targets),)), None
        )
        return encode_chunk(chunk)


def live_task(stack: LogStack) -> str:
    """Submit a task and make it a live one: without a worker, the server takes no camera."""
    task = stack.submit()
    key = object_keys.request_key(str(stack.told["project"]), task)
    request = msgspec.json.decode(stack.s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read())
    request["spec"]["live"] = {}
    stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=msgspec.json.encode(request))
    return task


class Kafka:
    """Writes records of one task; tells their places."""

    def __init__(self, stack: LogStack, task: str) -> None:
        settings = {"bootstrap.servers": stack.told["kafka"], "acks": "all", "linger.ms": 20}
        self._producer = Producer(settings)
        self._task = task
        known = self._producer.list_topics(topics.CHUNKS, timeout=10).topics[topics.CHUNKS]
        self._partition = topics.partition_of(task.encode(), len(known.partitions))
        self.positions: list[int] = []

    def write(self, record: ChunkRecord, epoch: int) -> None:
        headers = msgspec.structs.replace(record, epoch=epoch).headers()
        while True:
            try:
                self._producer.produce(
                    topics.CHUNKS,
                    key=self._task,
                    value=record.value,
                    headers=list(headers),
                    partition=self._partition,
                    timestamp=record.time_ms,
                    on_delivery=self._written,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                break
        self._producer.poll(0)

    def flush(self) -> None:
        self._producer.flush(60)

    def _written(self, error: KafkaError | None, message: Message) -> None:
        position = message.offset()
        if error is not None or position is None:
            raise SystemExit(f"Kafka refused a record: {error}")
        self.positions.append(position)


def feed(stack: LogStack, task: str, log: CameraLog) -> list[int]:
    """Write the log and wait until it is indexed; print the server's memory on the way."""
    project = str(stack.told["project"])
    kafka = Kafka(stack, task)
    kafka.write(claim(task, project, log), 0)
    kafka.flush()
    (epoch,) = kafka.positions
    begun_s, samples = time.monotonic(), []
    for n, record in enumerate(log.records(task, project)):
        kafka.write(record, epoch)
        if n % (log.n_chunks // 8) == log.n_chunks // 8 - 1:
            kafka.flush()
            indexed(stack, task, record.end)
            samples.append(((n + 1) * FRAME_MS / 3_600_000, stack.api.memory_info().rss / MIB))
            print(f"  {samples[-1][0]:6.2f} h: server {samples[-1][1]:.0f} MiB", flush=True)
    kafka.flush()
    indexed(stack, task, log.length)
    late = samples[len(samples) // 2 :]
    slope, _ = statistics.linear_regression(*zip(*late, strict=True))
    print(
        f"fed and indexed in {time.monotonic() - begun_s:.0f} s, {log.length / MIB:.0f} MiB of log"
    )
    print(f"memory of the server with its index, second half: {slope:+.1f} MiB per hour of the log")
    return kafka.positions


def claim(task: str, project: str, log: CameraLog) -> ChunkRecord:
    value = msgspec.msgpack.encode(Claim("benchmark", 0, "local", "f32", "CPU"))
    return ChunkRecord(task, project, "claim", -1, 0, 0, -1, -1, value, time_ms=log.start_ms)


def indexed(stack: LogStack, task: str, length: int) -> None:
    """Wait until the index has read so many bytes of the log."""
    until_s, found = time.monotonic() + WAIT_S, None
    path = f"/v1/video/tasks/{task}/results?partial=true&limit=1"
    while time.monotonic() < until_s:
        found = stack.http.get(path).json().get("log_length", 0)
        if found >= length:
            return
        time.sleep(0.5)
    raise SystemExit(f"the index has {found} of {length} bytes after {WAIT_S:g} s")


class CountedObjects:
    """An object store that keeps the sizes of objects alone."""

    def __init__(self, request: bytes) -> None:
        self.heads: dict[str, ObjectHead] = {}
        self._request = request

    def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        self.heads[key] = ObjectHead(len(body), dict(metadata))
        return True

    def put(self, key: str, body: bytes) -> None:
        self.put_if_absent(key, body, {})

    def head(self, key: str) -> ObjectHead | None:
        return self.heads.get(key)

    def get(self, key: str) -> bytes | None:
        return self._request if key.endswith(object_keys.REQUEST) else None

    def keys(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        for key in sorted(self.heads):
            if key.startswith(prefix) and key > after:
                yield ListedObject(key, self.heads[key].size)

    def delete(self, key: str) -> None:
        self.heads.pop(key, None)


def objects_per_hour(task: str, log: CameraLog, positions: list[int]) -> str:
    """Archive the log again at the camera's own speed; return the first and the later hours."""
    store = CountedObjects(b'{"spec":{"live":{}}}')
    archiver = Archiver(positions[0])
    counts: list[int] = []
    records = itertools.chain([claim(task, "p", log)], log.records(task, "p"))
    for n, (record, position) in enumerate(zip(records, positions, strict=True)):
        now_s = n * FRAME_MS / 1000
        placed = msgspec.structs.replace(record, position=position, epoch=positions[0])
        waiting = [*archiver.tick(now_s), *archiver.accept(placed, now_s)]
        while waiting:
            action = waiting.pop(0)
            assert isinstance(action, StoreAction)
            waiting += archiver.done(perform(store, action), now_s)
        if n and n % (3_600_000 // FRAME_MS) == 0:
            counts.append(len(store.heads) - sum(counts))
    if not counts:
        return f"{len(store.heads)} in {log.n_chunks * FRAME_MS / 60_000:.0f} min"
    return f"{counts[0]} in the first, at most {max(counts)}"


def stored(stack: LogStack, log: CameraLog) -> str:
    """Put the log into S3 in segments of 30 s, as an open log that Kafka does not have any more."""
    task, project = live_task(stack), str(stack.told["project"])
    body, start, first_ms, n_segments, last = b"", 0, log.start_ms, 0, None

    def put() -> None:
        assert last is not None
        info = SegmentInfo(
            *(0, last.seq + 1, last.frame, 1, log.start_ms),
            closed=False,
            first_ms=first_ms,
            last_ms=last.time_ms - LAG_MS,
            provider="local",
        )
        stack.s3.put_object(
            Bucket=stack.bucket,
            Key=object_keys.segment_key(project, task, start),
            Body=body,
            Metadata=info.to_metadata(),
        )

    for record in log.records(task, project):
        if record.time_ms - LAG_MS - first_ms >= SEGMENT_MS:
            put()
            n_segments += 1
            body, start, first_ms = b"", record.off, record.time_ms - LAG_MS
        body += record.value
        last = record
    put()
    print(f"a second log: {n_segments + 1} segments in S3")
    return task


def ask(stack: LogStack, task: str, log: CameraLog, what: str) -> None:
    """Print how long a client waits that comes for the first time, and later."""
    path = f"/v1/video/tasks/{task}"

    def timed(query: str, *, first_bytes: bool = False) -> tuple[float, httpx.Response]:
        begun_s = time.perf_counter()
        with stack.http.stream("GET", f"{path}/{query}") as answer:
            answer.raise_for_status()
            if first_bytes:
                next(answer.iter_raw())
            return time.perf_counter() - begun_s, answer

    end_s, answer = timed("stream?offset=end")
    length = int(answer.headers["stream-start-offset"])
    if length != log.length:
        raise SystemExit(f"the log ends at {log.length}, ?offset=end says {length}")
    middle_s, _ = timed(f"stream?offset={length // 2}", first_bytes=True)
    moment = rfc3339(log.time_ms(log.n_chunks // 3))
    from_s, answer = timed(f"stream?from={moment}", first_bytes=True)
    with stack.http.stream("GET", f"{path}/stream?from={moment}") as found:
        first = next(found.iter_lines())
    if f'"captured_at":"{moment}"' not in first:
        raise SystemExit(f"?from={moment} begins at {first[:300]}")
    statuses_s = []
    for _ in range(N_ASKED):
        begun_s = time.perf_counter()
        stack.http.get(path).raise_for_status()
        statuses_s.append(time.perf_counter() - begun_s)
    print(
        f"{what}: ?offset=end {end_s * 1000:.0f} ms, cold read from the middle"
        f" {middle_s * 1000:.0f} ms, from a time {from_s * 1000:.0f} ms, GET task"
        f" {statistics.median(statuses_s) * 1000:.0f} ms (first {statuses_s[0] * 1000:.0f} ms)"
    )


def expire(stack: LogStack, task: str, log: CameraLog) -> None:
    """Delete all that is older than a day, a day later; read the beginning.

    A log that is small enough may still be in the server's memory as a whole, and is read from it.
    """
    told = stack.told["s3"]
    store = S3Objects(
        StoreSettings(
            endpoint=told["endpoint"],
            bucket=stack.bucket,
            key=told["access_key"],
            secret=told["secret_key"],
            tried=True,
        )
    )
    begun_s = time.perf_counter()
    n_deleted = sweep(store, 1, round(time.time() * 1000) + 2 * DAY_MS)
    took_s = time.perf_counter() - begun_s
    store.close()
    answer = stack.http.get(f"/v1/video/tasks/{task}/stream?offset=0&live=false")
    start = answer.json().get("start") if answer.status_code == 410 else None
    print(f"{n_deleted} segments expired in {took_s:.1f} s; byte 0: {answer.status_code}, {start=}")
    if log.length < IN_MEMORY_BYTES and len(answer.content) == log.length:
        print("all of this log is still in the server's memory")
    elif start is None or not 0 < start < log.length:
        raise SystemExit("the log's beginning has not expired")


if __name__ == "__main__":
    main()
