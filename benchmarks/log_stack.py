"""A stack without workers for benchmarks of the log, and logs put straight into its S3."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
from botocore.config import Config

from benchmarks.stack import stack_up
from streamproc.contract import object_keys
from streamproc.contract.chunk import Chunk, Delta, Result, Roi, StreamInfo, Target, encode_chunk
from streamproc.contract.framing import DONE, frame_event
from streamproc.contract.object_keys import SegmentInfo

MIB = 1024 * 1024
BODY = {
    "input": [{"type": "video_url", "url": "https://example.com/clip.mp4"}],
    "steps": [{"model": "detect"}],
}


@dataclass(frozen=True)
class LogStack:
    """A running stack; `told` is what `framewire up --json` says."""

    pid: int
    told: dict[str, Any]
    s3: Any
    http: httpx.Client

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def bucket(self) -> str:
        return str(self.told["s3"]["bucket"])

    @property
    def api(self) -> psutil.Process:
        """The api's process."""
        for process in psutil.Process(self.pid).children(recursive=True):
            if process.cmdline()[-2:] == ["-m", "api"]:
                return process
        raise SystemExit("the api does not run")

    def submit(self) -> str:
        """Submit a task that no worker takes."""
        answer = self.http.post("/v1/video/process", json=BODY).raise_for_status()
        return str(answer.json()["id"])

    def stored_log(self, log: bytes) -> str:
        """Return a task whose closed log stands in S3 as the archive would have put it."""
        task, project = self.submit(), str(self.told["project"])

        def put(start: int) -> None:
            part = log[start : start + MIB]
            closed = start + MIB >= len(log)
            info = SegmentInfo(0, start // MIB + 1, 0, 1, 1, closed=closed)
            self.s3.put_object(
                Bucket=self.bucket,
                Key=object_keys.segment_key(project, task, start),
                Body=part,
                Metadata=info.to_metadata(),
            )

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(put, range(0, len(log), MIB)))
        return task


@contextmanager
def log_stack(data: Path, lent: Path | None = None) -> Iterator[LogStack]:
    """Start `framewire up --workers 0` on `data`, or take the one that `lent` names."""
    with stack_up(lent, data, workers=0) as (pid, told):
        s3 = boto3.client(
            "s3",
            endpoint_url=told["s3"]["endpoint"],
            aws_access_key_id=told["s3"]["access_key"],
            aws_secret_access_key=told["s3"]["secret_key"],
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        headers = {"Authorization": f"Bearer {told['key']}"}
        with httpx.Client(base_url=told["url"], headers=headers, timeout=120) as http:
            yield LogStack(pid, told, s3, http)


def make_log(size_bytes: int) -> bytes:
    """Return a closed log of about `size_bytes`, of chunks with 40 targets each."""
    targets = tuple(
        Target(n, "pedestrian", 0.9, Roi(10 * n % 700, 20, 30, 80)) for n in range(1, 41)
    )
    parts: list[bytes] = []
    end = 0
    while end < size_bytes:
        n = len(parts)
        chunk = Chunk(
            id="mm-pipe-benchmark",
            object="mm.pipeline.chunk",
            stream_info=StreamInfo(n, None, n + 1, 0, 25.0, n * 40),
            delta=Delta((Result(0, targets),)),
            finish_reason=None,
        )
        parts.append(frame_event(encode_chunk(chunk), end))
        end += len(parts[-1])
    parts.append(frame_event(DONE, end))
    return b"".join(parts)
