"""Bit reader of a NAL unit, with the numbers of ITU-T H.264 and H.265 (Exp-Golomb codes)."""


class BitReader:
    """Reads a NAL unit without its emulation prevention. Raises IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data.replace(b"\x00\x00\x03", b"\x00\x00")
        self._at = 0

    def read(self, n_bits: int) -> int:
        value = 0
        for _ in range(n_bits):
            value = value << 1 | (self._data[self._at >> 3] >> (7 - (self._at & 7)) & 1)
            self._at += 1
        return value

    def unsigned(self) -> int:
        """Read an unsigned Exp-Golomb number."""
        n_zeros = 0
        while not self.read(1):
            n_zeros += 1
            if n_zeros > 32:
                raise IndexError
        return (1 << n_zeros) - 1 + self.read(n_zeros)

    def signed(self) -> int:
        value = self.unsigned()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def skip_scaling_lists(bits: BitReader, n_lists: int) -> None:
    """Skip the scaling lists of an H.264 parameter set (7.3.2.1.1.1)."""
    for number in range(n_lists):
        if not bits.read(1):
            continue
        last = following = 8
        for _ in range(16 if number < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last
