"""A recorded camera of a whole stack: any of its frames can be looked at, also after its end."""

import time
from pathlib import Path

import cv2
import httpx
import numpy as np

from console.cli.commands.tasks import wait_for_end
from console.client.sync_client import Client
from tests.live.clip import clip, read_number
from tests.live.demo import stack_with_camera, watch

N_PICTURES = 100


def number_of(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return read_number(image)


def test_each_frame_of_a_recorded_camera_is_the_picture_of_its_chunk(
    engines: None, tmp_path: Path
) -> None:
    shown = clip(size=(320, 192), fps=10, gop=10, n_pictures=N_PICTURES)
    with stack_with_camera(tmp_path, shown) as (stack, _), Client(stack.url, stack.key) as client:
        task, seen = watch(client, 4.0, record=3600)
        assert wait_for_end(client, task).status == "cancelled"
        assert len(seen.captured) > 8

        def frame(name: str) -> httpx.Response:
            return client._http.get(f"{stack.url}/v1/video/tasks/{task}/frames/{name}.jpg")

        latest = frame("latest")  # the worker made it of the live picture
        offset = (number_of(latest) - int(latest.headers["frame-index"])) % N_PICTURES
        first, *_, last = seen.captured
        deadline_s = time.monotonic() + 30.0
        while frame(str(first)).status_code != 200:  # the piece ends with the task
            assert time.monotonic() < deadline_s, frame(str(first)).text
            time.sleep(0.2)
        for index in (first, [*seen.captured][5], last):
            found = frame(str(index))
            assert (number_of(found) - index) % N_PICTURES == offset
            assert found.headers["frame-captured-at"] == seen.captured[index]
        between = next(n for n in range(first, last) if n not in seen.captured)
        assert (number_of(frame(str(between))) - between) % N_PICTURES == offset  # sampled out
        beyond = frame(str(last + 10_000))
        assert (beyond.status_code, beyond.json()["code"]) == (404, "frame_not_kept")
