"""The fold: one log, whatever zombies, duplicates and late starters do."""

from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.records import ChunkRecord, FoldPoint, Kind


def record(position: int, kind: Kind, epoch: int, off: int, value: bytes = b"x") -> ChunkRecord:
    return ChunkRecord(
        task="vt_1",
        project="p",
        kind=kind,
        epoch=position if kind == "claim" else epoch,
        seq=off,
        off=off,
        frame=off,
        pts=off,
        value=value,
        position=position,
    )


def folded(records: list[ChunkRecord], fold: Fold | None = None) -> tuple[Fold, bytes]:
    fold, log = fold or Fold(), b""
    for one in records:
        fold, verdict = step(fold, one)
        if verdict is Verdict.ACCEPTED:
            log += one.value
    return fold, log


def test_a_zombie_writes_nothing_after_the_next_claim() -> None:
    _, log = folded(
        [
            record(0, "claim", 0, 0),
            record(1, "chunk", 0, 0, b"a"),
            record(2, "claim", 2, 1),
            record(3, "chunk", 0, 1, b"Z"),
            record(4, "chunk", 2, 1, b"b"),
        ]
    )
    assert log == b"ab"


def test_a_gap_leaves_the_state_as_it_was() -> None:
    fold, _ = folded([record(0, "claim", 0, 0), record(1, "chunk", 0, 0)])
    after, verdict = step(fold, record(3, "chunk", 0, 2))
    assert verdict is Verdict.GAP
    assert after == fold


def test_the_first_terminal_closes_the_log_for_good() -> None:
    fold, log = folded(
        [
            record(0, "claim", 0, 0),
            record(1, "terminal", 0, 0, b"end"),
            record(2, "claim", 2, 3),
            record(3, "terminal", 2, 3, b"again"),
        ]
    )
    assert fold.closed
    assert log == b"end"


@st.composite
def histories(draw: st.DrawFn) -> list[ChunkRecord]:
    """Writers that claim and write what they believe comes next, interleaved at random."""
    out: list[ChunkRecord] = []
    writers: list[tuple[int, int]] = []  # epoch, next offset as this writer believes
    fold = Fold()
    for position in range(draw(st.integers(1, 40))):
        if not writers or draw(st.integers(0, 5)) == 0:
            out.append(record(position, "claim", position, 0))
            fold, _ = step(fold, out[-1])
            writers.append((position, fold.next_off))
            continue
        place = draw(st.integers(0, len(writers) - 1))
        epoch, off = writers[place]
        kind: Kind = "terminal" if draw(st.integers(0, 15)) == 0 else "chunk"
        value = b"%d," % epoch * draw(st.integers(1, 3))
        out.append(record(position, kind, epoch, off, value))
        writers[place] = (epoch, off + len(value))
        fold, _ = step(fold, out[-1])
    return out


@given(histories())
def test_the_log_is_written_by_the_latest_claimant_alone(records: list[ChunkRecord]) -> None:
    fold, latest = Fold(), -1
    for one in records:
        if one.kind == "claim" and not fold.closed:
            latest = one.position
        fold, verdict = step(fold, one)
        if verdict is Verdict.ACCEPTED:
            assert one.epoch == latest


@given(histories(), st.data())
def test_a_reader_that_starts_at_any_true_point_reads_the_rest(
    records: list[ChunkRecord], data: st.DataObject
) -> None:
    whole, log = folded(records)
    cut = data.draw(st.integers(0, len(records)))
    before, head = folded(records[:cut])
    if before.closed:
        return
    point: FoldPoint = before.point()
    after, tail = folded(records, Fold.at(point))
    assert head + tail == log
    assert (after.next_off, after.closed) == (whole.next_off, whole.closed)


@given(histories(), st.data())
def test_records_delivered_again_change_nothing(
    records: list[ChunkRecord], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(records)))
    again = data.draw(st.integers(0, cut))
    _, log = folded(records)
    assert folded(records[:cut] + records[again:])[1] == log
