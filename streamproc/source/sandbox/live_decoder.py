"""Live part of the decoder child: packets of a camera in, pictures in slots of the frame pool out.

One packet at a time: the parent sends it, the child asks for each picture that comes out of it
whether, and where, it is to be painted, and says when it is done. So nothing waits in the child but
the pictures that the codec itself holds back to reorder them.
"""

import mmap
import socket
from collections.abc import Iterator
from typing import Any

import av
import av.error

from models.sizes import SourceShape
from streamproc.source.errors import SourceTooLargeError
from streamproc.source.sandbox import frame_pool, ipc, limits
from streamproc.source.types import FrameOutputs
from streamproc.source.video import image


def decode(
    order: ipc.OpenLive, control: socket.socket, served: socket.socket, memory: mmap.mmap
) -> ipc.FromChild:
    """Decode until the parent closes a socket, which ends the process; returns what failed."""
    try:
        _LiveDecoder(order, control, served, memory).run()
    except SourceTooLargeError as exc:
        return ipc.Failed(exc.code, str(exc))
    except MemoryError:
        return ipc.Failed(SourceTooLargeError.code, "decoding needs more memory than is allowed")
    except OSError:
        raise BrokenPipeError from None
    except Exception as exc:  # noqa: BLE001 - the process edge: all errors are reported
        return ipc.Failed("decoder_crashed", f"the decoder failed: {type(exc).__name__}")
    raise BrokenPipeError


class _LiveDecoder:
    def __init__(
        self, order: ipc.OpenLive, control: socket.socket, served: socket.socket, memory: mmap.mmap
    ) -> None:
        self._order, self._control, self._served, self._memory = order, control, served, memory
        self._codec: Any = av.CodecContext.create(order.codec, "r")
        self._codec.thread_count = 1
        self._painter: _Painter | None = None
        self._cpu_time = limits.CpuTime()

    def run(self) -> None:
        while True:
            head = self._received(ipc.PACKET_HEAD.size)
            if not head:
                return
            number, before, n_bytes = ipc.PACKET_HEAD.unpack(head)
            if before == ipc.FLUSH:
                self._codec.flush_buffers()
            data = self._received(n_bytes)
            is_valid = True
            try:
                for frame in self._frames(number, data, is_drain=before == ipc.DRAIN):
                    self._show(frame)
            except av.error.FFmpegError:
                is_valid = False
            self._cpu_time.renew()
            self._control.send(ipc.encode(ipc.LiveDecoded(is_valid)))

    def _frames(self, number: int, data: bytes, *, is_drain: bool) -> Iterator[Any]:
        if is_drain:
            yield from self._codec.decode(None)
        elif data:
            packet = av.Packet(data)
            packet.pts = number
            yield from self._codec.decode(packet)

    def _show(self, frame: Any) -> None:
        if frame.pts is None or frame.pts < 0:
            return
        if self._painter is None:
            self._painter = _Painter(frame, self._codec, self._order, self._memory)
        self._control.send(ipc.encode(self._painter.described(frame)))
        answer = ipc.decode_to_child(self._control.recv(ipc.MAX_MESSAGE_BYTES))
        if isinstance(answer, ipc.Paint) and answer.slot is not None:
            self._painter.paint(frame, answer.slot, with_still=answer.still)

    def _received(self, n_bytes: int) -> bytes:
        """Return so many bytes; fewer if the parent has closed the socket."""
        data = bytearray(n_bytes)
        view = memoryview(data)
        while view:
            n_read = self._served.recv_into(view)
            if n_read == 0:
                return b""
            view = view[n_read:]
        return bytes(data)


class _Painter:
    """Writes pictures into the slots, in the layout that follows from the first picture."""

    def __init__(self, first: Any, codec: Any, order: ipc.OpenLive, memory: mmap.mmap) -> None:
        self._codec, self._memory = codec, memory
        self._upright = image.upright(first)
        described = self.described(first)
        shape = SourceShape(described.width, described.height, described.sample_aspect)
        self._layout = frame_pool.Layout(shape, order.outputs)
        if not self._layout.fits or shape.width * shape.height > order.max_pixels:
            raise SourceTooLargeError(
                f"the video is {shape.width}x{shape.height}; the limit is {order.max_pixels} pixels"
            )
        self._converter = image.FrameConverter(self._upright, order.outputs, shape)
        still = SourceShape(*self._layout.still_size)
        self._for_stills = image.FrameConverter(self._upright, FrameOutputs(), still)

    def described(self, frame: Any) -> ipc.LivePicture:
        turns = self._upright.turns
        return ipc.LivePicture(
            frame.pts,
            *image.upright_size(frame.width, frame.height, turns),
            image.sample_aspect(self._codec, self._codec, turns),
            bool(frame.key_frame),
            bool(frame.is_corrupt),
        )

    def paint(self, frame: Any, slot: int, *, with_still: bool) -> None:
        self._converter.paint(frame, *self._layout.views(self._memory, slot))
        still = self._layout.still(self._memory) if with_still else None
        if still is not None:
            self._for_stills.paint(frame, still, None)
