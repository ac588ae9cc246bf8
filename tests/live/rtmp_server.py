"""An RTMP server for one player at a time: what it sends is cut and mixed as servers do."""

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from streamproc.source.live.rtmp import amf
from streamproc.source.live.rtmp.messages import COMMAND, MessageReader
from tests.streamproc.source.live.containers.muxed import muxed

AUDIO, VIDEO, AGGREGATE = 8, 9, 22


@dataclass
class RtmpServer:
    """`start_ms`: of the times. `refuses`: the command that is answered with an error code."""

    host: str = ""
    chunk_bytes: int = 300
    start_ms: int = 0
    aggregates: bool = False
    refuses: dict[str, str] = field(default_factory=dict)
    pings: bool = False
    silent_after: int | None = None
    commands: list[list[amf.Value]] = field(default_factory=list)
    controls: list[bytes] = field(default_factory=list)


def tags() -> Iterator[tuple[int, int, bytes]]:
    """Yield (kind, time_ms, body) of the tags that libav writes into FLV."""
    data = muxed("flv", "h264", with_sound=True).data
    at = 13
    while at + 11 <= len(data):
        length = int.from_bytes(data[at + 1 : at + 4], "big")
        time_ms = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        if data[at] in {AUDIO, VIDEO}:
            yield data[at], time_ms, data[at + 11 : at + 11 + length]
        at += 11 + length + 4


def cut(
    kind: int, time_ms: int, body: bytes, chunk_bytes: int, number: int, stream: int = 1
) -> list[bytes]:
    """Return a message as chunks, with a long time field where it is needed."""
    field = min(time_ms, 0xFFFFFF)
    long = struct.pack(">I", time_ms) if field == 0xFFFFFF else b""
    head = struct.pack(">I", field)[1:] + struct.pack(">I", len(body))[1:]
    first = head + bytes([kind]) + struct.pack("<I", stream) + long
    pieces = [body[at : at + chunk_bytes] for at in range(0, max(len(body), 1), chunk_bytes)]
    chunks = [_basic(0, number) + first + pieces[0]]
    return chunks + [_basic(3, number) + long + piece for piece in pieces[1:]]


def _basic(form: int, number: int) -> bytes:
    if number < 64:
        return bytes([form << 6 | number])
    if number < 320:
        return bytes([form << 6, number - 64])
    return bytes([form << 6 | 1]) + struct.pack("<H", number - 64)


@contextmanager
def rtmp_server() -> Iterator[RtmpServer]:
    server = RtmpServer()
    listening = socket.create_server(("127.0.0.1", 0))
    server.host = f"127.0.0.1:{listening.getsockname()[1]}"
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            try:
                connected, _ = listening.accept()
            except OSError:
                return
            with connected, suppress(OSError):
                connected.settimeout(10)
                _play(server, connected, stopping)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stopping.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _play(server: RtmpServer, connected: socket.socket, stopping: threading.Event) -> None:
    hello = _exactly(connected, 1537)
    connected.sendall(b"\x03" + random.Random(1).randbytes(1536) + hello[1:])
    _exactly(connected, 1536)
    reader = MessageReader()
    while not stopping.is_set():
        data = connected.recv(4096)
        if not data:
            return
        for message in reader.push(data):
            if message.kind != COMMAND:
                server.controls.append(bytes([message.kind]) + message.data)
                continue
            if _answered(server, connected, amf.decode(message.data)):
                if server.silent_after is not None:
                    stopping.wait(10)
                connected.shutdown(socket.SHUT_WR)
                while last := connected.recv(4096):
                    _note(server, reader, last)
                return


def _note(server: RtmpServer, reader: MessageReader, data: bytes) -> None:
    found = (bytes([one.kind]) + one.data for one in reader.push(data) if one.kind != COMMAND)
    server.controls.extend(found)


def _answered(server: RtmpServer, connected: socket.socket, command: list[Any]) -> bool:
    """Answer a command; return whether the clip was played."""
    server.commands.append(command)
    name, number = command[:2]
    if name in server.refuses:
        about = {"level": "error", "code": server.refuses[name]}
        failed = "onStatus" if name == "play" else "_error"
        _answer(connected, amf.encode([failed, number, None, about]))
    elif name == "connect":
        for kind in (5, 6):
            window = struct.pack(">I", 100_000)
            connected.sendall(b"".join(cut(kind, 0, window, 128, 2, 0)))
        _answer(connected, amf.encode(["_result", number, {"fmsVer": "x"}, {"code": "ok"}]))
    elif name == "createStream":
        _answer(connected, amf.encode(["_result", number, None, 1.0]))
    elif name == "play":
        _send_clip(server, connected)
        return True
    return False


def _send_clip(server: RtmpServer, connected: socket.socket) -> None:
    size = struct.pack(">I", server.chunk_bytes)
    connected.sendall(b"".join(cut(1, 0, size, 128, 2, 0)))
    _answer(connected, amf.encode(["onStatus", 0.0, None, {"code": "NetStream.Play.Start"}]))
    if server.pings:
        connected.sendall(b"".join(cut(4, 0, b"\0\x06\0\0\x30\x39", server.chunk_bytes, 2, 0)))
    sound: list[bytes] = []
    for number, (kind, time_ms, body) in enumerate(tags()):
        if server.silent_after is not None and number >= server.silent_after:
            return
        time_ms = (time_ms + server.start_ms) % (1 << 32)  # noqa: PLW2901 - the same tag
        if kind == AUDIO:
            sound = cut(AUDIO, time_ms, body, server.chunk_bytes, 4)
        elif server.aggregates:
            part = bytes([VIDEO]) + struct.pack(">I", len(body))[1:]
            part += struct.pack(">I", time_ms & 0xFFFFFF)[1:] + bytes([time_ms >> 24]) + bytes(3)
            part += body + struct.pack(">I", len(body) + 11)
            connected.sendall(b"".join(cut(AGGREGATE, time_ms, part, server.chunk_bytes, 6)))
        else:
            video = cut(VIDEO, time_ms, body, server.chunk_bytes, 400)
            mixed = [chunk for pair in zip(video, sound, strict=False) for chunk in pair]
            n_pairs = min(len(video), len(sound))
            connected.sendall(b"".join([*mixed, *sound[n_pairs:], *video[n_pairs:]]))
            sound = []


def _answer(connected: socket.socket, data: bytes) -> None:
    connected.sendall(b"".join(cut(COMMAND, 0, data, 128, 3, 0)))


def _exactly(connected: socket.socket, n_bytes: int) -> bytes:
    data = b""
    while len(data) < n_bytes and (piece := connected.recv(n_bytes - len(data))):
        data += piece
    return data
