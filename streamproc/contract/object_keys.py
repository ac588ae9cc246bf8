"""S3 object keys, and the S3 metadata of segments.

`{project}/{task}/request.json`        the request, PUT once with `If-None-Match: *`
`{project}/{task}/upload`              a base64 input, staged by the api
`{project}/{task}/source`              a source that is not seekable, spooled by a worker
`{project}/{task}/seg/{start:020d}`    log bytes `[start, start + size)`
`{project}/{task}/vec/{start:020d}`    the feature vectors of the same records, for the index
`{project}/{task}/final.json`          written after the last segment of a closed log
`.framewire/secrets/{project}/{task}`  a source's URL with its credentials, encrypted
                                       (`contract.sealing`); deleted before `final.json` is written
"""

import base64
import hashlib
import re
from collections.abc import Mapping

import msgspec

from streamproc.contract.decoding import msgpack_decoder
from streamproc.contract.records import Attempt

REQUEST = "request.json"
UPLOAD = "upload"
SOURCE = "source"
FINAL = "final.json"
SECRETS = ".framewire/secrets/"

_SEGMENT = re.compile(r"^(?P<project>[^/]+)/(?P<task>[^/]+)/seg/(?P<start>\d{20})$")


def task_prefix(project: str, task: str) -> str:
    return f"{project}/{task}/"


def request_key(project: str, task: str) -> str:
    return task_prefix(project, task) + REQUEST


def upload_key(project: str, task: str) -> str:
    return task_prefix(project, task) + UPLOAD


def source_key(project: str, task: str) -> str:
    return task_prefix(project, task) + SOURCE


def secret_key(project: str, task: str) -> str:
    """Return the key of a source's sealed URL: one common prefix, for a lifecycle rule."""
    return f"{SECRETS}{project}/{task}"


def final_key(project: str, task: str) -> str:
    return task_prefix(project, task) + FINAL


def segment_prefix(project: str, task: str) -> str:
    return task_prefix(project, task) + "seg/"


def segment_key(project: str, task: str, start: int) -> str:
    return f"{segment_prefix(project, task)}{start:020d}"


def vectors_key(project: str, task: str, start: int) -> str:
    return f"{task_prefix(project, task)}vec/{start:020d}"


def segment_start(key: str) -> int:
    """Return the log offset of a segment's first byte; raises ValueError on another key."""
    match = _SEGMENT.match(key)
    if match is None:
        raise ValueError(f"not a segment key: {key!r}")
    return int(match["start"])


def content_md5(body: bytes | bytearray) -> str:
    """Return the `Content-MD5` header that all our PUTs carry.

    A connection that breaks between a PUT's head and its body must leave no object: SeaweedFS
    (4.48) would keep an empty one, which readers would take for complete.
    """
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


class SegmentInfo(msgspec.Struct, frozen=True):
    """The fold's state just after a segment's last byte; stored as text in S3 metadata.

    `next_position` is the Kafka offset to continue reading at, in the task's chunks partition.
    `attempts` are the providers that failed before the one that wrote the segment, oldest first.
    """

    epoch: int
    next_seq: int
    last_frame: int
    next_position: int
    started_ms: int
    closed: bool
    attempts: tuple[Attempt, ...] = ()

    def to_metadata(self) -> dict[str, str]:
        metadata = {
            "epoch": str(self.epoch),
            "next-seq": str(self.next_seq),
            "last-frame": str(self.last_frame),
            "next-position": str(self.next_position),
            "started-ms": str(self.started_ms),
            "closed": "1" if self.closed else "0",
        }
        if self.attempts:
            packed = msgspec.msgpack.encode(self.attempts)
            metadata["attempts"] = base64.b64encode(packed).decode()
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "SegmentInfo":
        """Parse S3 metadata; raises KeyError or ValueError if `to_metadata` did not write it."""
        fields = {name.lower(): value for name, value in metadata.items()}
        return cls(
            epoch=int(fields["epoch"]),
            next_seq=int(fields["next-seq"]),
            last_frame=int(fields["last-frame"]),
            next_position=int(fields["next-position"]),
            started_ms=int(fields["started-ms"]),
            closed=fields["closed"] == "1",
            attempts=_decode_attempts(base64.b64decode(fields.get("attempts", "kA=="))),
        )


_decode_attempts = msgpack_decoder(tuple[Attempt, ...])


class Final(msgspec.Struct, frozen=True):
    """`final.json`: summary of a closed log, available without reading the log.

    `sha256` (hex) is over the `length` bytes of the whole log. Times are Unix milliseconds.
    `attempts` are the providers that failed before the first chunk, oldest first.
    """

    length: int
    sha256: str
    status: str
    started_ms: int
    finished_ms: int
    processed_frames: int
    provider: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    total_frames: int | None = None
    fps: float = 0.0
    attempts: tuple[Attempt, ...] = ()
    total_frames_is_estimate: bool = False
