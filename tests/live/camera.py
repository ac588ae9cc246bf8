"""A camera of our own: an RTSP server in Python with faults on demand, over TCP, TLS and UDP.

    python -m tests.live.camera --port 8554 --control 8555

plays `rtsp://127.0.0.1:8554/cam`. Each line to the control port is a fault (`FAULTS`), such as
`stall` or `jump 3600`; the answer is a line, too.
"""

import argparse
import base64
import hashlib
import random
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from tests.live.clip import Clip, clip

HZ = 90_000
_NTP_EPOCH_S = 2_208_988_800
FAULTS = frozenset(
    [
        "kill",
        "revive",
        "stall",
        "hold",
        "resume",
        "reset",
        "wrap",
        "jump",
        "lose",
        "insert",
        "show",
        "refuse",
        "redirect",
        "mute",
    ]
)


class Camera:
    """Serves one clip to any number of clients; every attribute may be changed while it runs."""

    def __init__(
        self,
        shown: Clip | None = None,
        *,
        login: tuple[str, str] | None = None,
        scheme: str = "digest",
        algorithm: str | None = "MD5",
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        speed: float = 1.0,
    ) -> None:
        self.clip = shown or clip()
        self.login = login
        self.scheme, self.algorithm = scheme, algorithm
        self.tls = tls
        self.speed = speed
        self.requests: list[str] = []
        self.n_tries = 0  # descriptions asked for with credentials
        self.n_accepted = 0
        self.reports: list[bytes] = []  # RTCP of the clients
        self.n_sent = 0  # pictures, to all clients
        self.loss = 0.0
        self.clock_offset_s = 0.0
        self.location: str | None = None
        self.is_refusing = self.is_muted = self.is_held = False
        self.allows_udp = True
        self.session_timeout_s = 60
        self.epoch = (random.getrandbits(16), random.getrandbits(32))
        self.n_resets = 0
        self.jumped_s = 0.0
        self.garbage = 0
        self.running = threading.Event()
        self.running.set()
        self.over = threading.Event()
        self.changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server(("127.0.0.1", port), backlog=16)
        self.port: int = self._listening.getsockname()[1]
        self._start(self._accept, self._listening)

    def url(self, login: str = "", path: str = "cam") -> str:
        scheme = "rtsps" if self.tls else "rtsp"
        return f"{scheme}://{login}{'@' if login else ''}127.0.0.1:{self.port}/{path}"

    def kill(self) -> None:
        """End all connections, and listen no more until `revive`."""
        self._stop_listening()
        self.hang_up()

    def revive(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=16)
        self._start(self._accept, self._listening)

    def stall(self) -> None:
        """Send no pictures until `resume`."""
        self.running.clear()

    def hold(self) -> None:
        """Keep the pictures back until `resume`, which sends them at once: a network that hangs."""
        self.is_held = True
        self.running.clear()

    def resume(self) -> None:
        self.running.set()

    def reset(self) -> None:
        """Start sequence numbers and timestamps anew within the connection."""
        self.epoch, self.n_resets = (7, 7), self.n_resets + 1

    def wrap(self) -> None:
        """As `reset`, to just before sequence numbers and timestamps wrap around."""
        self.epoch = ((1 << 16) - 20, (1 << 32) - 10 * HZ // self.clip.fps)
        self.n_resets += 1

    def jump(self, seconds: str) -> None:
        self.jumped_s += float(seconds)

    def lose(self, share: str) -> None:
        """Leave out this share of the packets."""
        self.loss = float(share)

    def insert(self, n_bytes: str) -> None:
        """Send bytes that belong to no message."""
        self.garbage += int(n_bytes)

    def show(self, what: str) -> None:
        """Go on with another clip: codec, width and height."""
        codec, width, height = what.split()
        self.clip = clip(codec, (int(width), int(height)))

    def refuse(self) -> None:
        """Answer every login with 401 from now on."""
        self.is_refusing = True

    def redirect(self, location: str) -> None:
        self.location = location

    def mute(self) -> None:
        """Answer no request any more."""
        self.is_muted = True

    def hang_up(self) -> None:
        for one in list(self._connections):
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def wait(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s)

    def close(self) -> None:
        self.over.set()
        self.running.set()
        self._stop_listening()
        self.hang_up()
        for thread in self._threads:
            thread.join()

    def note(self, change: Callable[[], None]) -> None:
        with self.changed:
            change()
            self.changed.notify_all()

    def _stop_listening(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _start(self, run: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=run, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connected, _ = listening.accept()
            except OSError:
                return
            self.note(lambda: setattr(self, "n_accepted", self.n_accepted + 1))
            self._start(self._serve, connected)

    def _serve(self, connected: socket.socket) -> None:
        self._connections.add(connected)
        with suppress(OSError, ValueError):
            if self.tls is not None:
                self._connections.discard(connected)
                connected = self.tls.wrap_socket(connected, server_side=True)
                self._connections.add(connected)
            with _Conversation(self, connected) as talk:
                talk.run()
        self._connections.discard(connected)
        connected.close()


class _Conversation:
    """One client: its requests, and the pictures that it gets after PLAY."""

    def __init__(self, camera: Camera, connected: socket.socket) -> None:
        self._camera = camera
        self._socket = connected
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._sender: threading.Thread | None = None
        self._udp: list[socket.socket] = []
        self._nonce = f"{random.getrandbits(64):x}"
        self._channels = (0, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._sender is not None:
            self._sender.join()
        for one in self._udp:
            one.close()

    def run(self) -> None:
        held = b""
        while True:
            held = self._without_rtcp(held)
            while b"\r\n\r\n" not in held:
                part = self._socket.recv(65536)
                if not part:
                    return
                held = self._without_rtcp(held + part)
            head, _, held = held.partition(b"\r\n\r\n")
            if not self._answer(head.decode()):
                return

    def _without_rtcp(self, held: bytes) -> bytes:
        """Take the interleaved packets from the start of what was received."""
        while held[:1] == b"$" and len(held) >= 4 + int.from_bytes(held[2:4], "big"):
            size = 4 + int.from_bytes(held[2:4], "big")
            self._note_rtcp(held[4:size])
            held = held[size:]
        return held

    def _note_rtcp(self, data: bytes) -> None:
        self._camera.note(lambda: self._camera.reports.append(data))

    def _answer(self, head: str) -> bool:
        """Answer a request; return whether the client stays."""
        camera = self._camera
        method, target, _ = head.split(" ", 2)
        headers = dict(re.findall(r"(?m)^([\w-]+): *(.*?)\r?$", head))
        camera.note(lambda: camera.requests.append(method))
        if camera.is_muted:
            return True
        number = headers["CSeq"]
        if camera.location is not None:
            return self._reply(number, "302 Found", f"Location: {camera.location}")
        if method != "OPTIONS" and not self._is_known(method, target, headers):
            return self._reply(number, "401 Unauthorized", *self._challenges())
        match method:
            case "OPTIONS":
                return self._reply(number, "200 OK", "Public: DESCRIBE, SETUP, GET_PARAMETER")
            case "DESCRIBE":
                text = f"v=0\r\ns=camera\r\na=control:*\r\n{camera.clip.description()}"
                text += "m=audio 0 RTP/AVP 0\r\na=control:trackID=1\r\n"
                return self._reply(
                    number, "200 OK", f"Content-Base: {target}/", f"Content-Length: {len(text)}",
                    body=text,
                )  # fmt: skip
            case "SETUP":
                transport = self._set_up(headers["Transport"])
                if transport is None:
                    return self._reply(number, "461 Unsupported Transport")
                session = f"Session: 1A2B;timeout={camera.session_timeout_s}"
                return self._reply(number, "200 OK", f"Transport: {transport}", session)
            case "PLAY":
                self._reply(number, "200 OK", "Session: 1A2B")
                self._sender = threading.Thread(target=self._play)
                self._sender.start()
                return True
            case "TEARDOWN":
                self._reply(number, "200 OK")
                return False
            case _:
                return self._reply(number, "200 OK", "Session: 1A2B")

    def _reply(self, number: str, status: str, *headers: str, body: str = "") -> bool:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {number}", *headers]
        self._send("\r\n".join(lines).encode() + b"\r\n\r\n" + body.encode())
        return True

    def _send(self, data: bytes) -> None:
        with self._lock:
            self._socket.sendall(data)

    def _challenges(self) -> list[str]:
        if self._camera.scheme == "basic":
            return ['WWW-Authenticate: Basic realm="camera"']
        named = "" if self._camera.algorithm is None else f", algorithm={self._camera.algorithm}"
        return [f'WWW-Authenticate: Digest realm="camera", nonce="{self._nonce}"{named}']

    def _is_known(self, method: str, target: str, headers: dict[str, str]) -> bool:
        camera, given = self._camera, headers.get("Authorization")
        if given is not None and method == "DESCRIBE":
            camera.note(lambda: setattr(camera, "n_tries", camera.n_tries + 1))
        if camera.is_refusing:
            return False
        if camera.login is None:
            return True
        if given is None:
            return False
        user, password = camera.login
        if camera.scheme == "basic":
            return given == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        take = hashlib.sha256 if camera.algorithm == "SHA-256" else hashlib.md5

        def digest(text: str) -> str:
            return take(text.encode()).hexdigest()

        secret, request = digest(f"{user}:camera:{password}"), digest(f"{method}:{target}")
        return f'response="{digest(f"{secret}:{self._nonce}:{request}")}"' in given

    def _set_up(self, asked: str) -> str | None:
        if "TCP" in asked:
            return "RTP/AVP/TCP;unicast;interleaved=0-1"
        match = re.search(r"client_port=(\d+)-(\d+)", asked)
        if match is None or not self._camera.allows_udp:
            return None
        peer = self._socket.getpeername()[0]
        for port in match.groups():
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind(("127.0.0.1", 0))
            one.connect((peer, int(port)))
            self._udp.append(one)
        own = "-".join(str(one.getsockname()[1]) for one in self._udp)
        return f"RTP/AVP;unicast;client_port={match[1]}-{match[2]};server_port={own}"

    def _play(self) -> None:
        with suppress(OSError):
            for channel, packet in self._packets():
                if channel == 0 and random.random() < self._camera.loss:
                    continue
                if self._udp:
                    with suppress(ConnectionRefusedError):
                        self._udp[channel].send(packet)
                    with suppress(BlockingIOError, ConnectionRefusedError):
                        self._note_rtcp(self._udp[1].recv(2048, socket.MSG_DONTWAIT))
                else:
                    self._send(b"$" + bytes([channel]) + struct.pack(">H", len(packet)) + packet)

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        """Yield (channel, packet) at the clip's rate, until the client or the camera ends."""
        camera = self._camera
        resets, sequence, start = camera.n_resets, *camera.epoch
        first = shown = 0
        while not (self._ended.is_set() or camera.running.wait(0.05)):
            pass  # nothing is kept back for a client that comes later
        begun_s = due_s = time.monotonic()
        while not (self._ended.wait(max(0.0, due_s - time.monotonic())) or camera.over.is_set()):
            while not camera.running.wait(0.05):
                if self._ended.is_set():
                    return
            if camera.garbage:
                noise, camera.garbage = camera.garbage, 0
                self._send(bytes(noise))
            if resets != camera.n_resets:
                resets, (sequence, start) = camera.n_resets, camera.epoch
                first = shown
            one = camera.clip
            step = HZ // one.fps
            timestamp = int(start + (shown - first) * step + camera.jumped_s * HZ) % (1 << 32)
            if shown % one.fps == 0:
                late_s = time.monotonic() - due_s if camera.is_held else 0.0
                yield 1, _report(timestamp, camera.clock_offset_s - late_s)
            payloads = one.pictures[shown % len(one.pictures)]
            for number, payload in enumerate(payloads, 1):
                marker = 128 if number == len(payloads) else 0
                head = struct.pack(">BBHII", 128, one.payload_type | marker, sequence, timestamp, 9)
                sequence = (sequence + 1) % (1 << 16)
                yield 0, head + payload
            shown += 1
            camera.note(lambda: setattr(camera, "n_sent", camera.n_sent + 1))
            due_s = begun_s + shown / (one.fps * camera.speed)
            is_late = due_s < time.monotonic() - 1
            if is_late and not camera.is_held:  # after a stall: on, not the missed pictures at once
                begun_s = time.monotonic() - shown / (one.fps * camera.speed)
            camera.is_held = camera.is_held and is_late


def _report(timestamp: int, offset_s: float) -> bytes:
    """An RTCP sender report of now."""
    seconds, fraction = divmod(time.time() + offset_s + _NTP_EPOCH_S, 1)
    wall = (int(seconds), int(fraction * 2**32))
    return struct.pack(">BBHIIIIII", 128, 200, 6, 9, *wall, timestamp, 0, 0)


@contextmanager
def camera(shown: Clip | None = None, **options: Any) -> Iterator[Camera]:
    one = Camera(shown, **options)
    try:
        yield one
    finally:
        one.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8554)
    parser.add_argument("--control", type=int, default=8555)
    parser.add_argument("--codec", choices=["h264", "hevc", "mjpeg"], default="h264")
    parser.add_argument("--size", type=int, nargs=2, default=[640, 352])
    options = parser.parse_args()
    shown = clip(options.codec, tuple(options.size))
    with (
        camera(shown, port=options.port) as one,
        socket.create_server(("127.0.0.1", options.control)) as control,
    ):
        while True:
            connected, _ = control.accept()
            with connected, connected.makefile("rw") as lines:
                for line in lines:
                    lines.write(f"{_done(one, *line.split(maxsplit=1))}\n")
                    lines.flush()


def _done(one: Camera, name: str = "", *values: str) -> str:
    """Do a fault; return what to answer."""
    if name not in FAULTS:
        return f"no such fault: there are {', '.join(sorted(FAULTS))}"
    try:
        getattr(one, name)(*(value.strip() for value in values))
    except (TypeError, ValueError) as exc:
        return str(exc)
    return "done"


if __name__ == "__main__":
    main()
