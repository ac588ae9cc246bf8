"""Checkpoints: they come back as they were, and nothing else is taken for one."""

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streamproc.worker.checkpoint import (
    BadCheckpointError,
    Checkpoint,
    decode_checkpoint,
    encode_checkpoint,
)

WHOLE = Checkpoint("local", 17, 3, "abc", b"state")


@given(st.binary(max_size=500), st.integers(0, 2**50), st.integers(0, 10**6))
def test_a_checkpoint_comes_back_as_it_was(engine: bytes, started_ms: int, n: int) -> None:
    checkpoint = Checkpoint("local", started_ms, n, "pin", engine)
    assert decode_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadCheckpointError):
        decode_checkpoint(data)


def test_a_cut_checkpoint_is_refused() -> None:
    with pytest.raises(BadCheckpointError):
        decode_checkpoint(encode_checkpoint(WHOLE)[:-3])


def test_another_version_is_refused() -> None:
    other = msgspec.structs.replace(WHOLE, version=99)
    with pytest.raises(BadCheckpointError, match="version 99"):
        decode_checkpoint(encode_checkpoint(other))


def test_a_bomb_is_refused() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(65 * 1024 * 1024))
    with pytest.raises(BadCheckpointError):
        decode_checkpoint(bomb)
