"""The decoder child: its death is an error, its end leaves nothing, it can reach nothing."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from models.sizes import InputFit, SourceShape
from streamproc.contract.task_spec import Sampling
from streamproc.source import frame_source as frames_module
from streamproc.source.errors import DecoderCrashedError, SourceClosedError
from streamproc.source.frame_source import Frame, FrameSource, open_source
from streamproc.source.sandbox import decoder_client
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.data import clips
from tests.fork_server import settle
from tests.streamproc.source.conftest import ALL, Clip, policy

SMALL = FrameOutputs(full=False, scaled=InputFit(32, 32))


def opened(path: Path, outputs: FrameOutputs = SMALL, **changes: Any) -> FrameSource:
    return open_source(SourceSpec(path.as_uri(), ALL), policy(path, **changes), outputs)


def scaled_of(frame: Frame) -> npt.NDArray[np.uint8]:
    assert frame.scaled is not None
    return frame.scaled


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_killed_child_is_a_crashed_decoder(clip: Clip, number: signal.Signals) -> None:
    with opened(clip("plain.mp4")) as source:
        frames = iter(source)
        held = [next(frames) for _ in range(source.n_slots)]
        os.kill(source.decoder_pid, number)
        with pytest.raises(DecoderCrashedError, match=number.name):
            next(frames)
        assert scaled_of(held[0]).shape == (32, 32, 3)


def test_a_decoder_without_progress_is_ended(clip: Clip) -> None:
    with opened(clip("plain.mp4"), decode_stall_timeout_s=0.2) as source:
        frames = iter(source)
        next(frames).release()
        os.kill(source.decoder_pid, signal.SIGSTOP)
        with pytest.raises(DecoderCrashedError, match="no progress"):
            list(map(Frame.release, frames))


def test_close_from_another_thread_wakes_the_iterator(clip: Clip) -> None:
    source = opened(clip("plain.mp4"))
    decoder = [psutil.Process(source.decoder_pid)]
    frames = iter(source)
    held = [next(frames) for _ in range(source.n_slots)]
    ended = []

    def wait() -> None:
        try:
            next(frames)
        except SourceClosedError:
            ended.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    started = time.monotonic()
    source.close()
    thread.join()
    assert ended[0] - started < 1
    assert not psutil.wait_procs(decoder, timeout=10)[1]
    assert scaled_of(held[0]).any()
    source.close()


def test_a_frame_keeps_its_pixels_until_it_is_released(clip: Clip) -> None:
    with opened(clip("plain.mp4")) as source:
        frames = iter(source)
        held = [next(frames) for _ in range(source.n_slots - 1)]
        before = [scaled_of(frame).copy() for frame in held]
        for frame in frames:
            frame.release()
        assert all(np.array_equal(scaled_of(f), b) for f, b in zip(held, before, strict=True))


def test_slots_go_back_several_at_a_time(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    send = decoder_client.DecoderProcess.send

    def noted(self: decoder_client.DecoderProcess, message: Any, fd: int | None = None) -> None:
        sent.append(message)
        send(self, message, fd)

    monkeypatch.setattr(decoder_client.DecoderProcess, "send", noted)
    with opened(clip("plain.mp4")) as source:
        frames = iter(source)
        held = [next(frames) for _ in range(source.n_slots)]
        sent.clear()
        for frame in held:
            frame.release()
        assert [len(message.slots) for message in sent] == [source.n_slots // 4] * 4


def test_a_slot_goes_back_at_once_when_a_frame_is_waited_for(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames_module, "_POLL_S", 60)
    with opened(clip("plain.mp4")) as source:
        frames = iter(source)
        held = [next(frames) for _ in range(source.n_slots)]
        got: list[Frame] = []
        thread = threading.Thread(target=lambda: got.append(next(frames)), daemon=True)
        thread.start()
        thread.join(0.2)
        assert not got
        held[0].release()
        thread.join(20)
        assert [frame.index for frame in got] == [source.n_slots]


def test_a_letterbox_keeps_the_aspect_ratio(clip: Clip) -> None:
    with opened(
        clip("plain.mp4"), FrameOutputs(full=True, scaled=InputFit(80, 80, letterbox=True))
    ) as source:
        frame = next(iter(source))
        assert InputFit(80, 80, letterbox=True).scaled_size(SourceShape(160, 96)) == (80, 48)
        assert frame.image is not None
        assert (scaled_of(frame)[48:] == 114).all()
        rough = frame.image.reshape(48, 2, 80, 2, 3).mean((1, 3))
        assert np.abs(scaled_of(frame)[:48] - rough).mean() < 8


def test_nothing_is_left_behind_after_thirty_videos(clip: Clip) -> None:
    me = psutil.Process()

    def settled(fork_server: psutil.Process) -> tuple[int, ...]:
        gc.collect()
        settle(fork_server)
        maps = Path("/proc/self/maps").read_text().count("framewire-frames")
        ours = me.num_fds(), len(me.children()), threading.active_count(), maps
        return *ours, fork_server.num_fds(), fork_server.num_threads()

    before = None
    for turn in range(30):
        with opened(clip("plain.mp4")) as source:
            fork_server = psutil.Process(source.decoder_pid).parent()
            frame = next(iter(source))
            frame.release()
            del frame
        del source
        if turn == 1:
            before = settled(fork_server)
    after = settled(fork_server)
    assert before is not None
    assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)
    decoder_client.end_fork_server()
    assert not fork_server.is_running()


def test_the_next_child_is_forked_ahead_and_passed_over_when_it_died_waiting(clip: Clip) -> None:
    with opened(clip("plain.mp4")) as source:
        fork_server = psutil.Process(source.decoder_pid).parent()
    settle(fork_server)
    (ahead,) = fork_server.children()
    with opened(clip("plain.mp4")) as source:
        assert source.decoder_pid == ahead.pid
    settle(fork_server)
    (ahead,) = fork_server.children()
    ahead.kill()
    assert not psutil.wait_procs([ahead], timeout=10)[1]
    while ahead.pid in {child.pid for child in fork_server.children()}:
        time.sleep(0.005)
    with opened(clip("plain.mp4")) as source:
        assert source.decoder_pid != ahead.pid
        next(iter(source)).release()
    settle(fork_server)
    assert len(fork_server.children()) == 1


def test_a_fork_server_that_was_killed_takes_its_children_along_and_is_started_again(
    clip: Clip,
) -> None:
    with opened(clip("plain.mp4")) as source:
        frames = iter(source)
        held = [next(frames) for _ in range(source.n_slots)]
        child = psutil.Process(source.decoder_pid)
        child.parent().kill()
        with pytest.raises(DecoderCrashedError, match="closed its connection"):
            next(frames)
        assert not psutil.wait_procs([child], timeout=10)[1]
        assert scaled_of(held[0]).any()
    with opened(clip("plain.mp4")) as source:
        next(iter(source)).release()


def test_a_fork_server_without_a_free_descriptor_refuses_and_its_children_go_on(clip: Clip) -> None:
    with opened(clip("plain.mp4")) as source:
        fork_server = psutil.Process(source.decoder_pid).parent()
        settle(fork_server, n_at_work=1)
        before = fork_server.rlimit(psutil.RLIMIT_NOFILE)
        fork_server.rlimit(psutil.RLIMIT_NOFILE, (fork_server.num_fds() + 1, before[1]))
        with opened(clip("plain.mp4")):  # the child that was forked ahead
            for _ in range(2):
                with pytest.raises(DecoderCrashedError, match="did not start"):
                    opened(clip("plain.mp4"))
        fork_server.rlimit(psutil.RLIMIT_NOFILE, before)
        with opened(clip("plain.mp4")) as another:
            assert psutil.Process(another.decoder_pid).parent() == fork_server
            frames = list(map(Frame.release, iter(another)))
        assert len(list(map(Frame.release, iter(source)))) == len(frames) > 0


def test_children_share_nothing_but_their_fork_server(clip: Clip) -> None:
    with opened(clip("plain.mp4")) as one, opened(clip("plain.mp4")) as other:
        sockets = [
            {
                link
                for entry in Path(f"/proc/{source.decoder_pid}/fd").iterdir()
                if (link := str(entry.readlink())).startswith("socket:")
            }
            for source in (one, other)
        ]
        assert len(sockets[0]) == len(sockets[1]) == 2
        assert not sockets[0] & sockets[1]
        os.kill(one.decoder_pid, signal.SIGKILL)
        with pytest.raises(DecoderCrashedError, match="SIGKILL"):
            list(map(Frame.release, iter(one)))
        frames = sum(1 for _ in other)
    with opened(clip("plain.mp4")) as alone:
        assert frames == sum(1 for _ in alone) > 0


def test_the_child_has_no_secrets_and_no_files_and_no_network(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    decoder_client.end_fork_server()
    with opened(clip("plain.mp4")) as source:
        child = Path(f"/proc/{source.decoder_pid}")
        assert b"secret" not in (child / "environ").read_bytes()
        limits = (child / "limits").read_text()
        assert "Max open files            1 " in limits
        assert "Max core file size        0 " in limits
        mine = Path("/proc/self/ns/net").readlink()
        its = (child / "ns/net").readlink()
        assert source.isolated == (its != mine)
        with opened(clip("plain.mp4")) as sibling:
            siblings = Path(f"/proc/{sibling.decoder_pid}/ns/net").readlink()
            assert source.isolated == (its != siblings)


@pytest.mark.usefixtures("processes")
def test_the_child_does_not_outlive_its_parent(clip: Clip) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from streamproc.source.frame_source import *\n"
        "from streamproc.source.types import *\n"
        "path = Path(sys.argv[1])\n"
        "policy = FetchPolicy(allowed_file_roots=(path.parent,))\n"
        "spec = SourceSpec(path.as_uri(), Sampling('interval', 1))\n"  # more frames than slots
        "source = open_source(spec, policy, FrameOutputs())\n"
        "print(source.decoder_pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    root = Path(__file__).parents[4]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(clip("plain.mp4"))],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert not psutil.wait_procs([child], timeout=10)[1]


def test_a_long_video_shows_its_first_frame_soon(tmp_path: Path) -> None:
    recipe = clips.Recipe(
        "long.mp4", n_frames=1500, rate=5, size=(64, 48), gop=50, options={"preset": "ultrafast"}
    )
    path = clips.write(tmp_path / "long.mp4", recipe)
    decoder_client.prepare()
    with opened(path) as source:
        assert source.info.total_frames == 1500
        assert source.info.duration_s == pytest.approx(300)
        started = time.monotonic()
        assert next(iter(source)).index == 0
        assert time.monotonic() - started < 0.5
    with open_source(
        SourceSpec(path.as_uri(), Sampling("keyframe")), policy(path), SMALL
    ) as source:
        assert sum(1 for _ in source) == 30
        assert source.usage().packets_sent <= 31
