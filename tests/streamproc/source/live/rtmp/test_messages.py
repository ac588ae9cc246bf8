"""Messages in chunks, and values in messages: what was written is read, noise is refused."""

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.source.live.rtmp import amf
from streamproc.source.live.rtmp.messages import (
    MAX_STREAMS,
    SET_CHUNK_SIZE,
    MessageReader,
    written,
)
from tests.live.rtmp_server import cut

SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=50)
OBJECTS = st.dictionaries(
    st.text(min_size=1, max_size=9),
    st.booleans() | st.floats(allow_nan=False) | st.text(max_size=9),
)


@given(st.lists(SCALARS | OBJECTS, max_size=9))
def test_values_that_were_written_are_read(values: list[amf.Sent]) -> None:
    assert amf.decode(amf.encode(values)) == values


@given(st.binary(max_size=200))
def test_other_bytes_are_values_or_a_value_error(data: bytes) -> None:
    with suppress(ValueError):
        amf.decode(data)


@pytest.mark.parametrize(
    "data", [b"\x0a\xff\xff\xff\xff", b"\x0a\0\0\0\1" * 20, b"\x05" * 2000, b"\x02\xff\xff"]
)
def test_values_are_bounded(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"nested|long|early"):
        amf.decode(data)


MESSAGES = st.lists(
    st.tuples(
        st.integers(7, 22),
        st.integers(0, (1 << 32) - 1),
        st.binary(max_size=700),
        st.sampled_from([3, 63, 64, 319, 320, 65_000]),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(MESSAGES, st.integers(1, 400), st.integers(0, 1 << 30))
def test_messages_that_were_cut_and_mixed_are_whole_again(
    messages: list[tuple[int, int, bytes, int]], chunk_bytes: int, seed: int
) -> None:
    """Chunks of several streams are mixed at random, as long as each stream keeps its order."""
    chance = random.Random(seed)
    queues: dict[int, list[bytes]] = {}
    for kind, time_ms, body, number in messages:
        queues.setdefault(number, []).extend(cut(kind, time_ms, body, chunk_bytes, number))
    data = written(SET_CHUNK_SIZE, 0, chunk_bytes.to_bytes(4, "big"))
    while queues:
        number = chance.choice([*queues])
        data += queues[number].pop(0)
        if not queues[number]:
            del queues[number]
    reader, found = MessageReader(), []
    while data:
        n_bytes = chance.randint(1, 900)
        found += [*reader.push(data[:n_bytes])]
        data = data[n_bytes:]
    got = sorted((m.kind, m.time_ms, m.data) for m in found if m.kind != SET_CHUNK_SIZE)
    assert got == sorted((kind, time_ms, body) for kind, time_ms, body, _ in messages)


@given(st.binary(max_size=3000))
def test_noise_is_messages_or_a_value_error(data: bytes) -> None:
    with suppress(ValueError):
        list(MessageReader().push(data))


def test_chunk_streams_and_messages_are_bounded() -> None:
    with pytest.raises(ValueError, match="over 8 MiB"):
        list(MessageReader().push(bytes([3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0])))
    many = b"".join(cut(9, 0, b"a", 128, number)[0] for number in range(100, 101 + MAX_STREAMS))
    with pytest.raises(ValueError, match="too many chunk streams"):
        list(MessageReader().push(many))


def test_a_message_that_is_aborted_is_forgotten() -> None:
    half = cut(9, 0, bytes(200), 128, 6)[0]
    abort = written(2, 0, (6).to_bytes(4, "big"))
    whole = b"".join(cut(9, 5, b"next", 128, 6))
    found = [*MessageReader().push(half + abort + whole)]
    assert [message.data for message in found if message.kind == 9] == [b"next"]
