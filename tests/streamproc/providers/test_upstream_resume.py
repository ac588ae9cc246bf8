"""A worker is killed while it relays: the next one goes on at the next byte, or cancels there."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamproc.contract import env
from tests.brokers import KafkaNode
from tests.streamproc.providers.video_api import (
    KEY,
    Handler,
    VideoApi,
    end_event,
    frame_event,
    video_api,
)
from tests.workers import LogTail, WorkerProcess, cancel, chunks_of, make_spec, submit, workers

LOG = b"".join(frame_event(i) for i in range(6)) + end_event("stop", 6)
HALF = len(b"".join(frame_event(i) for i in range(3)))


def _half_then_rest(handler: Handler) -> None:
    """Give three frames and then nothing; from there on, the rest."""
    if handler.offset:
        handler.serve(LOG)
        return
    handler.begin()
    handler.wfile.write(LOG[:HALF])
    handler.hang()


@contextmanager
def _relayed(
    kafka: KafkaNode, directory: Path, server: VideoApi, *names: str
) -> Iterator[tuple[LogTail, dict[str, WorkerProcess]]]:
    """Yield a task of which three frames were relayed, and the workers."""
    providers = directory / "providers.toml"
    entry = f'name = "there"\nkind = "upstream"\nurl = "{server.url}"\nkey_env = "THERE"\n'
    providers.write_text(f"[[provider]]\n{entry}")
    settings = {env.PROVIDERS: str(providers), "THERE": KEY}
    with workers(kafka, directory, *names, **settings) as started:
        tail = submit(kafka, make_spec("http://example.com/clip.mp4", providers=("there",)))
        while tail.fold.next_seq < 3:
            tail.follow(until_length=len(tail.log) + 1)
        yield tail, {worker.name: worker for worker in started}
        tail.close()
    assert not [worker.name for worker in started if KEY in worker.log.read_text()]


def _kill_relaying(tail: LogTail, by_name: dict[str, WorkerProcess]) -> None:
    by_name[tail.claims[-1][1].worker].send(signal.SIGKILL)


def test_the_next_worker_asks_for_the_next_byte_of_the_same_task(
    kafka: KafkaNode, tmp_path: Path
) -> None:
    with (
        video_api(stream=_half_then_rest) as server,
        _relayed(kafka, tmp_path, server, "r1", "r2") as (tail, by_name),
    ):
        _kill_relaying(tail, by_name)
        *frames, terminal = chunks_of(tail.follow())
        assert [chunk.stream_info.frame_index for chunk in frames] == list(range(6))
        assert terminal.finish_reason == "stop"
        assert server.offsets == [0, HALF]
        assert len(server.submissions) == 1
        assert server.cancels == []


def test_a_cancel_that_finds_no_worker_still_reaches_the_upstream(
    kafka: KafkaNode, tmp_path: Path
) -> None:
    with (
        video_api(stream=_half_then_rest) as server,
        _relayed(kafka, tmp_path, server, "c1", "c2") as (tail, by_name),
    ):
        _kill_relaying(tail, by_name)
        cancel(kafka, tail.submitted.task)
        assert chunks_of(tail.follow())[-1].finish_reason == "cancelled"
        assert server.offsets == [0]
        assert server.cancels == ["/v1/video/tasks/up_1/cancel"]
