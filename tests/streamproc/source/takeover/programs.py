"""Programs for seccomp, and a processor for them."""

import errno
import struct
from typing import Final

_INSTRUCTION: Final = struct.Struct("<HBBI")
ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
FAIL: Final = 0x00050000


def refusing(number: int) -> bytes:
    """Return a program that refuses one call and allows all others."""
    instructions = (
        (0x20, 0, 0, 0),
        (0x15, 0, 1, number),
        (0x06, 0, 0, FAIL | errno.EPERM),
        (0x06, 0, 0, ALLOW),
    )
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions)


def judged(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """Return what a program says about a call, as the kernel would run it."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, architecture, 0, *padded)
    instructions = [*_INSTRUCTION.iter_unpack(program)]
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return int(value)
        else:
            test = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }[code]
            at += if_true if test else if_false
