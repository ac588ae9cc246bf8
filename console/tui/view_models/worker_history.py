"""View model of a worker's page, its facts and curves, and of the curves of lag. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from api.contract.system import (
    LagSampleResource,
    SystemHistory,
    WorkerResource,
    WorkerSampleResource,
)
from console.tui.drawing.formatting import duration, grouped, rate, size
from console.tui.drawing.plot import plot, resampled
from console.tui.drawing.styled_text import Line
from console.tui.view_models.system import lag_order, lag_title, sandbox_words
from console.tui.view_models.task_list import parse_time

Sample = TypeVar("Sample", WorkerSampleResource, LagSampleResource)

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
    samples = [s for one in history.workers if one.id == worker for s in one.samples]
    steps = _in_steps(history, samples)
    if not steps:
        return []

    def values(read: Callable[[WorkerSampleResource], float | None]) -> tuple[float | None, ...]:
        return tuple(None if sample is None else read(sample) for sample in steps)

    slots = max((sample.slots for sample in samples), default=1)
    return [
        Curve("CPU", values(lambda s: s.cpu_percent), lambda v: f"{v:.0f} %", 100.0),
        Curve("memory", values(lambda s: float(s.rss_bytes)), size, 0.0),
        Curve("tasks at work", values(lambda s: s.busy), lambda v: f"{v:.1f}", float(slots)),
        Curve("frames/s", values(lambda s: s.fps), rate, 1.0),
    ]


def lag_curves(history: SystemHistory) -> dict[str, Curve]:
    """Return the lag of each group, by the key of its row in the list of lag and in its order."""
    found = {}
    for one in sorted(history.lag, key=lambda one: lag_order((one.group, one.topic))):
        values = (None if s is None else float(s.lag) for s in _in_steps(history, one.samples))
        curve = Curve(
            lag_title(one.group, one.topic), tuple(values), lambda v: grouped(round(v)), 1.0
        )
        found[f"{one.group}/{one.topic}"] = curve
    return found


def curve_lines(shown: Sequence[Curve], width: int, height: int) -> list[Line]:
    """Return the curves below each other, each with its newest, mean and highest value."""
    if not shown:
        return []
    n_rows = max(_LEAST_HEIGHT, min(_MOST_HEIGHT, height // len(shown) - 1))
    label = max(_LABEL, *(len(curve.title) for curve in shown))
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
                (f"{curve.title:<{label}}", "!"),
                (f"  {curve.say(newest)}", "info!"),
                (f"   mean {curve.say(mean)}   max {curve.say(most)}", "dim"),
            )
        )
        values = resampled(curve.values, width)
        lines += [((row, "info"),) for row in plot(values, n_rows, max(most, curve.least_top))]
    return lines


def _in_steps(history: SystemHistory, samples: Sequence[Sample]) -> list[Sample | None]:
    """Return a sample, or None, for each step of the history."""
    begin, end = parse_time(history.from_), parse_time(history.to)
    if begin is None or end is None:
        return []
    steps: list[Sample | None]
    steps = [None] * max(1, -int(-(end - begin).total_seconds() // history.step_s))
    for sample in samples:
        at = parse_time(sample.at) or begin
        step = int((at - begin).total_seconds() // history.step_s)
        if 0 <= step < len(steps):
            steps[step] = sample
    return steps


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
