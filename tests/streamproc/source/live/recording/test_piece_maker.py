"""Pieces of a recording: where they begin and end, what their numbers are, and how much waits."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.recordings import MAX_SPAN
from streamproc.source.live.media_clock import Captured
from streamproc.source.live.recording import piece_maker
from streamproc.source.live.recording.piece_maker import Piece, PieceMaker
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.stream import Arrived


@dataclass
class Camera:
    """Gives pictures to a maker, `fps` a second, a keyframe every `gop`."""

    gop: int = 25
    fps: float = 25.0
    n_bytes: int = 100
    size: tuple[int, int] | None = (64, 48)
    codec: str = "h264"
    pieces: list[Piece] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    n_arrived: int = 0

    def __post_init__(self) -> None:
        self.maker = PieceMaker(self.pieces.append, self.skipped.append, 1000.0)

    def arrive(self, n: int = 1, *, gap_s: float | None = None) -> list[Arrived]:
        found = []
        for _ in range(n):
            number, at_s = self.n_arrived, self.n_arrived / self.fps
            data = number.to_bytes(4, "big").ljust(self.n_bytes, b"x")
            unit = AccessUnit(data, number, number % self.gop == 0, False, False, at_s)
            captured = Captured(5000.0 + at_s, is_source=False)
            found.append(Arrived(unit, at_s, at_s, captured, self.size, gap_s, serial=number))
            self.n_arrived += 1
            gap_s = None
            self.maker.add(found[-1], self.codec)
        return found

    def number(self, arrived: Sequence[Arrived], first: int) -> int:
        for index, one in enumerate(arrived, first):
            self.maker.number(one, index)
        return first + len(arrived)

    @property
    def numbers(self) -> list[list[int]]:
        """The numbers of the pictures in each piece, by their bytes."""
        return [
            [int.from_bytes(one.data[:4], "big") for one in piece.pictures] for piece in self.pieces
        ]

    @property
    def places(self) -> list[tuple[int, int, int]]:
        return [(one.first, one.last, len(one.pictures)) for one in self.pieces]


def test_a_piece_ends_at_the_first_keyframe_after_ten_seconds() -> None:
    camera = Camera()
    camera.number(camera.arrive(600), 7)
    assert camera.places == [(7, 256, 250), (257, 506, 250)]
    camera.maker.flush()
    assert camera.places[2:] == [(507, 606, 100)]
    assert camera.numbers == [[*range(250)], [*range(250, 500)], [*range(500, 600)]]
    assert all(piece.pictures[0].is_key for piece in camera.pieces)
    one = camera.pieces[1].pictures[3]
    assert (one.frame, one.shown, one.captured_ms) == (260, (1000 * 25 + 253) * 3600, 5010120)
    assert camera.skipped == []


def test_a_piece_waits_until_its_last_number_is_known() -> None:
    camera = Camera()
    arrived = camera.arrive(300)
    camera.number(arrived[:250], 0)
    assert camera.pieces == []
    camera.number(arrived[250:251], 250)
    assert camera.places == [(0, 249, 250)]


def test_reordered_pictures_have_their_own_numbers() -> None:
    camera = Camera(gop=4, fps=0.5)  # of the second keyframe on, a piece has 20 s
    arrived = camera.arrive(13)
    shown = [0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12]
    for index, place in enumerate(shown):
        camera.maker.number(arrived[place], index)
    camera.maker.flush()
    found = {
        int.from_bytes(one.data[:4], "big"): one.frame
        for piece in camera.pieces
        for one in piece.pictures
    }
    assert found == {place: index for index, place in enumerate(shown)}
    assert camera.places == [(0, 7, 8), (8, 12, 5)]


def test_pictures_that_did_not_come_out_are_recorded_without_a_number() -> None:
    camera = Camera()
    arrived = camera.arrive(251)
    camera.number(arrived[:100], 0)
    camera.number(arrived[130:], 140)  # forty numbers were given away for thirty pictures
    assert camera.places == [(0, 259, 250)]
    frames = [one.frame for one in camera.pieces[0].pictures]
    assert frames == [*range(100), *[None] * 30, *range(140, 260)]


def test_a_piece_without_any_number_is_left_out_and_counted() -> None:
    camera = Camera()
    arrived = camera.arrive(501)
    camera.number(arrived[500:], 0)
    camera.maker.flush()
    assert camera.places == [(0, 0, 1)]
    assert camera.skipped == [250, 250]


@pytest.mark.parametrize("change", ["gap", "size", "codec"])
def test_a_loss_or_another_size_begins_a_piece(change: str) -> None:
    camera = Camera()
    index = camera.number(camera.arrive(50), 0)
    if change == "size":
        camera.size = (128, 96)
    elif change == "codec":
        camera.codec = "hevc"
    camera.number(camera.arrive(50, gap_s=9.0 if change == "gap" else None), index)
    camera.maker.flush()
    assert camera.places == [(0, 49, 50), (50, 99, 50)]
    assert camera.pieces[1].codec == camera.codec


def test_nothing_is_recorded_before_a_keyframe() -> None:
    camera = Camera(n_arrived=10)
    camera.number(camera.arrive(40), 0)
    camera.maker.flush()
    assert camera.numbers == [[*range(25, 50)]]
    assert sum(camera.skipped) == 15


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"n_bytes": 1 << 20, "gop": 1000}, piece_maker.MAX_BYTES >> 20),
        ({"gop": 10**6}, piece_maker.MAX_PICTURES),
        ({"gop": 10**6, "fps": 1.0}, int(piece_maker.MAX_S)),
    ],
)
def test_without_a_keyframe_a_piece_has_an_end_all_the_same(
    options: dict[str, float], most: int
) -> None:
    camera = Camera(**options)  # type: ignore[arg-type] # as given
    for _ in range(most // 8 + 50):
        camera.number(camera.arrive(8), camera.n_arrived - 8)
    camera.maker.flush()
    assert [len(one.pictures) for one in camera.pieces] == [most]
    assert sum(camera.skipped) == camera.n_arrived - most


def test_many_bytes_end_a_piece_early() -> None:
    camera = Camera(n_bytes=1 << 20, gop=4)
    camera.number(camera.arrive(20), 0)
    assert [len(one.pictures) for one in camera.pieces] == [8, 8]


def test_pieces_do_not_wait_for_ever() -> None:
    camera = Camera(n_bytes=1 << 20, gop=4)
    arrived = camera.arrive(64)
    camera.number(arrived[:4], 0)
    assert camera.pieces == []
    camera.arrive(40)
    assert camera.places[0] == (0, 3, 8)
    waiting = camera.n_arrived - sum(len(one.pictures) for one in camera.pieces)
    assert waiting - sum(camera.skipped) <= (piece_maker.MAX_WAITING_BYTES >> 20) + 8


def test_numbers_that_are_too_far_apart_are_left_out() -> None:
    camera = Camera()
    arrived = camera.arrive(50)
    camera.number(arrived[:10], 0)
    camera.number(arrived[10:], MAX_SPAN - 5)
    camera.maker.flush()
    assert camera.places == [(0, MAX_SPAN - 1, 50)]
    assert [one.frame for one in camera.pieces[0].pictures[14:16]] == [MAX_SPAN - 1, None]


@given(st.data())
def test_each_picture_is_in_one_piece_with_its_own_number(data: st.DataObject) -> None:
    """Whatever the order of the camera's thread and the decoder's, and whatever is lost."""
    camera = Camera(gop=data.draw(st.integers(1, 40)), fps=data.draw(st.sampled_from([1.0, 5, 25])))
    arrived: list[Arrived] = []
    given_numbers: dict[int, int] = {}
    n_decoded = index = 0
    for step in data.draw(st.lists(st.integers(1, 60), max_size=30)):
        if data.draw(st.booleans()):
            arrived += camera.arrive(step, gap_s=None)
            continue
        for one in arrived[n_decoded : n_decoded + step]:
            n_decoded += 1
            index += data.draw(st.integers(1, 3))
            if data.draw(st.integers(0, 9)):
                given_numbers[one.serial] = index
                camera.maker.number(one, index)
    camera.maker.flush()
    numbers = [number for piece in camera.numbers for number in piece]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + sum(camera.skipped) == len(arrived)
    last = -1
    for piece, places in zip(camera.pieces, camera.numbers, strict=True):
        assert piece.pictures[0].is_key
        frames = [one.frame for one in piece.pictures]
        assert frames == [given_numbers.get(place) for place in places]
        assert last < piece.first == min(one for one in frames if one is not None)
        last = piece.last
