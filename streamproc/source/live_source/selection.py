"""Range and sampling of a live source's frames, also where another worker goes on with them."""

from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.live_source.pictures import Choice
from streamproc.source.video.sampling import Origin, Place, Selection, exact


class LiveSelection:
    """Decides on each decoded picture, in the order of the stream."""

    def __init__(self, sampling: Sampling, frames: FrameRange, range_index: int | None) -> None:
        """`range_index`: of the first frame in the range, if there was one already."""
        self._selection = Selection(sampling, frames)
        self.end_s = None if frames.unit == "frames" else frames.end
        """End of a range in seconds; None: it has none."""
        if range_index is not None:
            start_s = self._selection.start_s or exact(0)
            self._selection.origin = Origin(range_index, start_s)

    @property
    def range_index(self) -> int | None:
        """Index of the first frame in the range, None before it."""
        origin = self._selection.origin
        return None if origin is None else origin.index

    def choose(self, index: int, time_s: float, *, is_key: bool) -> Choice:
        at = exact(round(time_s, 6))
        place = self._selection.place(index, at)
        if place is Place.AFTER:
            return Choice.END
        if place is Place.BEFORE or not self._selection.takes(index, at, is_key=is_key):
            return Choice.LEAVE
        return Choice.TAKE
