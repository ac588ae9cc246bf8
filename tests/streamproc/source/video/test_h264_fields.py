"""Field pairs are found from the bits that ITU-T H.264 gives them, in both framings."""

from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.video.h264_fields import Fields

FRAME_NUM_BITS = 6
KINDS = ("frame", "pair", "mbaff", "lone top", "lone bottom")


class Bits:
    """Writes what `streamproc.source.video.h264_fields` reads."""

    def __init__(self) -> None:
        self._bits = ""

    def fixed(self, value: int, n_bits: int) -> "Bits":
        self._bits += format(value, f"0{n_bits}b")
        return self

    def unsigned(self, *values: int) -> "Bits":
        for value in values:
            digits = format(value + 1, "b")
            self._bits += "0" * (len(digits) - 1) + digits
        return self

    def nal(self, head: int) -> bytes:
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        body = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
        escaped = bytearray()
        for byte in body:
            if escaped[-2:] == b"\0\0" and byte <= 3:
                escaped.append(3)
            escaped.append(byte)
        return bytes([head]) + bytes(escaped)


def sequence(*, only_frames: bool) -> bytes:
    bits = Bits().fixed(100, 8).fixed(0, 8).fixed(30, 8).unsigned(0)
    bits.unsigned(1, 0, 0).fixed(0, 1).fixed(0, 1)  # 4:2:0, 8 bits, no scaling lists
    bits.unsigned(FRAME_NUM_BITS - 4, 2, 1).fixed(0, 1).unsigned(9, 5)
    return bits.fixed(int(only_frames), 1).nal(0x67)


def picture_set() -> bytes:
    return Bits().unsigned(0, 0).fixed(0, 2).nal(0x68)


def slice_of(frame_num: int, field: str | None, *, may: bool) -> bytes:
    bits = Bits().unsigned(0, 7, 0).fixed(frame_num, FRAME_NUM_BITS)
    if may:
        bits.fixed(int(field is not None), 1)
        if field is not None:
            bits.fixed(int(field == "bottom"), 1)
    return bits.unsigned(3).fixed(0x5A5A, 16).nal(0x41)


def annex_b(*units: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def with_lengths(*units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def avcc(sps: bytes, pps: bytes) -> bytes:
    head = bytes([1, 100, 0, 30, 0xFF, 0xE1])
    return head + len(sps).to_bytes(2, "big") + sps + b"\1" + len(pps).to_bytes(2, "big") + pps


@given(
    kinds=st.lists(st.sampled_from(KINDS), max_size=30),
    in_band=st.booleans(),
    bottom_first=st.booleans(),
)
def test_the_second_field_of_each_pair_is_found(
    kinds: list[str], in_band: bool, bottom_first: bool
) -> None:
    sps, pps = sequence(only_frames=False), picture_set()
    fields = Fields(b"" if in_band else avcc(sps, pps))
    framed = annex_b if in_band else with_lengths
    order = ("bottom", "top") if bottom_first else ("top", "bottom")
    for number, kind in enumerate(kinds):
        frame_num = number % (1 << FRAME_NUM_BITS)
        shown = {"pair": order, "lone top": ("top",), "lone bottom": ("bottom",)}
        for place, field in enumerate(shown.get(kind, (None,))):
            before = (sps, pps) if in_band and place == 0 else ()
            packet = framed(*before, slice_of(frame_num, field, may=True))
            assert fields.is_second(packet) == (kind == "pair" and place == 1)


def test_a_stream_of_frames_alone_has_no_second_fields() -> None:
    sps, pps = sequence(only_frames=True), picture_set()
    fields = Fields(annex_b(sps, pps))
    assert not any(
        fields.is_second(annex_b(slice_of(number, None, may=False))) for number in (0, 0, 1, 1)
    )


@given(extradata=st.binary(max_size=80), packets=st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_are_looked_at_to_an_end(extradata: bytes, packets: list[bytes]) -> None:
    for prefix in (b"", annex_b(sequence(only_frames=False), picture_set())):
        fields = Fields(prefix + extradata)
        for packet in packets:
            fields.is_second(b"\0\0\1\x41" + packet)
            fields.is_second(packet)
