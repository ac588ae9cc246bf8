"""Byte server: answers the decoder child's read requests, in a thread of the parent."""

import contextlib
import socket
import threading

from streamproc.source.errors import DecoderCrashedError
from streamproc.source.fetch.byte_reader import ByteReader
from streamproc.source.sandbox import ipc


class ByteServer(threading.Thread):
    """Serves one child from a guarded reader until its socket closes.

    The first read error is kept in `error`. Unexpected exceptions are caught, too: a child without
    an answer waits for ever.
    """

    def __init__(self, reader: ByteReader, connection: socket.socket) -> None:
        super().__init__(name="source-bytes", daemon=True)
        self._reader = reader
        self._connection = connection
        self.error: Exception | None = None
        self.busy = False

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while request := self._receive(ipc.READ_REQUEST.size):
                position, length = ipc.READ_REQUEST.unpack(request)
                self.busy = True
                answer, data = self._answer(position, length)
                self.busy = False
                self._connection.sendall(ipc.READ_REPLY.pack(answer) + data)

    def _answer(self, position: int, length: int) -> tuple[int, bytes]:
        try:
            if length == 0:
                return self._size(force=position < 0), b""
            data = self._read(position, min(length, 1 << 20))
        except Exception as exc:  # noqa: BLE001 - the thread's edge: the iterator raises it again
            self.error = self.error or exc
            return -1, b""
        return len(data), data

    def _read(self, position: int, length: int) -> bytes:
        if position < 0 or length < 0:
            raise DecoderCrashedError("the decoder requested an invalid byte range")
        return self._reader.read_at(position, length)

    def _size(self, *, force: bool) -> int:
        if force:
            return self._reader.find_size()
        size = self._reader.size_bytes
        return -2 if size is None else size

    def _receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self._connection.recv(length - len(data))
            if not piece:
                return b""
            data += piece
        return data
