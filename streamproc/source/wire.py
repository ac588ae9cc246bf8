"""What worker, nursery and decoder child say to each other: msgpack over SEQPACKET sockets.

The child is not trusted: the parent computes the ring's layout itself, from a size within its
limits, and takes no slot that it has not given back.
A second socket (STREAM) carries the bytes of a source the child cannot read by itself:
the child sends `READ_REQUEST` (position, length), the parent answers `READ_REPLY` (length, or
-1 on failure, -2 when the size is unknown) and the bytes; length 0 in a request asks for the size.
"""

import struct
from collections.abc import Callable
from typing import Final

import msgspec

from streamproc.contract.frame import Box
from streamproc.contract.spec import FrameRange, Sampling
from streamproc.source.types import FrameOutputs, ResumePoint

READ_REQUEST: Final = struct.Struct("<qq")
READ_REPLY: Final = struct.Struct("<q")
MAX_MESSAGE_BYTES: Final = 65536
READ_FAILED: Final = "source_read_failed"
"""Code of a `Failed` whose reason the parent knows better: its own reader raised it."""


class Open(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Parent: decode this. For a local file its descriptor comes along (SCM_RIGHTS)."""

    local: bool
    sampling: Sampling
    range: FrameRange
    outputs: FrameOutputs
    resume: ResumePoint | None
    max_pixels: int
    cpu_limit_s: int
    require_sandbox: bool = False


class Draw(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Parent: make a JPEG of the picture of this size that lies at the ring's start.

    `boxes_bytes` of msgpack (`Boxes`) lie behind it; there may be more of them than fit here.
    """

    width: int
    height: int
    boxes_bytes: int
    width_px: int | None
    require_sandbox: bool = False


class Probe(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Parent: lock down, tell what came of it, and end."""


class Release(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Parent: these slots may be written again."""

    slots: list[int]


class Ready(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Nursery: everything is imported."""


class Born(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Nursery: a child was forked; its pidfd comes along (SCM_RIGHTS)."""

    pid: int


class Stillborn(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Nursery: there is no process, memory or descriptor for another child now."""


class Died(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Nursery, on the child's socket: it has ended; `status` is negative for a signal."""

    status: int


class Started(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: sandboxed. `isolated`: no network, by a namespace of its own."""

    isolated: bool


class LockedDown(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: the answer to `Probe`, the parts of the sandbox that this host refused."""

    missing: tuple[str, ...]


class Drawn(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: the answer to `Draw`; the JPEG lies behind the picture, in the boxes' place."""

    size_bytes: int


class Opened(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: the first frame was decoded; pictures follow in slots of this layout."""

    width: int
    height: int
    fps: float
    total_frames: int | None
    duration_s: float | None
    rotation: int
    codec: str
    container: str
    time_base: tuple[int, int]
    start_pts: int


class Shown(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: a frame is in `slot`; counters include it."""

    slot: int
    index: int
    pts: int
    time_s: float
    decoded: int
    failed: int
    skipped: int


class Ended(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: no more frames. `truncated`: the file was shorter than its own header says."""

    decoded: int
    failed: int
    skipped_sampled: int
    skipped_undecoded: int
    packets_sent: int
    truncated: bool


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: cannot go on."""

    code: str
    message: str


Order = Open | Draw | Probe
Boxes = tuple[Box, ...]
ToChild = Order | Release
FromChild = Started | LockedDown | Drawn | Opened | Shown | Ended | Failed | Died
FromNursery = Ready | Born | Stillborn

encode = msgspec.msgpack.Encoder().encode
decode_boxes: Callable[[bytes], Boxes] = msgspec.msgpack.Decoder(Boxes).decode
decode_to_child: Callable[[bytes], ToChild] = msgspec.msgpack.Decoder(ToChild).decode
decode_from_child: Callable[[bytes], FromChild] = msgspec.msgpack.Decoder(FromChild).decode
decode_from_nursery: Callable[[bytes], FromNursery] = msgspec.msgpack.Decoder(FromNursery).decode
