"""Formatting of numbers, durations, sizes, bars and sparklines. Pure."""

from collections.abc import Sequence
from datetime import datetime

from api.contract.counts import Counts
from api.contract.tasks import LiveSource, TaskResource

NARROW_SPACE = "\u202f"
_BARS = " ▏▎▍▌▋▊▉█"
_STEPS = "▁▂▃▄▅▆▇█"
STATUS_MARKS = {
    "pending": "○",
    "running": "●",
    "cancelling": "◐",
    "succeeded": "✔",
    "failed": "✖",
    "cancelled": "◌",
}


def grouped(number: int) -> str:
    """Return the number with grouped thousands: `48 213`."""
    return f"{number:,}".replace(",", " ")


def counts_text(counts: Counts, noun: str = "") -> str:
    """Return how many rows match of how many: `12 of 3 408`, or `3 408`, and the noun."""
    more = "+" if counts.is_capped is True else ""
    some = f"{grouped(counts.matching)} of " if counts.matching < counts.all else ""
    return f"{some}{grouped(counts.all)}{more}{noun}"


def short_id(task_id: str) -> str:
    """Return the end of a task's id; the start encodes the time and is similar for many tasks."""
    return f"…{task_id[-6:]}" if len(task_id) > 8 else task_id


def duration(seconds: float | None) -> str:
    """Return a duration in at most 6 characters: `4.2s`, `3m07s`, `2h05m`, `4d`; None is `-`."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d"


def media_time(ms: int, *, tenths: bool = False) -> str:
    """Return a time in a video as players write it: `0:12`, `1:02:03`, with tenths `0:12.5`."""
    seconds, rest = divmod(max(0, ms), 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
    return f"{text}.{rest // 100}" if tenths else text


def time_of_day(time_ms: int, *, tenths: bool = False) -> str:
    """Return the local time of Unix milliseconds: `14:03:07`, with tenths `14:03:07.2`."""
    moment = datetime.fromtimestamp(time_ms / 1000).astimezone()
    return f"{moment:%H:%M:%S}" + (f".{moment.microsecond // 100_000}" if tenths else "")


def live_text(task: TaskResource) -> str | None:
    """Format the state of a live source: `lost since … (source_timeout), 2 reconnects`."""
    source = task.live
    if not isinstance(source, LiveSource):
        return None
    reason = "" if source.code is None else f" ({source.code})"
    parts = [f"{source.state} since {source.since}{reason}"]
    if source.reconnects:
        parts.append(f"{source.reconnects} reconnect{'s' * (source.reconnects > 1)}")
    if source.state == "live":
        parts.append(f"{source.fps:g} frames/s")
        if source.lag_ms is not None:
            parts.append(f"lag {source.lag_ms} ms")
    if source.recording is not None:
        n_lost = source.recording.lost_pieces
        parts.append("recorded" if not n_lost else f"recorded, {n_lost} pieces lost")
    return ", ".join(parts)


def rate(fps: float | None) -> str:
    if fps is None:
        return "-"
    return f"{fps:.1f}" if fps < 100 else f"{fps:.0f}"


def size(n_bytes: float) -> str:
    """Return bytes in binary units: `812 B`, `47.1 KiB`, `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if abs(n_bytes) < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GiB"


def bar(fraction: float, width: int) -> tuple[str, str]:
    """Return (done, rest) of a progress bar of `width` cells, with a resolution of 1/8 cell."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, part = divmod(eighths, 8)
    done = "█" * full + (_BARS[part] if part else "")
    return done, "─" * (width - len(done))


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last `width` values as a sparkline; the highest value is a full block."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return "▁" * len(shown)
    last = len(_STEPS) - 1
    return "".join(_STEPS[max(0, min(last, round(value / top * last)))] for value in shown)


def cut(text: str, width: int) -> str:
    """Truncate the text to `width` characters, with an ellipsis at the end."""
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"


def quantile(values: Sequence[float], part: float) -> float | None:
    """Return the quantile `part` (0..1) of the values; None if there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
