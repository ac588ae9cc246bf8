"""docs/api.md against the server: every example is run, every error code is named."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from api.errors import ProblemError
from streamproc.contract import env, tables
from tests.api.rows import embedding_row, insert, task_row, track_row
from tests.api.server import LiveApi, ProjectClient
from tests.api.streams import begin, seen
from tests.api.worker import StandInWorker
from tests.contract.documented import ROOT, documented_commands
from tests.plugins.missing import needs_program

DOCUMENT = "docs/api.md"
CLIP = ROOT / "console" / "data" / "pedestrians.mp4"
N_CHUNKS = 30
"""So many that the log is longer than the offset of the example."""

ALL = r"(?s)\Adata: \{.*\ndata: \[DONE\]\nid: \d+\n\n\Z"

# The beginning of an example, and what it has to answer.
EXPECTED = {
    'fw "$FRAMEWIRE_URL/v1/video/process"': r'"id": ?"vt_\w+","status": ?"pending"',
    'fw "$FRAMEWIRE_URL/v1/video/tasks?status': r'"id":"vt_\w+".*"status":"running"',
    'fw -X POST "$FRAMEWIRE_URL/v1/video/tasks/$TASK/cancel"': r'"status":"cancelling"',
    'fw "$FRAMEWIRE_URL/v1/video/tasks/$TASK?include': r'"status":"cancelling".*"steps":\[',
    'fw -N "$FRAMEWIRE_URL/v1/video/tasks/$TASK/stream"': ALL,
    'fw -N -H "Last-Event-ID: 4711"': r"(?s)\[DONE\]\nid: \d+\n\n\Z",
    'fw "$FRAMEWIRE_URL/v1/video/tasks/$TASK/stream?offset=0': ALL,
    'fw -X POST "$FRAMEWIRE_URL/v1/video/tasks/$TASK/token': r'"token":"v2\.\d+\.',
    "fw --head": r"(?is)\AHTTP/1.1 200 .*stream-next-offset: \d+.*\r\n\r\n\Z",
    'fw "$FRAMEWIRE_URL/v1/video/tasks/$TASK/frames': r"\A\Z",
    'fw -G "$FRAMEWIRE_URL/v1/video/tasks"': r'"counts":\{"matching":0,"all":\d+\}',
    'fw -G "$FRAMEWIRE_URL/v1/video/tracks"': r'"data":\[',
    'fw "$FRAMEWIRE_URL/v1/video/tracks?class': r'"track_id":3\b.*"next_cursor":null',
    'fw "$FRAMEWIRE_URL/v1/video/tracks?similar_to': r'"track_id":4\b.*"distance":',
    'admin "$FRAMEWIRE_URL/v1/admin/projects" -d': r'"id":"shop"',
    'admin "$FRAMEWIRE_URL/v1/admin/projects"': r'"name":"Shop floor"',
    'admin "$FRAMEWIRE_URL/v1/admin/keys" -d': r'"key":"fw_',
    'admin "$FRAMEWIRE_URL/v1/admin/keys" -d \'{"project": "shop", "scopes"': r'\["submit"\]',
    'admin "$FRAMEWIRE_URL/v1/admin/keys?project': r'"name":"till 3"',
    'admin "$FRAMEWIRE_URL/v1/admin/keys/key_3f2a…/rotate"': r'"replaces":"key_.*"key":"fw_',
    'admin -X PATCH "$FRAMEWIRE_URL/v1/admin/projects': r'"open_streams":50',
    'admin "$FRAMEWIRE_URL/v1/admin/usage': r'"next_cursor":null',
    'admin "$FRAMEWIRE_URL/v1/admin/audit': r'"next_cursor":null',
    "admin -X DELETE": r'"revoked":true',
    'admin "$FRAMEWIRE_URL/v1/sql"': r'"columns":\["class","count\(\)"\]',
}
COMMANDS = [command.text for command in documented_commands([DOCUMENT])]
EXAMPLES = [text for text in COMMANDS if not text.startswith(("export ", "alias ", "#"))]
ALIASES = [text for text in COMMANDS if text.startswith("alias ")]

needs_curl = needs_program("curl", promise="the curl examples of docs/api.md")


class Shell:
    """A reader's shell with the document's aliases; every example runs in a fresh one."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        self.environ = os.environ | environ
        self._folder = folder

    async def run(self, text: str) -> str:
        script = "\n".join(["shopt -s expand_aliases", "set -eu", *ALIASES, text])
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            script,
            cwd=self._folder,
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()


def expected(text: str) -> str:
    """Return what the example has to answer: that of the longest beginning that fits."""
    return EXPECTED[max((start for start in EXPECTED if text.startswith(start)), key=len)]


@needs_curl
async def test_every_example_does_what_it_says(
    live: LiveApi,
    project: ProjectClient,
    worker: StandInWorker,
    clickhouse: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(env.FILE_ROOTS, str(CLIP.parent))
    shell = Shell(
        {
            "FRAMEWIRE_URL": live.url,
            "FRAMEWIRE_KEY": project.headers["authorization"].split()[1],
            "FRAMEWIRE_ADMIN_KEY": str(live.settings.admin_key),
        },
        tmp_path,
    )
    assert len(EXAMPLES) == len(EXPECTED), "an example is new, or is gone"
    key_id = ""
    for text in EXAMPLES:
        runnable = text.replace("https://example.com/clip.mp4", CLIP.as_uri())
        got = await shell.run(runnable.replace("key_3f2a…", key_id))
        assert re.search(expected(text), got), f"{text}\n{got}"
        if "/v1/video/process" in text:
            task = shell.environ["TASK"] = json.loads(got)["id"]
            begin(worker, project, task, N_CHUNKS)
            await seen(project, task, len(worker.logs[task].log))
            seed(clickhouse, project.project, task)
        elif "include=request" in text:
            log = worker.end(task, "cancelled")
            await seen(project, task, len(log))
        elif "Last-Event-ID" in text:
            assert got.encode() == log[4711:]
        elif "/v1/admin/keys" in text and " -d " in text:
            key_id = json.loads(got)["id"]
    assert (tmp_path / "frame.jpg").read_bytes().startswith(b"\xff\xd8")


def seed(clickhouse: Any, project: str, task: str) -> None:
    """Write what the index would have of a running task with two trucks' tracks."""
    insert(clickhouse, tables.TASKS, [task_row(project, task, status="running")])
    insert(
        clickhouse,
        tables.TRACKS,
        [
            track_row(project, task, track, class_name="automobile", text="AB 12")
            for track in (3, 4)
        ],
    )
    vectors = [embedding_row(project, task, track, (1.0, 0.0)) for track in (3, 4)]
    insert(clickhouse, tables.EMBEDDINGS, vectors)


def test_every_error_code_is_in_the_document() -> None:
    kinds: list[type[ProblemError]] = [ProblemError, *kinds_of(ProblemError)]
    codes = {kind.code for kind in kinds}
    for path in (ROOT / "api").rglob("*.py"):
        codes |= set(re.findall(r'\bcode="([a-z_]+)"', path.read_text()))
    assert len(codes) > 20
    document = (ROOT / DOCUMENT).read_text()
    assert {code for code in codes if f"`{code}`" not in document} == set()


def kinds_of(base: type[ProblemError]) -> list[type[ProblemError]]:
    return [kind for found in base.__subclasses__() for kind in (found, *kinds_of(found))]
