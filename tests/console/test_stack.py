"""The command line against a real embedded stack (with Kafka in memory, which is the quickest)."""

import csv
import json
import os
import subprocess
import sys
import time
from asyncio import to_thread
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from console.cli.main import run
from console.cli.paths import CLIP
from console.client import calls
from console.client.sync_client import Client
from console.exit_codes import ExitCode
from console.stack.data_directory import DataDirectory
from console.stack.discovery import discover
from console.stack.running import running_stack
from console.tui.app import ConsoleApp
from console.tui.console_settings import ConsoleSettings
from console.tui.screens.bulk_result import BulkResultScreen
from console.tui.screens.tasks import TasksTab
from streamproc.contract.framing import parse_events
from tests.console.tui.conftest import until
from tests.console.tui.keyboard import typed
from tests.console.tui.tmux import Tmux
from tests.models.text_networks import (
    END,
    START,
    VOCABULARY,
    expected_vector,
    write_image_network,
    write_text_network,
    write_tokenizer,
)
from tests.plugins.missing import needs_program

Ask = Callable[..., tuple[int, bytes]]
OWN_STEPS = json.dumps([{"model": "detect"}, {"model": "clip"}])


def children_of(data: Path) -> dict[str, int]:
    running = DataDirectory(data).running()
    assert running is not None
    return running.children


