"""An origin that writes whatever bytes a test wants, at its own pace; one server, many paths."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[["Exchange"], None]


class Exchange:
    """One connection and the request that came on it."""

    def __init__(self, connection: socket.socket, origin: "RawOrigin") -> None:
        self.connection = connection
        self.origin = origin
        self.path = ""
        self.range: tuple[int, str] = (0, "")

    def receive(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = self.connection.recv(65536)
            if not part:
                raise OSError("no request")
            head += part
        self.path = head.split(b" ", 2)[1].decode("latin-1")
        match = re.search(rb"bytes=(\d+)-(\d*)", head)
        self.range = (0, "") if match is None else (int(match[1]), match[2].decode())

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes, step_s: float) -> None:
        """Send a byte, wait, and so on, until the other side hangs up or the server ends."""
        for byte in data:
            self.send(bytes([byte]))
            if self.origin.released.wait(step_s):
                return

    def hang(self) -> None:
        """Say nothing until the other side hangs up, or the server ends."""
        self.connection.settimeout(0.05)
        while not self.origin.released.is_set():
            try:
                if not self.connection.recv(4096):
                    return
            except TimeoutError:
                continue


class RawOrigin:
    """Answers each connection by `behave`, in a thread of its own."""

    def __init__(
        self,
        behave: Behaviour,
        *,
        reads_request: bool = True,
        place: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.behave = behave
        self.reads_request = reads_request
        self.released = threading.Event()
        self.paths: list[str] = []
        self.n_accepted = self.n_open = 0
        self.changed = threading.Condition()
        self._host = place[0]
        self._listening = socket.create_server(place, backlog=128)
        self._threads: list[threading.Thread] = []

    @property
    def authority(self) -> str:
        return f"{self._host}:{self.port}"

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def wait(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s)

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.n_accepted += 1
            thread = threading.Thread(target=self._answer, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        self.released.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            exchange = Exchange(connection, self)
            self._note(+1)
            try:
                if self.reads_request:
                    exchange.receive()
                    self.paths.append(exchange.path)
                self.behave(exchange)
            finally:
                self._note(-1)

    def _note(self, change: int) -> None:
        with self.changed:
            self.n_open += change
            self.changed.notify_all()


@contextmanager
def raw_origin(
    behave: Behaviour, *, reads_request: bool = True, place: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[RawOrigin]:
    origin = RawOrigin(behave, reads_request=reads_request, place=place)
    thread = threading.Thread(target=origin.serve)
    thread.start()
    try:
        yield origin
    finally:
        origin.close()
        thread.join()
