"""`python -m streamproc sources`: trials of a real camera, and what they say and keep silent."""

import io
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from streamproc.contract import env
from streamproc.source.live import trial
from streamproc.source.live_source.commands import main
from tests.live.camera import camera
from tests.live.clip import clip

SHORT = clip(fps=50, gop=10)


class Ran:
    """Runs the command in this process, with a line of stdin and an environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: str, line: str = "", **variables: str) -> tuple[int, str, str]:
        for name in (env.SOURCES, env.PRIVATE_HOSTS):
            self._monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        self._monkeypatch.setattr("sys.stdin", io.StringIO(line + "\n"))
        code = main(words)
        output = self._capsys.readouterr()
        return code, output.out, output.err


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ran:
    return Ran(monkeypatch, capsys)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_trial_says_what_the_camera_sends(processes: None, ran: Ran, transport: str) -> None:
    with camera(SHORT) as one:
        one.clock_offset_s = -2.0
        words = ("check", "--seconds", "1", "--transport", transport, "--json")
        code, out, err = ran(*words, line=one.url(), FRAMEWIRE_PRIVATE_HOSTS="127.0.0.1")
    assert (code, err) == (0, "")
    report: dict[str, Any] = json.loads(out)
    assert (report["codec"], report["width"], report["height"]) == ("h264", 192, 112)
    assert report["decoded_size"] == [192, 112]
    assert 5 < report["fps"] <= 51  # a camera that gets no processor time sends less
    assert report["declared_fps"] == 50
    assert report["keyframe_interval_s"] == 0.2
    assert report["n_pictures"] >= 5
    assert report["n_damaged"] == report["n_lost_packets"] == 0
    assert report["n_other_tracks"] == 1
    assert report["transport"] == transport
    assert report["clock_offset_s"] == pytest.approx(-2.0, abs=0.5)
    assert 0 < report["first_picture_s"] < 5
    n_bytes = sum(len(part) for picture in SHORT.pictures for part in picture)
    assert 0 < report["bits_per_s"] <= 8 * n_bytes  # twice the clip's own rate


def test_the_same_as_text(processes: None, ran: Ran) -> None:
    with camera(clip("mjpeg", fps=50)) as one:
        words = ("check", "--seconds", "0.5")
        code, out, _ = ran(*words, line=one.url(), FRAMEWIRE_PRIVATE_HOSTS="127.0.0.1")
    assert code == 0
    assert "video          JPEG, 192 x 112\n" in out
    assert "decoded        a keyframe, 192 x 112\n" in out
    assert " pictures/s, declared 50, " in out
    assert "keyframes      every 0.02 s\n" in out
    # On a busy machine its reports arrive late.
    assert re.search(r"clock +(agrees with|0\.\d+ s behind) this machine's\n", out)


def test_a_named_source_brings_its_login_and_needs_no_exemption(
    processes: None, ran: Ran, tmp_path: Path
) -> None:
    with camera(SHORT, login=("u", "secret7")) as one:
        file = tmp_path / "sources.toml"
        file.write_text(
            f'[[source]]\nname = "gate"\nurl = "{one.url(path="path7")}"\n'
            'user_env = "GATE_USER"\npassword_env = "GATE_PASSWORD"\nprojects = []\n'
        )
        login = {"GATE_USER": "u", "GATE_PASSWORD": "secret7", env.SOURCES: str(file)}
        words = ("check", "--seconds", "0.2")
        for name in ("gate", "camera:gate"):
            code, out, err = ran(*words, line=name, **login)
            assert (code, err) == (0, "")
        code, _, err = ran(*words, line="gate", **login | {"GATE_PASSWORD": "secret8"})
        assert code == 1
        assert err == "127.0.0.1 refused the user name or the password (source_unauthorized)\n"
        assert one.n_tries == 3
        code, _, err = ran(*words, line="door", **login)
        assert (code, err) == (2, "no source is named door; there are: gate\n")
        code, out, _ = ran("list", **login)
        assert code == 0
        assert out.splitlines()[1].split() == [
            "gate", f"rtsp://127.0.0.1:{one.port}", "tcp", "yes", "none"
        ]  # fmt: skip
        assert "secret7" not in out
        assert "path7" not in out
        code, out, _ = ran("list", "--json", **login)
        assert json.loads(out)[0]["missing_variables"] == []


def test_a_login_that_is_not_set_shows_in_the_list(ran: Ran, tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text('[[source]]\nname = "gate"\nurl = "rtsp://a/"\nuser_env = "NO_SUCH_USER"\n')
    code, out, _ = ran("list", FRAMEWIRE_SOURCES=str(file))
    assert code == 0
    assert "NO_SUCH_USER not set" in out
    code, _, err = ran("check", line="gate", FRAMEWIRE_SOURCES=str(file))
    assert (code, err) == (2, "source gate: NO_SUCH_USER is not set\n")
    code, out, _ = ran("list")
    assert out == "no named sources: FRAMEWIRE_SOURCES names no file, or an empty one\n"


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("ftp://secret7/", 2, "the scheme must be rtsp, rtsps, rtmp, rtmps, http or https"),
        ("rtsp://secret7:0/", 2, "the URL is invalid"),
        ("rtsp://u:secret7@127.0.0.1/secret7", 1, "source_forbidden); FRAMEWIRE_PRIVATE_HOSTS"),
        ("rtsp://u:secret7@127.0.0.1:81/", 1, "port 81 is not allowed (source_forbidden)"),
        ("", 2, "no source was named; there are: none"),
    ],
)
def test_errors_name_the_reason_and_no_secret(ran: Ran, line: str, code: int, text: str) -> None:
    got, out, err = ran("check", line=line)
    assert (got, out) == (code, "")
    assert text in err
    assert "secret7" not in err


def test_a_camera_without_a_keyframe_is_given_up(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "KEYFRAME_TIMEOUT_S", 0.5)
    with camera(SHORT.without_keyframes()) as one:
        code, _, err = ran("check", line=one.url(), FRAMEWIRE_PRIVATE_HOSTS="127.0.0.1")
    assert code == 1
    assert "sent no whole keyframe within 0.5 s (source_timeout)" in err


def test_watching_tells_of_losses_returns_and_changes(ran: Ran) -> None:
    larger = clip(size=(320, 176), fps=50, gop=10)
    with camera(SHORT) as one:

        def disturb() -> None:
            one.wait(lambda: one.n_sent >= 15)
            one.clip = larger
            one.wait(lambda: one.n_sent >= 45)
            one.kill()
            one.revive()

        disturbing = threading.Thread(target=disturb)
        disturbing.start()
        started_s = time.monotonic()
        words = ("watch", "--seconds", "6", "--json")
        code, out, err = ran(*words, line=one.url(), FRAMEWIRE_PRIVATE_HOSTS="127.0.0.1")
        disturbing.join()
    assert (code, err) == (0, "")
    assert 5.9 < time.monotonic() - started_s < 20
    lines = [json.loads(line) for line in out.splitlines()]
    events = [line["event"] for line in lines]
    assert [event for event in events if event != "lost"] == [
        "connected", "size", "clock", "size", "connected", "back",
    ]  # fmt: skip
    assert [line["size"] for line in lines if line["event"] == "size"] == [[192, 112], [320, 176]]
    lost = [line for line in lines if line["event"] == "lost"]
    assert lost[0]["code"] == "source_unreachable"
    assert [line["attempts"] for line in lost] == list(range(1, len(lost) + 1))
    assert 0 < next(line["gap_s"] for line in lines if line["event"] == "back") < 4


def test_a_source_that_ends_while_it_is_watched(ran: Ran) -> None:
    with camera(SHORT, login=("u", "p")) as one:
        url = one.url("u:secret7")
        code, out, err = ran("watch", line=url, FRAMEWIRE_PRIVATE_HOSTS="127.0.0.1")
    assert (code, err) == (1, "")
    assert out.endswith(" 127.0.0.1 refused the user name or the password (source_unauthorized)\n")
    assert "secret7" not in out
