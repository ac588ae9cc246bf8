"""Chunk records survive Kafka's headers, and damage is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.records import (
    BadRecordError,
    ChunkRecord,
    decode_task_message,
    read_chunk_record,
)

OPTIONAL = st.none() | st.binary(max_size=20)


@given(
    value=st.binary(max_size=50),
    epoch=st.integers(0, 2**60),
    frame=st.integers(-1, 2**40),
    ckpt=OPTIONAL,
    vectors=OPTIONAL,
    pin=OPTIONAL,
)
def test_a_record_reads_back_as_it_was_written(
    value: bytes,
    epoch: int,
    frame: int,
    ckpt: bytes | None,
    vectors: bytes | None,
    pin: bytes | None,
) -> None:
    written = ChunkRecord(
        "vt_1", "p", "chunk", epoch, 3, 9, frame, frame, value, ckpt, vectors, pin, 77, 1234
    )
    read = read_chunk_record(
        key=b"vt_1", value=value, headers=written.headers(), position=77, time_ms=1234
    )
    assert read == written


def test_a_claims_epoch_is_its_own_position() -> None:
    claim = ChunkRecord("vt_1", "p", "claim", -1, 0, 0, -1, -1, b"c")
    read = read_chunk_record(
        key=b"vt_1", value=b"c", headers=claim.headers(), position=41, time_ms=0
    )
    assert read.epoch == 41


@pytest.mark.parametrize("missing", ["kind", "epoch", "off", "crc32c", "project"])
def test_a_missing_header_is_refused(missing: str) -> None:
    headers = ChunkRecord("vt_1", "p", "chunk", 1, 0, 0, 0, 0, b"c").headers()
    kept = [header for header in headers if header[0] != missing]
    with pytest.raises(BadRecordError):
        read_chunk_record(key=b"vt_1", value=b"c", headers=kept, position=1, time_ms=0)


def test_a_changed_value_is_refused() -> None:
    headers = ChunkRecord("vt_1", "p", "chunk", 1, 0, 0, 0, 0, b"c").headers()
    with pytest.raises(BadRecordError, match="checksum"):
        read_chunk_record(key=b"vt_1", value=b"d", headers=headers, position=1, time_ms=0)


def test_bytes_that_are_no_task_message_are_refused() -> None:
    with pytest.raises(BadRecordError):
        decode_task_message(b"\xff not msgpack")
