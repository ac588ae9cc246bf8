"""Gives broken files to the decoder and looks at what comes of each, and of all together."""

import contextlib
import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil

from models.sizes import InputFit
from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.errors import DecoderCrashedError, SourceClosedError, SourceError
from streamproc.source.fetch.byte_reader import ByteReader, LocalReader
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import FrameSource
from streamproc.source.sandbox import decoder_client
from streamproc.source.types import FrameOutputs, ResumePoint, SourceSpec
from tests.fork_server import settle
from tests.fuzz import mutation
from tests.fuzz.seeds import Seed

LIMIT_S = 5.0
_POLICY = FetchPolicy(max_pixels=2_000_000)
_OUTPUTS = FrameOutputs(full=True, scaled=InputFit(32, 32))
_SAMPLINGS = (Sampling("interval", 1), Sampling("keyframe"), Sampling("fps", 2.0))
_RANGES = (FrameRange(), FrameRange(), FrameRange(3, 9, "frames"))
_RESUMES = (None, None, ResumePoint(4, 4, 5, 0, 0))
_WARM_RUNS = 20
_EXCEPTION = "the decoder failed: "
"""How a child begins to tell of an exception of its own code, which it did not expect."""
_GROWN_BYTES = 48 << 20


class MemoryReader:
    """A source that the decoder asks for over its socket."""

    seekable = True
    etag = None
    validators_differ = False

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size_bytes: int | None = len(content)

    def fileno(self) -> None:
        return None

    def read_at(self, position: int, length: int) -> bytes:
        return self._content[position : position + length]

    def find_size(self) -> int:
        return len(self._content)

    def check_unchanged(self) -> None:
        return

    def open_spool(self) -> None:
        return

    def close(self) -> None:
        return


@dataclass(frozen=True)
class Finding:
    """What is not a clean outcome, and the file that it came of."""

    kind: str
    message: str
    name: str
    content: bytes


@dataclass
class Campaign:
    """Counts outcomes by the code of the error, `frames` without one; keeps the findings."""

    folder: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    slowest_s: float = 0.0

    def run(self, seeds: Sequence[Seed], numbers: Iterator[int] | range, seed: int) -> None:
        """Break a seed for each number; the same (seed, number) is the same file."""
        before: tuple[int, ...] | None = None
        for place, number in enumerate(numbers):
            random = Random(f"{seed}:{number}")
            chosen, other = random.choice(seeds), random.choice(seeds)
            content = mutation.broken(random, chosen.content, other.content)
            self.give(f"{seed}-{number}-{chosen.name}", content, random)
            if place == _WARM_RUNS:
                before = _held()
        if before is not None:
            self._compare(before, _held())

    def give(self, name: str, content: bytes, random: Random) -> None:
        """Decode one file; what takes too long is given once more, for the machine may be busy."""
        choices = random.getstate()
        outcome, message, took_s = self._decoded(content, random)
        if took_s > LIMIT_S:
            random.setstate(choices)
            outcome, message, took_s = self._decoded(content, random)
        self.slowest_s = max(self.slowest_s, took_s)
        self.outcomes[outcome] += 1
        if took_s > LIMIT_S:
            self.findings.append(Finding("slow", f"{took_s:.1f} s", name, content))
        elif outcome == DecoderCrashedError.code:
            kind = "exception" if message.startswith(_EXCEPTION) else "crash"
            self.findings.append(Finding(kind, message, name, content))

    def _decoded(self, content: bytes, random: Random) -> tuple[str, str, float]:
        spec = SourceSpec("", random.choice(_SAMPLINGS), random.choice(_RANGES))
        resume = random.choice(_RESUMES)
        reader: ByteReader = MemoryReader(content)
        if random.random() < 0.5:
            path = self.folder / "broken"
            path.write_bytes(content)
            reader = LocalReader(os.open(path, os.O_RDONLY))
        started = time.monotonic()
        try:
            _walk(reader, spec, resume)
        except SourceClosedError:
            return "closed", "", time.monotonic() - started
        except SourceError as exc:
            return exc.code, str(exc), time.monotonic() - started
        finally:
            reader.close()
        return "frames", "", time.monotonic() - started

    def _compare(self, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        if before[0] != after[0]:
            self._grown("fork_server", "it died and was started again")
        if after[1] > before[1] or after[2] > before[2]:
            self._grown("descriptors", f"{before[1:3]} became {after[1:3]}")
        if after[3] - before[3] > _GROWN_BYTES or after[4] - before[4] > _GROWN_BYTES:
            self._grown("memory", f"{before[3:]} became {after[3:]}")

    def _grown(self, kind: str, message: str) -> None:
        self.findings.append(Finding(kind, message, "", b""))


def _walk(reader: ByteReader, spec: SourceSpec, resume: ResumePoint | None) -> None:
    with contextlib.ExitStack() as ends:
        source = FrameSource(reader, spec, _POLICY, _OUTPUTS, resume, Interrupt())
        ends.enter_context(source)
        timer = threading.Timer(4 * LIMIT_S, source.close)
        timer.start()
        ends.callback(timer.cancel)
        for frame in source:
            frame.release()


def _held() -> tuple[int, ...]:
    """(nursery's pid, its descriptors, ours, its memory in bytes, ours)."""
    child = decoder_client.take()
    try:
        parent = psutil.Process(child.pid).parent()
    finally:
        child.end()
    gc.collect()
    me = psutil.Process()
    settle(parent)
    memory = parent.memory_info().rss, me.memory_info().rss
    return parent.pid, _least_descriptors(parent), me.num_fds(), *memory


def _least_descriptors(process: psutil.Process) -> int:
    """Return the least number within half a second: those of a child that ended may be open yet."""
    until_s = time.monotonic() + 0.5
    least: int = process.num_fds()
    while time.monotonic() < until_s:
        time.sleep(0.02)
        least = min(least, process.num_fds())
    return least
