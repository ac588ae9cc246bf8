"""Framewire as the upstream of Framewire, and beside it upstreams that fail in every way.

Two whole stacks (Kafka in memory, which is the quickest): `there` computes, `here` relays.
"""

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import psutil
import pytest

from console.stack.data_directory import DataDirectory
from console.stack.running import Addresses, running_stack
from streamproc.contract import env
from streamproc.contract.chunk import Chunk
from tests.data.clips import looped_clip
from tests.streamproc.providers.video_api import Handler, frame_event, video_api
from tests.streamproc.source.origin import serving
from tests.terminals import error_of
from tests.workers import CLIP, chunks_of, timeless

THREE_FRAMES = b"".join(frame_event(i) for i in range(3))
_WAIT_S = 90.0


class Here(NamedTuple):
    """The relaying stack; `there` is the other one's api, `clip` a URL that both can read.

    The clip is the bundled one sixty times over: nobody is through with it before a test is.
    """

    api: httpx.Client
    there: httpx.Client
    data: DataDirectory
    clip: str

    def submit(self, hint: str, *, seconds: float = 1.0, rate: int = 5, **source: Any) -> str:
        """Submit the clip's beginning, `rate` frames per second of it."""
        source = source or {"type": "video_url", "url": self.clip}
        body = {
            "input": [
                {
                    **source,
                    "sampling": {"mode": "fps", "value": rate},
                    "range": {"end": seconds},
                }
            ],
            "steps": [{"model": "detect", "parameters": {"classes": ["pedestrian"]}}],
            "model": hint,
        }
        answer = self.api.post("/v1/video/process", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def log(self, task: str) -> bytes:
        """Follow a task's stream to its end."""
        return self.api.get(f"/v1/video/tasks/{task}/stream", timeout=_WAIT_S).content

    def chunks(self, task: str) -> list[Chunk]:
        return chunks_of(self.log(task))

    def task(self, task: str) -> dict[str, Any]:
        resource: dict[str, Any] = self.api.get(f"/v1/video/tasks/{task}").json()
        return resource

    def listed_there(self) -> list[dict[str, Any]]:
        """Return the other stack's tasks, newest first."""
        page: dict[str, Any] = self.there.get("/v1/video/tasks").json()
        return list(page["data"])


def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.1)


def _client(addresses: Addresses) -> httpx.Client:
    headers = {"authorization": f"Bearer {addresses.key}"}
    return httpx.Client(base_url=addresses.url, headers=headers, timeout=30, trust_env=False)


def _providers(path: Path, urls: dict[str, str]) -> Path:
    entries = ['[[provider]]\nname = "local"\npriority = 0\n']
    entries += [
        f'[[provider]]\nname = "{name}"\nkind = "upstream"\npriority = {i}\nurl = "{url}"\n'
        'key_env = "THERE_KEY"\nanswer_s = 5\n'
        + ("" if name == "there" else "first_chunk_s = 1.5\nsilence_s = 1.5\n")
        for i, (name, url) in enumerate(urls.items(), 1)
    ]
    path.write_text("\n".join(entries))
    return path


def _dying(handler: Handler) -> None:
    if handler.offset:
        handler.reset()
        return
    handler.begin()
    handler.wfile.write(THREE_FRAMES)
    handler.reset()


def _silent(handler: Handler) -> None:
    handler.begin()
    handler.hang()


