"""Allow list for libav: one demuxer, the listed decoders, no protocol."""

from typing import Final

MAX_STREAMS: Final = 128
_PROBE_BYTES: Final = 5_000_000
"""Maximum number of bytes that are read to find a file's streams: libav's own default."""
CODECS: Final = frozenset(
    # Names of libav's decoders.
    [
        "h264",
        "hevc",
        "av1",
        "libdav1d",
        "vp8",
        "vp9",
        "mpeg1video",
        "mpeg2video",
        "mpeg4",
        "msmpeg4",
        "msmpeg4v1",
        "msmpeg4v2",
        "msmpeg4v3",
        "h263",
        "h263p",
        "flv",
        "wmv1",
        "wmv2",
        "wmv3",
        "vc1",
        "theora",
        "mjpeg",
        "prores",
        "dnxhd",
        "ffv1",
        "rawvideo",
        "huffyuv",
        "ffvhuff",
        "utvideo",
        "svq1",
        "svq3",
        "cinepak",
        "dvvideo",
        "qtrle",
        "png",
        "gif",
        "apng",
        "vp6",
        "vp6f",
        "vp6a",
        "v210",
        "cfhd",
        "libvpx",
        "libvpx-vp9",
        "wrapped_avframe",
    ]
)


def open_options(name: str) -> dict[str, str]:
    """Return libav options for a file: one demuxer, the listed decoders, no protocol.

    Sound and subtitles are not probed by decoding: the container's information is enough.
    """
    return {
        "format_whitelist": name,
        "codec_whitelist": ",".join(sorted(CODECS)),
        "protocol_whitelist": "none",
        "max_streams": str(MAX_STREAMS),
        "probesize": str(_PROBE_BYTES),
    }
