"""The examples do what their READMEs say, over faulty connections too: all against one stack.

A command of the READMEs is run by the test that names its beginning, or stands in `NOT_RUN`.
"""

import asyncio
import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import async_playwright

from api.settings import CORS_ORIGINS
from console.stack.running import Addresses, running_stack
from streamproc.contract import env
from streamproc.contract.chunk import Chunk
from streamproc.contract.providers import load_providers
from tests.clients.faults import Cut, Ending, Plan, Treatment
from tests.clients.proxy import FaultyProxy
from tests.contract.documented import ROOT, documented_commands
from tests.plugins.missing import find_program, needs_program
from tests.streamproc.providers.video_api import KEY, VideoApi, end_event, frame_event, video_api
from tests.workers import chunks_of

EXAMPLES = ROOT / "examples"
DOCUMENTS = ("examples/README.md", "examples/upstream/README.md")
COMMANDS = [command.text for command in documented_commands(DOCUMENTS)]
CLIP = ROOT / "console" / "data" / "pedestrians.mp4"
PAGES = "http://127.0.0.1:8000"
UPSTREAM = "https://video.example.com"
RELAYED = b"".join(frame_event(i) for i in range(3)) + end_event("stop", 3)

CURL = "examples/curl.sh"
CLIENT = "python examples/client.py console/data/pedestrians.mp4 --class"
RELAY = "python examples/client.py console/data/pedestrians.mp4 --provider"
TOKEN = ("TASK=", "TOKEN=", "STREAM=", "echo ")
ADD = "python examples/own_model/add.py"
OWN = ("sed ", "curl ")
RUN = (CURL, CLIENT, RELAY, *TOKEN, ADD, *OWN)
NOT_RUN = (
    "source .venv/bin/activate",  # the environment of this test is another one
    "export ",  # this test has a stack of its own, whose addresses it exports
    "framewire up ",
    "python -m http.server 8000 ",  # a port that another may have
)

pytestmark = pytest.mark.timeout(300)
needs_curl = needs_program("curl", promise="the examples with curl")
needs_chromium = needs_program("chromium", promise="the example of a page")


class Reader(NamedTuple):
    """Somebody at the repository's root who has done what the READMEs say first."""

    folder: Path
    environ: dict[str, str]
    stack: Addresses
    pages: str
    far: VideoApi
    api: httpx.Client

    def run(self, *starts: str) -> str:
        """Run the commands that begin so, one after another, and return what they printed."""
        return run(script(*starts), self.folder, self.environ)

    async def run_at(self, url: str, start: str) -> tuple[str, str]:
        """Run a command that finds the api at another address; return its stdout and stderr."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", script(start)),
            cwd=self.folder,
            env=self.environ | {env.URL: url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode(), err.decode()

    def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(path).raise_for_status().json()
        return found

    def chunks(self, task: str) -> list[Chunk]:
        """Follow a task's stream to its end."""
        answer = self.api.get(f"/v1/video/tasks/{task}/stream", timeout=90)
        return chunks_of(answer.raise_for_status().content)


def script(*starts: str) -> str:
    found = [next(text for text in COMMANDS if text.startswith(start)) for start in starts]
    return "\n".join(["set -eu -o pipefail", *found])


