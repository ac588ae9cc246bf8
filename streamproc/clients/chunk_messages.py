"""From a Kafka message of video.chunks to its record."""

from confluent_kafka import Message

from streamproc.contract.records import ChunkRecord, read_chunk_record


def chunk_record(message: Message) -> ChunkRecord:
    """Return the record of a consumed message. Raises `BadRecordError`."""
    return read_chunk_record(
        key=message.key(),
        value=message.value(),
        headers=message.headers(),
        position=message.offset() or 0,
        time_ms=message.timestamp()[1],
    )
