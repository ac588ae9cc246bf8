"""Playlists as servers write them, and as nobody should."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.live.hls.playlist import (
    MAX_BYTES,
    MAX_SEGMENTS,
    ByteRange,
    Key,
    Master,
    Media,
    Part,
    PlaylistError,
    Segment,
    parse,
)

URL = "https://cam.example/live/list.m3u8?token=a"


def media(*lines: str) -> Media:
    found = parse("\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:4", *lines]).encode(), URL)
    assert isinstance(found, Media)
    return found


def test_segments_are_numbered_and_their_urls_resolved() -> None:
    found = media(
        "#EXT-X-VERSION:3",
        "#EXT-X-MEDIA-SEQUENCE:7",
        "#EXT-X-PROGRAM-DATE-TIME:2026-05-01T10:00:00.500Z",
        "#EXTINF:4.0,a title, with a comma",
        "a.ts",
        "#EXTINF:3.5",
        "/b.ts?x=1",
        "# a comment",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-GAP",
        "#EXTINF:4,",
        "https://other.example/c.ts",
    )
    assert (found.target_s, found.is_ended) == (4.0, False)
    urls = [segment.part.url for segment in found.segments]
    assert urls == [
        "https://cam.example/live/a.ts",
        "https://cam.example/b.ts?x=1",
        "https://other.example/c.ts",
    ]
    assert [segment.sequence for segment in found.segments] == [7, 8, 9]
    assert [segment.duration_s for segment in found.segments] == [4.0, 3.5, 4.0]
    assert [segment.starts_anew for segment in found.segments] == [False, False, True]
    assert [segment.is_missing for segment in found.segments] == [False, False, True]
    assert [segment.captured_s for segment in found.segments] == [
        1777629600.5,
        1777629604.5,
        1777629608.0,
    ]


def test_ranges_keys_and_headers_hold_for_the_segments_after_them() -> None:
    found = media(
        '#EXT-X-MAP:URI="init.mp4",BYTERANGE="100@20"',
        '#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x000102030405060708090a0b0c0d0e0f',
        "#EXT-X-BYTERANGE:10@50",
        "#EXTINF:1",
        "all.mp4",
        "#EXT-X-BYTERANGE:30",
        "#EXTINF:1",
        "all.mp4",
        "#EXT-X-KEY:METHOD=NONE",
        "#EXTINF:1",
        "b.mp4",
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k",KEYFORMAT="com.example"',
        "#EXTINF:1",
        "c.mp4",
        "#EXT-X-ENDLIST",
    )
    assert found.is_ended
    ranges = [segment.part.byte_range for segment in found.segments]
    assert ranges == [ByteRange(50, 10), ByteRange(60, 30), None, None]
    key = Key("AES-128", "https://cam.example/live/k", bytes(range(16)))
    assert [segment.key for segment in found.segments[:3]] == [key, key, None]
    assert found.segments[3].key is not None
    assert found.segments[3].key.method.startswith("SAMPLE-AES")
    header = Part("https://cam.example/live/init.mp4", ByteRange(20, 100))
    assert {segment.header for segment in found.segments} == {header}


def test_variants_have_size_and_bandwidth() -> None:
    found = parse(
        b"#EXTM3U\r\n"
        b'#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,CODECS="avc1.4d401f,mp4a.40.2"\r\n'
        b"hd.m3u8\r\n#EXT-X-STREAM-INF:BANDWIDTH=500000\r\nsd.m3u8\r\n",
        URL,
    )
    assert isinstance(found, Master)
    assert [(one.bandwidth, one.size) for one in found.variants] == [
        (2_000_000, (1280, 720)),
        (500_000, None),
    ]
    assert found.variants[0].codecs == "avc1.4d401f,mp4a.40.2"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("#EXTINF:1\nfile:///etc/passwd", "neither http nor https"),
        ("#EXTINF:1\nrtsp://cam/x", "neither http nor https"),
        ('#EXT-X-KEY:METHOD=AES-128,URI="data:k"', "neither http nor https"),
        ('#EXT-X-MAP:URI="ftp://x/init"', "neither http nor https"),
        ("#EXT-X-MAP:X=1", "without a URI"),
        ("#EXTINF:-1\na.ts", "duration"),
        ("#EXTINF:nan\na.ts", "duration"),
        ("#EXTINF:1e9\na.ts", "duration"),
        ("a.ts", "without a duration"),
        ("#EXT-X-MEDIA-SEQUENCE:-5", "number"),
        ("#EXT-X-MEDIA-SEQUENCE:99999999999999999999", "number"),
        ("#EXT-X-BYTERANGE:0@0\n#EXTINF:1\na.ts", "byte range"),
        ("#EXT-X-BYTERANGE:99999999999\n#EXTINF:1\na.ts", "byte range"),
        ('#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0xzz', "IV"),
        ("#EXTINF:1\na.ts\n" * (MAX_SEGMENTS + 1), "segments"),
    ],
)
def test_what_cannot_be_followed_is_named_without_a_url(line: str, error: str) -> None:
    with pytest.raises(PlaylistError, match=error) as raised:
        media(line)
    assert "cam" not in str(raised.value)
    assert "passwd" not in str(raised.value)


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"#EXTM3U8\n", b"#EXTM3U\n", b"x" * (MAX_BYTES + 1)]
)
def test_what_is_no_playlist_is_refused(data: bytes) -> None:
    with pytest.raises(PlaylistError):
        parse(data, URL)


LINES = st.sampled_from(
    [
        "#EXTINF:1",
        "#EXTINF:",
        "a.ts",
        "//x/y",
        "http://[",
        "#EXT-X-BYTERANGE:5",
        "#EXT-X-BYTERANGE:@",
        "#EXT-X-KEY:METHOD=AES-128",
        '#EXT-X-MAP:URI="i"',
        "#EXT-X-MEDIA-SEQUENCE:5",
        "#EXT-X-PROGRAM-DATE-TIME:2026",
        "#EXT-X-PROGRAM-DATE-TIME:9999-12-31T23:59:59-23:59",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-STREAM-INF:BANDWIDTH=x",
        "#EXT-X-ENDLIST",
    ]
)


@given(st.lists(LINES | st.text(max_size=20), max_size=20))
def test_any_lines_are_a_playlist_or_a_playlist_error(lines: list[str]) -> None:
    with suppress(PlaylistError):
        found = parse("\n".join(["#EXTM3U", *lines]).encode("utf-8", "replace"), URL)
        if isinstance(found, Media):
            assert all(isinstance(segment, Segment) for segment in found.segments)
            assert all(segment.part.url.startswith("http") for segment in found.segments)
