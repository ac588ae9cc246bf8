"""Chunks as lines of text: of a file by their place in it, of a live source by the time of day."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import UNSET

from console.cli.chunk_counts import n_targets, total_text
from streamproc.contract.chunk import Chunk, Gap, Notice, StreamInfo
from streamproc.contract.timestamps import usable_time_ms

LINE_COLUMNS = 120


def chunk_line(chunk: Chunk, n_columns: int = LINE_COLUMNS) -> str:
    """Format a chunk as one line: `frame  42/120   1.7 s   3 targets  #1 bus 0.91  +2`.

    Targets that do not fit into `n_columns` are counted.
    """
    info = chunk.stream_info
    head = f"frame {info.frame_index:>4}/{total_text(info)}  {info.elapsed_ms / 1000:5.1f} s"
    return _with_targets(head, chunk, n_columns)


class LiveLines:
    """Formats the chunks of a live source, one after the other: also what changed before a frame.

    Times are of capture, in this machine's zone. Those of notices follow from the frames before.
    """

    def __init__(self, n_columns: int = LINE_COLUMNS) -> None:
        self._n_columns = n_columns
        self._started_ms: int | None = None
        """When `elapsed_ms` was 0, by the chunks."""

    def lines(self, chunk: Chunk) -> Iterator[str]:
        """Yield the lines of the next chunk; the terminal has none."""
        info = chunk.stream_info
        if chunk.finish_reason is not None:
            return
        if isinstance(info.source, Notice):
            notice = info.source
            tries = f"{notice.attempts} attempt{'s' * (notice.attempts != 1)}"
            yield f"{self._noticed(info)}  {notice.state}: {notice.code}, {tries}"
            return
        at = self._captured(info)
        if isinstance(info.gap, Gap):
            yield f"{at}  back after {info.gap.seconds:.1f} s ({info.gap.reason})"
        if info.size is not UNSET:
            width, height = info.size
            yield f"{at}  pictures are {width} x {height}"
        lag = "" if info.lag_ms is UNSET else f"  lag {info.lag_ms} ms"
        head = f"{at}  frame {info.frame_index:>4}{lag}"
        yield _with_targets(head, chunk, self._n_columns)

    def _captured(self, info: StreamInfo) -> str:
        captured_ms = None if info.captured_at is UNSET else usable_time_ms(info.captured_at)
        if captured_ms is None:
            return time_of_day(None)
        lag_ms = 0 if info.lag_ms is UNSET else info.lag_ms
        self._started_ms = captured_ms + lag_ms - info.elapsed_ms
        return time_of_day(captured_ms)

    def _noticed(self, info: StreamInfo) -> str:
        started_ms = self._started_ms
        return time_of_day(None if started_ms is None else started_ms + info.elapsed_ms)


def time_of_day(time_ms: int | None) -> str:
    """Format Unix milliseconds as `14:03:07.2`, local time; None is as wide."""
    if time_ms is None:
        return "--:--:--.-"
    moment = datetime.fromtimestamp(time_ms / 1000).astimezone()
    return f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}"


def _with_targets(head: str, chunk: Chunk, n_columns: int) -> str:
    """Return the line's beginning with as many targets as fit; the others are counted."""
    targets = [target for result in chunk.delta.results for target in result.targets]
    line = f"{head}  {n_targets(chunk):>2} targets"
    for i, target in enumerate(targets):
        rest = len(targets) - i
        one = f"  #{target.track_id} {target.class_name} {target.confidence:.2f}"
        if len(line) + len(one) + (rest > 1) * len(f"  +{rest - 1}") > n_columns:
            return f"{line}  +{rest}"
        line += one
    return line
