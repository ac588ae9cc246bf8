"""Tables of baseline JPEG that RFC 2435 leaves out of its packets (ITU-T T.81, annex K)."""

from typing import Final

_LUMA: Final = bytes.fromhex(
    "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933"
    "383740485c4e404457453738506d51575f626768673e4d71797064785c656763"
)
_CHROMA: Final = bytes.fromhex("1112121815182f1a1a2f63423842") + b"\x63" * 50
_DC_LUMA: Final = bytes.fromhex("00010501010101010100000000000000000102030405060708090a0b")
_DC_CHROMA: Final = bytes.fromhex("00030101010101010101010000000000000102030405060708090a0b")
_AC_LUMA: Final = bytes.fromhex(
    "0002010303020403050504040000017d01020300041105122131410613516107"
    "227114328191a1082342b1c11552d1f02433627282090a161718191a25262728"
    "292a3435363738393a434445464748494a535455565758595a63646566676869"
    "6a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7"
    "a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2"
    "e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)
_AC_CHROMA: Final = bytes.fromhex(
    "0002010204040304070504040001027700010203110405213106124151076171"
    "1322328108144291a1b1c109233352f0156272d10a162434e125f11718191a26"
    "2728292a35363738393a434445464748494a535455565758595a636465666768"
    "696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5"
    "a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9da"
    "e2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)
HUFFMAN_SEGMENTS: Final = b"".join(
    b"\xff\xc4" + (3 + len(table)).to_bytes(2, "big") + bytes([place]) + table
    for place, table in ((0, _DC_LUMA), (0x10, _AC_LUMA), (1, _DC_CHROMA), (0x11, _AC_CHROMA))
)


def quantization_tables(quality: int) -> bytes:
    """Return the tables of luma and chroma, 64 bytes each in zigzag order (RFC 2435, 4.2).

    Raises `ValueError` for a quality outside of 1 to 99.
    """
    if not 1 <= quality <= 99:
        raise ValueError("a quality that is not used")
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return bytes(min(max((one * scale + 50) // 100, 1), 255) for one in _LUMA + _CHROMA)
