from concurrent.futures import ThreadPoolExecutor

import av
import cv2
import numpy as np
import pytest

from models.errors import InvalidManifestError
from models.ocr import TextReader
from models.parameters import validate_parameters
from models.registry import Registry
from models.runtime import Runtime
from models.text_detection import find_quads, reading_order, straighten
from models.types import Floats, Image, TextLine
from tests.models.conftest import DATA

SIGNS = {
    0: {"NOTICE", "DOUBLEPARKING", "DOUBLE", "PARKING", "PROHIBITED", "ATALLTIMES"},
    45: {"SPORTSCENTRE", "CONFERENCECENTRE", "CARPARKS"},
}


@pytest.fixture(scope="module")
def signs() -> dict[int, Image]:
    """Frames of the clip of signs by index, 640 x 480."""
    frames = {}
    with av.open(str(DATA / "text_signs.mp4")) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i in (0, 15, 45, 75, 105):
                frames[i] = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    assert len(frames) == 5
    return frames


def plain(lines: list[TextLine]) -> set[str]:
    return {"".join(line.text.split()).upper() for line in lines}


def same(a: list[list[TextLine]], b: list[list[TextLine]]) -> bool:
    def values(read: list[list[TextLine]]) -> list[tuple[str, float, bytes]]:
        return [(x.text, x.confidence, x.quad_px.tobytes()) for lines in read for x in lines]

    return values(a) == values(b)


def rectangle(left: float, top: float, right: float, bottom: float) -> Floats:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def test_a_whole_frame_reads_its_sign(reader: TextReader, signs: dict[int, Image]) -> None:
    for i, expected in SIGNS.items():
        (lines,) = reader.read(signs[i])
        assert len(plain(lines) & expected) >= 3
        for line in lines:
            assert line.confidence >= 0.5
            assert line.quad_px.min() >= -20
            assert (line.quad_px <= (660, 500)).all()


def test_the_words_of_four_signs_are_read_exactly(
    reader: TextReader, signs: dict[int, Image]
) -> None:
    read = set().union(*(plain(lines) for frame in signs.values() for lines in reader.read(frame)))
    words = "NOTICE DOUBLE PARKING PROHIBITED ATALLTIMES SPORTSCENTRE CONFERENCECENTRE CARPARKS"
    expected = {*words.split(), "NOPARKING", "COPYCENTRE"}
    assert len(expected & read) >= 9, read


def test_a_target_is_read_within_its_box(reader: TextReader, signs: dict[int, Image]) -> None:
    (lines,) = reader.read(signs[0])
    notice = next(line for line in lines if line.text.upper() == "NOTICE")
    left, top = notice.quad_px.min(axis=0) - 12
    right, bottom = notice.quad_px.max(axis=0) + 12
    boxes_px = np.array([[0, 0, 30, 30], [left, top, right, bottom]], np.float32)
    nothing, read = reader.read(signs[0], boxes_px)
    assert nothing == []
    assert [line.text.upper() for line in read] == ["NOTICE"]
    np.testing.assert_allclose(read[0].quad_px, notice.quad_px, atol=8)


def test_a_target_reads_the_same_whoever_is_beside_it(
    reader: TextReader, signs: dict[int, Image]
) -> None:
    boxes_px = np.array([[0, 0, 640, 240], [0, 200, 640, 480], [100, 50, 500, 400]], np.float32)
    together = reader.read(signs[45], boxes_px)
    alone = [reader.read(signs[45], boxes_px[i : i + 1])[0] for i in range(3)]
    assert [[line.text for line in lines] for lines in together] == [
        [line.text for line in lines] for lines in alone
    ]
    assert sum(map(len, together)) > 0


def test_lines_below_the_limits_are_dropped(reader: TextReader, signs: dict[int, Image]) -> None:
    (lines,) = reader.read(signs[0])
    chosen = validate_parameters(reader.manifest, {"min_length": 7, "threshold": 0.9})
    (limited,) = reader.read(signs[0], parameters=chosen)
    expected = [line for line in lines if len(line.text) >= 7 and line.confidence >= 0.9]
    assert 0 < len(limited) < len(lines)
    assert same([limited], [expected])


def test_text_that_runs_downwards_is_read(reader: TextReader, signs: dict[int, Image]) -> None:
    turned = np.asarray(cv2.rotate(signs[45], cv2.ROTATE_90_CLOCKWISE), np.uint8)
    (lines,) = reader.read(turned)
    assert plain(lines) & SIGNS[45]


def test_text_that_is_upside_down_is_read(reader: TextReader, signs: dict[int, Image]) -> None:
    turned = np.asarray(cv2.rotate(signs[0], cv2.ROTATE_180), np.uint8)
    assert {"NOTICE", "DOUBLE", "PARKING", "PROHIBITED"} <= words(reader.read(turned)[0])


