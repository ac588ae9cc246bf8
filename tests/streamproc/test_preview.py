"""The frame child: the asked frame of a real video, its boxes, and what is wrong in words."""

import io
import json
import subprocess
import sys
from pathlib import Path

import av
import cv2
import msgspec
import numpy as np
import pytest

from streamproc.contract.preview import Box, FrameAnswer, FrameOrder
from streamproc.preview import answer_order, serve
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.sandbox.annotation import jpeg as draw

CLIP = Path(__file__).resolve().parents[2] / "console" / "data" / "pedestrians.mp4"
POLICY = FetchPolicy(allowed_file_roots=(CLIP.parent,))


def order(index: int, **options: object) -> FrameOrder:
    return msgspec.structs.replace(FrameOrder(CLIP.as_uri(), index), **options)


def plain_frame(index: int) -> np.ndarray:
    """Return the frame as an independent decode has it, BGR."""
    with av.open(str(CLIP)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i == index:
                return frame.to_ndarray(format="bgr24")
    raise AssertionError(index)


def picture_of(jpeg: bytes) -> np.ndarray:
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    return shown


@pytest.mark.parametrize("index", [0, 37, 119])
def test_the_frame_is_the_one_that_was_asked_for(index: int) -> None:
    answer, jpeg = answer_order(order(index), POLICY)
    assert (answer.error_code, answer.size_bytes) == (None, len(jpeg))
    shown = picture_of(jpeg)
    plain = plain_frame(index)
    assert shown.shape == plain.shape == (answer.height_px, answer.width_px, 3)
    assert np.abs(shown.astype(int) - plain).mean() < 4
    others = [plain_frame(i) for i in (10, 60, 100)]
    assert all(np.abs(shown.astype(int) - other).mean() > 4 for other in others)


def test_a_width_bounds_the_picture_and_boxes_are_scaled_with_it() -> None:
    image = np.zeros((200, 400, 3), np.uint8)
    jpeg = draw(image, (Box(3, "pedestrian", 100, 50, 200, 100),), 200)
    shown = picture_of(jpeg)
    assert shown.shape == (100, 200, 3)
    assert shown[74, 60:140].max(axis=1).min() > 100  # the lower edge
    assert shown[40:70, 90:140].max() < 40  # nothing inside
    assert not image.any()
    assert picture_of(draw(image, (), 4000)).shape == (200, 400, 3)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (FrameOrder(CLIP.as_uri(), 120), "no_such_frame"),
        (FrameOrder("file:///etc/hostname", 0), "source_forbidden"),
        (FrameOrder("http://127.0.0.1:9/x.mp4", 0), "source_forbidden"),
        (FrameOrder((CLIP.parent / "gone.mp4").as_uri(), 0), "source_unreachable"),
        (FrameOrder(CLIP.as_uri(), 0, own_host="127.0.0.1:9"), "source_forbidden"),
    ],
)
def test_what_cannot_be_shown_is_said(wanted: FrameOrder, code: str) -> None:
    answer, jpeg = answer_order(wanted, POLICY)
    assert (answer.error_code, answer.size_bytes, jpeg) == (code, 0, b"")
    assert "/" not in (answer.error or "")


@pytest.mark.usefixtures("processes")
def test_one_process_answers_many_orders_and_ends_with_its_input() -> None:
    lines = b"".join(msgspec.json.encode(order(i, width_px=64)) + b"\n" for i in (5, 500, 6))
    done = subprocess.run(
        [sys.executable, "-m", "streamproc", "frame"],
        input=lines,
        capture_output=True,
        check=True,
        env={"FRAMEWIRE_FILE_ROOTS": str(CLIP.parent), "PATH": "/usr/bin:/bin"},
        cwd=CLIP.parents[2],
    )
    out = io.BytesIO(done.stdout)
    sizes = []
    for _ in range(3):
        answer = msgspec.convert(json.loads(out.readline()), FrameAnswer)
        jpeg = out.read(answer.size_bytes)
        sizes.append(answer.size_bytes)
        assert jpeg[:2] == (b"\xff\xd8" if answer.size_bytes else b"")
    assert sizes[1] == 0
    assert sizes[0]
    assert sizes[2]
    assert not out.read()


def test_an_order_never_shows_its_url() -> None:
    assert "secret" not in repr(FrameOrder("https://x/y?token=secret", 0))


def test_serving_nothing_answers_nothing() -> None:
    out = io.BytesIO()
    serve(io.BytesIO(), out, POLICY)
    assert out.getvalue() == b""
