"""What becomes of each coded picture, with a decoder that does as it is told."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sizes import SourceShape
from streamproc.contract.chunk import Gap
from streamproc.source.errors import DecoderCrashedError
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.backlog import Waiting
from streamproc.source.live.connection import VideoTrack
from streamproc.source.live.media_clock import Captured
from streamproc.source.live.reconnect import Reconnects
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.picture_size import Size
from streamproc.source.live.stream import Arrived
from streamproc.source.live_source.accounts import Totals
from streamproc.source.live_source.decoder import Decoded, Described, LiveDecoder, Slot
from streamproc.source.live_source.gaps import Gaps, stronger
from streamproc.source.live_source.pictures import (
    START_WINDOW_S,
    Choice,
    LiveFrame,
    Pictures,
)
from streamproc.source.live_source.task_clock import TaskClock
from streamproc.source.types import FrameOutputs
from tests.streamproc.source.live_source.test_decoder import reordered

SMALL, LARGE = SourceShape(64, 64), SourceShape(128, 128)


@dataclass
class Scripted:
    """A decoder whose packets say what comes out; b"full": no slot is free for it.

    `delay`: so many pictures are held back.
    """

    codec: str
    delay: int = 0
    shape: SourceShape | None = None
    busy_s: float = 0.0
    started_s: float = 0.0
    is_closed: bool = False
    n_fresh: int = 0
    held: list[tuple[int, bytes]] = field(default_factory=list)

    def decode(
        self, number: int, data: bytes, wants: Callable[[Described], bool], *, is_fresh: bool
    ) -> list[Decoded] | None:
        if data == b"crash":
            raise DecoderCrashedError("crash")
        if data == b"bad":
            return None
        if is_fresh:
            self.n_fresh += 1
            self.held.clear()
        if data != b"swallow":
            self.held.append((number, data))
        return self.shown(wants, len(self.held) - self.delay)

    def drain(self, wants: Callable[[Described], bool]) -> list[Decoded]:
        return self.shown(wants, len(self.held))

    def shown(self, wants: Callable[[Described], bool], n: int) -> list[Decoded]:
        out = []
        for _ in range(n):
            number, data = self.held.pop(0)
            shape = LARGE if data == b"large" else SMALL
            self.shape = self.shape or shape
            described = Described(number, shape, data == b"key", data == b"damaged")
            is_wanted = shape == self.shape and wants(described)
            slot = Slot(None, None, lambda: None) if is_wanted and data != b"full" else None
            out.append(Decoded(described, slot))
        return out

    def close(self) -> None:
        self.is_closed = True


class Fed:
    """Pictures at 10 a second, each decoded at once unless `lag_s` says otherwise."""

    def __init__(self, *, delay: int = 0, conceals: bool = False, only_keys: bool = False) -> None:
        self.now_s = 100.0
        self.decoders: list[Scripted] = []
        self.frames: list[LiveFrame] = []
        self.n = 0
        self.choice: Callable[[int, float, bool], Choice] = lambda *_: Choice.TAKE

        def opened(codec: str) -> LiveDecoder:
            self.decoders.append(Scripted(codec, delay, started_s=self.now_s))
            return cast("LiveDecoder", self.decoders[-1])

        self.pictures = Pictures(
            opened,
            self._choose,
            Reconnects(self.now_s, give_up_s=None, random=lambda: 0.5),
            clock=TaskClock(None, None),
            totals=Totals(),
            max_lag_s=2.0,
            shows_damaged=conceals,
            only_keys=only_keys,
            max_busy_s=100.0,
            now_s=lambda: self.now_s,
        )

    def __call__(
        self,
        data: bytes = b"keep",
        *,
        is_key: bool = False,
        lag_s: float = 0.0,
        codec: str = "h264",
        size: Size | None = (64, 64),
        tied_s: float | None = None,
        starts_anew: bool = False,
        is_known: bool = False,
        **waiting: Any,
    ) -> list[LiveFrame]:
        self.n += 1
        self.now_s += 0.1
        is_key = is_key or data == b"key"
        arrival_s = self.now_s - lag_s
        unit = AccessUnit(
            data, self.n, is_key, False, False, arrival_s, starts_anew, None, is_known
        )
        at_s = self.now_s if tied_s is None else tied_s
        one = Arrived(unit, at_s, at_s, Captured(0.0, is_source=False), size, None)
        found = self.pictures.decoded(Waiting(one, VideoTrack(codec, 90_000), **waiting))
        self.frames += found
        return found

    def _choose(self, index: int, time_s: float, is_key: bool) -> Choice:
        return self.choice(index, time_s, is_key)

    @property
    def dropped(self) -> dict[str, int]:
        return dict(self.pictures.totals.dropped)

    def check(self) -> None:
        """Each picture is counted once."""
        totals = self.pictures.totals
        n_undecoded = totals.index + 1 - totals.decoded
        assert totals.counts.failed <= n_undecoded
        indexes = [frame.index for frame in self.frames]
        assert indexes == sorted(set(indexes))
        times = [frame.time_s for frame in self.frames]
        assert times == sorted(set(times))


@pytest.fixture
def fed() -> Iterator[Fed]:
    one = Fed()
    yield one
    one.check()


def test_every_picture_from_the_first_keyframe_on_is_a_frame(fed: Fed) -> None:
    assert fed() == []
    fed(b"key", n_damaged=3)
    fed()
    assert [frame.index for frame in fed.frames] == [4, 5]
    assert [round(frame.time_s, 3) for frame in fed.frames] == [0.0, 0.1]
    assert fed.frames[1].totals == Totals(5, 2, {"undecodable": 1, "damaged": 3})
    assert fed.frames[1].totals.counts == (2, 1, 3)
    assert {frame.gap for frame in fed.frames} == {None}


def test_sampling_leaves_frames_out_and_ends_the_source(fed: Fed) -> None:
    answers = iter([Choice.TAKE, Choice.LEAVE, Choice.TAKE, Choice.END])
    asked: list[tuple[int, float, bool]] = []

    def choice(index: int, time_s: float, is_key: bool) -> Choice:
        asked.append((index, round(time_s, 3), is_key))
        return next(answers)

    fed.choice = choice
    for data in (b"key", b"keep", b"keep", b"keep"):
        fed(data)
    assert [frame.index for frame in fed.frames] == [0, 2]
    assert asked == [(0, 0.0, True), (1, 0.1, False), (2, 0.2, False), (3, 0.3, False)]
    assert fed.dropped == {"sampling": 1}
    assert fed.pictures.has_ended


def test_the_end_of_an_outage_has_a_gap_and_a_fresh_decoder(fed: Fed) -> None:
    fed(b"key")
    fed.now_s += 20.0
    (back,) = fed(b"key", gap_s=20.1)
    assert back.gap == Gap("source_lost", 20.1)
    assert fed.decoders[0].n_fresh == 1
    assert [frame.gap for frame in fed()] == [None]


def test_a_discontinuity_that_the_source_tells_of_is_a_gap_and_needs_no_decoder(fed: Fed) -> None:
    fed(b"key", starts_anew=True)
    (after,) = fed(b"key", starts_anew=True)
    assert after.gap == Gap("discontinuity", 0.1)
    (back,) = fed(b"key", gap_s=5.0, starts_anew=True)
    assert back.gap == Gap("source_lost", 0.1)
    assert len(fed.decoders) == 1


def test_what_the_backlog_left_out_is_late_and_makes_a_gap(fed: Fed) -> None:
    fed(b"key")
    fed.now_s += 3.0
    (after,) = fed(b"key", n_late=30)
    assert (after.index, after.gap) == (31, Gap("overload", 3.1))
    assert fed.dropped == {"late": 30}


def test_a_picture_that_is_decoded_too_late_is_not_shown_and_passes_its_gap_on(fed: Fed) -> None:
    fed(b"key")
    fed.now_s += 5.0
    assert fed(b"key", gap_s=5.1, lag_s=2.1) == []
    (after,) = fed()
    assert fed.dropped == {"late": 1}
    assert after.gap is not None
    assert after.gap == Gap("source_lost", 5.1)


@pytest.mark.parametrize(
    "change", [{"size": (128, 128), "data": b"large"}, {"codec": "hevc", "data": b"key"}]
)
def test_another_size_or_codec_needs_another_decoder(fed: Fed, change: dict[str, Any]) -> None:
    fed(b"key")
    assert fed(**change, is_key=False) == [] if change["data"] == b"large" else True
    (after,) = fed(**change, is_key=True)
    assert after.gap is not None
    assert after.gap.reason == "discontinuity"
    assert [one.is_closed for one in fed.decoders] == [True] * (len(fed.decoders) - 1) + [False]
    assert after.shape == (LARGE if change["data"] == b"large" else SMALL)


def test_a_size_that_was_not_announced_is_decoded_again(fed: Fed) -> None:
    fed(b"key", size=None)
    (after,) = fed(b"large", is_key=True, size=None)
    assert (after.index, after.shape, after.totals.decoded) == (1, LARGE, 2)
    assert [one.is_closed for one in fed.decoders] == [True, False]


def test_a_decoder_that_ends_is_replaced_at_a_keyframe_and_not_at_once(fed: Fed) -> None:
    fed(b"key")
    assert fed(b"crash") == []
    assert fed(b"keep") == []
    assert fed(b"key") == []  # .2 s after the end, a moment too early
    (after,) = fed(b"key")
    assert after.gap == Gap("discontinuity", 0.4)
    assert fed.dropped == {"undecodable": 3}
    assert len(fed.decoders) == 2


def test_a_decoder_that_never_works_ends_the_source(fed: Fed) -> None:
    with pytest.raises(DecoderCrashedError):
        deque(fed(b"crash", is_key=True) for _ in range(1000))
    assert 60.0 < fed.now_s - 100.0 < 70.0
    assert len(fed.decoders) < 50


def test_a_source_that_changes_its_size_all_the_time_starts_few_decoders(fed: Fed) -> None:
    for number in range(100):
        fed(b"key" if number % 2 else b"large", is_key=True, size=None)
    assert 5 < len(fed.decoders) <= 5 * (10 / START_WINDOW_S + 1)
    assert fed.dropped["undecodable"] > 50
    assert fed.pictures.totals.index == 99


@pytest.mark.parametrize("delay", [0, 1])
def test_only_keyframes_are_decoded_where_only_they_are_wanted(delay: int) -> None:
    fed = Fed(only_keys=True, delay=delay)
    for data in (b"key", b"bad", b"keep", b"key", b"keep"):
        fed(data)
    assert [frame.index for frame in fed.frames] == [0, 3]
    assert fed.pictures.totals == Totals(4, 2, {"sampling": 3})
    fed.check()


def test_a_refused_picture_closes_the_way_to_those_that_build_on_it(fed: Fed) -> None:
    fed(b"key")
    for data in (b"bad", b"keep", b"damaged"):
        assert fed(data) == []
    fed(b"key")
    assert fed(b"damaged") == []
    assert fed.dropped == {"undecodable": 4}
    concealing = Fed(conceals=True)
    for data in (b"key", b"bad", b"keep", b"damaged"):
        concealing(data)
    assert [frame.index for frame in concealing.frames] == [0, 2, 3]


def test_reordered_pictures_have_rising_times_and_those_that_never_come_are_counted() -> None:
    fed = Fed(delay=1)
    for place, data in enumerate([b"key", b"keep", b"keep", b"keep"]):
        fed(data, tied_s=fed.now_s + place % 2 * 0.3)
    fed.check()
    assert len(fed.frames) == 3
    fed.decoders[0].held.clear()  # it swallows one
    for _ in range(4):
        fed()
    assert fed.dropped == {"undecodable": 1}
    fed.check()


def test_a_real_decoder_reorders_and_times_stay_with_their_pictures(processes: None) -> None:
    outputs = FrameOutputs(full=True)
    fed = Fed()
    fed.pictures._open_decoder = lambda codec: LiveDecoder(codec, outputs, FetchPolicy())
    start_s, packets, seen = fed.now_s, reordered(), []
    for packet in packets:
        at_s = start_s + packet.pts / 25
        found = fed(bytes(packet), is_key=packet is packets[0], tied_s=at_s)
        for frame in found if packet is not packets[-1] else found + fed.pictures._drained():
            assert frame.slot.image is not None
            seen.append((frame.index, frame.time_s, frame.slot.image.mean() / 12))
            frame.slot.release()
    fed.pictures.close()
    assert [index for index, _, _ in seen] == list(range(20))
    assert [time_s for _, time_s, _ in seen] == pytest.approx([n / 25 for n in range(20)])
    assert [shown for _, _, shown in seen] == pytest.approx(range(20), abs=0.5)


def test_a_worn_out_decoder_is_replaced_at_a_keyframe_without_a_gap() -> None:
    fed = Fed(delay=1)
    fed(b"key")
    fed()
    fed.decoders[0].busy_s = 101.0
    fed()
    assert len(fed.decoders) == 1
    after = fed(b"key")
    assert len(fed.decoders) == 2
    after += fed()
    assert [frame.gap for frame in fed.frames] == [None] * 4
    assert fed.dropped == {}
    fed.check()


STEP = st.fixed_dictionaries(
    {
        "data": st.sampled_from(
            [b"keep"] * 4 + [b"key", b"bad", b"crash", b"damaged", b"large", b"full", b"swallow"]
        ),
        "is_key": st.booleans(),
        "lag_s": st.sampled_from([0.0, 0.0, 3.0]),
        "codec": st.sampled_from(["h264"] * 9 + ["hevc"]),
        "size": st.sampled_from([(64, 64)] * 4 + [(128, 128), None]),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(STEP, st.integers(-20, 3), st.booleans()), max_size=60),
    st.integers(0, 2),
    st.booleans(),
    st.booleans(),
)
def test_each_picture_is_counted_once_whatever_happens(
    steps: list[tuple[dict[str, Any], int, bool]], delay: int, conceals: bool, only_keys: bool
) -> None:
    fed = Fed(delay=delay, conceals=conceals, only_keys=only_keys)
    fed.choice = lambda index, *_: Choice.LEAVE if index % 3 else Choice.TAKE
    n_received = 0
    for step, n_late, is_gap in steps:
        is_fresh = n_late > 0 or (is_gap and n_late > -5)
        fed(
            **(step | {"is_key": True} if is_fresh else step),
            n_late=max(0, n_late),
            gap_s=1.0 if is_gap and n_late > -5 else None,
        )
        n_received += 1 + max(0, n_late)
        assert fed.pictures.totals.index + 1 + len(fed.pictures._held) == n_received
        assert all(0 < one.gap.seconds < 100 for one in fed.frames if one.gap is not None)
    totals = fed.pictures.totals
    n_processed = sum(1 for one in fed.frames)
    assert n_processed + sum(totals.dropped.values()) == totals.index + 1
    fed.check()


def test_a_picture_without_a_free_slot_is_overload(fed: Fed) -> None:
    fed(b"key")
    fed.now_s += 4.0
    assert fed(b"full", is_key=True, gap_s=4.1) == []
    (after,) = fed()
    assert after.totals == Totals(2, 3, {"overload": 1})
    assert after.gap == Gap("source_lost", 4.1)


def test_of_two_gaps_the_stronger_reason_stays() -> None:
    overload, lost = Gap("overload", 1.0), Gap("source_lost", 2.0)
    assert stronger(overload, lost) == stronger(lost, overload) == Gap("source_lost", 3.0)
    assert stronger(None, lost) == stronger(lost, None) == lost


def test_a_gap_is_from_picture_to_picture_and_waits_for_one_that_is_shown() -> None:
    gaps = Gaps()
    gaps.open("source_lost")
    gaps.note(5.0)
    assert gaps.take() is None
    gaps.open("discontinuity")
    gaps.open("source_lost")
    gaps.open("overload")
    gaps.note(8.0)
    gaps.note(8.1)
    assert gaps.take() == Gap("source_lost", 3.0)
    gaps.give_back(Gap("source_lost", 3.0))
    gaps.open("overload")
    gaps.note(9.1)
    assert (gaps.take(), gaps.take()) == (Gap("source_lost", 4.0), None)


def test_the_time_of_a_task_goes_on_in_another_process() -> None:
    first = TaskClock(None, None)
    assert first.elapsed_s(50.0) is None
    assert [first.time_s(one) for one in (100.0, 102.5)] == [0.0, 2.5]
    assert first.origin_wall_s == first.wall_s(100.0)
    second = TaskClock(first.origin_wall_s, 2.5)
    assert second.time_s(160.0) == pytest.approx(60.0, abs=0.5)
    assert second.elapsed_s(170.0) == pytest.approx(70.0, abs=0.5)
    behind = TaskClock(first.origin_wall_s + 3600, 60.0)
    times = [behind.time_s(one) for one in (170.0, 170.1)]
    assert times == pytest.approx([60.001, 60.002])
    unknown = TaskClock(None, 60.0)
    assert unknown.time_s(5.0) == pytest.approx(60.001)
    assert unknown.time_s(6.0) == pytest.approx(61.0)


@pytest.mark.parametrize("only_keys", [False, True])
def test_pictures_that_the_task_has_had_are_decoded_and_count_no_more(only_keys: bool) -> None:
    feed = Fed(only_keys=only_keys)
    feed(b"keep", is_known=True)  # before a keyframe
    for data in (b"key", b"keep", b"bad", b"key", b"swallow", b"damaged", b"crash"):
        assert not feed(data, is_known=True)
    assert feed.pictures.totals == Totals()
    feed.now_s += 5.0
    feed(b"key", is_known=True)
    (frame,) = feed(b"key")
    assert (frame.index, frame.gap) == (0, None)
    assert feed.pictures.totals == Totals(0, 1, {})
    feed.check()


def test_what_a_decoder_holds_back_of_them_is_not_lost() -> None:
    feed = Fed(delay=2)
    feed(b"key", is_known=True)
    feed(b"keep", is_known=True)
    feed(b"keep")
    assert [frame.index for frame in feed.frames] == []
    feed(b"key", size=(128, 128))  # another decoder: the one before is drained
    assert [frame.index for frame in feed.frames] == [0]
    assert feed.dropped == {}
