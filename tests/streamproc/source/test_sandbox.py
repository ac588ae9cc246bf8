"""What a decoder that was taken over can do: nothing, with and without user namespaces."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from streamproc.contract import env
from streamproc.contract.sandbox import (
    LANDLOCK,
    NETWORK_NAMESPACE,
    PARTS,
    SECCOMP,
    Sandbox,
)
from streamproc.source.errors import DecoderCrashedError
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.sandbox import decoder_client, ipc, seccomp
from streamproc.source.sandbox.self_test import SandboxMissingError, probed_sandbox
from streamproc.source.sandbox.system_calls import prctl, this_machine
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.streamproc.source.conftest import Clip, policy
from tests.streamproc.source.takeover.attempt import X86_64
from tests.streamproc.source.takeover.programs import refusing
from tests.streamproc.source.takeover.runner import CAME_THROUGH, LISTED

CLIP = Path(__file__).parents[3] / "console" / "data" / "pedestrians.mp4"
ALL = [attempt.name for attempt in LISTED]
pytestmark = [
    pytest.mark.usefixtures("processes"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@pytest.fixture
def outside(tmp_path: Path, processes: None) -> Iterator[dict[str, object]]:
    """Make what a decoder must not get at, owned by everybody."""
    folder = tmp_path / "outside"
    for made in (folder, folder / "empty"):
        made.mkdir()
        made.chmod(0o777)
    path = folder / "secrets.json"
    path.write_text("secret")
    path.chmod(0o666)
    victim = subprocess.Popen(
        ["sleep", "600"], env={"SECRET": "x", "PATH": os.defpath}, start_new_session=True
    )
    with (
        victim,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        unix_path = str(folder / "s")
        unix.bind(unix_path)
        Path(unix_path).chmod(0o777)
        unix.listen()
        abstract.bind(f"\0framewire-{os.getpid()}")
        abstract.listen()
        yield {
            "path": str(path),
            "folder": str(folder),
            "pid": victim.pid,
            "tcp_port": tcp.getsockname()[1],
            "unix_path": unix_path,
            "abstract": f"framewire-{os.getpid()}",
        }
        victim.kill()


@pytest.fixture
def fork_server(monkeypatch: pytest.MonkeyPatch, processes: None) -> Iterator[pytest.MonkeyPatch]:
    decoder_client.end_fork_server()
    yield monkeypatch
    decoder_client.end_fork_server()


def take_over(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    module = f"tests.streamproc.source.takeover.{mode}"
    monkeypatch.setattr(decoder_client._RunningForkServer, "MODULE", module)


def tried(tmp_path: Path, outside: dict[str, object], names: list[str]) -> dict[str, int]:
    """Run the attempts in one child; the "video" says which.

    What it answers is longer than a decoder's message may be, so it is read as it comes.
    """
    video = tmp_path / "video.mp4"
    video.write_text(json.dumps({"names": names, "outside": outside}))
    limits, spec = policy(video), SourceSpec(video.as_uri())
    child = decoder_client.take()
    try:
        order = ipc.Open(
            local=True,
            sampling=spec.sampling,
            range=spec.range,
            outputs=FrameOutputs(),
            resume=None,
            max_pixels=limits.max_pixels,
            cpu_limit_s=limits.cpu_limit_s,
        )
        with video.open("rb") as file:
            child.send(order, file.fileno())
        child.control.settimeout(60)
        kind, code, answer = msgspec.msgpack.decode(child.control.recv(ipc.MAX_MESSAGE_BYTES))
    finally:
        child.end()
    assert (kind, code) == ("Failed", "takeover")
    found = json.loads(answer)
    assert found.keys() == set(names)
    return dict(found)


@pytest.mark.parametrize("mode", ["with_namespaces", "without_namespaces"])
def test_no_attempt_to_get_out_comes_through(
    mode: str, tmp_path: Path, outside: dict[str, object], fork_server: pytest.MonkeyPatch
) -> None:
    take_over(fork_server, mode)
    found = tried(tmp_path, outside, ALL)
    wrong = {a.name: found[a.name] for a in LISTED if found[a.name] not in a.errors}
    assert not wrong


def test_without_a_sandbox_the_attempts_come_through(
    tmp_path: Path, outside: dict[str, object], fork_server: pytest.MonkeyPatch
) -> None:
    """An attempt that could not come through anyway would prove nothing."""
    take_over(fork_server, "without_sandbox")
    names = [attempt.name for attempt in LISTED if attempt.needs == "nothing"]
    found = tried(tmp_path, outside, names)
    assert not {name: error for name, error in found.items() if error != CAME_THROUGH}


def test_landlock_alone_keeps_files_and_processes(
    tmp_path: Path, outside: dict[str, object], fork_server: pytest.MonkeyPatch
) -> None:
    take_over(fork_server, "without_seccomp")
    names = [attempt.name for attempt in LISTED if attempt.landlock]
    found = tried(tmp_path, outside, names)
    refusals = {errno.EACCES, errno.EPERM, errno.EMFILE}
    assert not {name: error for name, error in found.items() if error not in refusals}
    assert Path(str(outside["path"])).read_text() == "secret"


@pytest.mark.skipif(not X86_64, reason="arm64 has no second calling convention")
def test_another_calling_convention_ends_the_process(
    tmp_path: Path, outside: dict[str, object], fork_server: pytest.MonkeyPatch
) -> None:
    take_over(fork_server, "with_namespaces")
    video = tmp_path / "video.mp4"
    video.write_text(json.dumps({"names": ["x32"], "outside": outside}))
    with pytest.raises(DecoderCrashedError, match=signal.SIGSYS.name):
        open_source(SourceSpec(video.as_uri()), policy(video), FrameOutputs())


def test_a_child_has_no_capability_and_gains_none(clip: Clip) -> None:
    path = clip("plain.mp4")
    with open_source(SourceSpec(path.as_uri()), policy(path), FrameOutputs()) as source:
        lines = Path(f"/proc/{source.decoder_pid}/status").read_text().splitlines()
        user = psutil.Process(source.decoder_pid).uids().real
    status = dict(line.split(":\t", 1) for line in lines)
    sets = ("CapInh", "CapPrm", "CapEff", "CapAmb")
    assert {int(status[name], 16) for name in sets} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert user != 0


def limits_of(pid: int) -> dict[str, list[str]]:
    """Return (soft, hard) by the kernel's names."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[:2] for line in lines}


