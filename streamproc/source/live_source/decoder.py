"""Client of one live decoder child: packets in, one at a time, and their pictures out.

    with LiveDecoder("h264", outputs, policy) as decoder:
        for picture in decoder.decode(0, data, lambda described: True): …

A decoder has one codec and one size of pictures, that of the first one. The worker owns the slots:
the child may write only into the one that it was given for a picture.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self, cast

from models.sizes import SourceShape
from streamproc.contract.bounds import plain_line
from streamproc.source.errors import DecoderCrashedError, SourceUnsupportedError, from_code
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.sandbox import decoder_client, frame_pool, ipc
from streamproc.source.types import FrameOutputs, Image

STALL_S: Final = 20.0
"""Longest time that a child may spend on one packet."""
_MAX_PICTURES: Final = 64
"""Most pictures that one packet may bring out: more than any codec holds back."""
_POLL_S: Final = 0.5


class Described(NamedTuple):
    """A picture before it is painted. `number`: of its packet. `shape`: upright."""

    number: int
    shape: SourceShape
    is_key: bool
    is_damaged: bool


class Slot:
    """A painted picture: `image` and `scaled` as in `frame_source.Frame`."""

    __slots__ = ("_release", "image", "scaled")

    def __init__(
        self, image: Image | None, scaled: Image | None, release: Callable[[], None]
    ) -> None:
        self.image, self.scaled = image, scaled
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Let the decoder write there again; a second call does nothing. Any thread."""
        release, self._release = self._release, None
        self.image = self.scaled = None
        if release is not None:
            release()

    def __del__(self) -> None:
        """Free the slot of a picture that is garbage collected."""
        self.release()


class Decoded(NamedTuple):
    """A picture that came out; `slot` None: it was not wanted, or no slot was free.

    `still`: a copy of it as BGR, with at most `frame_pool.MAX_STILL_PX` a side, if one was wanted.
    """

    described: Described
    slot: Slot | None
    still: Image | None = None


class LiveDecoder:
    """A running child. One thread at a time; `close`, and a slot's release, from any thread."""

    def __init__(
        self,
        codec: str,
        outputs: FrameOutputs,
        policy: FetchPolicy,
        wants_still: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start a child. `wants_still` is asked for each picture that is painted.

        Raises `DecoderCrashedError` when none starts.
        """
        self.codec = codec
        self.shape: SourceShape | None = None
        """That of the first picture; None before it."""
        self.busy_s = 0.0
        """Time that the child has worked: at least its CPU time."""
        self.started_s = time.monotonic()
        self._outputs, self._policy, self._wants_still = outputs, policy, wants_still
        self._layout: frame_pool.Layout | None = None
        self._free: list[int] = []
        self._has_still = False
        self._lock = threading.Lock()
        self._child = decoder_client.take()
        self._child.bytes.settimeout(STALL_S)
        self._child.send(
            ipc.OpenLive(
                cast("Literal['h264', 'hevc', 'mjpeg']", codec),
                outputs,
                policy.max_pixels,
                policy.cpu_limit_s,
                policy.require_sandbox,
            )
        )

    @property
    def pid(self) -> int:
        return self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def decode(
        self,
        number: int,
        data: bytes,
        wants: Callable[[Described], bool],
        *,
        is_fresh: bool = False,
    ) -> list[Decoded] | None:
        """Decode a packet; return the pictures that came out, which may be of earlier packets.

        Returns None if the codec refused it. Only pictures that `wants` accepts are painted.
        `is_fresh`: a keyframe; forget the pictures before it. Raises a `SourceError`: the child is
        of no use any more.
        """
        return self._exchanged(number, ipc.FLUSH if is_fresh else 0, data, wants)

    def drain(self, wants: Callable[[Described], bool]) -> list[Decoded]:
        """Return the pictures that the codec holds back; only a fresh packet may follow."""
        return self._exchanged(0, ipc.DRAIN, b"", wants) or []

    def close(self) -> None:
        """End the child at once; pictures in slots stay until they are released. Idempotent."""
        self._child.end()

    def _exchanged(
        self, number: int, before: int, data: bytes, wants: Callable[[Described], bool]
    ) -> list[Decoded] | None:
        if len(data) > ipc.MAX_PACKET_BYTES:
            return None
        begun_s = time.monotonic()
        with contextlib.suppress(OSError):  # `_answer` says why
            self._child.bytes.sendall(ipc.PACKET_HEAD.pack(number, before, len(data)) + data)
        found: list[Decoded] = []
        try:
            while True:
                message = self._answer(begun_s)
                self._take_still(found)
                if isinstance(message, ipc.LiveDecoded):
                    return found if message.is_valid else None
                if not isinstance(message, ipc.LivePicture) or len(found) == _MAX_PICTURES:
                    raise DecoderCrashedError("the decoder sent an unexpected message")
                found.append(self._offered(message, wants))
        finally:
            self.busy_s += time.monotonic() - begun_s

    def _offered(self, message: ipc.LivePicture, wants: Callable[[Described], bool]) -> Decoded:
        """Answer the child whether and where to paint a picture."""
        shape = SourceShape(message.width, message.height, message.sample_aspect)
        if shape.width * shape.height > self._policy.max_pixels:
            raise DecoderCrashedError("the decoder reported an invalid frame size")
        if self._layout is None:
            layout = frame_pool.Layout(shape, self._outputs)
            if not layout.fits:
                raise DecoderCrashedError("the decoder reported an invalid frame size")
            self.shape, self._layout = shape, layout
            self._free = list(range(layout.n_slots))
        described = Described(message.number, shape, message.is_key, message.is_damaged)
        is_wanted = shape == self.shape and wants(described)
        number = self._taken() if is_wanted else None
        self._has_still = number is not None and self._wants_still()
        self._child.send(ipc.Paint(number, self._has_still))
        memory = self._child.memory
        if number is None or memory is None:
            return Decoded(described, None)
        images = self._layout.views(memory, number)
        return Decoded(described, Slot(*images, lambda: self._give_back(number)))

    def _take_still(self, found: list[Decoded]) -> None:
        """Copy the still of the last picture, once the child's next message says it is painted."""
        has_still, self._has_still = self._has_still, False
        memory, layout = self._child.memory, self._layout
        if not has_still or not found or memory is None or layout is None:
            return
        still = layout.still(memory)
        if still is not None:
            found[-1] = found[-1]._replace(still=still.copy())

    def _taken(self) -> int | None:
        with self._lock:
            return self._free.pop() if self._free else None

    def _give_back(self, number: int) -> None:
        with self._lock:
            self._free.append(number)

    def _answer(self, begun_s: float) -> ipc.FromChild:
        while True:
            message = self._child.receive(_POLL_S)
            if isinstance(message, ipc.Failed):
                raise from_code(message.code, plain_line(message.message))
            if message is not None:
                return message
            if time.monotonic() - begun_s > STALL_S:
                raise DecoderCrashedError("the decoder made no progress")


def decoded_size(codec: str, keyframe: bytes, policy: FetchPolicy) -> tuple[int, int]:
    """Decode one keyframe in a child of its own; return its (width, height).

    Raises a `SourceError` if nothing comes out.
    """
    with LiveDecoder(codec, FrameOutputs(), policy) as decoder:
        found = decoder.decode(0, keyframe, _none, is_fresh=True)
        if found is not None and not found:
            found = decoder.drain(_none)
        if not found:
            raise SourceUnsupportedError("the camera's first keyframe could not be decoded")
        shape = found[0].described.shape
        return shape.width, shape.height


def _none(_: Described) -> bool:
    return False
