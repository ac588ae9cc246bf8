"""Iterator over the selected frames of a source, in order, with reproducible indexes and counters.

A frame's index is its rank among the frames of a full decode. A new run decodes from the start, or
from the last keyframe before the range. A resumed run seeks to a keyframe before the last processed
frame. It accepts this position only if a frame with the logged pts and file position is found
there; otherwise it decodes from the start and checks by index. Keyframe mode reads all packets and
decodes only keyframes. Everything is decoded from the start if packets do not define the order of
the frames, or if a keyframe of the container is no keyframe for the decoder.

Times never decrease: a frame with an earlier time has the time of the frame before it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import ceil
from typing import Any

from streamproc.contract.bounds import MAX_TIME_S
from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.errors import (
    SourceChangedError,
    SourceEmptyError,
    SourceTruncatedError,
    SourceUnsupportedError,
)
from streamproc.source.types import NO_PLACE, ResumePoint, SourceUsage
from streamproc.source.video import seek
from streamproc.source.video.container import VideoStream
from streamproc.source.video.decoder import FrameDecoder, Seen
from streamproc.source.video.far_seek import Jumps
from streamproc.source.video.frame_numbers import LostPlaceError, counted, from_a_keyframe, noting
from streamproc.source.video.sampling import Place, Selection, exact


@dataclass(slots=True)
class Counters:
    """Frame counts of the range so far."""

    decoded: int = 0
    failed: int = 0
    skipped_sampled: int = 0
    skipped_undecoded: int = 0

    @property
    def skipped(self) -> int:
        return self.skipped_sampled + self.skipped_undecoded


@dataclass(slots=True)
class Picked:
    """A frame to deliver. `frame`: of libav. Its counters are `FrameIterator.counters` now."""

    frame: Any
    index: int
    pts: int
    time_s: float
    pos: int = NO_PLACE
    is_estimate: bool = False


class FrameIterator:
    """Decodes the first frame at once; `pictures()` iterates over the source, once."""

    def __init__(
        self,
        stream: VideoStream,
        sampling: Sampling,
        frames: FrameRange,
        resume: ResumePoint | None,
        *,
        by_clock: bool = False,
        anchor_s: float | None = None,
    ) -> None:
        """Decode the first frame; raises a `SourceError`.

        `by_clock`: the start of a range in seconds may be found by time, with an estimated index.
        `anchor_s`: a range in frames refers to the numbers of a run that starts at these seconds.
        """
        self._stream = stream
        self._by_key = sampling.mode == "keyframe"
        self._sampling = sampling
        self._range = frames
        self._selection = Selection(sampling, frames)
        self._decoder = FrameDecoder(stream)
        self._last = resume
        self._by_clock = by_clock
        self._anchor_s = anchor_s
        self._is_estimate = False
        self.counters = self._restored(resume)
        self.truncated = False
        self._line: int | None = None
        self.n_frames: int | None = None
        """Number of frames of the whole source; None before its end was read."""
        self._is_certain = False
        self._was_key = False
        self._head_packets: list[Any] = []
        self._rest: Iterator[Any] = iter(())
        self.head_frame: Any = None
        self.head = self._find_head()
        self._jumps = Jumps(stream, self.head.pts)

    @property
    def usage(self) -> SourceUsage:
        c = self.counters
        return SourceUsage(
            c.decoded,
            c.failed,
            c.skipped_sampled,
            c.skipped_undecoded,
            self._decoder.packets_sent,
        )

    def pictures(self) -> Iterator[Picked]:
        """Yield the selected frames in presentation order.

        Sets `truncated` when the file is shorter than its header says. Raises
        `SourceChangedError` when the resume point is not a frame of this source.
        """
        for plan in self._plans():
            try:
                yield from self._picked(plan())
            except (LostPlaceError, seek.UnrankableError):
                self._begin_anew()
            else:
                return
        self._is_certain = True
        self._by_key = False
        self._begin_anew()
        yield from self._picked(self._last_resort())

    def _begin_anew(self) -> None:
        self._is_estimate = False
        self._selection = Selection(self._sampling, self._range)
        self._line = None
        self.counters = self._restored(self._last)

    def _restored(self, resume: ResumePoint | None) -> Counters:
        if resume is None:
            return Counters()
        if self._by_key:
            return Counters(resume.decoded, resume.failed, 0, resume.skipped)
        return Counters(resume.decoded, resume.failed, resume.skipped, 0)

    # Start position

    def _plans(self) -> Iterator[Callable[[], Iterator[tuple[int, Seen]]]]:
        """Yield the ways to start, the fastest first, without `_last_resort`."""
        last = self._last
        if last is None:
            yield self._from_the_head if self._selection.starts_at_zero else self._from_the_range
        elif last.index_is_estimate:
            yield lambda: self._by_clock_to(last)
            yield self._from_the_range
        elif not self._stream.needs_its_beginning:
            if last.pos != NO_PLACE or not self._stream.may_repeat_times:
                yield lambda: self._by_place(last)
            yield lambda: self._by_rank(last)

    def _from_the_head(self) -> Iterator[tuple[int, Seen]]:
        if not self._by_key:
            return enumerate(chain(self._head_packets, self._rest))
        packets: Iterator[Any] = chain(self._head_packets, self._rest)
        if self._head_is_decoded:
            self._rewind()
            packets = self._stream.packets()
        seen = seek.in_presentation_order(packets, self._stream)
        return counted(seen, self.head.pts, self.head.index)

    def _from_the_start(self) -> Iterator[tuple[int, Seen]]:
        self._rewind()
        return enumerate(self._decoder.run(self._stream.packets()))

    def _from_the_range(self) -> Iterator[tuple[int, Seen]]:
        if self._stream.needs_its_beginning:
            return self._from_the_start()
        landing = seek.by_index(self._stream, self.head, self._target())
        if landing is None and self._may_estimate:
            landing = seek.by_clock(self._stream, self.head, self._jumps, self._range_pts())
            self._is_estimate = landing is not None
        if landing is None:
            self._rewind()
            landing = seek.by_reading(self._stream, self.head, self._target())
        return self._from_the_start() if landing is None else self._from_landing(landing)

    def _last_resort(self) -> Iterator[tuple[int, Seen]]:
        """Decode everything: from the start, or from the first frame with an estimated number."""
        if self._last is None or not self._last.index_is_estimate:
            return self._from_the_start()
        frames = self._from_the_range()
        if not self._is_estimate:
            raise SourceChangedError("the source has changed since the task started")
        return frames

    @property
    def _may_estimate(self) -> bool:
        """Whether frame numbers may be estimated: a resumed run uses the same way as before."""
        if self._last is not None:
            return self._last.index_is_estimate
        return self._by_clock and (
            self._selection.start_index is None or self._anchor_s is not None
        )

    def _range_pts(self) -> int:
        start_s = self._selection.start_s
        if start_s is None:
            start_s = exact(self._anchor_s or 0.0)
        return self.head.pts + ceil(start_s / self._stream.time_base)

    def _by_clock_to(self, last: ResumePoint) -> Iterator[tuple[int, Seen]]:
        """Seek by time to a keyframe before the last frame, and find that frame."""
        self._find_origin()
        landing = seek.by_clock(self._stream, self.head, self._jumps, last.pts)
        if landing is None:
            raise LostPlaceError
        self._is_estimate = True
        self._decoder.reset()
        has_to = self._stream.may_repeat_times
        frames = self._sequence(landing.packets)
        return counted(frames, last.pts, last.index, last.pos, has_to_be_there=has_to)

    def _from_landing(self, landing: seek.SeekPoint) -> Iterator[tuple[int, Seen]]:
        self._decoder.reset()
        return counted(self._sequence(landing.packets), landing.anchor_pts, landing.anchor_index)

    def _by_place(self, last: ResumePoint) -> Iterator[tuple[int, Seen]]:
        """Seek to a keyframe before the last frame's time, and find that frame by its position."""
        self._find_origin()
        packets = seek.before_pts(self._stream, last.pts)
        if packets is None:
            raise LostPlaceError
        self._decoder.reset()
        has_to = self._stream.may_repeat_times
        return counted(
            self._sequence(packets), last.pts, last.index, last.pos, has_to_be_there=has_to
        )

    def _by_rank(self, last: ResumePoint) -> Iterator[tuple[int, Seen]]:
        """Count packets from the start, without decoding, to a keyframe before the last frame."""
        self._find_origin()
        self._rewind()
        target = seek.Target(index=last.index)
        landing = seek.by_reading(self._stream, self.head, target)
        if landing is None:
            raise LostPlaceError
        return self._from_landing(landing)

    def _find_origin(self) -> None:
        """Pass the first frame of the range to the selection, which counts from there."""
        if self._selection.starts_at_zero:
            self._selection.place(0, Fraction(0))
            return
        for index, seen in self._from_the_range():
            if self._selection.place(index, self._time_s(seen.pts)) is not Place.BEFORE:
                return

    def _sequence(self, packets: Iterator[Any]) -> Iterator[Seen]:
        if self._by_key:
            return seek.in_presentation_order(packets, self._stream)
        return from_a_keyframe(self._decoder.run(packets))

    def _target(self) -> seek.Target:
        index = self._selection.start_index
        if index is not None:
            return seek.Target(index=index)
        return seek.Target(pts=self._range_pts())

    def _rewind(self) -> None:
        self._stream.rewind()
        self._decoder.reset()

    # Processing of each frame

    def _picked(self, frames: Iterator[tuple[int, Seen]]) -> Iterator[Picked]:
        index = -1
        for index, seen in frames:
            self._line = seen.pts if self._line is None else max(self._line, seen.pts)
            time_s = self._time_s(self._line)
            place = self._selection.place(index, time_s)
            if self._last is not None and index <= self._last.index:
                self._pass_again(index, self._line, self._last, time_s)
            elif place is Place.AFTER:
                return
            elif place is Place.INSIDE:
                picked = self._decide(index, seen, self._line, time_s)
                if picked is not None:
                    yield picked
                    self._last = self.resume_point(picked)
            if self._selection.ends_with(index):
                return
        self.truncated = self._stream.truncated
        self.n_frames = index + 1 if index >= 0 and not self._is_estimate else None

    def _pass_again(self, index: int, pts: int, last: ResumePoint, time_s: Fraction) -> None:
        if index == last.index:
            if pts != last.pts:
                if self._is_certain:
                    raise SourceChangedError("the source has changed since the task started")
                raise LostPlaceError
            self._selection.takes(index, time_s, is_key=True)

    def _decide(self, index: int, seen: Seen, pts: int, time_s: Fraction) -> Picked | None:
        counters = self.counters
        frame = seen.frame
        if seen.packet is not None:
            was_key, self._was_key = self._was_key, seen.is_key
            if not seen.is_key:
                counters.skipped_undecoded += 1
                return None
            if self._stream.has_fields:
                raise seek.UnrankableError  # the keyframe's other field is in another packet
            frame = self._decoder.decode_alone(seen.packet)
            is_doubtful = was_key and frame is None  # two consecutive keyframes, no frame
            if is_doubtful or (frame is not None and not frame.key_frame):
                raise seek.UnrankableError
        if frame is None:
            counters.failed += 1
            return None
        counters.decoded += 1
        if not self._selection.takes(index, time_s, is_key=seen.is_key):
            counters.skipped_sampled += 1
            return None
        if time_s > MAX_TIME_S:
            raise SourceUnsupportedError("a frame's time is beyond 31 years")
        return Picked(frame, index, pts, float(time_s), seen.pos, self._is_estimate)

    def resume_point(self, picked: Picked) -> ResumePoint:
        """Return the point to continue after this frame, which must be the last one yielded."""
        c = self.counters
        return ResumePoint(
            picked.index,
            picked.pts,
            c.decoded,
            c.failed,
            c.skipped,
            picked.pos,
            index_is_estimate=picked.is_estimate,
        )

    def _time_s(self, pts: int) -> Fraction:
        return max(Fraction(0), (pts - self.head.pts) * self._stream.time_base)

    def _find_head(self) -> seek.StreamStart:
        self._head_is_decoded = False
        packets = self._stream.packets()
        if self._by_key:
            head = self._key_head(packets)
            if head is not None:
                return head
            self._head_packets.clear()
            self._rewind()
            packets = self._stream.packets()
        self._head_is_decoded = True
        earlier: list[int] = []
        noted = noting(packets, earlier, lambda: self.head_frame is not None)
        self._rest = self._decoder.run(noted)
        for n_lost, seen in enumerate(self._rest):
            self._head_packets.append(seen)
            if seen.frame is not None:
                self.head_frame = seen.frame
                n_unshown = sum(pts < seen.pts for pts in earlier) - n_lost
                return seek.StreamStart(seen.pts, n_lost, max(0, n_unshown))
        if self._stream.truncated:
            raise SourceTruncatedError("the file ends before its first frame")
        raise SourceEmptyError("the source has no frame that can be decoded")

    def _key_head(self, packets: Iterator[Any]) -> seek.StreamStart | None:
        """Return the first keyframe as the start; None: it has to be found by decoding."""
        self._rest = packets
        has_lead_in = False
        for packet in packets:
            self._head_packets.append(packet)
            if packet.pts is None:
                break
            if not self._stream.is_shown(packet):
                has_lead_in = has_lead_in or packet.is_discard
            elif packet.is_keyframe:
                self.head_frame = self._decoder.decode_alone(packet)
                if self.head_frame is None:
                    break
                return seek.StreamStart(packet.pts)
            elif has_lead_in:  # an edit list starts in the middle of a GOP
                return None
        self._by_key = False
        return None
