"""Playlists on a media server: ones that end, and one that never does."""

import time

from tests.live.media_server import MediaServer, Reply
from tests.streamproc.source.live.hls.test_stream import (
    KEY,
    N_PICTURES,
    SEGMENT_S,
    encrypted,
    live_list,
    publish,
    segment_names,
    written,
)

_LISTED = 12
_END = "#EXT-X-ENDLIST\n"


def finite(server: MediaServer, kind: str) -> int:
    """Serve `/list.m3u8`, which ends; return how many pictures it has."""
    publish(server, kind if kind in {"fmp4", "ranges"} else "ts")
    names = segment_names()
    if kind == "aes":
        for number, name in enumerate(names):
            server.file(f"/{name}", encrypted(written("ts")[name], number.to_bytes(16, "big")))
        server.file("/key", KEY)
        told = '#EXT-X-KEY:METHOD=AES-128,URI="key"\n'
        server.file("/list.m3u8", live_list(range(6), first=0, lines=told, end=_END))
    if kind == "master":
        server.file("/low.m3u8", live_list(range(6), first=0, end=_END))
        variant = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=5,RESOLUTION=96x64\nlow.m3u8\n"
        server.file("/list.m3u8", variant.encode())
    if kind == "gone":
        server.paths[f"/{names[2]}"] = lambda _: Reply(status=404)
        return N_PICTURES * 5 // 6
    return N_PICTURES


def endless(server: MediaServer, *, restarts_at: int | None = None) -> None:
    """Serve `/live.m3u8`: six segments again and again, a discontinuity between the last and first.

    `restarts_at`: the segment after which its numbers begin again, once.
    """
    publish(server)
    names = segment_names()
    begun_s = time.monotonic()

    def listed(_: dict[str, str]) -> Reply:
        newest = _LISTED + int((time.monotonic() - begun_s) / SEGMENT_S)
        numbers = range(newest - _LISTED, newest)
        is_again = restarts_at is not None and newest > restarts_at
        first = numbers[0] - ((restarts_at or 0) if is_again else 0)
        lines = [
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n",
            f"#EXT-X-MEDIA-SEQUENCE:{max(first, 0)}\n",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{(numbers[0] + 5) // 6}\n",
        ]
        for number in numbers:
            mark = "" if number % 6 else "#EXT-X-DISCONTINUITY\n"
            lines.append(f"{mark}#EXTINF:{SEGMENT_S},\n{names[number % 6]}\n")
        return Reply("".join(lines).encode())

    server.paths["/live.m3u8"] = listed
