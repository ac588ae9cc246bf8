"""Chunks as lines of text: of a file by their place in it, of a live source by the time of day."""

from collections.abc import Iterator

from msgspec import UNSET

from console.cli.chunk_counts import n_targets, total_text
from console.tui.drawing.formatting import time_of_day
from console.tui.view_models.capture import CaptureFold
from streamproc.contract.chunk import Chunk, Gap, Notice, RecordingLoss

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
        self._capture = CaptureFold()

    def lines(self, chunk: Chunk) -> Iterator[str]:
        """Yield the lines of the next chunk; the terminal has none."""
        info = chunk.stream_info
        if chunk.finish_reason is not None:
            return
        at_ms = self._capture.take(info)
        at = "--:--:--.-" if at_ms is None else time_of_day(at_ms, tenths=True)
        if isinstance(info.source, Notice):
            notice = info.source
            tries = f"{notice.attempts} attempt{'s' * (notice.attempts != 1)}"
            yield f"{at}  {notice.state}: {notice.code}, {tries}"
            return
        if isinstance(info.gap, Gap):
            yield f"{at}  back after {info.gap.seconds:.1f} s ({info.gap.reason})"
        if isinstance(info.recording_lost, RecordingLoss):
            lost = info.recording_lost
            frames = f"frames {lost.first_frame} to {lost.last_frame}"
            yield f"{at}  not recorded: {frames}, {lost.pictures} pictures ({lost.reason})"
        if info.size is not UNSET:
            width, height = info.size
            yield f"{at}  pictures are {width} x {height}"
        lag = "" if info.lag_ms is UNSET else f"  lag {info.lag_ms} ms"
        head = f"{at}  frame {info.frame_index:>4}{lag}"
        yield _with_targets(head, chunk, self._n_columns)


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
