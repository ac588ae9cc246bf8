"""What worker, nursery and decoder child say to each other: msgpack over SEQPACKET sockets.

The child is not trusted: what it says is bounded here (`contract.bounds`) and refused beyond, the
parent computes the ring's layout itself, from a size within its limits, and takes no slot that it
has not given back.
A second socket (STREAM) carries the bytes of a source the child cannot read by itself:
the child sends `READ_REQUEST` (position, length), the parent answers `READ_REPLY` (length, or
-1 on failure, -2 when the size is unknown) and the bytes; length 0 in a request asks for the size.
"""

import struct
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from streamproc.contract.bounds import (
    MAX_CODE_CHARS,
    Count,
    Duration,
    MediaTime,
    Name,
    Rate,
    Side,
    Term,
    Timestamp,
)
from streamproc.contract.decoding import msgpack_decoder
from streamproc.contract.preview import Box
from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.types import NO_PLACE, FrameOutputs, ResumePoint

READ_REQUEST: Final = struct.Struct("<qq")
READ_REPLY: Final = struct.Struct("<q")
MAX_MESSAGE_BYTES: Final = 65536
READ_FAILED: Final = "source_read_failed"
"""Code of a `Failed` whose reason the parent knows better: its own reader raised it."""
_MAX_SLOT: Final = 1023
_MAX_MESSAGE_CHARS: Final = 1000
Place = Annotated[int, Meta(ge=NO_PLACE, le=2**53 - 1)]
"""Of a packet in its file, in bytes."""


class Open(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Parent: decode this. For a local file its descriptor comes along (SCM_RIGHTS).

    `seekable`: every byte can be asked for at any time; else they come in their order.
    """

    local: bool
    sampling: Sampling
    range: FrameRange
    outputs: FrameOutputs
    resume: ResumePoint | None
    max_pixels: int
    cpu_limit_s: int
    require_sandbox: bool = False
    stream: int | None = None
    seekable: bool = True
    by_clock: bool = False
    anchor_s: float | None = None


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


class Forked(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Nursery: a child was forked; its pidfd comes along (SCM_RIGHTS)."""

    pid: int


class ForkFailed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Nursery: there is no process, memory or descriptor for another child now."""


class Exited(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Nursery, on the child's socket: it has ended; `status` is negative for a signal."""

    status: Annotated[int, Meta(ge=-64, le=255)]


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

    width: Side
    height: Side
    fps: Rate
    total_frames: Count | None
    duration_s: Duration | None
    rotation: Annotated[int, Meta(ge=0, lt=360)]
    codec: Name
    container: Name
    time_base: tuple[Term, Term]
    start_pts: Timestamp
    total_is_exact: bool = False
    sample_aspect: tuple[Term, Term] = (1, 1)


class FrameReady(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: a frame is in `slot`; counters include it.

    `size`: (width, height) upright, before it was scaled to the first frame's; None: it is that.
    """

    slot: Annotated[int, Meta(ge=0, le=_MAX_SLOT)]
    index: Count
    pts: Timestamp
    time_s: MediaTime
    decoded: Count
    failed: Count
    skipped: Count
    pos: Place = NO_PLACE
    size: tuple[Side, Side] | None = None
    index_is_estimate: bool = False


class Ended(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: no more frames. `truncated`: the file was shorter than its own header says.

    `n_frames`: of the whole source, None when its end was not read.
    """

    decoded: Count
    failed: Count
    skipped_sampled: Count
    skipped_undecoded: Count
    packets_sent: Count
    truncated: bool
    n_frames: Count | None = None


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Child: cannot go on."""

    code: Annotated[str, Meta(max_length=MAX_CODE_CHARS)]
    message: Annotated[str, Meta(max_length=_MAX_MESSAGE_CHARS)]


Order = Open | Draw | Probe
Boxes = tuple[Box, ...]
ToChild = Order | Release
FromChild = Started | LockedDown | Drawn | Opened | FrameReady | Ended | Failed | Exited
FromForkServer = Ready | Forked | ForkFailed

encode = msgspec.msgpack.Encoder().encode
decode_boxes: Callable[[bytes], Boxes] = msgspec.msgpack.Decoder(Boxes).decode
decode_to_child: Callable[[bytes], ToChild] = msgspec.msgpack.Decoder(ToChild).decode
decode_from_child: Callable[[bytes], FromChild] = msgpack_decoder(FromChild)
decode_from_fork_server: Callable[[bytes], FromForkServer] = msgspec.msgpack.Decoder(
    FromForkServer
).decode