def test_text_that_runs_upwards_is_read(reader: TextReader, signs: dict[int, Image]) -> None:
    turned = np.asarray(cv2.rotate(signs[45], cv2.ROTATE_90_COUNTERCLOCKWISE), np.uint8)
    (lines,) = reader.read(turned)
    assert plain(lines) & SIGNS[45]


def stacked(word: str, pitch_px: int) -> Image:
    """Letters of 40 px under each other, their tops `pitch_px` apart."""
    picture = np.full((480, 640, 3), 205, np.uint8)
    for row, letter in enumerate(word):
        (width, height), _ = cv2.getTextSize(letter, cv2.FONT_HERSHEY_DUPLEX, 1.8, 3)
        at = 320 - width // 2, 20 + height + row * pitch_px
        cv2.putText(picture, letter, at, cv2.FONT_HERSHEY_DUPLEX, 1.8, (20, 20, 30), 3, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize("pitch_px", [52, 75, 100])
def test_letters_under_each_other_are_one_word(reader: TextReader, pitch_px: int) -> None:
    for word in ("HOTEL", "PARK"):
        assert [line.text for line in reader.read(stacked(word, pitch_px))[0]] == [word]


def test_the_version_before_has_parts_of_wide_set_columns(
    networks: None, runtime: Runtime, registry: Registry
) -> None:
    pinned = TextReader(runtime, registry.resolve("ppocr@6.0.0"))
    assert [line.text for line in pinned.read(stacked("HOTEL", 90))[0]] != ["HOTEL"]


def test_the_earlier_version_reads_lines_one_way(
    networks: None, runtime: Runtime, registry: Registry, signs: dict[int, Image]
) -> None:
    pinned = TextReader(runtime, registry.resolve("ppocr@4.6.0"))
    assert {"NOTICE", "PARKING"} <= words(pinned.read(signs[0])[0])
    upside_down = np.asarray(cv2.rotate(signs[0], cv2.ROTATE_180), np.uint8)
    assert not {"NOTICE", "PROHIBITED"} & words(pinned.read(upside_down)[0])


def words(lines: list[TextLine]) -> set[str]:
    return {word for line in lines for word in line.text.upper().split()}


def test_four_threads_read_what_one_reads(reader: TextReader, signs: dict[int, Image]) -> None:
    alone = {i: reader.read(frame) for i, frame in signs.items()}
    with ThreadPoolExecutor(4) as pool:
        order = list(signs) * 2
        together = list(pool.map(lambda i: reader.read(signs[i]), order))
    assert all(same(read, alone[i]) for i, read in zip(order, together, strict=True))


def test_nothing_is_read_where_nothing_is_written(reader: TextReader) -> None:
    flat = np.full((90, 120, 3), 90, np.uint8)
    assert reader.read(flat) == [[]]
    assert reader.read(flat, np.zeros((0, 4), np.float32)) == []
    assert reader.read(flat[:1, :1]) == [[]]


def test_only_ocr_models_read(runtime: Runtime, registry: Registry) -> None:
    with pytest.raises(InvalidManifestError, match="no ocr model"):
        TextReader(runtime, registry.resolve("detect"))


def test_a_marked_rectangle_is_found_and_grown() -> None:
    probability = np.zeros((100, 200), np.float32)
    probability[40:50, 20:100] = 0.9
    probability[70:80, 20:100] = 0.4  # seen, but not sure enough
    (quad,) = find_quads(probability)
    # 79 x 9 pixels between centres grow by area x 1.6 / perimeter = 6.5 on each side.
    np.testing.assert_allclose(quad, rectangle(13.5, 33.5, 105.5, 55.5), atol=0.6)


def test_reading_order_goes_by_rows() -> None:
    quads = [
        rectangle(100, 12, 150, 32),
        rectangle(0, 50, 50, 70),
        rectangle(0, 15, 50, 35),
        rectangle(60, 48, 90, 68),
    ]
    ordered = reading_order(quads)
    assert [quad[0].tolist() for quad in ordered] == [[0, 15], [100, 12], [0, 50], [60, 48]]


def test_a_slanted_quad_becomes_upright() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    quad = cv2.boxPoints(((50, 50), (60, 20), 30.0)).astype(np.float32)
    by_corner = quad[[1, 2, 3, 0]]  # boxPoints begins at the bottom left
    cv2.fillPoly(image, [by_corner.astype(np.int32)], (255, 255, 255))
    line = straighten(image, by_corner)
    assert line.shape == (20, 60, 3)
    assert line[2:-2, 2:-2].min() > 200
