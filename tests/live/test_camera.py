"""The test camera against a client that is not ours: libav sees what the clip shows."""

from typing import Any

import av
import pytest

from tests.live.camera import camera
from tests.live.clip import clip, read_number

OPTIONS = {"analyzeduration": "0", "probesize": "32", "timeout": "5000000"}


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_libav_reads_every_picture_in_order(codec: str, transport: str) -> None:
    shown = clip(codec, fps=50, gop=10)
    with camera(shown, login=("u", "p")) as one:
        options = {**OPTIONS, "rtsp_transport": transport}
        with av.open(one.url("u:p"), options=options) as container:
            stream: Any = container.streams.video[0]
            stream.thread_count = 1
            stream.codec_context.flags |= av.codec.context.Flags.low_delay
            numbers: list[int] = []
            for frame in container.decode(stream):
                numbers.append(read_number(frame.to_ndarray(format="gray")))
                if len(numbers) == 20:
                    break
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert numbers[0] <= 1
    assert len(container.streams) == 0 or one.n_accepted == 1


def test_libav_is_refused_with_a_wrong_password() -> None:
    with camera(login=("u", "p")) as one:
        with pytest.raises(av.error.HTTPUnauthorizedError):
            av.open(one.url("u:wrong"), options=OPTIONS)
        assert one.n_tries == 1
