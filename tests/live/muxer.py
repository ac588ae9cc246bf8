"""RTP as libav encodes and packs it: for the test camera, and for tests of the depacketizer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import av

_ENCODERS: Final = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg"}


class Packets(list[bytes]):
    """What the muxer writes, packet by packet."""

    def write(self, data: bytes) -> int:
        self.append(bytes(data))
        return len(data)


@contextmanager
def rtp_muxer(
    codec: str,
    size: tuple[int, int],
    *,
    fps: int,
    gop: int,
    packet_bytes: int,
    options: Mapping[str, str] | None = None,
) -> Iterator[tuple[Packets, Any, Any]]:
    """Yield the packets, the container and its stream; a keyframe every `gop` pictures, no B."""
    usual = {
        "h264": {"g": str(gop), "bf": "0", "preset": "ultrafast", "sc_threshold": "0"},
        "hevc": {"preset": "ultrafast", "x265-params": f"log-level=none:bframes=0:keyint={gop}"},
        "mjpeg": {"huffman": "default"},
    }[codec]
    packets = Packets()
    with av.open(
        packets, "w", format="rtp", options={"packetsize": str(packet_bytes)}
    ) as container:
        stream: Any = container.add_stream(
            _ENCODERS[codec], rate=fps, options={**usual, **(options or {})}
        )
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.thread_count = 1
        yield packets, container, stream