def run(text: str, folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", text], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def frames_of(chunks: list[Chunk]) -> list[int]:
    return [chunk.stream_info.frame_index for chunk in chunks if chunk.finish_reason is None]


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving_pages() -> Iterator[str]:
    """Serve the examples at an origin of their own, as `python -m http.server` does."""
    handler = functools.partial(QuietFiles, directory=str(EXAMPLES))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def prepare(folder: Path) -> dict[str, str]:
    """Make a reader's folder, and return the environment of a shell in it."""
    (folder / "console").mkdir()
    (folder / "console" / "data").symlink_to(CLIP.parent)
    (folder / "examples").symlink_to(EXAMPLES)
    (folder / "bin").mkdir()
    program = folder / "bin" / "framewire"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m console "$@"\n')
    program.chmod(0o755)
    paths = [folder / "bin", Path(sys.executable).parent, os.environ["PATH"]]
    return os.environ | {
        "HOME": str(folder),
        "PATH": os.pathsep.join(map(str, paths)),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(scope="module")
def reader(engines: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    environ = prepare(folder)
    run(script(ADD), folder, environ)
    with ExitStack() as stack:
        pages = stack.enter_context(serving_pages())
        far = stack.enter_context(video_api(stream=lambda handler: handler.serve(RELAYED)))
        providers = (EXAMPLES / "upstream" / "providers.toml").read_text()
        (folder / "providers.toml").write_text(providers.replace(UPSTREAM, far.url))
        addresses = stack.enter_context(
            running_stack(
                [
                    f"--data={folder / 'framewire-examples'}",
                    f"--file-root={CLIP.parent}",
                    "--kafka=memory",
                ],
                environ
                | {
                    CORS_ORIGINS: pages,
                    env.PROVIDERS: str(folder / "providers.toml"),
                    "CLOUD_KEY": KEY,
                },
                stderr=folder / "up.log",
            )
        )
        api = stack.enter_context(
            httpx.Client(
                base_url=addresses.url,
                headers={"authorization": f"Bearer {addresses.key}"},
                timeout=30,
                trust_env=False,
            )
        )
        told = {env.URL: addresses.url, env.KEY: addresses.key}
        yield Reader(folder, environ | told, addresses, pages, far, api)


def test_every_command_is_run_here_or_said_not_to_be() -> None:
    lost = [text for text in COMMANDS if not text.startswith((*RUN, *NOT_RUN))]
    assert lost == []
    assert [start for start in RUN if not any(t.startswith(start) for t in COMMANDS)] == []


@needs_curl
def test_curl_gets_the_log_the_results_and_a_frame(reader: Reader) -> None:
    out = reader.run(CURL)
    assert re.search(r"\n21 chunks\n", out)
    assert "the same bytes" in out
    (task,) = re.findall(r"^vt_\w+$", out, re.MULTILINE)
    log = reader.api.get(f"/v1/video/tasks/{task}/stream").content
    assert (reader.folder / "stream.txt").read_bytes() == log
    assert log.split(b"\n")[-4] == b"data: [DONE]"
    results = json.loads((reader.folder / "results.json").read_text())
    assert {track["class"] for track in results["tracks"]} == {"pedestrian"}
    assert (reader.folder / "frame.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    assert not (reader.folder / "head.txt").exists()


async def test_the_client_prints_every_frame_once_whatever_its_connections_do(
    reader: Reader,
) -> None:
    n_before = len(reader.get("/v1/video/tasks")["data"])
    plan = Plan(
        [
            Treatment(cut=Cut(Ending.RST, 5)),  # the answer to the submission
            Treatment(),
            Treatment(cut=Cut(Ending.FIN, 3_000)),
            Treatment(status=503),
            Treatment(cut=Cut(Ending.CLEAN, 3_000), rechunk=True),
            Treatment(cut=Cut(Ending.RST, 10)),
        ]
    )
    async with FaultyProxy(urlsplit(reader.stack.url).port or 0, plan) as proxy:
        out, err = await reader.run_at(f"http://127.0.0.1:{proxy.port}", CLIENT)
    task, *lines = out.splitlines()
    end = lines.index("")
    assert [int(line.split()[1]) for line in lines[:end]] == frames_of(reader.chunks(task))
    tracks = reader.get(f"/v1/video/tasks/{task}/results")["tracks"]
    assert [int(row.split()[0]) for row in lines[end + 2 :]] == [t["track_id"] for t in tracks]
    assert len(tracks) > 1
    assert len(reader.get("/v1/video/tasks")["data"]) == n_before + 1, "it was submitted twice"
    assert len(re.findall(r"(?:broke|ended) at byte (\d+)", err)) == 3
    streams = [e for e in proxy.exchanges if "/stream" in e.target]
    assert [e.status for e in streams] == [200, 503, 200, 200, 200]
    offsets = [int(e.last_event_id or -1) for e in streams]
    assert offsets[0] == 0 < offsets[1] == offsets[2] < offsets[3] == offsets[4]


async def test_the_client_ends_at_a_refusal(reader: Reader) -> None:
    environ = reader.environ | {env.KEY: "fw_nobody"}
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", script(CLIENT)],
        cwd=reader.folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("401: ")


@needs_chromium
@needs_curl
async def test_the_page_draws_every_frame_over_a_cut_and_a_refusal(reader: Reader) -> None:
    address = (await asyncio.to_thread(reader.run, *TOKEN)).strip().replace(PAGES, reader.pages)
    (task,) = re.findall(r"/tasks/(vt_\w+)/stream", address)
    *frames, _ = chunks = await asyncio.to_thread(reader.chunks, task)
    targets = [target for chunk in frames for target in chunk.delta.results[0].targets]
    people = {target.track_id for target in targets if target.class_name == "pedestrian"}
    now = [t for t in frames[-1].delta.results[0].targets if t.class_name == "pedestrian"]

    plan = Plan([Treatment(cut=Cut(Ending.FIN, 3_000)), Treatment(status=503)])
    async with (
        FaultyProxy(urlsplit(reader.stack.url).port or 0, plan) as proxy,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(
            executable_path=find_program("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page()
        errors: list[object] = []
        page.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 - it is given an attribute
        await page.goto(address.replace(reader.stack.url, f"http://127.0.0.1:{proxy.port}"))
        await page.get_by_text("the end, after frame").wait_for(timeout=60_000)
        drawn = await page.evaluate("frames.map(({ frame }) => frame)")
        legend = await page.locator("#legend li").all_inner_texts()
        await page.screenshot(path=reader.folder / "page.png")
        await browser.close()
    assert errors == []
    assert drawn == frames_of(chunks)
    assert len(people) > 1
    assert f"pedestrian: {len(now)} now, {len(people)} in all" in legend
    assert [exchange.status for exchange in proxy.exchanges] == [200, 503, 200]


def test_the_list_of_providers_can_be_used() -> None:
    local, cloud = load_providers(EXAMPLES / "upstream" / "providers.toml")
    assert (local.name, local.kind) == ("local", "openvino")
    assert (cloud.name, cloud.url, cloud.key_env) == ("cloud", UPSTREAM, "CLOUD_KEY")


def test_another_video_api_computes_what_names_it(reader: Reader) -> None:
    task, *lines = reader.run(RELAY).splitlines()
    assert len([line for line in lines if re.match(r"frame +\d+  #1 pedestrian 0.90", line)]) == 3
    assert reader.get(f"/v1/video/tasks/{task}")["provider"] == "cloud"
    (headers, body), *_ = reader.far.submissions
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body["input"][0]["url"].startswith(reader.stack.s3.endpoint)


@needs_curl
def test_ones_own_detector_finds_what_its_readme_says(reader: Reader) -> None:
    task = json.loads(reader.run(*OWN))["id"]
    *frames, terminal = reader.chunks(task)
    assert terminal.finish_reason == "max_frames"
    assert len(frames) == 8
    targets = [target for chunk in frames for target in chunk.delta.results[0].targets]
    assert {target.class_name for target in targets} == {"yellow_thing"}
    assert all(isinstance(target.feature_digest, str) for target in targets)
    for place in (range(420, 460), range(170, 220)), (range(90, 110), range(490, 530)):
        assert any(t.roi.left in place[0] and t.roi.top in place[1] for t in targets)
    models = {model["id"]: model for model in reader.get("/v1/models")["data"]}
    assert models["yellow-things@1"]["classes"] == ["yellow_thing"]