@pytest.fixture(scope="module")
def data(engines: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data = tmp_path_factory.mktemp("stack") / "data"
    log = data.parent / "up.log"
    arguments = [f"--data={data}", "--kafka=memory", f"--file-root={CLIP.parent}"]
    with running_stack(arguments, os.environ, stderr=log):
        children = [psutil.Process(pid) for pid in children_of(data).values()]
        yield data
    assert not [child for child in children if child.is_running()], log.read_text()
    assert DataDirectory(data).running() is None


@pytest.fixture
def ask(
    data: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Ask:
    """Run a command and return its exit code and what it wrote to stdout."""
    monkeypatch.setenv("FRAMEWIRE_DATA", str(data))
    for name in ("FRAMEWIRE_URL", "FRAMEWIRE_MODELS"):
        monkeypatch.delenv(name, raising=False)

    def ask(*arguments: str) -> tuple[int, bytes]:
        capfdbinary.readouterr()
        code = run(list(arguments))
        return code, capfdbinary.readouterr().out

    return ask


@pytest.fixture(scope="module")
def task(data: Path) -> str:
    """Return a task that has succeeded."""
    environ = os.environ | {"FRAMEWIRE_DATA": str(data)}
    command = [sys.executable, "-m", "console", "start", str(CLIP), "--detect", "pedestrian"]
    done = subprocess.run(
        [*command, "--feature", "--end", "4"], env=environ, capture_output=True, check=True
    )
    task = done.stdout.decode().strip()
    subprocess.run([sys.executable, "-m", "console", "wait", task], env=environ, check=True)
    return task


@pytest.fixture
def refused(ask: Ask, capfdbinary: pytest.CaptureFixture[bytes]) -> Ask:
    """Like `ask`, but return what the command wrote to stderr."""

    def refused(*arguments: str) -> tuple[int, bytes]:
        capfdbinary.readouterr()
        code = run(list(arguments))
        return code, capfdbinary.readouterr().err

    return refused


def told(ask: Ask, holds: Callable[[bytes], bool], *arguments: str) -> bytes:
    """Run a command until what it says holds: workers and the index come a moment later."""
    deadline_s = time.monotonic() + 60
    while True:
        code, text = ask(*arguments)
        if code == 0 and holds(text):
            return text
        assert time.monotonic() < deadline_s, (code, text)
        time.sleep(0.1)


def test_the_log_and_its_chunks_are_the_same_story(ask: Ask, task: str) -> None:
    code, log = ask("stream", task)
    assert code == 0
    events = list(parse_events(log))
    assert events[-1].data == b"[DONE]"
    assert events[-1].end == len(log)
    assert ask("stream", task, "--offset", "100") == (0, log[100:])
    code, lines = ask("stream", task, "--json")
    assert lines.splitlines() == [event.data for event in events[:-1]]


def test_results_are_a_table_or_json(ask: Ask, task: str) -> None:
    code, table = ask("results", task)
    assert code == 0
    lines = table.decode().splitlines()
    assert lines[0].split() == ["TRACK", "CLASS", "FIRST", "LAST", "FRAMES", "CONFIDENCE",
                                "DWELL", "S", "FEATURE"]  # fmt: skip
    code, text = ask("results", task, "--json")
    tracks = json.loads(text)["tracks"]
    assert len(tracks) == len(lines) - 1 > 0
    assert {track["class"] for track in tracks} == {"pedestrian"}


def test_run_follows_to_the_end_and_prints_the_tracks(ask: Ask) -> None:
    code, table = ask("run", str(CLIP), "--detect", "pedestrian", "--end", "2")
    assert code == 0
    assert b"pedestrian" in table


def test_a_failed_task_is_1_and_says_why(
    ask: Ask, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all" * 100)
    assert run(["run", str(broken)]) == 1
    assert b"failed" in capfdbinary.readouterr().err


def test_a_task_is_compared_with_itself_and_with_a_second_run(ask: Ask, task: str) -> None:
    code, text = ask("diff", task, "--with", task, "--json")
    same = json.loads(text)
    assert (code, same["differences"], set(same["counts"].values())) == (0, [], {0})
    n_tracks = len(json.loads(ask("results", task, "--json")[1])["tracks"])
    assert (same["a"]["tracks"], len(same["matches"]), same["iou"]) == (n_tracks, n_tracks, 1.0)

    code, text = ask("diff", task, "--model", "nanodet-g@1.0.0", "--precision", "f32", "--json")
    found = json.loads(text)
    again = found["b"]["task"]
    request = json.loads(ask("status", again, "--request", "--json")[1])["request"]
    assert (request["steps"][0]["model"], request["precision"]) == ("nanodet-g@1.0.0", "f32")
    assert found["common_frames"] == found["a"]["frames"] == found["b"]["frames"] > 0
    assert found["iou"] < 1  # frames that are squeezed give other boxes
    assert code == (7 if found["differences"] else 0)
    assert ask("diff", task, "--with", again, "--json") == (code, text)
    assert ask("diff", task, "--with", again, "--allow", str(len(found["differences"])))[0] == 0

    code, text = ask("diff", task, "--parameters", '{"threshold": 0.6}', "--json")
    found = json.loads(text)
    assert found["requests"] == [{"field": "steps[0].parameters.threshold", "b": 0.6}]
    lost = [one for one in found["differences"] if one["kind"] == "lost"]
    assert found["first"]["frame"] <= lost[0]["frame"]
    assert all(one["like"] > 0 and 0 <= one["distance"] <= 2 for one in lost)  # as it is indexed


def test_all_that_a_second_run_does_not_see_is_lost_and_the_other_way_round_new(
    ask: Ask, task: str, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(CLIP.read_bytes())  # outside of the directories: it is uploaded
    start = ("start", str(clip), "--detect", "pedestrian", "--end", "4")
    upload = ask(*start)[1].decode().strip()
    code, text = ask("diff", upload, "--parameters", '{"threshold": 1.0}', "--json")
    found = json.loads(text)
    assert code == ExitCode.DIFFERENT
    assert found["counts"]["lost"] == sum(found["counts"].values()) == found["a"]["tracks"] > 0
    assert (found["source"], found["b"]["tracks"]) == ("upload", 0)
    code, text = ask("diff", found["b"]["task"], "--with", upload, "--json")
    assert (code, json.loads(text)["counts"]["new"]) == (7, found["counts"]["lost"])
    # Another copy of the video is matched by its times.
    code, text = ask("diff", task, "--with", upload, "--json")
    other = json.loads(text)
    assert (code, other["matched_by"], other["common_frames"]) == (
        0,
        "time",
        found["common_frames"],
    )


def test_what_cannot_be_compared_is_1_and_said(
    ask: Ask, task: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    unknown = run(["diff", task, "--with", "vt_01ARZ3NDEKTSV4RRFFQ69G5FAV"])
    assert unknown == ExitCode.NOT_FOUND
    assert b"no such task" in capfdbinary.readouterr().err
    assert run(["diff", task, "--parameters", '{"treshold": 1}']) == 2
    assert b"no parameter 'treshold'" in capfdbinary.readouterr().err


def start(ask: Ask, *options: str) -> str:
    return (
        ask(
            "start",
            *(
                options
                or (str(CLIP), "--detect", "all", "--ocr", "--detail", "finest", "--interval", "1")
            ),
        )[1]
        .decode()
        .strip()
    )


def ended(ask: Ask, *tasks: str) -> list[str]:
    """Return the statuses of the tasks once they have ended."""
    for task in tasks:
        ask("wait", task)
    return [json.loads(ask("status", task, "--json")[1])["status"] for task in tasks]


async def test_marked_tasks_are_cancelled_run_again_and_exported_and_a_failure_is_told(
    ask: Ask, task: str, tmp_path: Path
) -> None:
    console = ConsoleApp(discover(os.environ), ConsoleSettings(tasks_s=0.3, health_s=0.3))
    async with console.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: console.alerts.since is not None, within_s=60)
        first, second = await to_thread(start, ask), await to_thread(start, ask)
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(b"no video at all" * 100)
        failed = await to_thread(start, ask, str(broken))

        marks = console.query_one(TasksTab).marks

        async def act(query: str, n_tasks: int, *keys: str) -> list[str]:
            """Mark what fits, act on it, and return the results; the marks are removed."""
            await typed(pilot, console, "escape", "/", *query, "enter", "asterisk")
            await until(pilot, lambda: len(marks) == n_tasks, within_s=60)
            await typed(pilot, console, *keys)
            await until(pilot, lambda: isinstance(console.screen, BulkResultScreen), within_s=60)
            screen = console.screen
            assert isinstance(screen, BulkResultScreen)
            await until(pilot, lambda: screen.run.is_over, within_s=60)
            await typed(pilot, console, "escape", "u")
            assert {item.state for item in screen.run.items} == {"done"}
            return [item.result for item in screen.run.items]

        both = f"id:{first},{second}"
        assert set(await act(both, 2, "c", "y")) <= {"cancelling", "cancelled"}
        again = [said.rpartition(" ")[2] for said in await act(both, 2, "r", "y")]
        assert not {first, second} & set(again)
        await to_thread(ask, "cancel", *again)
        path = tmp_path / "tracks.json"
        n_typed = len("tracks-of-1-tasks.json")
        await act(f"id:{task}", 1, "x", *["backspace"] * n_typed, *str(path), "enter")
        assert {row["task"] for row in json.loads(path.read_bytes())} == {task}
        await until(pilot, lambda: console.alerts.book.get(f"task:{failed}"), within_s=60)
    assert await to_thread(ended, ask, first, second) == ["cancelled"] * 2
    assert set(await to_thread(ended, ask, *again)) <= {"cancelled", "succeeded"}


def test_a_query_runs_tasks_again_exports_and_cancels_them(
    ask: Ask, task: str, tmp_path: Path
) -> None:
    said = told(ask, bool, "rerun", "--query", f"id:{task} status:succeeded", "--yes", "--json")
    again = json.loads(said)["id"]
    assert ended(ask, again) == ["succeeded"]
    path = tmp_path / "tracks.csv"
    query = f"id:{task},{again}"
    told(ask, lambda text: text.count(b"tracks") == 2, "export", "--query", query, "--force",
         "--to", str(path))  # fmt: skip
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    tracks = {
        one: [row | {"task": ""} for row in rows if row["task"] == one] for one in (task, again)
    }
    assert tracks[task] == tracks[again] != []
    running = start(ask)
    told(ask, lambda text: running.encode() in text, "cancel", "--query", f"id:{running}", "--yes")
    assert ended(ask, running) == ["cancelled"]


def test_lists_and_status_agree(ask: Ask, task: str) -> None:
    told(
        ask,
        lambda text: task in [found["id"] for found in json.loads(text)],
        *("list", "--json", "--status", "succeeded"),
    )
    code, text = ask("status", task, "--json")
    assert (code, json.loads(text)["status"]) == (0, "succeeded")
    assert ask("cancel", task)[0] == 1


def test_the_operator_makes_and_revokes_keys(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = ask("keys", "create", "--name", "camera", "--json")
    assert code == 0
    key = json.loads(text)
    monkeypatch.setenv("FRAMEWIRE_KEY", key["key"])
    assert ask("list")[0] == 0
    assert ask("keys", "revoke", key["id"])[0] == 0
    assert ask("list")[0] == ExitCode.DENIED


def test_the_operator_rotates_keys_and_reads_who_did_what(ask: Ask, task: str) -> None:
    key = json.loads(ask("keys", "create", "--scope", "read", "--expires", "30d", "--json")[1])
    assert key["scopes"] == ["read"]
    code, text = ask("keys", "rotate", key["id"], "--overlap", "1h", "--json")
    assert (code, json.loads(text)["replaces"]) == (0, key["id"])
    assert ask("keys", "rotate", key["id"], "--overlap", "soon")[0] == ExitCode.USAGE
    table = ask("keys", "list")[1].decode()
    assert "SCOPES" in table.splitlines()[0]
    # Each of these readings is in the audit as well, so the newest records alone do not do.
    told(ask, lambda text: task.encode() in text, "audit", "--action=task.submit", "--since=1h")
    told(ask, lambda text: key["id"].encode() in text, "audit", "--action=key.rotate", "--json")
    assert key["id"].encode() in ask("audit", "--action", "key.rotate")[1]


def test_sql_asks_the_tables(ask: Ask, task: str) -> None:
    query = f"select task_id, status from v_tasks where task_id = '{task}'"
    text = told(ask, lambda text: b"succeeded" in text, "sql", query, "--json")
    answer = json.loads(text)
    assert answer["columns"] == ["task_id", "status"]
    assert answer["rows"] == [[task, "succeeded"]]


def test_no_child_has_a_secret_that_it_does_not_use(data: Path) -> None:
    secrets = DataDirectory(data).secrets()
    has = {name: psutil.Process(pid).environ().values() for name, pid in children_of(data).items()}
    holders = {
        secret: {name for name, values in has.items() if secret in values}
        for secret in (secrets.admin_key, secrets.secret_key, secrets.s3_secret_key)
    }
    assert list(holders.values()) == [
        {"api"},
        {"api", "worker-1"},
        {"api", "archive", "worker-1"},
    ]
    assert {"kafka", "seaweedfs"} <= set(has)


def test_system_shows_the_worker(ask: Ask) -> None:
    assert b"worker-1" in told(ask, lambda text: b"worker-1" in text, "system")


def test_words_find_what_the_stack_has_seen(ask: Ask, refused: Ask, tmp_path: Path) -> None:
    """A user's image tower and its words: added, used, asked, and removed.

    No process is started again: worker and api find the models while they run.
    """
    image = write_image_network(tmp_path / "image.xml")
    text = write_text_network(tmp_path / "text.xml")
    write_tokenizer(tmp_path / "tokenizer.json")
    ships = json.loads(ask("models", "list", "--json")[1])
    assert ask("models", "add", str(image), "--kind", "feature", "--name", "clip")[0] == 0
    words = ["--kind", "text-encoder", "--for", "clip", "--name", "clip-words"]
    assert ask("models", "add", str(text), *words)[0] == 0
    assert b"text-encoder" in ask("models", "list")[1]

    task = ask("start", str(CLIP), "--steps", OWN_STEPS, "--end", "4")[1].decode().strip()
    assert ask("wait", task)[0] == 0
    wait = f"select status from v_tasks where task_id = '{task}'"  # written after the vectors
    told(ask, lambda text: b"succeeded" in text, "sql", wait, "--json")
    query = f"select task_id, track_id, vector from v_embeddings where task_id = '{task}'"
    rows = json.loads(ask("sql", query, "--json")[1])["rows"]
    assert rows
    vectors = {(task, track): np.array(vector, np.float64) for task, track, vector in rows}

    for word in ("red", "blue"):
        wanted = expected_vector([START, VOCABULARY[word], END]).astype(np.float64)
        expected = {key: 1 - float(vector @ wanted) for key, vector in vectors.items()}
        code, said = ask("tracks", "--like-text", word, "--limit", "200", "--json")
        assert code == 0, said
        found = {(t["task"], t["track_id"]): t["distance"] for t in json.loads(said)}
        assert found == pytest.approx(expected, abs=1e-5)
        assert list(found.values()) == sorted(found.values())
    assert ask("tracks", "--like-text", "zebra")[0] == ExitCode.USAGE

    # The image tower goes after its words; what it has seen stays, and is not found by words.
    code, said = refused("models", "remove", "clip")
    assert (code, b"clip-words@1 is its text encoder" in said) == (1, True)
    assert ask("models", "remove", "clip-words")[0] == 0
    code, said = refused("tracks", "--like-text", "red")
    assert (code, b"no text encoder is added" in said) == (ExitCode.USAGE, True)
    assert ask("models", "remove", "clip@1")[0] == 0
    code, said = refused("run", str(CLIP), "--steps", OWN_STEPS)
    assert (code, b"no such model" in said) == (ExitCode.USAGE, True)
    assert json.loads(ask("models", "list", "--json")[1]) == ships


def test_another_stack_on_the_same_directory_is_refused(
    data: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["up", "--data", str(data), "--kafka", "memory"]) == 1
    assert b"another stack runs" in capfdbinary.readouterr().err


@needs_program("tmux", promise="the console in a real terminal over a real stack")
def test_a_video_is_submitted_followed_and_found_in_a_real_terminal(ask: Ask) -> None:
    assert ask("projects", "create", "A terminal", "--id", "terminal")[0] == 0  # without tasks
    key = json.loads(ask("keys", "create", "--project", "terminal", "--json")[1])["key"]
    endpoint = discover(os.environ)
    terminal = Tmux({"FRAMEWIRE_URL": endpoint.url, "FRAMEWIRE_KEY": key})
    try:
        terminal.until("No tasks yet: press n")
        terminal.type("n")
        terminal.until("nanodet-g")
        terminal.type("-l", CLIP.as_uri())
        terminal.type("C-s")
        terminal.until("byte")
        terminal.until("■ END")
        terminal.until("pedestrian")
        terminal.until("[DONE]")
        terminal.until("▀")  # the picture, of block characters
        terminal.type("Space")
        terminal.until("HELD at byte")
        terminal.resize(80, 24)
        terminal.until("HELD at byte")
        with Client(endpoint.url, key) as client:
            (task,) = client.send(calls.tasks()).data
            client.send(calls.results(task.id))  # waits until the tracks can be searched
        terminal.type("3")
        terminal.until("DWELL")
        terminal.until("○")
        terminal.type("4")
        terminal.until("worker-1")
        terminal.type("1")
        terminal.until("✔ succeeded")
        with Client(endpoint.url, key) as client:
            (task,) = client.send(calls.tasks()).data
        assert task.status == "succeeded"
        terminal.type("q")
        deadline_s = time.monotonic() + 20
        while (
            subprocess.run(
                ["tmux", "-L", terminal._name, "has-session"], check=False, capture_output=True
            ).returncode
            == 0
        ):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
    finally:
        terminal.end()
