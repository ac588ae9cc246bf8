"""Every stored format: how today's code writes and reads it, and what it writes for one value."""

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import zstandard

from api.http.pagination import decode_cursor, encode_cursor
from console.config.state import decode_state, encode_state
from console.stack.data_directory import Secrets, Stores
from streamproc.contract.audit import decode_audit, encode_audit
from streamproc.contract.chunk import decode_chunk, encode_chunk
from streamproc.contract.framing import frame_event
from streamproc.contract.object_keys import Expired, Final, PictureInfo, SegmentInfo
from streamproc.contract.recordings import PieceInfo
from streamproc.contract.records import (
    CancelRequested,
    ChunkRecord,
    Claim,
    ConsumerBeat,
    DeadLetter,
    KeyEnd,
    KeyUse,
    Kind,
    Project,
    ProjectKey,
    WorkerBeat,
    decode_task_message,
    decode_vectors,
    encode_task_message,
    encode_vectors,
    read_chunk_record,
)
from streamproc.contract.stored_request import decode_stored_request, encode_stored_request
from streamproc.providers.live_state import LiveState
from streamproc.providers.local import LocalState
from streamproc.providers.upstream.position import UpstreamState
from streamproc.sinks.archive.actions import decode_entries, encode_entries
from streamproc.sinks.archive.live import LiveMark
from streamproc.source.live.recording import multipart, transport_stream
from streamproc.stages.tracking.state import TrackerState
from streamproc.worker.checkpoint import decode_checkpoint, encode_checkpoint
from tests.golden import values


class Format(NamedTuple):
    """`plain` turns bytes into what any msgpack or JSON reader sees: no class of ours is asked.

    `same_bytes`: no library's version shows in what is written, as one of zstd does.
    """

    value: Any
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    plain: Callable[[bytes], Any]
    same_bytes: bool = True


def packed(value: Any, kind: Any) -> Format:
    """Return the format of a value that stands in Kafka as msgpack."""
    decoder = msgspec.msgpack.Decoder(kind)
    return Format(value, msgspec.msgpack.encode, decoder.decode, msgspec.msgpack.decode)


def in_json(value: Any, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]) -> Format:
    return Format(value, encode, decode, msgspec.json.decode)


def cursor(value: msgspec.Struct) -> Format:
    def decode(data: bytes) -> msgspec.Struct:
        return decode_cursor(data.decode(), type(value))

    def plain(data: bytes) -> Any:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4)))

    return Format(value, lambda one: encode_cursor(one).encode(), decode, plain)


def _unzipped(data: bytes) -> Any:
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data))


def _encode_messages(records: tuple[ChunkRecord, ...]) -> bytes:
    """Return messages of video.chunks as JSON: key, and in base64 the value and the headers."""
    messages = [
        {
            "key": one.task,
            "value": base64.b64encode(one.value).decode(),
            "headers": [[name, base64.b64encode(data).decode()] for name, data in one.headers()],
        }
        for one in records
    ]
    return json.dumps(messages, indent=1).encode()


def _decode_messages(data: bytes) -> tuple[ChunkRecord, ...]:
    return tuple(
        read_chunk_record(
            key=one["key"].encode(),
            value=base64.b64decode(one["value"]),
            headers=[(name, base64.b64decode(text)) for name, text in one["headers"]],
            position=17,  # a claim's own is its epoch
            time_ms=0,
        )
        for one in json.loads(data)
    )


def _messages() -> tuple[ChunkRecord, ...]:
    def record(
        kind: Kind,
        value: bytes,
        *,
        ckpt: bytes | None = None,
        vectors: bytes | None = None,
        pin: bytes | None = None,
    ) -> ChunkRecord:
        return ChunkRecord(
            values.TASK,
            values.PROJECT,
            kind,
            epoch=17,
            seq=5,
            off=100,
            frame=120,
            pts=61440,
            value=value,
            ckpt=ckpt,
            vectors=vectors,
            pin=pin,
            position=17,
        )

    return (
        record("claim", msgspec.msgpack.encode(values.CLAIM)),
        record(
            "chunk",
            frame_event(b'{"id":"x"}', 100),
            ckpt=b"a checkpoint",
            vectors=encode_vectors(values.VECTORS[:1]),
            pin=b"sha256:34",
        ),
        record("terminal", frame_event(b"[DONE]", 150)),
    )


