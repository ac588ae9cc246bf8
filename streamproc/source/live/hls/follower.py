"""Which segments of a live playlist come next, and when to load it again. Sans-IO.

A live playlist is followed from its newest segment on, one that is ended from its first. Segments
that were gone before they were seen, a sequence that starts again, and a list that stands still
all show in what is returned; a list that stands still for too long is a loss.
"""

from typing import Final

from streamproc.source.errors import SourceTimeoutError
from streamproc.source.live.hls.playlist import Media, Part, Segment

PATIENCE: Final = 3.0
"""Target durations without a new segment, after which the source is lost."""
_LEAST_WAIT_S: Final = 0.2
_LEAST_PATIENCE_S: Final = 3.0


class Place:
    """The last segment that was played of a source, over its sessions. Not thread-safe."""

    def __init__(self) -> None:
        self.segment: tuple[int, Part] | None = None
        """Sequence number, and URL and byte range."""


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
        self.is_over = False
        """Whether the playlist has ended and all of its segments were returned."""
        self.n_missed = 0
        """Segments that were gone before they were seen."""

    @property
    def wait_s(self) -> float:
        """How long to wait before the next load, from the begin of the last one."""
        return self._wait_s

    def take(self, media: Media, now_s: float) -> list[Segment]:
        """Return the segments to play now. Raises `SourceTimeoutError` when none came for long."""
        found = self._new(media)
        if found:
            self._last, self._changed_s = found[-1].sequence, now_s
            self._place.segment = _named(found[-1])
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
        if self._last is None and _named(media.segments[-1]) == self._place.segment:
            self._last = newest
        if self._last is None:
            return [*media.segments] if media.is_ended else [media.segments[-1]]
        if newest < self._last:
            # The sequence starts again: the server was restarted.
            return [media.segments[-1]._replace(starts_anew=True)]
        found = [segment for segment in media.segments if segment.sequence > self._last]
        if found and first > self._last + 1:
            self.n_missed += first - self._last - 1
            found[0] = found[0]._replace(starts_anew=True)
        return found


def _named(segment: Segment) -> tuple[int, Part]:
    return segment.sequence, segment.part
