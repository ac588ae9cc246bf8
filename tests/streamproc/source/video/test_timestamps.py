"""The time line: forward, whatever the file says, and honest about what it cannot tell."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.video.timestamps import TimeLine

MS = Fraction(1, 1000)
FRAME = 40
TIMES = st.integers(-(2**63), 2**63 - 1)


def entered(
    *times: tuple[int | None, int | None], has_cuts: bool = True, reorders: bool = True
) -> tuple[list[tuple[int | None, int | None]], bool]:
    line = TimeLine(MS, FRAME, has_cuts=has_cuts)
    return [line.enter(pts, dts, reorders=reorders) for pts, dts in times], line.is_orderly


def decode_times(*times: int, has_cuts: bool = True, reorders: bool = True) -> list[int | None]:
    pairs = ((time, time) for time in times)
    found, _ = entered(*pairs, has_cuts=has_cuts, reorders=reorders)
    return [dts for _, dts in found]


def test_times_that_run_forward_stay() -> None:
    assert decode_times(1000, 1040, 1080, 2500) == [1000, 1040, 1080, 2500]


def test_another_recording_follows_one_frame_later() -> None:
    assert decode_times(5000, 5040, 0, 40, 80) == [5000, 5040, 5080, 5120, 5160]


def test_a_jump_in_a_stream_with_cuts_is_a_cut_elsewhere_a_pause() -> None:
    assert decode_times(0, 40, 3_600_000, 3_600_040) == [0, 40, 80, 120]
    assert decode_times(0, 40, 3_600_000, has_cuts=False) == [0, 40, 3_600_000]


def test_a_wild_time_disturbs_only_itself() -> None:
    assert decode_times(0, 40, 3_600_080, 120, 160) == [0, 40, 80, 120, 160]


def test_a_small_step_back_is_jitter() -> None:
    times = (0, 40, 80, 30, 160)
    assert decode_times(*times, reorders=False) == [0, 40, 80, 80, 160]


def test_a_step_back_behind_a_seek_is_no_jitter_where_frames_are_reordered() -> None:
    """Matroska does not tell decode times: libav takes those behind a seek for the frames' own."""
    assert decode_times(1320, 1240, 1280, reorders=True) == [1320, 1240, 1280]


def test_reordered_frames_keep_their_distance_to_their_decode_time() -> None:
    """Two recordings with B-frames, one behind the other."""
    one = [(80, 0), (240, 40), (120, 80), (160, 120), (200, 160)]
    late = [(pts + 5000, dts + 5000) for pts, dts in one]
    found, is_orderly = entered(*late, *one)
    assert is_orderly
    assert found[:5] == late
    assert found[5:] == [(pts + 5200, dts + 5200) for pts, dts in one]


def test_order_is_unknown_where_times_of_reordered_frames_step_back() -> None:
    assert not entered((80, 0), (240, 40), (100, 20))[1]


def test_order_is_unknown_where_a_decoder_reorders_nothing_and_times_do() -> None:
    times = [(0, 0), (80, 40), (40, 80)]
    assert not entered(*times, reorders=False)[1]
    assert entered(*times)[1]


def test_a_packet_without_times_has_none() -> None:
    assert entered((None, None), (40, None), (None, 80))[0] == [
        (None, None),
        (40, None),
        (None, 80),
    ]


@given(
    times=st.lists(st.tuples(st.none() | TIMES, st.none() | TIMES), max_size=30),
    has_cuts=st.booleans(),
)
def test_any_times_end_in_64_bits_and_decode_times_never_run_back_without_a_word(
    times: list[tuple[int | None, int | None]], has_cuts: bool
) -> None:
    line, last = TimeLine(MS, FRAME, has_cuts=has_cuts), None
    for pts, dts in times:
        for number in (found := line.enter(pts, dts)):
            assert number is None or -(2**63) <= number < 2**63
        if found[1] is not None:
            assert last is None or found[1] >= last or not line.is_orderly
            last = found[1]
