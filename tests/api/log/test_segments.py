"""Segments become blocks, and the fold after the last of them."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from api.log.segments import BLOCK_BYTES, MAX_KNOWN, SegmentMap
from api.store.segment import Segment
from streamproc.contract.fold import Fold
from streamproc.contract.object_keys import SegmentInfo
from streamproc.contract.records import Attempt


def info(position: int = 7, *, closed: bool = False) -> SegmentInfo:
    return SegmentInfo(
        epoch=2, next_seq=5, last_frame=4, next_position=position, started_ms=99, closed=closed
    )


def test_an_empty_map_folds_from_the_beginning() -> None:
    segments = SegmentMap()
    assert (segments.end, segments.last_start, segments.closed) == (0, None, False)
    assert segments.fold() == Fold()
    assert list(segments.blocks(0)) == []


def test_a_listing_is_taken_up_to_its_first_hole() -> None:
    segments = SegmentMap()
    listed = [Segment(0, 10), Segment(10, 5), Segment(20, 5)]
    found = segments.missing(listed)
    assert found == listed[:2]
    segments.extend(found, info())
    assert segments.end == 15
    assert segments.fold() == Fold(
        position=7, epoch=2, next_off=15, next_seq=5, last_frame=4, closed=False
    )


def test_an_older_answer_changes_nothing() -> None:
    segments = SegmentMap()
    segments.extend([Segment(0, 10), Segment(10, 5)], info(9, closed=True))
    segments.extend([Segment(0, 10)], info(3))
    assert (segments.end, segments.closed, segments.fold().position) == (15, True, 9)


@given(
    sizes=st.lists(st.integers(1, 3 * BLOCK_BYTES), min_size=1, max_size=5),
    part=st.floats(0, 1, exclude_max=True),
)
def test_blocks_cover_the_rest_of_the_log_and_never_depend_on_the_reader(
    sizes: list[int], part: float
) -> None:
    listed = [Segment(sum(sizes[:n]), size) for n, size in enumerate(sizes)]
    segments = SegmentMap()
    segments.extend(segments.missing(listed), info())
    offset = int(part * segments.end)
    blocks = list(segments.blocks(offset))
    assert blocks[0].log_start <= offset < blocks[0].log_end
    assert [block.log_start for block in blocks[1:]] == [block.log_end for block in blocks[:-1]]
    assert blocks[-1].log_end == segments.end
    assert all(0 < block.size_bytes <= BLOCK_BYTES for block in blocks)
    assert blocks == list(segments.blocks(0))[-len(blocks) :]


def test_the_last_segment_tells_which_providers_failed() -> None:
    segments = SegmentMap()
    untold = segments.attempts
    assert untold == ()
    failed = (Attempt("first", "provider_unavailable", "no answer"),)
    segments.extend([Segment(0, 10)], msgspec.structs.replace(info(), attempts=failed))
    assert segments.attempts == failed


def test_of_many_segments_the_ones_that_are_read_are_kept() -> None:
    segments = SegmentMap()
    listed = [Segment(10 * n, 10) for n in range(2 * MAX_KNOWN)]
    segments.extend(listed, info())
    assert segments.n_known <= MAX_KNOWN
    assert (segments.end, segments.last_start) == (20 * MAX_KNOWN, 20 * MAX_KNOWN - 10)
    assert segments.has(segments.end - 1)
    assert not segments.has(5)
    segments.note(listed[:1000])  # a reader comes from the beginning
    assert segments.has(5)
    assert len(list(segments.blocks(0))) == 1000
    assert segments.n_known <= MAX_KNOWN
    assert segments.has(segments.end - 1)
