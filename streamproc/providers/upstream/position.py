"""Position in an upstream's stream, with a digest of the relayed frames, to check a second run.

A task whose upstream could not read our S3 midway is submitted there again. The new stream has
other offsets, so its frames are counted and their digest is compared: the log continues only if
both runs have the same results. No I/O.
"""

import hashlib
from typing import Any

import msgspec

from streamproc.errors import StreamprocError
from streamproc.providers.engine import EndOfStream, FrameResult

_DIGEST_BYTES = 16


class UpstreamState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The engine's checkpoint: the upstream's task, and the relayed part of its stream.

    `offset` is in bytes. `n_frames` and `digest` are of the frames before it; checkpoints of older
    versions have an offset without them.
    """

    task_id: str
    offset: int
    n_frames: int = 0
    digest: bytes = b""

    @property
    def can_be_repeated(self) -> bool:
        """Whether it can be checked that another run of the task starts with the same frames."""
        return bool(self.n_frames) or not self.offset

    def after(self, item: FrameResult | EndOfStream, offset: int) -> "UpstreamState":
        """Return the state after relaying `item`, whose event ends at `offset`."""
        if isinstance(item, EndOfStream) or not self.can_be_repeated:
            return UpstreamState(self.task_id, offset, self.n_frames, self.digest)
        return UpstreamState(self.task_id, offset, self.n_frames + 1, _chain(self.digest, item))


_STATE = msgspec.msgpack.Decoder(UpstreamState)


def decode_state(state: bytes) -> UpstreamState:
    """Decode the result of `UpstreamEngine.state`."""
    return _STATE.decode(state)


class OtherResultsError(StreamprocError):
    """The second run of a task does not start with the frames of the first one."""


def is_repeated(relayed: UpstreamState, again: UpstreamState) -> bool:
    """Return whether the second run, now at `again`, has repeated all relayed frames.

    Raises `OtherResultsError` if it has as many frames, but different ones.
    """
    if again.n_frames < relayed.n_frames:
        return False
    if (again.n_frames, again.digest) != (relayed.n_frames, relayed.digest):
        raise OtherResultsError("the upstream's second run gave other results")
    return True


def _chain(before: bytes, frame: FrameResult) -> bytes:
    """Return the digest of all frames up to this one, without estimates: two runs may differ."""
    said: tuple[Any, ...] = (
        frame.frame_index,
        frame.counts.decoded,
        frame.counts.skipped,
        frame.time_s,
        frame.sample_aspect,
        frame.frame_size,
        frame.targets,
    )
    content = before + msgspec.msgpack.encode(said)
    return hashlib.sha256(content).digest()[:_DIGEST_BYTES]
