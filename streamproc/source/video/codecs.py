"""What libav may use on a source: one demuxer, the listed decoders, no protocol at all."""

from typing import Final

MAX_STREAMS: Final = 128
_PROBE_BYTES: Final = 5_000_000
"""How much of a file is read to find its streams, at most: libav's own default."""
CODECS: Final = frozenset(
    # A string of names reads better than sixty lines.
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
    """Return what libav may use on a file: one demuxer, the listed decoders, no protocol at all.

    Sound and subtitles are not decoded to learn of them: a container says enough.
    """
    return {
        "format_whitelist": name,
        "codec_whitelist": ",".join(sorted(CODECS)),
        "protocol_whitelist": "none",
        "max_streams": str(MAX_STREAMS),
        "probesize": str(_PROBE_BYTES),
    }
