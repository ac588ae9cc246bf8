"""Many subscribers of one live task: do all bytes come, how late, and what does it cost.

    python -m benchmarks.fanout [SUBSCRIBERS …] [--seconds S]

Writes 25 chunks a second to one task of a stack of its own, for each number of subscribers, and
prints the time from just before a chunk's append to Kafka until a subscriber has it. The
subscribers are one process with one epoll loop: what it costs is part of the figures.
"""

import argparse
import gc
import multiprocessing
import resource
import select
import socket
import tempfile
import time
import zlib
from array import array
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import msgspec
import numpy as np
import psutil
from confluent_kafka import Producer

from benchmarks.log_stack import MIB, LogStack, log_stack
from benchmarks.report import end_unmeasured, not_measured
from benchmarks.stack import add_stack_option
from streamproc.contract import topics
from streamproc.contract.chunk import Chunk, Delta, Result, Roi, StreamInfo, Target, encode_chunk
from streamproc.contract.framing import DONE, frame_event
from streamproc.contract.records import ChunkRecord, Claim, Kind

CHUNKS_PER_S = 25
SPARE_FILES = 256
"""What a process opens beside its connections."""
RECEIVE_BYTES = 16 * 1024
TARGETS = tuple(Target(n, "pedestrian", 0.9, Roi(100 * n, 20, 30, 80)) for n in range(1, 9))


class Outcome(NamedTuple):
    """What the subscribers of one run saw, and what they cost the api.

    `grown_bytes` is the api's resident memory with all of them connected, near the end, over what
    it was before the first one; `cpu` the cores it took while chunks were written.
    """

    late_ms: Any
    n_whole: int
    grown_bytes: int
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("subscribers", type=int, nargs="*", default=[100, 300, 1000, 3000])
    parser.add_argument("--seconds", type=float, default=15.0, help="how long chunks are written")
    add_stack_option(parser)
    args = parser.parse_args()
    counts = possible(args.subscribers)
    print(f"{'subscribers':>11}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'api MiB':>9}{'api cpu':>9}")
    with (
        tempfile.TemporaryDirectory(prefix="framewire-fanout-") as name,
        log_stack(Path(name) / "data", args.stack) as stack,
    ):
        run(stack, 10, 2.0)  # imports, first pages, first connections
        for count in counts:
            show(stack, count, args.seconds)


def possible(counts: Sequence[int]) -> list[int]:
    """Allow this process and its children enough open files; return the counts that they serve.

    Ends the process when there are none.
    """
    wanted = max(counts) + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    served = [count for count in counts if count + SPARE_FILES <= most]
    lacking = ", ".join(str(count) for count in counts if count not in served)
    if lacking:
        what = f"{lacking} subscribers"
        remedy = f"raise the limit of open files to {wanted}: ulimit -n"
        if not served:
            end_unmeasured(what, remedy)
        not_measured(what, remedy)
    return served


def show(stack: LogStack, count: int, seconds: float) -> None:
    """Run with so many subscribers and print a line of figures."""
    outcome = run(stack, count, seconds)
    p50, p99 = np.percentile(outcome.late_ms, (50, 99))
    worst, grown = outcome.late_ms.max(), outcome.grown_bytes / MIB
    share = outcome.cpu
    print(f"{count:>11}{p50:>9.1f}{p99:>9.1f}{worst:>9.0f}{grown:>9.0f}{share:>9.0%}", flush=True)
    if outcome.n_whole != count:
        raise SystemExit(f"{count - outcome.n_whole} subscribers did not get all bytes")


def run(stack: LogStack, n_subscribers: int, seconds: float) -> Outcome:
    """Write one live task for `seconds` while `n_subscribers` read it."""
    task = stack.submit()
    writer = Writer(stack, task)
    writer.claim()
    api = stack.api
    before_bytes = api.memory_info().rss
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=subscribe, args=(theirs, stack.url, str(stack.told["key"]), task, n_subscribers)
    )
    process.start()
    if ours.recv() != "connected":
        raise SystemExit("the subscribers could not connect")
    begun_s, begun_cpu_s = time.monotonic(), cpu_of(api)
    for n in range(int(seconds * CHUNKS_PER_S)):
        time.sleep(max(0.0, begun_s + n / CHUNKS_PER_S - time.monotonic()))
        writer.chunk()
    cpu = (cpu_of(api) - begun_cpu_s) / (time.monotonic() - begun_s)
    grown_bytes = api.memory_info().rss - before_bytes
    writer.end()
    ours.send((writer.length, zlib.crc32(writer.log), writer.ends, writer.times_ns))
    late_ms, n_whole = ours.recv()
    process.join()
    return Outcome(late_ms, n_whole, grown_bytes, cpu)


