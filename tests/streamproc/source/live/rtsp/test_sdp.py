"""Session descriptions: which track is chosen, and what is refused by name."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.errors import SourceError, SourceNotVideoError, SourceUnsupportedError
from streamproc.source.live.rtsp.sdp import parse

SPS, PPS = b"\x67\x42\x00\x1e\x00", b"\x68\xce\x38\x80"
SETS = ",".join(base64.b64encode(part).decode().rstrip("=") for part in (SPS, PPS))
CAMERA = f"""v=0
o=- 1 1 IN IP4 0.0.0.0
s=camera
a=control:*
m=audio 0 RTP/AVP 0
a=control:audio
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;profile-level-id=42001E; sprop-parameter-sets={SETS}
a=framerate:12.5
a=control:video
m=application 0 RTP/AVP 107
a=rtpmap:107 vnd.onvif.metadata/90000
"""


def described(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def video(rtpmap: str, protocol: str = "RTP/AVP", fmtp: str = "") -> bytes:
    text = f"v=0\nm=video 0 {protocol} 96\na=rtpmap:96 {rtpmap}\n"
    return described(text + (f"a=fmtp:96 {fmtp}\n" if fmtp else ""))


def test_a_camera_with_sound_and_metadata() -> None:
    found = parse(described(CAMERA), "cam")
    track = found.track
    assert (track.codec, track.payload_type, track.clock_hz) == ("h264", 96, 90000)
    assert (track.control, found.control) == ("video", "*")
    assert track.parameter_sets == (SPS, PPS)
    assert track.declared_fps == 12.5
    assert (found.n_video, found.n_other) == (1, 2)


def test_the_first_track_that_can_be_decoded_is_chosen() -> None:
    text = "v=0\nm=video 0 RTP/AVP 97\na=rtpmap:97 VP9/90000\nm=video 0 RTP/AVP 26\na=control:b\n"
    found = parse(described(text), "cam")
    assert (found.track.codec, found.track.control, found.n_video) == ("mjpeg", "b", 2)


def test_hevc_with_its_parameter_sets_in_three_fields() -> None:
    sets = [base64.b64encode(bytes([n, 1, n])).decode() for n in (0x40, 0x42, 0x44)]
    fmtp = f"sprop-vps={sets[0]}; sprop-sps={sets[1]}; sprop-pps={sets[2]}"
    track = parse(video("H265/90000", fmtp=fmtp), "cam").track
    assert track.codec == "hevc"
    assert [unit[0] for unit in track.parameter_sets] == [0x40, 0x42, 0x44]


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b"", SourceNotVideoError, "cam offers no video"),
        (described("v=0\nm=audio 0 RTP/AVP 0\n"), SourceNotVideoError, "cam offers no video"),
        (video("MP4V-ES/90000"), SourceUnsupportedError, "cam sends the codec MP4V-ES"),
        (video("<script>/90000"), SourceUnsupportedError, "the codec unknown"),
        (video("H264/0"), SourceUnsupportedError, "the codec H264"),
        (video("H264/90000", "RTP/SAVP"), SourceUnsupportedError, "SRTP"),
        (video("H264/90000", "UDP"), SourceUnsupportedError, "another protocol than RTP"),
        (video("H264/90000", fmtp="packetization-mode=2"), SourceUnsupportedError, "interleaves"),
        (video("H265/90000", fmtp="sprop-max-don-diff=1"), SourceUnsupportedError, "interleaves"),
        (b"a" * 70_000, SourceUnsupportedError, "over 65536 bytes"),
        (b"a\n" * 3000, SourceUnsupportedError, "over 2048 lines"),
        (b"m=audio 0 RTP/AVP 0\n" * 40, SourceUnsupportedError, "more than 32 tracks"),
    ],
)
def test_what_is_refused(body: bytes, kind: type[SourceError], text: str) -> None:
    with pytest.raises(kind, match=text):
        parse(body, "cam")


def test_parameter_sets_that_are_no_base64_are_left_out() -> None:
    fmtp = f"sprop-parameter-sets=%%%,{SETS},=,A"
    assert parse(video("H264/90000", fmtp=fmtp), "cam").track.parameter_sets == (SPS, PPS)
    many = ",".join([base64.b64encode(SPS).decode()] * 500)
    track = parse(video("H264/90000", fmtp=f"sprop-parameter-sets={many}"), "cam").track
    assert len(track.parameter_sets) == 64


lines = st.lists(
    st.one_of(
        st.sampled_from(CAMERA.splitlines()),
        st.text(st.characters(codec="utf-8"), max_size=30).map(lambda text: f"a={text}"),
        st.text(max_size=30).map(lambda text: f"m=video {text}"),
        st.text(max_size=30).map(lambda text: f"a=rtpmap:96 {text}"),
        st.text(max_size=30).map(lambda text: f"a=fmtp:96 {text}"),
        st.text(max_size=30).map(lambda text: f"a=framerate:{text}"),
    )
)


@given(lines)
def test_any_description_gives_a_track_or_a_source_error(texts: list[str]) -> None:
    try:
        found = parse("\r\n".join(texts).encode(), "cam")
    except SourceError:
        return
    assert found.track.codec in {"h264", "hevc", "mjpeg"}
    assert 0 < found.track.clock_hz <= 1_000_000
