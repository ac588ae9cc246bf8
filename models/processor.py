"""What the processor itself can compute, whatever a library lists."""

from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


@cache
def has_vnni() -> bool:
    """Whether there are instructions for 8-bit dot products; without them, i8 results differ."""
    try:
        return bool(_VNNI & cpu_flags(_CPUINFO.read_text(encoding="utf-8")))
    except OSError:
        return False


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """Return the first processor's flags, from the text of Linux's /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()
