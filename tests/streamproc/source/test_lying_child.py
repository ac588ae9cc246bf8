"""A decoder child that was taken over may say anything: it ends as a crashed decoder, cleanly."""

import mmap
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.contract import bounds
from streamproc.source.errors import DecoderCrashedError
from streamproc.source.frame_source import open_source
from streamproc.source.sandbox import decoder_client, ipc
from streamproc.source.sandbox.byte_server import ByteServer
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.streamproc.source.conftest import ALL, Clip, policy

OPENED = ipc.Opened(160, 96, 25.0, 60, 2.4, 0, "h264", "mov", (1, 12800), 0)
SHOWN = ipc.FrameReady(0, 1, 512, 0.04, 2, 0, 0)
ENDED = ipc.Ended(60, 0, 0, 0, 60, truncated=False)
INTEGERS = st.integers(-(2**63), 2**64 - 1) | st.sampled_from(
    [-1, 0, 2**24, 2**24 + 1, 2**40 - 1, 2**40, 2**63 - 1, 2**63]
)
ANYTHING = st.one_of(
    INTEGERS,
    st.floats(),
    st.text(max_size=2000),
    st.none(),
    st.booleans(),
    st.binary(max_size=20),
    st.lists(INTEGERS, max_size=4),
)


@contextmanager
def child_that_says(*messages: bytes) -> Iterator[decoder_client.DecoderProcess]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    served, _ = socket.socketpair()
    with ours, theirs, served, _:
        for message in messages:
            theirs.send(message)
        yield decoder_client.DecoderProcess(ours, served, mmap.mmap(-1, 4096), os.getpid(), -1)


def is_bounded(message: Any) -> bool:
    """Whether no number in the message is beyond what the contract names, and no text is long."""
    for value in msgspec.structs.astuple(message):
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            if isinstance(number, str):
                if len(number) > 1000:
                    return False
            elif number is not None and not -bounds.MAX_INT64 <= number <= bounds.MAX_INT64:
                return False
    return True


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([OPENED, SHOWN, ENDED]), st.data())
def test_a_message_is_within_the_bounds_or_the_decoder_has_crashed(
    honest: Any, data: st.DataObject
) -> None:
    fields = list(msgspec.structs.astuple(honest))
    for _ in range(data.draw(st.integers(1, 2))):
        fields[data.draw(st.integers(0, len(fields) - 1))] = data.draw(ANYTHING)
    said = msgspec.msgpack.encode([type(honest).__name__, *fields])
    with child_that_says(said) as child:
        try:
            message = child.receive(5)
        except DecoderCrashedError:
            return
        assert message is not None
        assert is_bounded(message)


@pytest.mark.parametrize(
    ("honest", "change"),
    [
        (OPENED, {"width": 0}),
        (OPENED, {"width": -100, "height": -100}),
        (OPENED, {"fps": float("nan")}),
        (OPENED, {"fps": -1.0}),
        (OPENED, {"total_frames": -10}),
        (OPENED, {"total_frames": 2**63}),
        (OPENED, {"duration_s": float("inf")}),
        (OPENED, {"codec": "x" * 100_000}),
        (OPENED, {"time_base": (1, 0)}),
        (OPENED, {"start_pts": 2**64 - 1}),
        (SHOWN, {"index": -1}),
        (SHOWN, {"index": 2**40 + 1}),
        (SHOWN, {"pts": 2**64 - 1}),
        (SHOWN, {"time_s": float("nan")}),
        (SHOWN, {"decoded": -1}),
        (ENDED, {"packets_sent": -1}),
        (ipc.Exited(1), {"status": -9999}),
        (ipc.Failed("decoder_crashed", ""), {"message": "\x1b]0;x" * 5000}),
    ],
)
def test_every_impossible_value_is_a_crashed_decoder(honest: Any, change: dict[str, Any]) -> None:
    lie = ipc.encode(msgspec.structs.replace(honest, **change))
    with child_that_says(lie) as child, pytest.raises(DecoderCrashedError):
        child.receive(5)


@pytest.mark.parametrize("noise", [b"\x91" * 60_000, b"\x92\xa6Failed\xa2\xff\xfe", b"\xc1", b"{}"])
def test_noise_is_a_crashed_decoder(noise: bytes) -> None:
    with (
        child_that_says(noise) as child,
        pytest.raises(DecoderCrashedError, match="invalid message"),
    ):
        child.receive(5)


@pytest.mark.parametrize("status", [-64, -40, -32, 0, 255])
def test_every_death_has_words(status: int) -> None:
    with (
        child_that_says(ipc.encode(ipc.Exited(status))) as child,
        pytest.raises(DecoderCrashedError, match="the decoder"),
    ):
        child.receive(5)


def test_a_frame_that_is_shown_again_is_a_crashed_decoder(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = decoder_client.DecoderProcess.receive

    def lying(self: decoder_client.DecoderProcess, timeout_s: float) -> Any:
        message = receive(self, timeout_s)
        if isinstance(message, ipc.FrameReady):
            return msgspec.structs.replace(message, index=min(message.index, 3))
        return message

    monkeypatch.setattr(decoder_client.DecoderProcess, "receive", lying)
    path = clip("plain.mp4")
    with open_source(SourceSpec(path.as_uri(), ALL), policy(path), FrameOutputs()) as source:
        frames = iter(source)
        for _ in range(4):
            next(frames).release()
        with pytest.raises(DecoderCrashedError, match="twice"):
            next(frames)


@pytest.mark.parametrize(
    ("position", "length", "failure"),
    [(-5, 10, None), (0, -10, None), (7, 10, ValueError("a digit limit")), (7, 1, MemoryError())],
)
def test_a_read_that_nobody_foresaw_is_answered_and_told(
    position: int, length: int, failure: Exception | None
) -> None:
    class Reader:
        size_bytes = 100

        def read_at(self, position: int, length: int) -> bytes:
            if failure is not None:
                raise failure
            return b"x" * length

    reader: Any = Reader()
    ours, theirs = socket.socketpair()
    server = ByteServer(reader, ours)
    server.start()
    theirs.sendall(ipc.READ_REQUEST.pack(position, length))
    assert theirs.recv(8) == struct.pack("<q", -1)
    theirs.close()
    server.join(5)
    assert not server.is_alive()
    assert not server.busy
    assert isinstance(server.error, type(failure) if failure else DecoderCrashedError)
    ours.close()


def test_what_a_reader_met_is_raised_where_the_frames_are_read(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind of error is the reader's own: who runs the task sees that nobody foresaw it."""

    def fails(self: ByteServer, position: int, length: int) -> tuple[int, bytes]:
        self.error = ArithmeticError("planted")
        return -1, b""

    monkeypatch.setattr(ByteServer, "_answer", fails)
    monkeypatch.setattr("streamproc.source.fetch.byte_reader.LocalReader.fileno", lambda _: None)
    path = clip("plain.mp4")
    with pytest.raises(ArithmeticError):
        open_source(SourceSpec(path.as_uri(), ALL), policy(path), FrameOutputs())
