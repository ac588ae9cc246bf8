"""Awkward videos at once, on a worker with less room than tasks, and its death in the middle."""

import signal
from fractions import Fraction
from pathlib import Path

from msgspec import UNSET

from streamproc.contract import env
from streamproc.contract.task_spec import Sampling
from tests.brokers import KafkaNode
from tests.data import shapes
from tests.field.files import FILES
from tests.field.oracle import decode
from tests.field.trial import walked
from tests.workers import LogTail, WorkerProcess, chunks_of, make_spec, submit

NAMES = (
    *("joined.ts", "cut_open.ts", "jitter.ts", "edit_twice.mp4"),
    *("no_stss.mp4", "b_frames.avi", "bare.h264", "pauses.mkv"),
)
SETTINGS = {env.SLOTS: "2", env.SESSIONS: "3", env.SLICE_S: "0.3"}
EVERY_SECOND = Sampling("interval", 2)


def test_each_has_the_frames_that_it_has_alone(
    kafka: KafkaNode, processes: None, tmp_path: Path
) -> None:
    paths = {name: tmp_path / name for name in NAMES}
    for name, path in paths.items():
        path.write_bytes(FILES[name](tmp_path))
    changing = shapes.changing(tmp_path, Fraction(16, 11))
    first = WorkerProcess(kafka, tmp_path, "first", **SETTINGS)
    second = WorkerProcess(kafka, tmp_path, "second", **SETTINGS)
    tails: dict[str, LogTail] = {}
    try:
        first.wait_ready()
        for name, path in paths.items():
            spec = make_spec(path.as_uri(), sampling=EVERY_SECOND)
            tails[name] = submit(kafka, spec, project="awkward")
        shaped = tails["shaped"] = submit(kafka, make_spec(changing.as_uri()), project="awkward")
        tails["joined.ts"].follow(until_length=1)
        first.send(signal.SIGKILL)
        second.wait_ready()
        for name, path in paths.items():
            *frames, terminal = chunks_of(tails[name].follow(timeout_s=120))
            truth = decode(path)
            alone = walked(path, truth, EVERY_SECOND)
            assert [frame.index for frame in alone] == list(range(0, len(truth.pictures), 2))
            told = [(f.stream_info.frame_index, f.stream_info.time_s) for f in frames]
            assert told == [(frame.index, round(frame.time_s, 6)) for frame in alone], name
            assert terminal.finish_reason == "stop", name
            assert terminal.stream_info.total_frames == len(truth.pictures), name
        infos = [chunk.stream_info for chunk in chunks_of(shaped.follow(timeout_s=120))[:-1]]
        assert {info.sample_aspect_ratio for info in infos} == {(16, 11)}
        sizes = [info.frame_size for info in infos]
        assert sizes == [UNSET] * 6 + [shapes.TALL] * 6 + [UNSET] * 6
    finally:
        first.stop()
        second.stop()
        for tail in tails.values():
            tail.close()
