"""IPC messages of worker, fork server and decoder child: msgpack over SEQPACKET sockets.

The child is not trusted. Values in its messages have bounds (`contract.bounds`), and messages
beyond them are refused. The parent computes the frame pool's layout itself, from a size within its
limits, and accepts only slots that it has released.
A second socket (STREAM) carries the bytes of a source that the child cannot read by itself:
the child sends `READ_REQUEST` (position, length); the parent answers `READ_REPLY` (length, or
-1 on failure, -2 when the size is unknown) and the bytes. A request of length 0 asks for the size.
A child that decodes a live source gets its packets there: `PACKET_HEAD`, and the bytes.
"""

import struct
from collections.abc import Callable
from typing import Annotated, Final, Literal

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
PACKET_HEAD: Final = struct.Struct("<qiI")
"""Of a live packet: its number, what to do before it (`FLUSH`, `DRAIN` or 0), its size in bytes."""
FLUSH: Final = 1
"""Forget the pictures before: what follows begins with a keyframe."""
DRAIN: Final = 2
"""Show the pictures that are still held; no packet follows, only `FLUSH` after that."""
MAX_PACKET_BYTES: Final = 16 << 20
MAX_MESSAGE_BYTES: Final = 65536
READ_FAILED: Final = "source_read_failed"
"""Code of a `Failed` whose cause is an error of the parent's own reader."""
_MAX_SLOT: Final = 1023
_MAX_MESSAGE_CHARS: Final = 1000
Place = Annotated[int, Meta(ge=NO_PLACE, le=2**53 - 1)]
"""Position of a packet in its file, in bytes."""


class Open(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the parent: decode a source. A local file's descriptor is attached (SCM_RIGHTS).

    `seekable`: every byte can be read at any time; else they arrive in order.
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


class OpenLive(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the parent: decode a live source, packet by packet, one at a time."""

    codec: Literal["h264", "hevc", "mjpeg"]
    outputs: FrameOutputs
    max_pixels: int
    cpu_limit_s: int
    require_sandbox: bool = False


class Draw(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the parent: make a JPEG of the image of this size at the start of the frame pool.

    `boxes_bytes` of msgpack (`Boxes`) follow the image; they may be too large for a message.
    """

    width: int
    height: int
    boxes_bytes: int
    width_px: int | None
    require_sandbox: bool = False


class Probe(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the parent: lock down, report the result, and exit."""


class Release(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the parent: these slots may be written again."""

    slots: list[int]


class Paint(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the parent, the answer to `LivePicture`: write it into `slot`; None: leave it out.

    `still`: write it behind the slots too, as `frame_pool.Layout.still` says.
    """

    slot: int | None
    still: bool = False


class Ready(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the fork server: everything is imported."""


class Forked(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the fork server: a child was forked; its pidfd is attached (SCM_RIGHTS)."""

    pid: int


class ForkFailed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the fork server: no process, memory or descriptor is available for another child."""


class Exited(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the fork server, on the child's socket: it has exited; `status` < 0 is a signal."""

    status: Annotated[int, Meta(ge=-64, le=255)]


class Started(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the child: it is sandboxed. `isolated`: it has no network, by its own namespace."""

    isolated: bool


class LockedDown(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the child: the answer to `Probe`, the parts of the sandbox that this host refused."""

    missing: tuple[str, ...]


class Drawn(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the child: the answer to `Draw`; the JPEG follows the image and replaces the boxes."""

    size_bytes: int


class Opened(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the child: the first frame was decoded; frames follow in slots of this layout."""

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
    """From the child: a frame is in `slot`; counters include it.

    `size`: (width, height) upright, before it was scaled to the first frame's size; None if equal.
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


class LivePicture(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the child: the packet `number` is a picture; `Paint` has to answer.

    `width`, `height`, `sample_aspect`: upright. `is_damaged`: the decoder had to invent parts.
    """

    number: Count
    width: Side
    height: Side
    sample_aspect: tuple[Term, Term]
    is_key: bool
    is_damaged: bool


class LiveDecoded(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the child: the packet is decoded, and its pictures are painted.

    `is_valid`: the decoder raised no error for it.
    """

    is_valid: bool


class Ended(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the child: no more frames. `truncated`: the file is shorter than its header says.

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
    """From the child: it cannot continue."""

    code: Annotated[str, Meta(max_length=MAX_CODE_CHARS)]
    message: Annotated[str, Meta(max_length=_MAX_MESSAGE_CHARS)]


Order = Open | OpenLive | Draw | Probe
Boxes = tuple[Box, ...]
ToChild = Order | Release | Paint
FromChild = (
    Started
    | LockedDown
    | Drawn
    | Opened
    | FrameReady
    | LivePicture
    | LiveDecoded
    | Ended
    | Failed
    | Exited
)
FromForkServer = Ready | Forked | ForkFailed

encode = msgspec.msgpack.Encoder().encode
decode_boxes: Callable[[bytes], Boxes] = msgspec.msgpack.Decoder(Boxes).decode
decode_to_child: Callable[[bytes], ToChild] = msgspec.msgpack.Decoder(ToChild).decode
decode_from_child: Callable[[bytes], FromChild] = msgpack_decoder(FromChild)
decode_from_fork_server: Callable[[bytes], FromForkServer] = msgspec.msgpack.Decoder(
    FromForkServer
).decode
