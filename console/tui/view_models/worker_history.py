"""View model of a worker's page: its facts, and curves over the last hour. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from api.contract.resources import SystemHistory, WorkerResource, WorkerSampleResource
from console.tui.drawing.formatting import duration, grouped, rate, size
from console.tui.drawing.plot import plot, resampled
from console.tui.drawing.styled_text import Line
from console.tui.view_models.system import sandbox_words
from console.tui.view_models.task_list import parse_time

_LABEL = 13
_LEAST_HEIGHT = 1
_MOST_HEIGHT = 10


class Curve(NamedTuple):
    """Values over time, oldest first; None where no sample is. `least_top` is in `values`' unit."""

    title: str
    values: tuple[float | None, ...]
    say: Callable[[float], str]
    least_top: float


def curves(history: SystemHistory, worker: str) -> list[Curve]:
    """Return CPU, memory, tasks at work and frames per second, one value per step of `history`."""
    begin, end = parse_time(history.from_), parse_time(history.to)
    if begin is None or end is None:
        return []
    n_steps = max(1, -int(-(end - begin).total_seconds() // history.step_s))
    by_step: dict[int, WorkerSampleResource] = {}
    for one in history.workers:
        for sample in one.samples if one.id == worker else ():
            at = parse_time(sample.at) or begin
            by_step[int((at - begin).total_seconds() // history.step_s)] = sample

    def values(read: Callable[[WorkerSampleResource], float | None]) -> tuple[float | None, ...]:
        found = (by_step.get(i) for i in range(n_steps))
        return tuple(None if sample is None else read(sample) for sample in found)

    slots = max((sample.slots for sample in by_step.values()), default=1)
    return [
        Curve("CPU", values(lambda s: s.cpu_percent), lambda v: f"{v:.0f} %", 100.0),
        Curve("memory", values(lambda s: float(s.rss_bytes)), size, 0.0),
        Curve("tasks at work", values(lambda s: s.busy), lambda v: f"{v:.1f}", float(slots)),
        Curve("frames/s", values(lambda s: s.fps), rate, 1.0),
    ]


def curve_lines(shown: Sequence[Curve], width: int, height: int) -> list[Line]:
    """Return the curves below each other, each with its newest, mean and highest value."""
    if not shown:
        return []
    n_rows = max(_LEAST_HEIGHT, min(_MOST_HEIGHT, height // len(shown) - 1))
    lines: list[Line] = []
    for curve in shown:
        known = [value for value in curve.values if value is not None]
        if not known:
            lines.append(((curve.title, "!"), ("   no samples in this hour", "dim")))
            lines += [()] * n_rows
            continue
        newest, mean, most = known[-1], sum(known) / len(known), max(known)
        lines.append(
            (
                (f"{curve.title:<{_LABEL}}", "!"),
                (f"  {curve.say(newest)}", "info!"),
                (f"   mean {curve.say(mean)}   max {curve.say(most)}", "dim"),
            )
        )
        values = resampled(curve.values, width)
        lines += [((row, "info"),) for row in plot(values, n_rows, max(most, curve.least_top))]
    return lines


def worker_lines(worker: WorkerResource, now: datetime) -> list[Line]:
    """Return the worker's facts as its last heartbeat told them."""
    started, seen = parse_time(worker.started_at) or now, parse_time(worker.seen_at) or now
    state = ("● alive", "good!") if worker.alive else ("✖ gone", "bad!")
    up = duration(((now if worker.alive else seen) - started).total_seconds())
    heard = duration((now - seen).total_seconds())
    lines: list[Line] = [
        (
            state,
            (f"  {worker.host} pid {worker.pid}   up {up}   heartbeat {heard} ago", "dim"),
        ),
        (
            (
                f"{worker.device} {worker.precision}   {worker.busy}/{worker.slots} slots busy   ",
                "",
            ),
            (f"{grouped(worker.processed_frames)} frames   ", ""),
            (f"sandbox {sandbox_words(worker.sandbox)}", "dim"),
        ),
        ((", ".join(worker.models) or "no models loaded", "dim"),),
    ]
    if worker.device_fault is not None:
        lines.append(((worker.device_fault, "bad"),))
    return lines