class Writer:
    """Appends records as a worker does; notes when each byte was handed to Kafka."""

    def __init__(self, stack: LogStack, task: str) -> None:
        self.log = b""
        self.ends: list[int] = []
        self.times_ns: list[int] = []
        self._task = task
        self._project = str(stack.told["project"])
        self._producer = Producer(
            {"bootstrap.servers": stack.told["kafka"], "acks": "all", "linger.ms": 0}
        )
        found = self._producer.list_topics(topics.CHUNKS, timeout=10).topics[topics.CHUNKS]
        self._partition = topics.partition_of(task.encode(), len(found.partitions))
        self._epoch = -1
        self._seq = 0

    @property
    def length(self) -> int:
        return len(self.log)

    def claim(self) -> None:
        value = msgspec.msgpack.encode(Claim("w", 0, "local", "f32", "CPU"))
        offsets: list[int] = []
        self._produce("claim", value, lambda _, message: offsets.append(message.offset()))
        self._producer.flush(10)
        (self._epoch,) = offsets

    def chunk(self) -> None:
        n = self._seq
        chunk = Chunk(
            id="mm-pipe-benchmark",
            object="mm.pipeline.chunk",
            stream_info=StreamInfo(n, None, n + 1, 0, 25.0, n * 40),
            delta=Delta((Result(0, TARGETS),)),
            finish_reason=None,
        )
        self._append("chunk", frame_event(encode_chunk(chunk), self.length))
        self._producer.poll(0)

    def end(self) -> None:
        self._append("terminal", frame_event(DONE, self.length))
        self._producer.flush(10)

    def _append(self, kind: Kind, value: bytes) -> None:
        self.times_ns.append(time.monotonic_ns())
        self._produce(kind, value, None)
        self.log += value
        self.ends.append(self.length)
        self._seq += 1

    def _produce(self, kind: Kind, value: bytes, delivered: Any) -> None:
        record = ChunkRecord(
            self._task,
            self._project,
            kind,
            self._epoch,
            self._seq,
            self.length,
            self._seq,
            self._seq,
            value,
        )
        self._producer.produce(
            topics.CHUNKS,
            key=record.task,
            value=value,
            headers=[*record.headers()],
            partition=self._partition,
            on_delivery=delivered,
        )


class Place(NamedTuple):
    """Where a subscriber is: so many log bytes with this checksum, and an unfinished chunk."""

    offset: int = 0
    crc: int = 0
    rest: bytes = b""
    ended: bool = False

    def take(self, data: bytes) -> "Place":
        """Return the place after `data`, which is in the chunked encoding."""
        offset, crc, _, ended = self
        data = self.rest + data
        at = 0
        while (line := data.find(b"\r\n", at)) >= 0:
            size_bytes = int(data[at:line], 16)
            if len(data) < line + 4 + size_bytes:
                break
            crc = zlib.crc32(data[line + 2 : line + 2 + size_bytes], crc)
            at = line + 4 + size_bytes
            offset += size_bytes
            ended = not size_bytes
        return Place(offset, crc, data[at:], ended)


class Step:
    """A place, and the step that some subscriber took from there: others may take the same.

    Whether the bytes are the same is compared, so that every byte of every subscriber is checked
    and the second one costs no more than the comparison.
    """

    __slots__ = ("data", "next", "place")
    known: ClassVar[dict[Place, "Step"]] = {}

    def __init__(self, place: Place) -> None:
        self.place = place
        self.data: bytes | None = None
        self.next = self

    def take(self, data: bytes) -> "Step":
        if data == self.data:
            return self.next
        place = self.place.take(data)
        found = Step.known.get(place)
        if found is None:
            found = Step.known[place] = Step(place)
        self.data, self.next = data, found
        return found


class Subscriber:
    """One connection: checks what it gets, notes when."""

    __slots__ = ("connection", "offsets", "step", "times_ns")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, data = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        self.step = Step(Place()).take(data)
        self.offsets = array("q")
        self.times_ns = array("q")

    def take(self, data: bytes, now_ns: int) -> bool:
        """Take what the socket gave; return whether that was the end."""
        self.step = self.step.take(data)
        self.offsets.append(self.step.place.offset)
        self.times_ns.append(now_ns)
        return self.step.place.ended


def subscribe(pipe: Connection, url: str, key: str, task: str, count: int) -> None:
    """Read the task `count` times until it ends; send back how late every chunk was."""
    gc.disable()
    target = urlsplit(url)
    request = (
        f"GET /v1/video/tasks/{task}/stream HTTP/1.1\r\nHost: {target.netloc}\r\n"
        f"Authorization: Bearer {key}\r\n\r\n"
    ).encode()
    poll = select.epoll()
    readers: dict[int, Subscriber] = {}
    for _ in range(count):
        connection = socket.create_connection((target.hostname, target.port), 30)
        connection.sendall(request)
        reader = Subscriber(connection)
        connection.setblocking(False)
        readers[connection.fileno()] = reader
        poll.register(connection, select.EPOLLIN)
    pipe.send("connected")
    n_open = count
    while n_open:
        for number, _ in poll.poll(60):
            reader = readers[number]
            data = reader.connection.recv(RECEIVE_BYTES)
            if not data or reader.take(data, time.monotonic_ns()):
                poll.unregister(number)
                n_open -= 1
    length, crc, ends, appended_ns = pipe.recv()
    whole = [r for r in readers.values() if r.step.place[:2] == (length, crc)]
    late_ns = [
        np.asarray(r.times_ns)[np.searchsorted(np.asarray(r.offsets), ends)] - np.array(appended_ns)
        for r in whole
    ]
    pipe.send((np.concatenate(late_ns) / 1e6, len(whole)))
    for reader in readers.values():
        reader.connection.close()


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
