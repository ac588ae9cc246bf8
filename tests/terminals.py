"""What a task's last chunk has, which the others lack."""

from streamproc.contract.chunk import Chunk, ChunkError, Usage


def usage_of(chunk: Chunk) -> Usage:
    assert isinstance(chunk.usage, Usage)
    return chunk.usage


def error_of(chunk: Chunk) -> ChunkError:
    assert isinstance(chunk.error, ChunkError)
    return chunk.error
