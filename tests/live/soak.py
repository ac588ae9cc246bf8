"""A camera for hours that hangs up once a minute: does anything grow, does anything get lost?

    python -m tests.live.soak --minutes 120

A stack follows the test camera (detection and features, five frames a second) while a client reads
the log. Every 15 s the memory and the open files of each process are noted. At the end it prints
their slopes after the first ten minutes, the objects in S3, and whether the log that the client
followed is the log that is read again. Targets: less than 1 MB an hour in the worker, its decoders
and the api; at most 130 objects an hour; one reconnect for each hang-up; the same bytes.

The api keeps 4 MiB of the log in memory here, not 64, so that this cache is full within the ten
minutes: else its filling looks like growth for two hours.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import boto3
import numpy as np
import psutil

from api.settings import RING_BYTES
from console.cli.request_builder import RequestWords, build_request
from console.client import calls
from console.client.log_stream import Following
from console.client.sync_client import Client
from console.client.video_input import video_input
from console.printable import echo
from console.stack.running import Addresses
from tests.live.camera import Camera
from tests.live.demo import stack_with_camera

TARGET_MB_PER_H: Final = 1.0
MAX_OBJECTS_PER_H: Final = 130
ROLES: Final = {
    "streamproc worker": "worker",
    "sandbox.fork_server": "decoders",
    "-m api": "api",
    "streamproc archive": "archive",
    "kafka.Kafka": "kafka",
    "weed": "seaweedfs",
}
WATCHED: Final = frozenset({"worker", "decoders", "api"})
_SAMPLE_S: Final = 15.0
_HANG_UP_S: Final = 60.0
_SETTINGS: Final = {RING_BYTES: str(4 << 20)}


class Sample(NamedTuple):
    """Of all processes of a role together: memory in MB, open files."""

    at_s: float
    rss_mb: float
    n_files: int


def take_samples(stack: psutil.Process, at_s: float) -> dict[str, Sample]:
    """Return a sample of each role below the process of `framewire up`."""
    rss_mb: dict[str, float] = defaultdict(float)
    n_files: dict[str, int] = defaultdict(int)
    for process in stack.children(recursive=True):
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())
            role = next((name for mark, name in ROLES.items() if mark in words), None)
            if role is not None:
                rss_mb[role] += process.memory_info().rss / 1e6
                n_files[role] += process.num_fds()
    return {role: Sample(at_s, rss_mb[role], n_files[role]) for role in rss_mb}


def slope_per_h(samples: list[Sample], warm_up_s: float) -> float:
    """Return the slope of the memory after `warm_up_s` by least squares, in MB an hour."""
    kept = [one for one in samples if one.at_s >= warm_up_s]
    if len(kept) < 3:
        return float("nan")
    times_h = np.array([one.at_s for one in kept]) / 3600
    return float(np.polyfit(times_h, [one.rss_mb for one in kept], 1)[0])


class Reader(threading.Thread):
    """Follows a task's log and keeps the digest of its bytes."""

    def __init__(self, client: Client, task: str) -> None:
        super().__init__(daemon=True)
        self.sha256, self.n_bytes = hashlib.sha256(), 0
        self._client, self._task = client, task

    def run(self) -> None:
        for piece in self._client.follow(Following(self._task)):
            for event in piece.events:
                self.sha256.update(event.data)
                self.n_bytes += len(event.data)


def soak(client: Client, gate: Camera, minutes: float) -> tuple[str, dict[str, list[Sample]]]:
    """Run a task for so long; return it when it is cancelled, with the samples of each role."""
    words = RequestWords(detect=("pedestrian",), feature=True, fps=5.0)
    task = client.send(calls.submit(build_request(video_input("camera:gate", ()), words))).id
    reader = Reader(client, task)
    reader.start()
    stack = psutil.Process(os.getpid())
    samples: dict[str, list[Sample]] = defaultdict(list)
    began_s, n_hang_ups = time.monotonic(), 0
    while (at_s := time.monotonic() - began_s) < minutes * 60:
        for role, sample in take_samples(stack, at_s).items():
            samples[role].append(sample)
        if at_s >= (n_hang_ups + 1) * _HANG_UP_S:
            n_hang_ups += 1
            gate.hang_up()
            if n_hang_ups % 10 == 0:
                echo(f"after {n_hang_ups} min: {summary(samples, at_s)}", err=True)
        time.sleep(_SAMPLE_S)
    echo(f"hang-ups: {n_hang_ups}; the source: {client.send(calls.task(task)).live}")
    client.send(calls.cancel(task))
    reader.join(60)
    again = Reader(client, task)
    again.run()
    same = again.sha256.digest() == reader.sha256.digest()
    echo(f"log: {reader.n_bytes} bytes of events followed, {again.n_bytes} read again: "
         f"{'the same' if same else 'DIFFERENT'}")  # fmt: skip
    return task, samples


def summary(samples: dict[str, list[Sample]], warm_up_s: float) -> str:
    """Return each role's present memory and open files, and its slope after the warm-up."""
    texts = []
    for role, taken in samples.items():
        slope, last = slope_per_h(taken, min(600.0, warm_up_s / 4)), taken[-1]
        texts.append(f"{role} {last.rss_mb:.1f} MB {slope:+.2f} MB/h {last.n_files} files")
    return "; ".join(texts)


def count_objects(stack: Addresses, task: str) -> int:
    """Return how many objects of a task are in the stack's bucket."""
    s3 = boto3.client(
        "s3",
        endpoint_url=stack.s3.endpoint,
        aws_access_key_id=stack.s3.access_key,
        aws_secret_access_key=stack.s3.secret_key,
        region_name="us-east-1",
    )
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=stack.s3.bucket)
    return sum(task in one["Key"] for page in pages for one in page.get("Contents", []))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    minutes = parser.parse_args().minutes
    with (
        tempfile.TemporaryDirectory(prefix="framewire-soak-") as directory,
        stack_with_camera(Path(directory), settings=_SETTINGS) as (stack, gate),
        Client(stack.url, stack.key) as client,
    ):
        task, samples = soak(client, gate, minutes)
        n_objects = count_objects(stack, task)
    warm_up_s = min(600.0, minutes * 15)
    worst = 0.0
    for role, taken in samples.items():
        slope = slope_per_h(taken, warm_up_s)
        worst = max(worst, slope if role in WATCHED else 0.0)
        files = [one.n_files for one in taken]
        echo(f"{role}: {taken[0].rss_mb:.1f} MB at first, {taken[-1].rss_mb:.1f} MB at last, "
             f"{slope:+.2f} MB/h; files {files[0]} at first, {files[-1]} at last, "
             f"{max(files)} at most")  # fmt: skip
    per_h = n_objects / (minutes / 60)
    echo(f"objects in S3: {n_objects}, {per_h:.0f} an hour (at most {MAX_OBJECTS_PER_H})")
    echo(f"steepest of {', '.join(sorted(WATCHED))}: {worst:+.2f} MB/h (target {TARGET_MB_PER_H})")
    return 0 if worst < TARGET_MB_PER_H and per_h <= MAX_OBJECTS_PER_H else 1


if __name__ == "__main__":
    sys.exit(main())