FORMATS: dict[str, Format] = {
    "submitted": Format(
        values.SUBMITTED, encode_task_message, decode_task_message, msgspec.msgpack.decode
    ),
    "continue": Format(
        values.CONTINUE, encode_task_message, decode_task_message, msgspec.msgpack.decode
    ),
    "claim": packed(values.CLAIM, Claim),
    "chunk": in_json(values.CHUNK, encode_chunk, decode_chunk),
    "chunk_messages": in_json(_messages(), _encode_messages, _decode_messages),
    "vectors": Format(values.VECTORS, encode_vectors, decode_vectors, msgspec.msgpack.decode),
    "cancel_requested": packed(values.CANCEL_REQUESTED, CancelRequested),
    "project": packed(values.PROJECT_RECORD, Project),
    "project_key": packed(values.PROJECT_KEY, ProjectKey),
    "key_end": packed(values.KEY_END, KeyEnd),
    "key_use": packed(values.KEY_USE, KeyUse),
    "dead_letter": packed(values.DEAD_LETTER, DeadLetter),
    "audit_record": Format(values.AUDIT_RECORD, encode_audit, decode_audit, msgspec.msgpack.decode),
    "worker_beat": packed(values.WORKER_BEAT, WorkerBeat),
    "consumer_beat": packed(values.CONSUMER_BEAT, ConsumerBeat),
    "checkpoint": Format(
        values.CHECKPOINT, encode_checkpoint, decode_checkpoint, _unzipped, same_bytes=False
    ),
    "local_state": packed(values.LOCAL_STATE, LocalState),
    "live_state": packed(values.LIVE_STATE, LiveState),
    "tracker_state": packed(values.TRACKER_STATE, TrackerState),
    "upstream_state": packed(values.UPSTREAM_STATE, UpstreamState),
    "request": in_json(values.STORED_REQUEST, encode_stored_request, decode_stored_request),
    "final": in_json(
        values.FINAL, msgspec.json.encode, lambda data: msgspec.json.decode(data, type=Final)
    ),
    "segment_metadata": in_json(
        values.SEGMENT,
        lambda one: msgspec.json.encode(one.to_metadata()),
        lambda data: SegmentInfo.from_metadata(msgspec.json.decode(data)),
    ),
    "picture_metadata": in_json(
        values.PICTURE,
        lambda one: msgspec.json.encode(one.to_metadata()),
        lambda data: PictureInfo.from_metadata(msgspec.json.decode(data)),
    ),
    "piece_metadata": in_json(
        values.PIECE,
        lambda one: msgspec.json.encode(one.to_metadata()),
        lambda data: PieceInfo.from_metadata(msgspec.json.decode(data)),
    ),
    "piece_ts": Format(
        ("h264", [*values.PICTURES]),
        lambda one: transport_stream.muxed(*one),
        transport_stream.demuxed,
        bytes.hex,
    ),
    "piece_mjpeg": Format([*values.JPEGS], multipart.muxed, multipart.demuxed, bytes.hex),
    "expired": in_json(
        values.EXPIRED, msgspec.json.encode, lambda data: msgspec.json.decode(data, type=Expired)
    ),
    "live_mark": in_json(
        values.LIVE_MARK, msgspec.json.encode, lambda data: msgspec.json.decode(data, type=LiveMark)
    ),
    "vector_entries": Format(
        values.VECTOR_ENTRIES, encode_entries, decode_entries, msgspec.msgpack.decode
    ),
    "secrets": in_json(
        values.SECRETS, msgspec.json.encode, lambda data: msgspec.json.decode(data, type=Secrets)
    ),
    "stores": in_json(
        values.STORES, msgspec.json.encode, lambda data: msgspec.json.decode(data, type=Stores)
    ),
    "console_state": in_json(values.CONSOLE_STATE, encode_state, decode_state),
    "task_cursor": cursor(values.TASK_CURSOR),
    "sorted_task_cursor": cursor(values.SORTED_TASK_CURSOR),
    "track_cursor": cursor(values.TRACK_CURSOR),
    "audit_cursor": cursor(values.AUDIT_CURSOR),
    "usage_cursor": cursor(values.USAGE_CURSOR),
}
