"""Chaos with cameras: they vanish, stall, restart and change size, while workers and apis die.

They are recorded. Afterwards each piece plays, and each frame is there, or was lost with a worker.

FRAMEWIRE_CHAOS_SEED, FRAMEWIRE_CHAOS_KILLS and FRAMEWIRE_CHAOS_PAUSE_S set its size.
"""

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from streamproc.contract.chunk import Chunk
from tests.chaos.clients import StreamClient, submit
from tests.chaos.evidence import (
    create_key,
    findings_of_index,
    stories_of_kafka,
    wait_for_archive,
    wait_for_index,
)
from tests.chaos.fleet import Fleet
from tests.chaos.gremlin import Gremlin
from tests.chaos.kafka import ProxiedKafka
from tests.chaos.recordings import check_answers, check_frames, check_pieces, recording_of
from tests.chaos.test_chaos import N_KILLS, PAUSE_S, SEED
from tests.engines import S3Server
from tests.live.camera import Camera, camera
from tests.live.checks import check_live_chunks, frames_of
from tests.live.clip import film
from tests.workers import CLIP, chunks_of

pytestmark = pytest.mark.chaos
N_CAMERAS = 2
DEADLINE_S = 300 + 20 * N_KILLS
SIZES = ("192 112", "320 176")


class CameraFaults(threading.Thread):
    """One fault after another at one of the cameras, until `stop`; `done` counts them."""

    def __init__(self, cameras: list[Camera], seed: int, pause_s: float) -> None:
        super().__init__(daemon=True)
        self._cameras, self._random, self._pause_s = cameras, random.Random(seed), pause_s
        self._halt = threading.Event()
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        while not self._halt.wait(self._pause_s * self._random.uniform(0.5, 1.5)):
            fault = self._random.choice(
                ["hang_up", "hang_up", "away", "stall", "reset", "wrap", "jump", "show", "lose"]
            )
            getattr(self, f"_{fault}")(self._random.choice(self._cameras))
            self.done[fault] += 1

    def stop(self) -> None:
        self._halt.set()
        self.join()

    def _hang_up(self, one: Camera) -> None:
        one.hang_up()

    def _away(self, one: Camera) -> None:
        one.kill()
        self._halt.wait(self._random.uniform(0.5, 6))
        one.revive()

    def _stall(self, one: Camera) -> None:
        one.stall()
        self._halt.wait(self._random.uniform(0.5, 8))
        one.resume()

    def _reset(self, one: Camera) -> None:
        one.reset()

    def _wrap(self, one: Camera) -> None:
        one.wrap()

    def _jump(self, one: Camera) -> None:
        one.jump(str(self._random.uniform(-100, 100)))

    def _show(self, one: Camera) -> None:
        one.show(f"h264 {self._random.choice(SIZES)}")

    def _lose(self, one: Camera) -> None:
        one.lose("0.05")
        self._halt.wait(self._random.uniform(0.5, 3))
        one.lose("0")


