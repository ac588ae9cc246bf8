"""Preview child process of the api: one frame of a video as JPEG (`python -m streamproc frame`).

The video is a file, or a piece of a live source's recording.

Requests arrive on stdin, one JSON line each (`FrameOrder`). Answers go to stdout: one JSON line
(`FrameAnswer`), then `size_bytes` bytes of JPEG. URLs never appear in an argument list. The source
is opened as in a worker: behind the SSRF guard, decoded in a sandboxed grandchild. Another
grandchild, which has not seen the video, encodes the JPEG. The process ends when stdin ends.
"""

import json
import os
import sys
from typing import BinaryIO

import msgspec

from streamproc.contract.preview import NO_SUCH_FRAME, FrameAnswer, FrameOrder
from streamproc.contract.setting_error import SettingError
from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.settings import read_source_settings
from streamproc.source.errors import SourceError
from streamproc.source.fetch.opener import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.live_source.recorded import recorded_frame
from streamproc.source.sandbox.jpeg_encoder import encode_jpeg
from streamproc.source.types import FrameOutputs, Image, SourceSpec


def main(_: list[str]) -> int:
    """Answer requests until stdin ends."""
    try:
        settings = read_source_settings(os.environ)
    except SettingError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    policy = FetchPolicy.of(settings, total_timeout_s=60.0, decode_stall_timeout_s=20.0)
    serve(sys.stdin.buffer, sys.stdout.buffer, policy)
    return 0


def serve(orders: BinaryIO, answers: BinaryIO, policy: FetchPolicy) -> None:
    """Answer each line of `orders`, in order."""
    decoder = msgspec.json.Decoder(FrameOrder)
    for line in orders:
        answer, jpeg = answer_order(decoder.decode(line), policy)
        answers.write(json.dumps(msgspec.to_builtins(answer)).encode() + b"\n" + jpeg)
        answers.flush()


def answer_order(order: FrameOrder, policy: FetchPolicy) -> tuple[FrameAnswer, bytes]:
    """Return the frame as JPEG; an error of the source is reported in the answer."""
    if order.own_host is not None:
        policy = policy.for_own_store(order.own_host)
    try:
        if order.recorded:
            found = recorded_frame(order.url, order.index, policy)
            if found is not None:
                return _drawn(order, policy, found.image, found.captured_ms)
        else:
            image = _frame_of_file(order, policy)
            if image is not None:
                return _drawn(order, policy, image)
    except SourceError as exc:
        return FrameAnswer(0, error_code=exc.code, error=str(exc)), b""
    return FrameAnswer(0, error_code=NO_SUCH_FRAME, error="The video has no such frame."), b""


def _drawn(
    order: FrameOrder, policy: FetchPolicy, image: Image, captured_ms: int | None = None
) -> tuple[FrameAnswer, bytes]:
    height, width = image.shape[:2]
    jpeg = encode_jpeg(image, order.boxes, order.width_px, require_sandbox=policy.require_sandbox)
    return FrameAnswer(len(jpeg), width, height, captured_ms=captured_ms), jpeg


def _frame_of_file(order: FrameOrder, policy: FetchPolicy) -> Image | None:
    spec = SourceSpec(
        order.url,
        Sampling("interval", 1),
        FrameRange(order.index, order.index + 1, "frames"),
        order.stream,
        order.range_start_s,
    )
    with open_source(spec, policy, FrameOutputs(full=True)) as source:
        for frame in source:
            if frame.image is not None:
                return frame.image.copy()
    return None
