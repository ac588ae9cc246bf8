"""An api that takes long to answer is told of while the client still waits."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from console.client import calls
from console.client.log_stream import Following
from console.client.sync_client import Client
from console.errors import UnreachableError
from tests.console.tui.recorded_api import KEY, Script, recorded_api


class Counted(Following):
    """Counts the connections."""

    n_calls = 0

    def call(self) -> calls.Call[bytes]:
        self.n_calls += 1
        return super().call()


@pytest.fixture
def frozen() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_caller_is_told_before_the_answer_comes() -> None:
    script = Script(hold=threading.Event())
    assert script.hold is not None
    with (
        recorded_api(script) as url,
        Client(url, KEY, on_slow=script.hold.set, slow_s=0.05) as client,
    ):
        assert client.send(calls.system()).version
        assert script.hold.is_set(), "the server did not wait for ever"


def test_an_answer_in_time_is_not_told_of() -> None:
    told: list[str] = []
    with (
        recorded_api(Script()) as url,
        Client(url, KEY, on_slow=lambda: told.append("slow"), slow_s=30) as client,
    ):
        client.send(calls.system())
    assert told == []
    assert [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)] == []


def test_a_stream_that_does_not_begin_is_told_of_once() -> None:
    script = Script(hold=threading.Event())
    assert script.hold is not None
    with (
        recorded_api(script) as url,
        Client(url, KEY, on_slow=script.hold.set, slow_s=0.05) as client,
    ):
        log = b"".join(piece.data for piece in client.follow(Following(script.log_task)))
        assert script.hold.is_set(), "the server did not wait for ever"
    assert log == script.log


def test_a_stream_of_a_frozen_api_ends(frozen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    short = httpx.Timeout(0.2)
    monkeypatch.setattr("console.client.sync_client.STREAM_TIMEOUT", short)
    following = Counted("vt_1")
    with Client(frozen, KEY) as client, pytest.raises(UnreachableError, match="in time"):
        list(client.follow(following))
    assert following.n_calls == 1


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("options", "notice"),
    [
        ([], "framewire: the api has not answered for 5 s; waiting …\n"),
        (["--json"], '{"notice": "the api has not answered for 5 s; waiting …"}\n'),
    ],
    ids=["text", "json"],
)
def test_a_command_says_that_it_waits(options: list[str], notice: str) -> None:
    script = Script(hold=threading.Event())
    assert script.hold is not None
    with recorded_api(script) as url:
        environ = os.environ | {"FRAMEWIRE_URL": url, "FRAMEWIRE_KEY": KEY}
        with subprocess.Popen(
            [sys.executable, "-m", "console", "system", *options],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert process.stdout is not None
            assert process.stderr.readline() == notice  # nothing was answered until here
            script.hold.set()
            assert "worker" in process.stdout.read()
            assert process.wait(30) == 0
