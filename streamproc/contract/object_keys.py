"""S3 object keys, and the S3 metadata of segments.

`{project}/{task}/request.json`        the request, PUT once with `If-None-Match: *`
`{project}/{task}/upload`              a base64 input, staged by the api
`{project}/{task}/source`              a source that is not seekable, spooled by a worker
`{project}/{task}/seg/{start:020d}`    log bytes `[start, start + size)`
`{project}/{task}/vec/{start:020d}`    the feature vectors of the same records, for the index
`{project}/{task}/final.json`          written after the last segment of a closed log
`{project}/{task}/expired.json`        of a live task: where its log begins, once its first segments
                                       were deleted by age; written before they are
`{project}/{task}/latest.jpg`          of a live task: its last picture, replaced again and again
`.framewire/secrets/{project}/{task}`  a source's URL with its credentials, encrypted
                                       (`contract.sealing`); deleted before `final.json` is written
`.framewire/live/{project}/{task}`     a live task that has segments which will be deleted by age
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

import msgspec

from streamproc.contract.decoding import msgpack_decoder
from streamproc.contract.records import Attempt

REQUEST = "request.json"
UPLOAD = "upload"
SOURCE = "source"
FINAL = "final.json"
EXPIRED = "expired.json"
LATEST = "latest.jpg"
SECRETS = ".framewire/secrets/"
LIVE = ".framewire/live/"

MAX_HASHED_BYTES = 1024**3
MAX_SEGMENT_BYTES = 6 * 1024 * 1024
"""More than a segment has: it ends with the record that makes it a MiB or more."""

_LIVE = re.compile(r"^\.framewire/live/(?P<project>[^/]+)/(?P<task>[^/]+)$")
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


def expired_key(project: str, task: str) -> str:
    return task_prefix(project, task) + EXPIRED


def latest_key(project: str, task: str) -> str:
    return task_prefix(project, task) + LATEST


def live_key(project: str, task: str) -> str:
    """Return the key of a live task's mark: one common prefix, to list them."""
    return f"{LIVE}{project}/{task}"


def live_task(key: str) -> tuple[str, str] | None:
    """Return `(project, task)` of a live task's mark, None for another key."""
    match = _LIVE.match(key)
    return None if match is None else (match["project"], match["task"])


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


def linked(chain: str, digest: str) -> str:
    """Return the chain of a log (hex) after one more segment, whose SHA-256 is `digest` (hex).

    It is the SHA-256 over the chain before, empty for the first segment, and the digest.
    """
    return hashlib.sha256(bytes.fromhex(chain) + bytes.fromhex(digest)).hexdigest()


class SegmentInfo(msgspec.Struct, frozen=True):
    """The fold's state just after a segment's last byte; stored as text in S3 metadata.

    `next_position` is the Kafka offset to continue reading at, in the task's chunks partition.
    `attempts` are the providers that failed before the one that wrote the segment, oldest first.
    `digest` is the segment's SHA-256 (hex), `chain` that of all digests so far (`linked`); empty in
    older segments, and `chain` in those after them. `first_ms` and `last_ms` are when its first and
    its last frame were captured, or written if a chunk has no time of capture; None in older ones.
    """

    epoch: int
    next_seq: int
    last_frame: int
    next_position: int
    started_ms: int
    closed: bool
    attempts: tuple[Attempt, ...] = ()
    digest: str = ""
    chain: str = ""
    first_ms: int | None = None
    last_ms: int | None = None
    provider: str | None = None

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
        if self.digest:
            metadata["sha256"] = self.digest
        if self.chain:
            metadata["chain"] = self.chain
        if self.first_ms is not None and self.last_ms is not None:
            metadata |= {"first-ms": str(self.first_ms), "last-ms": str(self.last_ms)}
        if self.provider is not None:
            metadata["provider"] = quote(self.provider, safe=" ")
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
            digest=_hash(fields.get("sha256", "")),
            chain=_hash(fields.get("chain", "")),
            first_ms=int(fields["first-ms"]) if "first-ms" in fields else None,
            last_ms=int(fields["last-ms"]) if "last-ms" in fields else None,
            provider=unquote(fields["provider"]) if "provider" in fields else None,
        )


def _hash(text: str) -> str:
    bytes.fromhex(text)
    return text


_decode_attempts = msgpack_decoder(tuple[Attempt, ...])


class Final(msgspec.Struct, frozen=True):
    """`final.json`: summary of a closed log, available without reading the log.

    `sha256` (hex) is over the `length` bytes of the whole log. It is None for a log of more than
    `MAX_HASHED_BYTES`, or without its first bytes, which nobody should read again to close it; then
    `chain` is that of its last segment (`SegmentInfo.chain`). Times are Unix milliseconds.
    `attempts` are the providers that failed before the first chunk, oldest first.
    """

    length: int
    sha256: str | None
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
    chain: str | None = None


class PictureInfo(msgspec.Struct, frozen=True):
    """What the S3 metadata of `latest.jpg` says of it.

    `width`, `height`: of the source's frame, px, which may be larger. `frame`: its index.
    `captured_ms`: when it was captured, Unix ms.
    """

    width: int
    height: int
    frame: int
    captured_ms: int

    def to_metadata(self) -> dict[str, str]:
        return {
            "width": str(self.width),
            "height": str(self.height),
            "frame": str(self.frame),
            "captured-ms": str(self.captured_ms),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "PictureInfo":
        """Parse S3 metadata; raises KeyError or ValueError if `to_metadata` did not write it."""
        fields = {name.lower(): value for name, value in metadata.items()}
        return cls(
            width=int(fields["width"]),
            height=int(fields["height"]),
            frame=int(fields["frame"]),
            captured_ms=int(fields["captured-ms"]),
        )


class Expired(msgspec.Struct, frozen=True):
    """`expired.json`: log bytes before `start` were deleted by age, or are about to be."""

    start: int
