"""Which segments of a live playlist come next, and when to load it again. Sans-IO.

A live playlist is followed from its newest segment on, one that is ended from its first; either
from the last frame of a log that goes on, if the list still has its segment. Segments
that were gone before they were seen, a sequence that starts again, and a list that stands still
all show in what is returned; a list that stands still for too long is a loss.
"""

from typing import Final

from streamproc.source.errors import SourceTimeoutError
from streamproc.source.live.hls.place import LastFrame, Place, name_of
from streamproc.source.live.hls.playlist import Media, Segment

PATIENCE: Final = 3.0
"""Target durations without a new segment, after which the source is lost."""
_LEAST_WAIT_S: Final = 0.2
_LEAST_PATIENCE_S: Final = 3.0
CATCH_UP_S: Final = 30.0
"""A live list whose newest segment begins more than this after the log's is followed from there:
what is read at its own pace stays so far behind."""


class Follower:
    """One media playlist, load by load."""

    def __init__(self, host: str, now_s: float, place: Place | None = None) -> None:
        """`host` is named in the error; times are monotonic seconds.

        `place` is where the sessions before ended: a list that still ends there stands still, and
        nothing of it is played again.
        """
        self._host, self._place = host, place or Place()
        self._last: int | None = None
        self._changed_s = now_s
        self._wait_s = 0.0
        self.resumed: LastFrame | None = None
        """The log's last frame, if reading began with its segment."""
        self.is_over = False
        """Whether the playlist has ended and all of its segments were returned."""

    @property
    def wait_s(self) -> float:
        """How long to wait before the next load, from the begin of the last one."""
        return self._wait_s

    def take(self, media: Media, now_s: float) -> list[Segment]:
        """Return the segments to play now. Raises `SourceTimeoutError` when none came for long."""
        found = self._new(media)
        if found:
            self._last, self._changed_s = found[-1].sequence, now_s
            self._place.segment = name_of(found[-1])
            self._wait_s = max(min(media.target_s, found[-1].duration_s), _LEAST_WAIT_S)
        else:
            self._wait_s = max(media.target_s / 2, _LEAST_WAIT_S)
        self.is_over = media.is_ended
        patience_s = max(PATIENCE * media.target_s, _LEAST_PATIENCE_S)
        if not media.is_ended and now_s - self._changed_s >= patience_s:
            raise SourceTimeoutError(f"{self._host} has listed no new segment for {patience_s:g} s")
        return found

    def _new(self, media: Media) -> list[Segment]:
        if not media.segments:
            return []
        first, newest = media.segments[0].sequence, media.segments[-1].sequence
        if self._last is None:
            return self._first(media)
        if newest < self._last:
            # The sequence starts again: the server was restarted.
            return [media.segments[-1]._replace(starts_anew=True)]
        found = [segment for segment in media.segments if segment.sequence > self._last]
        if found and first > self._last + 1:
            found[0] = found[0]._replace(starts_anew=True)
        return found

    def _first(self, media: Media) -> list[Segment]:
        """Return the segments to begin with."""
        last_frame, self._place.last_frame = self._place.last_frame, None
        unread = [] if last_frame is None else _since(media, last_frame)
        if unread:
            self.resumed = last_frame
            return unread
        newest = media.segments[-1]
        if name_of(newest) == self._place.segment:
            self._last = newest.sequence
            return []
        return [*media.segments] if media.is_ended else [newest]


def _since(media: Media, last: LastFrame) -> list[Segment]:
    """Return the segments from the log's last on; none if they are not listed, or too many."""
    for at, one in enumerate(media.segments):
        if one.sequence == last.sequence and name_of(one) == last.segment:
            found = [*media.segments[at:]]
            behind_s = sum(segment.duration_s for segment in found[:-1])
            return found if media.is_ended or behind_s <= CATCH_UP_S else []
    return []