@pytest.fixture(scope="module")
def here(engines: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    directory = tmp_path_factory.mktemp("upstream")
    content = looped_clip(directory / "long.mp4", 60).read_bytes()
    with ExitStack() as stack:
        clip = stack.enter_context(serving(lambda handler: handler.answer_range(content)))
        environ = {**os.environ, env.PRIVATE_HOSTS: "127.0.0.1", env.SLICE_S: "0.5"}
        (directory / "there").mkdir()
        there = stack.enter_context(
            running_stack(
                [f"--data={directory / 'there'}", "--kafka=memory"],
                environ,
                stderr=directory / "there.log",
            )
        )
        upstreams = {
            "refusing": video_api(submit=lambda h: h.answer(401, b"{}"), stream=Handler.reset),
            "broken": video_api(submit=lambda h: h.answer(500, b""), stream=Handler.reset),
            "silent": video_api(stream=_silent),
            "dying": video_api(stream=_dying),
        }
        urls = {"there": there.url} | {
            name: stack.enter_context(one).url for name, one in upstreams.items()
        }
        environ |= {
            env.PROVIDERS: str(_providers(directory / "providers.toml", urls)),
            "THERE_KEY": there.key,
        }
        data = directory / "here"
        addresses = stack.enter_context(
            running_stack(
                [f"--data={data}", "--kafka=memory"], environ, stderr=directory / "here.log"
            )
        )
        url = f"http://{clip.authority}/clip.mp4"
        api = stack.enter_context(_client(addresses))
        other = stack.enter_context(_client(there))
        yield Here(api, other, DataDirectory(data), url)


def test_a_relayed_log_says_what_a_local_one_says(here: Here) -> None:
    relayed, local = here.submit("there", seconds=3), here.submit("local", seconds=3)
    chunks, expected = here.chunks(relayed), here.chunks(local)
    assert chunks[0].provider == "there"
    assert expected[0].provider == "local"
    assert _content(chunks) == _content(expected)
    assert len(chunks) > 10
    assert here.task(relayed)["status"] == "succeeded"
    assert here.task(relayed)["attempts"] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("refusing", "upstream_refused"),
        ("broken", "upstream_unavailable"),
        ("silent", "upstream_timeout"),
    ],
)
def test_a_failure_before_the_first_chunk_is_an_attempt_and_the_next_provider_goes_on(
    here: Here, name: str, code: str
) -> None:
    task = here.submit(name)
    assert here.chunks(task)[-1].finish_reason == "stop"
    resource = here.task(task)
    assert (resource["status"], resource["provider"]) == ("succeeded", "local")
    assert [(a["provider"], a["code"]) for a in resource["attempts"]] == [(name, code)]


def test_a_failure_after_the_first_chunk_ends_the_task_and_its_log_stays(here: Here) -> None:
    task = here.submit("dying")
    *frames, terminal = here.chunks(task)
    assert [chunk.stream_info.frame_index for chunk in frames] == [0, 1, 2]
    assert error_of(terminal).code == "upstream_failed"
    assert here.task(task)["status"] == "failed"
    assert here.task(task)["provider"] == "dying"


def test_an_upload_is_read_by_the_upstream_through_a_presigned_url(here: Here) -> None:
    video = base64.b64encode(CLIP.read_bytes()).decode()
    task = here.submit("there", type="video_base64", data=video)
    assert here.chunks(task)[-1].finish_reason == "stop"
    assert here.task(task)["provider"] == "there"


def test_cancelling_here_cancels_there(here: Here) -> None:
    task = here.submit("there", seconds=720, rate=100)
    _until(lambda: here.task(task)["progress"]["processed_frames"] > 2)
    assert here.api.post(f"/v1/video/tasks/{task}/cancel").status_code == 202
    *frames, terminal = here.chunks(task)
    assert terminal.finish_reason == "cancelled"
    assert frames
    _until(lambda: here.listed_there()[0]["status"] == "cancelled")


def test_a_killed_worker_goes_on_with_the_same_upstream_task(here: Here) -> None:
    n_before = len(here.listed_there())
    task = here.submit("there", seconds=8, rate=100)
    _until(lambda: here.task(task)["progress"]["processed_frames"] > 2)
    _kill_worker(here)
    chunks = here.chunks(task)
    assert chunks[-1].finish_reason == "stop"
    theirs = here.listed_there()
    assert len(theirs) == n_before + 1
    log = here.there.get(f"/v1/video/tasks/{theirs[0]['id']}/stream", timeout=_WAIT_S).content
    assert _content(chunks) == _content(chunks_of(log))


def _kill_worker(here: Here) -> None:
    running = here.data.running()
    assert running is not None
    (worker,) = (
        child
        for child in psutil.Process(running.pid).children()
        if child.cmdline()[-2:] == ["streamproc", "worker"]
    )
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)


def _content(chunks: list[Chunk]) -> list[dict[str, Any]]:
    """Return the chunks without what names a provider or divides the dropped frames."""
    plain = timeless([msgspec.structs.replace(c, provider="", model="") for c in chunks])
    for chunk in plain:
        chunk.get("usage", {}).pop("failed_frames", None)
        chunk.get("usage", {}).pop("skipped_frames", None)
    return plain
