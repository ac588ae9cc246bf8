"""A camera of a whole stack: its results reach a client, and its login reaches nobody else."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

from console.cli.commands.tasks import fetch_results, wait_for_end
from console.client.sync_client import Client
from tests.live.demo import LOGIN, stack_with_camera, watch

PASSWORD = LOGIN[1].encode()


def command_lines() -> Iterator[bytes]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                yield (process / "cmdline").read_bytes()
            except OSError:
                continue


def test_a_cameras_results_are_followed_and_kept_and_its_login_is_nowhere(
    engines: None, tmp_path: Path
) -> None:
    found: list[bytes] = []
    with stack_with_camera(tmp_path) as (stack, gate), Client(stack.url, stack.key) as client:
        looks = threading.Timer(2.0, lambda: found.extend(command_lines()))
        looks.start()
        task, seen = watch(client, 4.0)
        looks.join()
        assert gate.n_tries >= 1  # the login was asked for, and was right
        assert len(seen.ages_s) > 10
        ended = wait_for_end(client, task)
        assert ended.status == "cancelled"
        results = fetch_results(client, task)
        assert results.tracks
        answers = [
            client._http.get(stack.url + path).content for path in ("/v1/system", "/metrics")
        ]
        answers.append(
            client._http.get(f"{stack.url}/v1/video/tasks/{task}?include=request").content
        )
        assert b"camera:gate" in answers[-1]
        counted = re.search(
            rb"^framewire_live_frame_lag_seconds_count (.+)$", answers[1], re.MULTILINE
        )
        assert counted is not None
        assert float(counted[1]) > 0
    assert any(b"worker" in line for line in found)
    assert not [line for line in found if PASSWORD in line]
    assert not [answer for answer in answers if PASSWORD in answer]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20  # Kafka's topics, S3's objects, ClickHouse's parts, the logs
    assert not [path for path in files if PASSWORD in path.read_bytes()]
