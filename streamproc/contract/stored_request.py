"""`request.json`: a task's request as stored in S3, written once and never changed."""

from typing import Any

import msgspec

from streamproc.contract.records import FoldPoint, Submitted
from streamproc.contract.task_spec import TaskSpec


class StoredRequest(msgspec.Struct, frozen=True):
    """Everything known about a task without its log.

    `body` is the request as received, but a base64 input's data is replaced by
    `staged:<object key>`, and possible credentials in a URL by `***` (requests stored by older
    versions still contain them). `body_sha256` (hex) is over the canonical form of the whole
    request, so that a repeated POST can be distinguished from a different one; with credentials it
    is keyed (`streamproc.contract.sealing`). `point.position` is before the task's first chunk
    record. `weight` was the project's share of the workers, relative to the default of 1.
    """

    task: str
    project: str
    partition: int
    created_ms: int
    point: FoldPoint
    body: dict[str, Any]
    body_sha256: str
    spec: TaskSpec
    weight: int = 1

    def submission(self) -> Submitted:
        """Return the message for video.tasks; sending it twice is harmless."""
        return Submitted(
            task=self.task,
            project=self.project,
            partition=self.partition,
            created_ms=self.created_ms,
            spec=self.spec,
            point=self.point,
            weight=self.weight,
        )


_DECODER = msgspec.json.Decoder(StoredRequest)


def encode_stored_request(stored: StoredRequest) -> bytes:
    return msgspec.json.encode(stored)


def decode_stored_request(data: bytes) -> StoredRequest:
    """Decode; raises `msgspec.DecodeError` on bytes that `encode_stored_request` did not write."""
    return _DECODER.decode(data)