@pytest.mark.timeout(DEADLINE_S + 300)
def test_a_cameras_log_is_one_log_whatever_happens(
    kafka: ProxiedKafka, s3_server: S3Server, tmp_path: Path
) -> None:
    open_cameras = ExitStack()
    shown = film(str(CLIP), (416, 240), fps=10, gop=10, n_pictures=120, is_numbered=True)
    cameras = [open_cameras.enter_context(camera(shown)) for _ in range(N_CAMERAS)]
    hosts = ",".join(f"127.0.0.1:{one.port}" for one in cameras)
    fleet = Fleet(kafka, s3_server, tmp_path, private_hosts=hosts)
    try:
        fleet.start()
        project, key = create_key(fleet)
        clients = [begun(fleet, key, one, number) for number, one in enumerate(cameras)]
        wait_until(lambda: all(len(client.log) > 2000 for client in clients))
        gremlin = Gremlin(fleet, SEED, pause_s=PAUSE_S, kills_kafka=True)
        faults = CameraFaults(cameras, SEED, PAUSE_S / 2)
        gremlin.start()
        faults.start()
        wait_until(lambda: gremlin.done["kill"] >= N_KILLS, DEADLINE_S)
        faults.stop()
        gremlin.stop()
        lengths = [len(client.log) for client in clients]
        wait_until(  # each still gives frames
            lambda: all(
                len(client.log) > n + 2000 for client, n in zip(clients, lengths, strict=True)
            )
        )
        for client in clients:
            cancelled(fleet, key, client.task)
        for client in clients:
            client.join(180)
            assert client.finished
        stories = stories_of_kafka(kafka)
        logs = {task: story.log for task, story in stories.items()}
        for client in clients:
            assert bytes(client.log) == logs[client.task]
            check_live_chunks(chunks_of(logs[client.task]))
        recorded = [
            checked_recording(fleet, s3_server, project, key, client.task, logs[client.task])
            for client in clients
        ]
        wait_for_archive(s3_server, project, logs, [client.task for client in clients])
        wait_for_index(fleet)
    finally:
        fleet.stop()
        open_cameras.close()
    mine = {client.task for client in clients}
    assert [found for found in findings_of_index(fleet) if found.task in mine] == []
    told = [summary(chunks_of(logs[client.task])) for client in clients]
    sys.stdout.write(
        f"\nfaults: {dict(gremlin.done)}; of cameras: {dict(faults.done)}; logs: {told}; "
        f"recordings: {recorded}\n"
    )


def begun(fleet: Fleet, key: str, one: Camera, number: int) -> StreamClient:
    body: dict[str, object] = {
        "input": [
            {
                "type": "video_url",
                "url": one.url(),
                "sampling": {"mode": "fps", "value": 5},
                "live": {"record": {"retention_s": 3600}},
            }
        ],
        "steps": [{"model": "detect", "parameters": {"classes": ["pedestrian"]}}],
    }
    client = StreamClient(fleet, key, submit(fleet, key, body, f"camera-{number}"), SEED + number)
    client.start()
    return client


def checked_recording(
    fleet: Fleet, s3: S3Server, project: str, key: str, task: str, log: bytes
) -> dict[str, int]:
    """Check what is recorded of a task that has ended; return what there is, and is not."""
    frames = frames_of(chunks_of(log))
    recording = recording_of(s3, project, task)
    deadline_s = time.monotonic() + 60.0
    while recording.frame(frames[-1].frame_index) is None:  # its piece ended with the task
        assert time.monotonic() < deadline_s, "the end of the recording is not stored"
        time.sleep(0.5)
        recording = recording_of(s3, project, task)
    check_pieces(recording)
    n_lost = check_frames(recording, frames)
    check_answers(fleet, key, task, recording, frames)
    return {"pieces": len(recording.pieces), "frames": len(frames), "lost": n_lost}


def cancelled(fleet: Fleet, key: str, task: str) -> None:
    """Cancel a task at whatever api answers."""
    for attempt in range(100):
        url = f"{fleet.api_url(attempt)}/v1/video/tasks/{task}/cancel"
        try:
            answer = httpx.post(url, headers={"Authorization": f"Bearer {key}"}, timeout=10)
        except httpx.HTTPError:
            continue
        if answer.status_code == 202:
            return
        time.sleep(0.3)
    raise AssertionError("no api took the cancel request")


def wait_until(holds: Callable[[], bool], within_s: float = 180.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def summary(chunks: list[Chunk]) -> dict[str, int]:
    """Return the numbers of frames and of notices, and of gaps by reason."""
    frames = frames_of(chunks)
    gaps = Counter(frame.gap.reason for frame in frames if hasattr(frame.gap, "reason"))
    return {"frames": len(frames), "notices": len(chunks) - 1 - len(frames), **gaps}
