"""Decoder child: forked by the fork server, it executes one order in its sandbox and exits.

It decodes a file or a live source, or encodes an image as JPEG; a child that encodes has never read
the video.

A hostile video can corrupt only the memory of this process, which ends after one order. The parent
ends it by closing the control socket or by SIGKILL.
"""

import contextlib
import mmap
import os
import select
import socket
import threading
from collections.abc import Iterator

from models.sizes import SourceShape
from streamproc.contract.bounds import usable_count, usable_duration_s, usable_fps
from streamproc.contract.sandbox import NETWORK_NAMESPACE, Sandbox
from streamproc.source.errors import DecoderCrashedError, SourceError, SourceTooLargeError
from streamproc.source.sandbox import (
    annotation,
    frame_pool,
    ipc,
    isolation,
    limits,
    live_decoder,
)
from streamproc.source.video import image
from streamproc.source.video.container import VideoStream
from streamproc.source.video.frame_iterator import FrameIterator


class SourceReadError(Exception):
    """The parent could not deliver bytes; the cause is known in the parent."""


class LocalFile:
    """A local source, read through a descriptor that this process received."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._position = 0
        self.size_bytes: int | None = os.fstat(fd).st_size
        self.is_far = self.is_arriving = False

    def read(self, n_bytes: int) -> bytes:
        data = os.pread(self._fd, n_bytes, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset += self.size_bytes or 0
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position


class ServedFile:
    """A source that the parent reads: every read is a request over the bytes socket."""

    def __init__(self, connection: socket.socket, *, is_arriving: bool) -> None:
        self._connection = connection
        self._position = 0
        self.is_far, self.is_arriving = True, is_arriving
        size = self._ask(0, 0)
        self.size_bytes = None if size < 0 else size

    def read(self, n_bytes: int) -> bytes:
        length = self._ask(self._position, n_bytes)
        if length < 0:
            raise SourceReadError
        data = self._receive(length)
        self._position += length
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            if self.size_bytes is None:
                self.size_bytes = self._ask(-1, 0)
            if self.size_bytes < 0:
                raise SourceReadError
            offset += self.size_bytes
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def _ask(self, position: int, length: int) -> int:
        self._connection.sendall(ipc.READ_REQUEST.pack(position, length))
        (answer,) = ipc.READ_REPLY.unpack(self._receive(ipc.READ_REPLY.size))
        return int(answer)

    def _receive(self, length: int) -> bytes:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            n_bytes = self._connection.recv_into(view)
            if n_bytes == 0:
                raise SourceReadError
            view = view[n_bytes:]
        return bytes(data)


class Slots:
    """Free slots of the frame pool; `take` waits for the parent when there is none."""

    def __init__(self, control: socket.socket, n_slots: int) -> None:
        self._control = control
        self._free = list(range(n_slots - 1, -1, -1))

    def take(self) -> int:
        while not self._free:
            message = self._control.recv(ipc.MAX_MESSAGE_BYTES)
            if not message:
                raise BrokenPipeError
            released = ipc.decode_to_child(message)
            if isinstance(released, ipc.Release):
                self._free.extend(released.slots)
        return self._free.pop()


def serve(parent_pid: int, control_fd: int, bytes_fd: int, ring_fd: int) -> None:
    """Execute one order; a failure is sent to the worker, or shows in the exit status.

    Must be called in a separate process with one thread. The process exits afterwards.
    """
    isolated = isolation.isolate(parent_pid)
    control = socket.socket(fileno=control_fd)
    served = socket.socket(fileno=bytes_fd)
    memory = mmap.mmap(ring_fd, frame_pool.RING_BYTES)
    control.send(ipc.encode(ipc.Started(NETWORK_NAMESPACE not in isolated.missing)))
    order, fd = _receive_order(control)
    if order is None:
        return
    file = LocalFile(fd) if isinstance(order, ipc.Open) and order.local else None
    missing = isolation.lock_down(isolated, *_limits(order))
    threading.Thread(target=_exit_with_parent, args=(control_fd,), daemon=True).start()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        answer = _carry_out(order, Sandbox(tuple(missing)), file, control, served, memory)
        control.send(ipc.encode(answer))


def _limits(order: ipc.Order) -> tuple[int, int]:
    """Return (maximum pixels of an image, seconds of CPU time in total)."""
    if isinstance(order, ipc.Open | ipc.OpenLive):
        return order.max_pixels, order.cpu_limit_s
    n_pixels = order.width * order.height if isinstance(order, ipc.Draw) else 0
    return n_pixels, limits.STRETCH_S


def _carry_out(
    order: ipc.Order,
    sandbox: Sandbox,
    file: LocalFile | None,
    control: socket.socket,
    served: socket.socket,
    memory: mmap.mmap,
) -> ipc.FromChild:
    """Execute the order and return the last message to the worker."""
    if isinstance(order, ipc.Probe):
        return ipc.LockedDown(sandbox.missing)
    if order.require_sandbox and not sandbox.suffices:
        return ipc.Failed(DecoderCrashedError.code, f"the decoder's sandbox is {sandbox}")
    if isinstance(order, ipc.Draw):
        return ipc.Drawn(annotation.draw_in_place(memory, order))
    if isinstance(order, ipc.OpenLive):
        return live_decoder.decode(order, control, served, memory)
    return _decode(order, file, control, served, memory)


def _decode(
    message: ipc.Open,
    local: LocalFile | None,
    control: socket.socket,
    served: socket.socket,
    memory: mmap.mmap,
) -> ipc.FromChild:
    """Decode the source into the frame pool; returns the last message."""
    cpu_time = limits.CpuTime()
    try:
        file = local or ServedFile(served, is_arriving=not message.seekable)
        stream = VideoStream(
            file,
            max_pixels=message.max_pixels,
            number=message.stream,
            on_packet=cpu_time.renew,
        )
        walk = FrameIterator(
            stream,
            message.sampling,
            message.range,
            message.resume,
            by_clock=message.by_clock,
            anchor_s=message.anchor_s,
        )
        for event in _pictures(walk, stream, message, control, memory):
            control.send(ipc.encode(event))
    except SourceError as exc:
        return ipc.Failed(exc.code, str(exc))
    except SourceReadError:
        return ipc.Failed(ipc.READ_FAILED, "the source could not be read")
    except MemoryError:
        return ipc.Failed(SourceTooLargeError.code, "decoding needs more memory than is allowed")
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as exc:  # noqa: BLE001 - the process edge: all errors are reported
        return ipc.Failed("decoder_crashed", f"the decoder failed: {type(exc).__name__}")
    usage = walk.usage
    return ipc.Ended(
        usage.decoded,
        usage.failed,
        usage.skipped_sampled,
        usage.skipped_undecoded,
        usage.packets_sent,
        walk.truncated,
        walk.n_frames,
    )


def _pictures(
    walk: FrameIterator,
    stream: VideoStream,
    message: ipc.Open,
    control: socket.socket,
    memory: mmap.mmap,
) -> Iterator[ipc.FromChild]:
    head = walk.head_frame
    upright = image.upright(head)
    width, height = image.upright_size(head.width, head.height, upright.turns)
    aspect = image.sample_aspect(stream.stream, stream.codec, upright.turns)
    shape = SourceShape(width, height, aspect)
    layout = frame_pool.Layout(shape, message.outputs)
    if not layout.fits or width * height > message.max_pixels:
        raise SourceTooLargeError(
            f"the video is {width}x{height}; the limit is {message.max_pixels} pixels"
        )
    yield ipc.Opened(
        width,
        height,
        usable_fps(float(stream.rate)),
        usable_count(stream.extent.total_frames(has_fields=stream.has_fields)),
        usable_duration_s(stream.extent.duration_s),
        upright.turns * 90,
        stream.codec.name,
        stream.format,
        (stream.time_base.numerator, stream.time_base.denominator),
        walk.head.pts,
        stream.total_is_exact,
        aspect,
    )
    painter = image.FrameConverter(upright, message.outputs, shape)
    slots = Slots(control, layout.n_slots)
    for picked in walk.pictures():
        slot = slots.take()
        painter.paint(picked.frame, *layout.views(memory, slot))
        counters = walk.counters
        size = image.upright_size(picked.frame.width, picked.frame.height, upright.turns)
        yield ipc.FrameReady(
            slot,
            picked.index,
            picked.pts,
            picked.time_s,
            counters.decoded,
            counters.failed,
            counters.skipped,
            picked.pos,
            None if size == (width, height) else size,
            picked.is_estimate,
        )


def _receive_order(control: socket.socket) -> tuple[ipc.Order | None, int]:
    data, fds, _, _ = socket.recv_fds(control, ipc.MAX_MESSAGE_BYTES, 1)
    message = ipc.decode_to_child(data) if data else None
    order = None if isinstance(message, ipc.Release | ipc.Paint) else message
    return order, (fds[0] if fds else -1)


def _exit_with_parent(control_fd: int) -> None:
    """Exit at once when the parent closes the socket, even during a long decode."""
    poll = select.poll()
    poll.register(control_fd, select.POLLRDHUP)
    while not poll.poll():
        pass
    os._exit(0)