def test_a_child_has_memory_for_its_pictures_and_no_more() -> None:
    path = CLIP  # long enough: a child that has decoded all of its clip is gone
    sizes = []
    for max_pixels in (1_000_000, FetchPolicy().max_pixels):
        limits = policy(path, max_pixels=max_pixels)
        with open_source(SourceSpec(path.as_uri()), limits, FrameOutputs()) as source:
            found = limits_of(source.decoder_pid)
            in_use = psutil.Process(source.decoder_pid).memory_info().vms
            sizes.append(int(found["Max address space"][0]) - in_use)
            assert found["Max cpu time"] == ["30", str(limits.cpu_limit_s + 1)]
            assert found["Max file size"] == found["Max core file size"] == ["0", "0"]
            assert found["Max open files"] == ["1", "1"]
    assert 0 < sizes[0] < 1 << 30
    assert 2 << 30 < sizes[1] < 3 << 30


def test_the_sandbox_is_told(fork_server: pytest.MonkeyPatch) -> None:
    take_over(fork_server, "probes.without_landlock")
    assert LANDLOCK in decoder_client.probe_sandbox().missing


def test_nothing_is_decoded_without_a_required_part(
    clip: Clip, fork_server: pytest.MonkeyPatch
) -> None:
    take_over(fork_server, "probes.without_landlock")
    path = clip("plain.mp4")
    with pytest.raises(DecoderCrashedError, match=r"partial \(without landlock"):
        open_source(SourceSpec(path.as_uri()), policy(path, require_sandbox=True), FrameOutputs())
    with open_source(SourceSpec(path.as_uri()), policy(path), FrameOutputs()) as source:
        next(iter(source)).release()
    with pytest.raises(SandboxMissingError, match=r"FRAMEWIRE_REQUIRE_SANDBOX is 1.*landlock"):
        probed_sandbox(require=True)
    assert probed_sandbox(require=False) is not None


def test_a_host_without_namespaces_suffices(fork_server: pytest.MonkeyPatch) -> None:
    take_over(fork_server, "probes.without_namespaces")
    sandbox = decoder_client.probe_sandbox()
    assert NETWORK_NAMESPACE in sandbox.missing
    assert sandbox.suffices == (LANDLOCK not in sandbox.missing)
    assert probed_sandbox(require=sandbox.suffices) == sandbox


@pytest.mark.parametrize(
    ("missing", "level", "suffices"),
    [
        ((), "full", True),
        ((NETWORK_NAMESPACE,), "partial", True),
        ((LANDLOCK,), "partial", False),
        ((SECCOMP,), "partial", False),
        ((SECCOMP, LANDLOCK), "none", False),
        (PARTS, "none", False),
    ],
)
def test_a_sandbox_is_what_its_missing_parts_make_it(
    missing: tuple[str, ...], level: str, suffices: bool
) -> None:
    sandbox = Sandbox(missing)
    assert (sandbox.level, sandbox.suffices) == (level, suffices)
    assert all(part in str(sandbox) for part in missing)


def without_landlock() -> None:
    """Have the kernel refuse Landlock to this process and all that it starts."""
    machine = this_machine()
    assert machine is not None
    prctl(38, 1)  # no_new_privs
    seccomp.install(refusing(machine.syscalls["landlock_create_ruleset"]), machine)


@pytest.mark.parametrize(
    ("command", "code"),
    [(["streamproc", "worker"], 2), (["streamproc", "sandbox"], 1), (["api"], 2)],
    ids=["worker", "sandbox", "api"],
)
def test_a_role_that_requires_the_sandbox_does_not_start_without_it(
    command: list[str], code: int, tmp_path: Path, processes: None
) -> None:
    environ = {
        "PATH": os.defpath,
        env.REQUIRE_SANDBOX: "1",
        env.KAFKA: "127.0.0.1:9",
        env.CLICKHOUSE: f"chdb://{tmp_path}",
    }
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[3],
        preexec_fn=without_landlock,
    )
    assert done.returncode == code, done.stderr
    said = done.stdout + done.stderr
    assert "without landlock" in said
    assert len(said.splitlines()) == 1
    if code == 2:
        assert env.REQUIRE_SANDBOX in said
